#include "query/sweep.h"

#include "base/assert.h"
#include "query/explain.h"

void sweep_begin(struct sweep *sweep) {
    sweep->stage = SWEEP_LOAD;
    sweep->which = 0;
    sweep->next_row = sweep->reader->mem[0] != NULL ? sweep->reader->mem[0]->first : NULL;
    sweep->run = 0;
    sweep->row = 0;
    plan_begin(&sweep->plan, sweep->reader, sweep->filter, sweep->tenant_path);
}

static void count_rows(const struct sweep *sweep, uint64_t rows) {
    TRACE_COUNT(reader_trace(sweep->reader), scanned, rows);
}

static ins_status give(struct sweep *sweep, const struct place *place, const ins_id *id,
                       ins_error *error) {
    sweep->place = place;
    ins_status status = sweep->match(sweep->context, id, error);
    sweep->place = NULL; /* it is the caller's */
    return status;
}

static ins_status look(struct sweep *sweep, const struct place *place, const ins_id *id,
                       ins_error *error) {
    bool match = true;
    if (sweep->filter != NULL) {
        ins_status status = place_matches(sweep->reader, place, sweep->filter, sweep->tenant_path,
                                          sweep->parser, &match, error);
        if (status != INS_OK) {
            return status;
        }
    }
    return match ? give(sweep, place, id, error) : INS_OK;
}

static void charge(struct sweep *sweep, uint64_t cost, uint64_t *budget) {
    cost += filter_rows_worth(sweep->reader) + sweep->match_cost;
    sweep->match_cost = 0;
    sweep->cost += cost;
    budget_charge(budget, cost);
}

static ins_status sweep_memtables(struct sweep *sweep, uint64_t *budget, ins_error *error) {
    explain_memtables(sweep->reader);
    while (sweep->which < 2 && *budget > 0) {
        const struct memrow *row = sweep->next_row;
        if (row == NULL || row->lsn > sweep->reader->lsn) {
            sweep->which++;
            bool more = sweep->which < 2 && sweep->reader->mem[sweep->which] != NULL;
            sweep->next_row = more ? sweep->reader->mem[sweep->which]->first : NULL;
            continue;
        }
        if (reader_row_counts(sweep->reader, sweep->which, row)) {
            struct place place = {.row = row};
            ins_id id = memrow_id(row);
            ins_status status = look(sweep, &place, &id, error);
            if (status != INS_OK) {
                return status;
            }
            count_rows(sweep, 1);
        } else {
            TRACE_COUNT(reader_trace(sweep->reader), superseded, 1);
        }
        sweep->next_row = row->island_next;
        charge(sweep, SWEEP_ROW_COST, budget);
    }
    return INS_OK;
}

static void leave_run(struct sweep *sweep) {
    if (sweep->reader->runs[sweep->run].loaded) {
        reader_release_chunks(sweep->reader, sweep->run, SECTION_PAYLOAD, UINT32_MAX);
        reader_release_chunks(sweep->reader, sweep->run, SECTION_PAYLOAD_OFFSETS, UINT32_MAX);
    }
    sweep->run++;
    sweep->row = 0;
}

/* How far the verdict goes that counts from the row at hand on: of a planned run to the end of its
 * group, else to the run's end. */
static ins_status open_span(struct sweep *sweep, uint64_t *budget, uint32_t *out_end,
                            ins_error *error) {
    uint32_t rows = sweep->reader->runs[sweep->run].extent.row_count;
    *out_end = rows;
    if (!sweep->plan.useful) {
        return INS_OK;
    }
    uint32_t group = sweep->row / ROW_GROUP;
    uint32_t left = rows - group * ROW_GROUP;
    bool fresh = !sweep->plan.has_group || sweep->plan.group != group;
    *out_end = group * ROW_GROUP + (left < ROW_GROUP ? left : ROW_GROUP);
    ins_status status = plan_group(&sweep->plan, group, error);
    if (status == INS_OK && fresh) {
        charge(sweep, plan_group_cost(&sweep->plan), budget);
    }
    return status;
}

/* The row at hand. It is passed only when it was looked at whole, so a repeated step meets none
 * twice. */
static ins_status sweep_row(struct sweep *sweep, const struct chunks *ids, ins_error *error) {
    struct place place = {.run = sweep->run, .run_row = sweep->row};
    ins_id id = extent_id(&sweep->reader->runs[sweep->run].extent, ids, sweep->row);
    if (reader_superseded(sweep->reader, sweep->run, &id)) {
        TRACE_COUNT(reader_trace(sweep->reader), superseded, 1);
        return INS_OK;
    }
    bool sure = sweep->plan.useful && plan_is_sure(&sweep->plan, sweep->row);
    ins_status status = sure ? give(sweep, &place, &id, error) : look(sweep, &place, &id, error);
    if (status == INS_OK) {
        count_rows(sweep, 1);
        reader_trim(sweep->reader, &place);
    }
    return status;
}

static ins_status sweep_span(struct sweep *sweep, uint32_t end, uint64_t *budget,
                             ins_error *error) {
    const struct chunks ids = reader_ids(sweep->reader, sweep->run);
    while (*budget > 0 && sweep->row < end) {
        if (sweep->plan.useful) {
            sweep->row = plan_next(&sweep->plan, sweep->row, end);
            if (sweep->row == end) {
                break;
            }
        }
        ins_status status = sweep_row(sweep, &ids, error);
        if (status != INS_OK) {
            return status;
        }
        sweep->row++;
        charge(sweep, SWEEP_ROW_COST, budget);
    }
    return INS_OK;
}

static ins_status sweep_runs(struct sweep *sweep, uint64_t *budget, ins_error *error) {
    while (sweep->run<sweep->reader->run_count && * budget> 0) {
        const struct reader_run *run = &sweep->reader->runs[sweep->run];
        if (!run->loaded || sweep->row == run->extent.row_count) {
            leave_run(sweep);
            continue;
        }
        uint32_t end;
        ins_status status = plan_enter(&sweep->plan, sweep->run, error);
        if (status == INS_OK) {
            explain_sweep(&sweep->plan, sweep->filter);
            status = open_span(sweep, budget, &end, error);
        }
        if (status == INS_OK) {
            reader_find_overlaps(sweep->reader, sweep->run);
            status = sweep_span(sweep, end, budget, error);
        }
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

ins_status sweep_step(struct sweep *sweep, uint64_t row_budget, bool *out_done, ins_error *error) {
    ins_status status = INS_OK;
    *out_done = false;
    if (sweep->stage == SWEEP_LOAD) {
        status = reader_load(sweep->reader, error);
        sweep->stage = status == INS_OK ? SWEEP_MEMTABLES : SWEEP_LOAD;
    }
    if (status == INS_OK && sweep->stage == SWEEP_MEMTABLES) {
        status = sweep_memtables(sweep, &row_budget, error);
        sweep->stage = status == INS_OK && sweep->which == 2 ? SWEEP_RUNS : SWEEP_MEMTABLES;
    }
    if (status == INS_OK && sweep->stage == SWEEP_RUNS) {
        status = sweep_runs(sweep, &row_budget, error);
        *out_done = status == INS_OK && sweep->run == sweep->reader->run_count;
    }
    return status;
}
