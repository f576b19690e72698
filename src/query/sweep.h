/* Every point of an island that passes a filter, in no order: counts, deletes by filter. */
#ifndef INS_QUERY_SWEEP_H
#define INS_QUERY_SWEEP_H

#include "query/plan.h"
#include "query/query.h"

#define SWEEP_ROW_COST                                                                             \
    8u /* an id looked up in all newer sources, against a distance in a batch                      \
        */

typedef ins_status (*sweep_match)(void *context, const ins_id *id, ins_error *error);

struct sweep {
    struct reader *reader;
    const struct filter *filter; /* NULL: all */
    const struct payload_path *tenant_path;
    struct json_parser *parser;
    /* One point that passes; sweep->place says where it lies. INS_AGAIN when it waits for bytes: it
     * comes once more. An error ends the sweep. */
    sweep_match match;
    void *context;
    const struct place *place; /* while `match` runs */
    enum { SWEEP_LOAD, SWEEP_MEMTABLES, SWEEP_RUNS } stage;
    uint32_t which;
    const struct memrow *next_row;
    uint32_t run, row;
    struct plan plan;
    uint64_t match_cost; /* set by `match`: of the point beyond SWEEP_ROW_COST */
    uint64_t cost;       /* so far, as rows of a step's budget; the caller may set it to 0 */
};

/* Sets where to begin; the caller has set the first six members. */
void sweep_begin(struct sweep *sweep);
/* As search_step; a row costs SWEEP_ROW_COST and what its filter costs. */
INS_MUST_USE ins_status sweep_step(struct sweep *sweep, uint64_t row_budget, bool *out_done,
                                   ins_error *error);

#endif
