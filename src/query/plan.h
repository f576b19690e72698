/* The plan of a filter in one run: what field indexes know of it, a group of rows at a time.
 *
 * Path: plan_begin for an island; plan_enter for a run says whether its indexes help; then
 * plan_group for each group of ROW_GROUP rows gives which rows pass for sure and which may: all
 * others are left out unseen, and only the doubtful ones need their payload. How many rows may pass
 * is known before any of them is touched, so that a search gathers few rows and scans many.
 * Threads: the request lane. Memory: the reader's pool; one copy of the verdict. */
#ifndef INS_QUERY_PLAN_H
#define INS_QUERY_PLAN_H

#include "segment/fields.h"
#include "tenant/reader.h"

#define PLAN_NOWHERE UINT8_MAX

struct plan_place { /* of a column: in which table, which of it; table PLAN_NOWHERE: none */
    uint8_t table, column;
};

struct plan {
    struct reader *reader;
    const struct filter *filter; /* NULL: nothing to plan */
    struct filter_row about;     /* the tenant of the island's rows */
    struct filter_probe *probes;
    struct plan_place (*places)[DOMAIN_LAST + 1]; /* [probes] */
    struct field_table *tables;                   /* [FIELD_TABLES_MAX] */
    uint32_t table_count;
    uint32_t run;   /* being read */
    bool entered;   /* tables and places are those of the run */
    bool useful;    /* some condition can be decided */
    bool has_group; /* the verdict is that of the group */
    uint32_t group;
    struct row_verdict verdict;
};

/* `filter` NULL or without conditions that an index decides: no run will be useful. */
void plan_begin(struct plan *plan, struct reader *reader, const struct filter *filter,
                const struct payload_path *tenant_path);
/* plan->useful says what comes of it. INS_AGAIN as in reader.h. */
INS_MUST_USE ins_status plan_enter(struct plan *plan, uint32_t run, ins_error *error);
/* The verdict on the rows of a group of the run. */
INS_MUST_USE ins_status plan_group(struct plan *plan, uint32_t group, ins_error *error);
/* How many rows of the group may pass. */
uint32_t plan_count(const struct plan *plan);
/* Rows that may pass, from `row` on and before `end`, of the current group: the first one; `end`
 * when there is none. */
uint32_t plan_next(const struct plan *plan, uint32_t row, uint32_t end);
static inline bool plan_is_sure(const struct plan *plan, uint32_t row) {
    return row_bits_has(&plan->verdict.sure, row % ROW_GROUP);
}
static inline bool plan_may_pass(const struct plan *plan, uint32_t row) {
    return row_bits_has(&plan->verdict.maybe, row % ROW_GROUP);
}
/* What a group costs in rows of a step's budget. */
uint64_t plan_group_cost(const struct plan *plan);

/* The plans of all runs of an island, for rows that come in the order of their ids: each run keeps
 * the verdict on its group. Memory: the reader's pool, where some run has field indexes. */
struct plans {
    struct reader *reader;
    const struct filter *filter;
    const struct payload_path *tenant_path;
    struct plan *items; /* [run_count], or NULL */
};

static inline void plans_begin(struct plans *plans, struct reader *reader,
                               const struct filter *filter,
                               const struct payload_path *tenant_path) {
    *plans = (struct plans){.reader = reader, .filter = filter, .tenant_path = tenant_path};
}
/* Whether a place may pass, and whether it passes for sure. After reader_load. */
INS_MUST_USE ins_status plans_ask(struct plans *plans, const struct place *place, bool *out_may,
                                  bool *out_sure, ins_error *error);

#endif
