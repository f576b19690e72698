#include "query/patches.h"

#include "base/assert.h"
#include "base/status.h"
#include "query/query.h"

/* The first of memtables `which` and 1 that has patches. */
static void enter_memtable(struct patches *patches, uint32_t which) {
    const struct reader *reader = patches->reader;
    while (which < 2 && (reader->mem[which] == NULL || reader->mem[which]->patch_count == 0)) {
        which++;
    }
    patches->which = which;
    patches->next_row = which < 2 ? reader->mem[which]->first : NULL;
}

void patches_begin(struct patches *patches) {
    patches->run = patches->next = 0;
    patches->in_run = false;
    patches->plan->entered = false;
    enter_memtable(patches, 0);
}

/* The vector of a row that counts, if it passes. */
static ins_status take(const struct patches *patches, bool sure, struct patched_row *out,
                       ins_error *error) {
    bool match = true;
    if (patches->filter != NULL && !sure) {
        ins_status status = place_matches(patches->reader, &out->place, patches->filter,
                                          patches->tenant_path, patches->parser, &match, error);
        if (status != INS_OK) {
            return status;
        }
    }
    return match ? reader_vector(patches->reader, &out->place, patches->shape, &out->vector, error)
                 : INS_OK;
}

static ins_status next_in_memtable(struct patches *patches, struct patched_row *out,
                                   ins_error *error) {
    const struct memrow *row = patches->next_row;
    if (row == NULL || row->lsn > patches->reader->lsn) {
        enter_memtable(patches, patches->which + 1);
        return INS_OK;
    }
    if (row->kind == MEMROW_PATCH && reader_row_counts(patches->reader, patches->which, row)) {
        out->place = (struct place){.row = row};
        out->id = memrow_id(row);
        ins_status status = take(patches, false, out, error);
        if (status != INS_OK) {
            return status;
        }
    }
    patches->next_row = row->island_next;
    return INS_OK;
}

/* What the run has of the vector, and its plan. */
static ins_status enter_run(struct patches *patches, ins_error *error) {
    ins_status status = reader_run_vector(patches->reader, patches->run, patches->shape,
                                          &patches->vector, &patches->has_vector, error);
    if (status == INS_OK) {
        status = plan_enter(patches->plan, patches->run, error);
    }
    if (status == INS_OK) {
        reader_find_overlaps(patches->reader, patches->run);
        patches->in_run = true;
    }
    return status;
}

static bool has_own_vector(const struct patches *patches, uint32_t row) {
    uint32_t position;
    if (!patches->has_vector || patches->vector.rows_slot == SLOT_NONE) {
        return patches->has_vector;
    }
    struct chunks rows =
        reader_slot_chunks(patches->reader, patches->run, patches->vector.rows_slot);
    return extent_vector_position(&patches->vector, &rows, row, &position);
}

static ins_status row_in_run(struct patches *patches, uint32_t row, struct patched_row *out,
                             ins_error *error) {
    struct plan *plan = patches->plan;
    if (has_own_vector(patches, row)) {
        return INS_OK; /* the scan has seen it */
    }
    ins_status status = plan->useful ? plan_group(plan, row / ROW_GROUP, error) : INS_OK;
    if (status != INS_OK || (plan->useful && !plan_may_pass(plan, row))) {
        return status;
    }
    out->place = (struct place){.run = patches->run, .run_row = row};
    out->id = reader_id(patches->reader, &out->place);
    bool sure = plan->useful && plan_is_sure(plan, row);
    return reader_superseded(patches->reader, patches->run, &out->id)
               ? INS_OK
               : take(patches, sure, out, error);
}

static ins_status next_in_run(struct patches *patches, struct patched_row *out, ins_error *error) {
    ins_status status = patches->in_run ? INS_OK : enter_run(patches, error);
    if (status != INS_OK) {
        return status;
    }
    const struct extent *extent = &patches->reader->runs[patches->run].extent;
    struct chunks numbers = reader_slot_chunks(patches->reader, patches->run, SECTION_PATCHES);
    uint32_t row = extent_patch_row(&numbers, patches->next);
    if (row >= extent->row_count) {
        return ins_fail(error, INS_CORRUPT,
                        "file %llu, extent at %llu: a patch of a row that is not there",
                        (unsigned long long)extent->file, (unsigned long long)extent->offset);
    }
    status = row_in_run(patches, row, out, error);
    patches->next += status == INS_OK;
    return status;
}

ins_status patches_next(struct patches *patches, struct patched_row *out, bool *out_end,
                        ins_error *error) {
    const struct reader *reader = patches->reader;
    *out = (struct patched_row){.vector = {.data = NULL}};
    *out_end = false;
    if (patches->which < 2) {
        return next_in_memtable(patches, out, error);
    }
    while (patches->run < reader->run_count &&
           patches->next == reader->runs[patches->run].extent.patch_count) {
        patches->run++;
        patches->next = 0;
        patches->in_run = false;
    }
    if (patches->run == reader->run_count) {
        *out_end = true;
        return INS_OK;
    }
    return next_in_run(patches, out, error);
}
