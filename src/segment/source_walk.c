/* Walking a source: the writer passes over the same rows several times, and each pass asserts that
 * they ascend and stay inside what the extent covers. */
#include "segment/segment_private.h"

ins_status walk_begin(struct source_walk *walk, const struct extent_source *source,
                      enum extent_need need, uint32_t vector, ins_error *error) {
    *walk = (struct source_walk){.source = source, .need = need, .vector = vector};
    return source->rewind(source->context, need, vector, error);
}

ins_status walk_next(struct source_walk *walk, ins_error *error) {
    const struct extent_source *source = walk->source;
    INS_ASSERT(!walk->end);
    if (walk->begun) {
        walk->last = walk->row.id;
    }
    walk->row = (struct extent_row){0};
    ins_status status = source->next(source->context, &walk->row, &walk->end, error);
    if (status != INS_OK || walk->end) {
        walk->end = true;
        return status;
    }
    INS_ASSERT(!walk->begun || id_compare(&walk->last, &walk->row.id) < 0);
    INS_ASSERT(walk->row.id.is_uuid || walk->row.id.high == 0);
    if (source->directory) {
        INS_ASSERT(!walk->row.tombstone);
    } else if (walk->need == EXTENT_NEED_KEYS) { /* other passes carry no versions */
        INS_ASSERT(walk->row.version > source->version_low);
        INS_ASSERT(walk->row.version <= source->version_high);
    }
    walk->begun = true;
    return INS_OK;
}

ins_status walk_live(struct source_walk *walk, ins_error *error) {
    ins_status status;
    do {
        status = walk_next(walk, error);
    } while (status == INS_OK && !walk->end && walk->row.tombstone);
    return status;
}

static void count_row(const struct source_walk *walk, struct extent_counts *counts) {
    uint32_t number = walk->row.id.is_uuid ? 0 : 1;
    INS_ASSERT(counts->rows < UINT32_MAX);
    INS_ASSERT(counts->tombstones < UINT32_MAX);
    if (walk->row.tombstone) {
        counts->tombstones++;
        counts->tombstone_numbers += number;
        return;
    }
    counts->rows++;
    counts->numbers += number;
    counts->patches += walk->row.patch;
    for (uint32_t i = 0; i < walk->source->vector_count; i++) {
        counts->vectors[i] += (uint32_t)(walk->row.present >> i & 1);
    }
}

static ins_status count_sparse(const struct extent_source *source, uint32_t vector,
                               uint32_t *out_count, ins_error *error) {
    struct source_walk walk;
    ins_status status = walk_begin(&walk, source, EXTENT_NEED_PRESENCE, vector, error);
    *out_count = 0;
    while (status == INS_OK) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        if (walk.row.vector_rows > UINT32_MAX - *out_count) {
            return ins_fail(error, INS_FULL, "a multivector of more than %u rows in one extent",
                            UINT32_MAX);
        }
        *out_count += walk.row.vector_rows;
    }
    return status;
}

ins_status walk_count(const struct extent_source *source, struct extent_counts *out_counts,
                      ins_error *error) {
    struct extent_counts counts = {0};
    struct source_walk walk;
    ins_status status = walk_begin(&walk, source, EXTENT_NEED_KEYS, 0, error);
    while (status == INS_OK) {
        status = walk_next(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        count_row(&walk, &counts);
    }
    for (uint32_t i = 0; i < source->vector_count && status == INS_OK; i++) {
        if ((source->sparse >> i & 1) != 0 || source->vectors[i].multi != 0) {
            status = count_sparse(source, i, &counts.vectors[i], error);
        }
    }
    if (status == INS_OK) {
        *out_counts = counts;
    }
    return status;
}
