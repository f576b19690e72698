#include "query/sweep.h"

#include "base/assert.h"

void sweep_begin(struct sweep *sweep) {
    sweep->stage = SWEEP_LOAD;
    sweep->which = 0;
    sweep->next_row = sweep->reader->mem[0] != NULL ? sweep->reader->mem[0]->first : NULL;
    sweep->run = 0;
    sweep->row = 0;
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
    return match ? sweep->match(sweep->context, id, error) : INS_OK;
}

static void charge(struct sweep *sweep, uint64_t *budget) {
    uint64_t cost = SWEEP_ROW_COST + filter_rows_worth(sweep->reader);
    sweep->cost += cost;
    budget_charge(budget, cost);
}

static ins_status sweep_memtables(struct sweep *sweep, uint64_t *budget, ins_error *error) {
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
        }
        sweep->next_row = row->island_next;
        charge(sweep, budget);
    }
    return INS_OK;
}

/* A row is passed only when it was looked at whole, so a repeated step meets none twice. */
static ins_status sweep_runs(struct sweep *sweep, uint64_t *budget, ins_error *error) {
    while (sweep->run<sweep->reader->run_count && * budget> 0) {
        const struct reader_run *run = &sweep->reader->runs[sweep->run];
        if (!run->loaded || sweep->row == run->extent.row_count) {
            if (run->loaded) {
                reader_release_chunks(sweep->reader, sweep->run, SECTION_PAYLOAD, UINT32_MAX);
                reader_release_chunks(sweep->reader, sweep->run, SECTION_PAYLOAD_OFFSETS,
                                      UINT32_MAX);
            }
            sweep->run++;
            sweep->row = 0;
            continue;
        }
        struct place place = {.run = sweep->run, .run_row = sweep->row};
        ins_id id = reader_id(sweep->reader, &place);
        if (!reader_superseded(sweep->reader, sweep->run, &id)) {
            ins_status status = look(sweep, &place, &id, error);
            if (status != INS_OK) {
                return status;
            }
            reader_trim(sweep->reader, &place);
        }
        sweep->row++;
        charge(sweep, budget);
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
