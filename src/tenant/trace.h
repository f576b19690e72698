/* What one read does, counted where it happens, for the caller that asked (ins_call.explain).
 *
 * Nobody asked: the waiter's trace is NULL, and each place of counting is one branch. Time belongs
 * to the stage in which the operation is: trace_turn charges what has passed to the stage that ends
 * and begins the next one, so the stages add up to the time from begun_ns to ended_ns.
 * Threads: the request lane. */
#ifndef INS_TENANT_TRACE_H
#define INS_TENANT_TRACE_H

#include "insula.h"

#define TRACE_NO_STAGE INS_STAGE_COUNT /* time that another trace of the same call accounts for */

struct trace {
    ins_explain *out;
    const ins_runtime *runtime;
    uint64_t at_ns; /* up to here time is charged */
    enum ins_stage stage;
    uint64_t only;            /* incarnation of the island, while it is one */
    bool several, inner;      /* views of more than one; a call within another one */
    ins_explain_place *place; /* that is looked at */
    uint64_t island;          /* of `place`, and */
    uint32_t run;             /* its number in the view */
    ins_explain_place spare;  /* stands for places beyond the table */
};

#define TRACE_MEMTABLES UINT32_MAX        /* in place of a run: */
#define TRACE_PATCHES (UINT32_MAX - 1)    /* all places of an island, for patches, */
#define TRACE_ALL_PLACES (UINT32_MAX - 2) /* or for ids */

void trace_begin(struct trace *trace, ins_explain *out, const ins_runtime *runtime);
void trace_enter_stage(struct trace *trace, enum ins_stage stage);
/* From here on, time belongs to `stage`. */
static inline void trace_turn(struct trace *trace, enum ins_stage stage) {
    if (trace != NULL && trace->stage != stage) {
        trace_enter_stage(trace, stage);
    }
}
/* The operation has ended. */
void trace_end(struct trace *trace);

/* What is counted from here on is of this place of the island opened last; again for the place at
 * hand it changes nothing. */
void trace_enter_place(struct trace *trace, uint32_t run, enum ins_look look, const char *why,
                       uint64_t rows);
static inline void trace_place(struct trace *trace, uint32_t run, enum ins_look look,
                               const char *why, uint64_t rows) {
    if (trace != NULL) {
        trace_enter_place(trace, run, look, why, rows);
    }
}
/* The place at hand is looked at in another way, after all. */
void trace_change_look(struct trace *trace, enum ins_look look, const char *why);
static inline void trace_look(struct trace *trace, enum ins_look look, const char *why) {
    if (trace != NULL) {
        trace_change_look(trace, look, why);
    }
}

/* Adds to a counter of the place at hand and of the total. */
#define TRACE_COUNT(counts, counter, change)                                                       \
    do {                                                                                           \
        struct trace *trace_counted = (counts);                                                    \
        if (trace_counted != NULL) {                                                               \
            uint64_t trace_change = (change);                                                      \
            trace_counted->place->counter += trace_change;                                         \
            trace_counted->out->total.counter += trace_change;                                     \
        }                                                                                          \
    } while (0)
/* Adds to a counter of the whole read. */
#define TRACE_ADD(counts, counter, change)                                                         \
    do {                                                                                           \
        struct trace *trace_added = (counts);                                                      \
        if (trace_added != NULL) {                                                                 \
            trace_added->out->counter += (change);                                                 \
        }                                                                                          \
    } while (0)

#endif
