/* Drives the engine in process: a number of calls under way, each started by the end of another.
 *
 * Path: driver_start posts a task to the request lane; there every free slot asks `next` to start a
 * call; the call's end records its latency, asks `done`, and frees the slot. A call that ended at
 * once (in the call that started it) only joins the list of free slots: nothing recurses.
 * Refusals for now (INS_EXHAUSTED) are asked again after 20 ms; the latency goes on counting.
 * Threads: next and done run on the request lane; the functions here on the caller's. */
#ifndef INS_BENCH_DRIVER_H
#define INS_BENCH_DRIVER_H

#include "bench.h"
#include "points.h"

struct driver;

struct driver_slot {
    ins_call call;
    struct driver *driver;
    struct driver_slot *next; /* of the free, or of those that were refused */
    uint64_t start_ns;
    uint32_t number;
    ins_start start;     /* set by next */
    const void *request; /* set by next: one of those below */
    ins_points_request points_request;
    ins_collection_request collection_request;
    ins_point point;
    char payload[PAYLOAD_BYTES_MAX];
};

struct driver {
    /* set by the caller */
    void *context;
    bool (*next)(void *context, struct driver_slot *slot); /* false: nothing more to start */
    uint32_t width;
    /* the engine */
    ins_store *store;
    ins_runtime *runtime;
    ins_db *db;
    /* request lane */
    struct driver_slot *slots, *free_slots, *refused_slots;
    ins_timer retry;
    uint32_t under_way;
    bool pumping, exhausted, stopping;
    struct latency latency;
    uint64_t acknowledged, failed, refused;
    ins_error first_error;
};

/* Opens store, runtime and database in `path`. False: said on the standard error. */
bool driver_open(struct driver *driver, const char *path, const struct bench_options *options);
void driver_close(struct driver *driver); /* clean shutdown; nothing is under way */
void driver_start(struct driver *driver);
/* Waits until nothing is under way: `next` had no more, or stop asked for the end. */
void driver_wait(struct driver *driver);
/* Counters start at zero from here; returns the engine's of the same moment. */
void driver_mark(struct driver *driver, ins_stats *out_stats);
/* The same moment's counters; `stop`: starts no more. */
void driver_look(struct driver *driver, bool stop, ins_stats *out_stats,
                 struct latency *out_latency, uint64_t *out_acknowledged, uint64_t *out_refused);
/* One call, waited for. False: said on the standard error. */
bool driver_call(struct driver *driver, ins_start start, const void *request);

static inline ins_text bench_text(const char *text, size_t size) {
    return (ins_text){.data = text, .size = size};
}

#endif
