/* Which version of an id counts: newest wins. */
#include "base/assert.h"
#include "base/id.h"
#include "tenant/reader_private.h"

static bool run_has_row(const struct reader_run *run, const ins_id *id, uint32_t *out_row) {
    if (!run->loaded || run->extent.row_count == 0) {
        return false;
    }
    struct chunks ids = section_chunks(run, SECTION_IDS);
    return extent_find(&run->extent, &ids, id, out_row);
}

static bool run_has_tombstone(const struct reader_run *run, const ins_id *id) {
    if (!run->loaded || run->extent.tombstone_count == 0) {
        return false;
    }
    struct chunks tombstones = section_chunks(run, SECTION_TOMBSTONES);
    return extent_find_tombstone(&run->extent, &tombstones, id);
}

static bool memtables_have(const struct reader *reader, const ins_id *id) {
    return memtable_find(reader->mem[0], id, reader->lsn) != NULL ||
           memtable_find(reader->mem[1], id, reader->lsn) != NULL;
}

bool reader_superseded(const struct reader *reader, uint32_t run, const ins_id *id) {
    if (memtables_have(reader, id)) {
        return true;
    }
    uint32_t newer = (uint32_t)((1ull << run) - 1);
    if (run < reader->run_count && reader->runs[run].overlaps_known) {
        newer &= reader->runs[run].overlaps;
    }
    for (; newer != 0; newer &= newer - 1) {
        const struct reader_run *other = &reader->runs[__builtin_ctz(newer)];
        uint32_t row;
        if (run_has_row(other, id, &row) || run_has_tombstone(other, id)) {
            return true;
        }
    }
    return false;
}

/* First and last id of what a run has, rows or tombstones. False: it has nothing. */
static bool id_range(const struct reader_run *run, ins_id *out_first, ins_id *out_last) {
    bool any = run->loaded && run->extent.row_count > 0;
    if (any) {
        struct chunks ids = section_chunks(run, SECTION_IDS);
        *out_first = extent_id(&run->extent, &ids, 0);
        *out_last = extent_id(&run->extent, &ids, run->extent.row_count - 1);
    }
    if (run->loaded && run->extent.tombstone_count > 0) {
        struct chunks dead = section_chunks(run, SECTION_TOMBSTONES);
        ins_id first = extent_tombstone_id(&run->extent, &dead, 0);
        ins_id last = extent_tombstone_id(&run->extent, &dead, run->extent.tombstone_count - 1);
        *out_first = !any || id_compare(&first, out_first) < 0 ? first : *out_first;
        *out_last = !any || id_compare(&last, out_last) > 0 ? last : *out_last;
        any = true;
    }
    return any;
}

void reader_find_overlaps(struct reader *reader, uint32_t run_index) {
    struct reader_run *run = &reader->runs[run_index];
    ins_id first, last, other_first, other_last;
    if (run->overlaps_known || !id_range(run, &first, &last)) {
        return;
    }
    INS_ASSERT(reader->run_count <= 32);
    run->overlaps = 0;
    for (uint32_t newer = 0; newer < run_index; newer++) {
        bool any = id_range(&reader->runs[newer], &other_first, &other_last);
        if (any && id_compare(&other_first, &last) <= 0 && id_compare(&first, &other_last) <= 0) {
            run->overlaps |= 1u << newer;
        }
    }
    run->overlaps_known = true;
}

bool reader_row_counts(const struct reader *reader, uint32_t which, const struct memrow *row) {
    if (!memrow_is_point(row) || !memrow_visible(row, reader->lsn)) {
        return false;
    }
    if (which == 1 && reader->mem[0] != NULL) {
        ins_id id = memrow_id(row);
        return memtable_find(reader->mem[0], &id, reader->lsn) == NULL;
    }
    return true;
}

/* The newest version in the sources from `source` on: memtables 0 and 1, then runs from 2 on. */
static bool find_from(const struct reader *reader, const ins_id *id, uint32_t source,
                      struct place *out) {
    for (uint32_t which = source; which < 2; which++) {
        const struct memrow *row = memtable_find(reader->mem[which], id, reader->lsn);
        if (row != NULL) {
            *out = (struct place){.row = row};
            return memrow_is_point(row);
        }
    }
    for (uint32_t run = source < 2 ? 0 : source - 2; run < reader->run_count; run++) {
        uint32_t row;
        if (run_has_row(&reader->runs[run], id, &row)) {
            *out = (struct place){.run = run, .run_row = row};
            return true;
        }
        if (run_has_tombstone(&reader->runs[run], id)) {
            return false;
        }
    }
    return false;
}

bool reader_find(const struct reader *reader, const ins_id *id, struct place *out) {
    return find_from(reader, id, 0, out);
}

bool reader_is_patch(const struct reader *reader, const struct place *place) {
    if (place->row != NULL) {
        return place->row->kind == MEMROW_PATCH;
    }
    const struct reader_run *run = &reader->runs[place->run];
    if (run->extent.patch_count == 0) {
        return false;
    }
    struct chunks patches = section_chunks(run, SECTION_PATCHES);
    return extent_is_patch(&run->extent, &patches, place->run_row);
}

bool reader_older(const struct reader *reader, struct place *place) {
    ins_id id = reader_id(reader, place);
    if (place->row == NULL) {
        return find_from(reader, &id, 2 + place->run + 1, place);
    }
    const struct memrow *base = memrow_base(place->row);
    if (base != NULL) {
        *place = (struct place){.row = base};
        return memrow_is_point(base);
    }
    bool active = place->row->owner == reader->mem[0];
    return find_from(reader, &id, active ? 1 : 2, place);
}

struct chunks reader_ids(const struct reader *reader, uint32_t run) {
    return section_chunks(&reader->runs[run], SECTION_IDS);
}

ins_id reader_id(const struct reader *reader, const struct place *place) {
    if (place->row != NULL) {
        return memrow_id(place->row);
    }
    const struct reader_run *run = &reader->runs[place->run];
    struct chunks ids = section_chunks(run, SECTION_IDS);
    return extent_id(&run->extent, &ids, place->run_row);
}
