#include "query/explain.h"

#include "query/query.h"

void explain_memtables(const struct reader *reader) {
    struct trace *trace = reader_trace(reader);
    uint64_t rows = 0;
    if (trace == NULL || (reader->mem[0] == NULL && reader->mem[1] == NULL)) {
        return;
    }
    for (int which = 0; which < 2; which++) {
        rows += reader->mem[which] == NULL ? 0 : reader->mem[which]->row_count;
    }
    trace_enter_place(trace, TRACE_MEMTABLES, INS_LOOK_MEMTABLE, NULL, rows);
}

/* Why the plan leaves out no row; NULL: it does, or there is nothing to plan. */
static const char *why_no_plan(const struct plan *plan, const struct filter *filter) {
    if (filter == NULL || plan->useful) {
        return NULL;
    }
    if (plan->filter == NULL) {
        return "the filter has no condition that a field index decides";
    }
    return plan->table_count == 0 ? "the extent has no field index"
                                  : "its field indexes decide none of the conditions";
}

void explain_sweep(const struct plan *plan, const struct filter *filter) {
    struct trace *trace = reader_trace(plan->reader);
    if (trace != NULL) {
        trace_enter_place(trace, plan->run, plan->useful ? INS_LOOK_PICKS : INS_LOOK_SCAN,
                          why_no_plan(plan, filter),
                          plan->reader->runs[plan->run].extent.row_count);
    }
}

enum ins_look explain_scan_look(const struct search *search) {
    if (search->codes.on) {
        return INS_LOOK_CODES;
    }
    return search->plan.useful ? INS_LOOK_INDEX : INS_LOOK_SCAN; /* until rows are picked */
}

void explain_run(const struct search *search) {
    struct trace *trace = reader_trace(search->reader);
    if (trace == NULL) {
        return;
    }
    const char *why = search->graph.why;
    enum ins_look look = INS_LOOK_SCAN;
    if (!search->has_vector) {
        look = INS_LOOK_PASSED_OVER;
        why = search->indexed_only ? "indexed_only: it has no graph, or none of its rows the vector"
                                   : "none of its rows has the vector";
    } else if (search->graph.on) {
        look = INS_LOOK_GRAPH;
        why = NULL;
    } else if (search->codes.on || search->plan.useful) {
        look = explain_scan_look(search);
    } else if (search->filter != NULL && !search->exact) {
        const char *no_plan = why_no_plan(&search->plan, search->filter);
        why = no_plan != NULL ? no_plan : why;
    }
    trace_enter_place(trace, search->run, look, why,
                      search->reader->runs[search->run].extent.row_count);
}
