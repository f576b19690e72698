/* The writes of `storm` (WORKLOADS 5) as a source of traffic: 2,000 points/s in small requests;
 * overwrites, new points, deletes; now and then a search that must see the write before it. */
#ifndef INS_BENCH_SUITE_WRITER_H
#define INS_BENCH_SUITE_WRITER_H

#include "traffic.h"

#define STORM_POINTS_PER_S 2000.0

struct writer {
    struct source source;
    struct world *world;
    const struct wire *wire;
    struct answers *answers;
    double *cumulative; /* [tenant_count]: popularity^0.5 */
    struct random random;
    uint64_t next_ns, end_ns;
    double mean_gap_s;
    pid_t kill_pid; /* killed at kill_ns, when that is not 0 */
    uint64_t kill_ns;
    /* out */
    uint64_t begin_number; /* of answers_write_begin: the first of this writer */
    uint64_t requests, points, overwritten, made, deleted, refused, failed, bytes;
    uint64_t read_back, read_back_wrong;
    struct latency *latency, *second;
};

bool writer_open(struct writer *writer, const struct wire *wire, struct answers *answers,
                 uint64_t number, uint64_t start_ns, uint64_t end_ns);
void writer_close(struct writer *writer); /* takes a zeroed one */

/* ---- After it: what is stored ---- */

struct verified {
    uint64_t points, lost, extra, halves; /* halves: requests of which a part is stored */
};

/* Reads every point back that was written since `from` (as far as the ring of recent writes goes),
 * and settles those whose answer was lost: all or nothing of their request. False: the server does
 * not answer as it should; said. */
bool verify_writes(const struct wire *wire, struct answers *answers, uint64_t from,
                   struct verified *out_verified);
void verify_report(const struct verified *verified, struct report *report);

#endif
