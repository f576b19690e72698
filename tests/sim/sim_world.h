/* A database on the simulated runtime and store for tests that end it after a given number of
 * steps. */
#ifndef INS_SIM_WORLD_H
#define INS_SIM_WORLD_H

#include "engine/engine_private.h"
#include "sim_runtime.h"
#include "store/store.h"

#define WORLD_CHUNK 3u /* points of one record of a change by filter */

struct world {
    ins_store *store;
    ins_options options; /* small everything, from world_init on */
    struct sim_runtime lanes;
    ins_db *db;
    uint64_t seed;
    const char *what; /* for failures */
    uint64_t step;    /* after which it ended */
};

void world_fail(const struct world *world, const char *text) __attribute__((noreturn));
ins_text world_text(const char *string);
void world_init(struct world *world); /* an empty store */
void world_fini(struct world *world);
void world_open(struct world *world);
/* The process is gone; with a power cut also what was not synced. */
void world_end(struct world *world, bool power_cut);
/* Sets *(bool *)call->user. */
void world_call_done(ins_call *call);
/* Runs to its end, and stays to be released. */
ins_status world_run(struct world *world, ins_start start, const void *request, ins_call *call);
void world_run_ok(struct world *world, ins_start start, const void *request);
/* Until no change by filter of many records is under way. */
void world_wait_changes(struct world *world);

#endif
