#include "tenant/page.h"

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"

static bool row_after(const struct memrow *left, const struct memrow *right) {
    ins_id a = memrow_id(left), b = memrow_id(right);
    return id_compare(&a, &b) > 0;
}

/* Max-heap by id: the largest of the kept rows is on top, to be thrown out first. */
static void sift_down(const struct memrow **heap, uint32_t count, uint32_t at) {
    for (;;) {
        uint32_t largest = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            largest = row_after(heap[child], heap[largest]) ? child : largest;
        }
        if (largest == at) {
            return;
        }
        const struct memrow *swap = heap[at];
        heap[at] = heap[largest];
        heap[largest] = swap;
        at = largest;
    }
}

static void sift_up(const struct memrow **heap, uint32_t at) {
    while (at > 0 && row_after(heap[at], heap[(at - 1) / 2])) {
        const struct memrow *swap = heap[at];
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
}

ins_status page_reserve(struct reader *reader, uint32_t capacity, bool entries, ins_error *error) {
    INS_ASSERT(capacity <= PAGE_MAX);
    if (capacity <= reader->page_room) {
        return INS_OK;
    }
    capacity = reader->page_room == 0 ? capacity : PAGE_MAX; /* it grows once */
    for (int which = 0; which < 2; which++) {
        reader->page_rows[which] = pool_alloc(&reader->pool, capacity * sizeof(struct memrow *));
    }
    size_t count = entries ? (2 + (size_t)reader->run_count) * capacity : 1;
    reader->page_entries = pool_alloc(&reader->pool, count * sizeof(struct directory_entry));
    bool all = reader->page_rows[0] != NULL && reader->page_rows[1] != NULL &&
               reader->page_entries != NULL;
    reader->page_room = all ? capacity : 0;
    return all ? INS_OK : ins_fail(error, INS_FULL, "no memory for a page of %u ids", capacity);
}

uint32_t page_memtable(const struct reader *reader, uint32_t which, const ins_id *start,
                       bool behind, const struct memrow **out, uint32_t capacity) {
    if (reader->mem[which] == NULL || capacity == 0) {
        return 0;
    }
    uint32_t count = 0;
    for (const struct memrow *row = reader->mem[which]->first;
         row != NULL && row->lsn <= reader->lsn; row = row->island_next) {
        ins_id id = memrow_id(row);
        if (!memrow_visible(row, reader->lsn) || id_compare(&id, start) < behind) {
            continue;
        }
        if (count < capacity) {
            out[count] = row;
            sift_up(out, count++);
        } else if (row_after(out[0], row)) {
            out[0] = row;
            sift_down(out, count, 0);
        }
    }
    for (uint32_t left = count; left > 1; left--) {
        const struct memrow *largest = out[0];
        out[0] = out[left - 1];
        out[left - 1] = largest;
        sift_down(out, left - 1, 0);
    }
    return count;
}

/* One source of ids in ascending order. */
struct page_source {
    const struct memrow **rows; /* a memtable's, or NULL for a run */
    uint32_t count, at, which;  /* `which`: memtable or run */
    uint32_t room;              /* of rows; as many rows: there may be more behind them */
};

static bool source_valid(const struct reader *reader, const struct page_source *source) {
    if (source->rows != NULL) {
        return reader_row_counts(reader, source->which, source->rows[source->at]);
    }
    struct place place = {.run = source->which, .run_row = source->at};
    ins_id id = reader_id(reader, &place);
    return !reader_superseded(reader, source->which, &id);
}

/* Some of a memtable's rows are tombstones or overwritten, so more than a page may be needed. */
static void source_refill(const struct reader *reader, struct page_source *source) {
    if (source->rows != NULL && source->at == source->count && source->count == source->room) {
        ins_id last = memrow_id(source->rows[source->count - 1]);
        source->at = 0;
        source->count =
            page_memtable(reader, source->which, &last, true, source->rows, source->room);
    }
}

static void source_settle(const struct reader *reader, struct page_source *source) {
    source_refill(reader, source);
    while (source->at < source->count && !source_valid(reader, source)) {
        source->at++;
        source_refill(reader, source);
    }
}

static struct place source_place(const struct page_source *source) {
    if (source->rows != NULL) {
        return (struct place){.row = source->rows[source->at]};
    }
    return (struct place){.run = source->which, .run_row = source->at};
}

static uint32_t open_sources(struct reader *reader, const ins_id *start, uint32_t capacity,
                             struct page_source *sources) {
    uint32_t count = 0;
    for (uint32_t which = 0; which < 2; which++) {
        if (reader->mem[which] == NULL) {
            continue;
        }
        const struct memrow **rows = reader->page_rows[which];
        sources[count++] = (struct page_source){
            .rows = rows,
            .which = which,
            .room = capacity,
            .count = page_memtable(reader, which, start, false, rows, capacity)};
    }
    for (uint32_t run = 0; run < reader->run_count; run++) {
        const struct reader_run *reader_run = &reader->runs[run];
        if (!reader_run->loaded || reader_run->extent.row_count == 0) {
            continue;
        }
        const struct reader_chunks *ids = &reader_run->sections[SECTION_IDS];
        struct chunks chunks = {.chunks = ids->chunks,
                                .chunk_bytes = reader_run->extent.sections[SECTION_IDS].chunk_bytes,
                                .chunk_count = ids->count};
        sources[count++] =
            (struct page_source){.which = run,
                                 .count = reader_run->extent.row_count,
                                 .at = extent_lower_bound(&reader_run->extent, &chunks, start)};
    }
    return count;
}

ins_status page_points(struct reader *reader, const ins_id *start, struct place *out,
                       uint32_t capacity, uint32_t *out_count, ins_error *error) {
    INS_ASSERT(capacity > 0);
    struct page_source sources[2 + 2 * INS_RUNS_MAX];
    ins_status status = page_reserve(reader, capacity, false, error);
    if (status != INS_OK) {
        return status;
    }
    uint32_t source_count = open_sources(reader, start, capacity, sources), count = 0;
    while (count < capacity) {
        struct page_source *least = NULL;
        ins_id least_id = {0};
        for (uint32_t i = 0; i < source_count; i++) {
            source_settle(reader, &sources[i]);
            if (sources[i].at == sources[i].count) {
                continue;
            }
            struct place place = source_place(&sources[i]);
            ins_id id = reader_id(reader, &place);
            if (least == NULL || id_compare(&id, &least_id) < 0) {
                least = &sources[i];
                least_id = id;
            }
        }
        if (least == NULL) {
            break;
        }
        out[count++] = source_place(least);
        least->at++;
    }
    *out_count = count;
    return INS_OK;
}
