/* The workloads of WORKLOADS on one made world and one server, and what they share.
 *
 * A run has a directory: server/ (its data, when the server is the run's own), state (the model of
 * what is stored), figures/NAME.json, report.md, report.html, report.json. A run that was cut off
 * goes on at its next workload; one that was cut off while it was writing (the file `writing`
 * says so) begins with `load` again, since the model no longer says what is stored. */
#ifndef INS_BENCH_SUITE_SUITE_H
#define INS_BENCH_SUITE_SUITE_H

#include "answers.h"
#include "target.h"
#include "traffic.h"
#include "wire.h"
#include "world.h"

struct suite {
    const struct bench_options *options;
    struct world world;
    struct target target;
    struct wire wire;
    struct answers answers;
    struct bench_directory directory;
    double time_factor; /* of --minutes: what is left of each workload's own time */
    uint64_t streams;   /* of arrivals, so that no two are the same */
    uint64_t start_ns;
};

/* A workload's time: --seconds, else its own shortened by --minutes. */
double suite_seconds(const struct suite *suite, double own);
double suite_warmup(const struct suite *suite, double own);
double suite_rate(const struct suite *suite);
/* Cuts the path of a file in the run's directory. */
void suite_path(const struct suite *suite, const char *name, char out[600]);
/* Counts of answers_report from zero. */
void suite_answers_reset(struct suite *suite);

/* Each reports into `report`. False: it could not be measured; said on the standard error. */
bool workload_load(struct suite *suite, struct report *report);
bool workload_steady(struct suite *suite, struct report *report);
bool workload_squeeze(struct suite *suite, struct report *report);
bool workload_storm(struct suite *suite, struct report *report);
bool workload_restart(struct suite *suite, struct report *report);
bool workload_churn(struct suite *suite, struct report *report);
bool workload_noisy(struct suite *suite, struct report *report);
bool workload_promise(struct suite *suite, struct report *report);
bool workload_overload(struct suite *suite, struct report *report);
bool workload_filter(struct suite *suite, struct report *report);
bool workload_cold(struct suite *suite, struct report *report);
bool workload_isolation(struct suite *suite, struct report *report);
bool workload_aging(struct suite *suite, struct report *report);

#endif
