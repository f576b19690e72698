/* What a place holds: vectors, its own or inherited; version; payload. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "tenant/reader_private.h"

ins_status reader_run_vector(struct reader *reader, uint32_t run, const struct vector_shape *shape,
                             struct extent_vector *out, bool *out_has, ins_error *error) {
    const struct extent *extent = &reader->runs[run].extent;
    *out_has = reader->runs[run].loaded && extent_vector(extent, shape->id, out);
    if (!*out_has) {
        return INS_OK;
    }
    if (out->row_bytes != vector_bytes(shape) || out->multi != (shape->multi != 0)) {
        return ins_fail(
            error, INS_CORRUPT, "file %llu, extent at %llu: vector %u has %u bytes a row%s, not %u",
            (unsigned long long)extent->file, (unsigned long long)extent->offset, shape->id,
            out->row_bytes, out->multi ? ", several a point" : "", vector_bytes(shape));
    }
    return out->rows_slot == SLOT_NONE ? INS_OK
                                       : reader_load_slot(reader, run, out->rows_slot, error);
}

/* Of the row numbers of a vector; none when every row has it. */
static struct chunks vector_rows(const struct reader *reader, uint32_t run,
                                 const struct extent_vector *vector) {
    if (vector->rows_slot == SLOT_NONE) {
        return (struct chunks){0};
    }
    INS_ASSERT(reader->runs[run].more != NULL); /* reader_run_vector brought them */
    return reader_slot_chunks(reader, run, vector->rows_slot);
}

ins_status reader_vector_row(const struct reader *reader, uint32_t run,
                             const struct extent_vector *vector, uint32_t position,
                             uint32_t *out_row, ins_error *error) {
    const struct extent *extent = &reader->runs[run].extent;
    struct chunks rows = vector_rows(reader, run, vector);
    *out_row = extent_vector_row(extent, vector, &rows, position);
    return *out_row < extent->row_count
               ? INS_OK
               : ins_fail(error, INS_CORRUPT,
                          "file %llu, extent at %llu: a vector of a row that is not there",
                          (unsigned long long)extent->file, (unsigned long long)extent->offset);
}

ins_status reader_vector_run(const struct reader *reader, uint32_t run,
                             const struct extent_vector *vector, uint32_t position,
                             uint32_t *out_count, ins_error *error) {
    struct chunks rows = vector_rows(reader, run, vector);
    *out_count = extent_vector_run(vector, &rows, position);
    const struct extent *extent = &reader->runs[run].extent;
    return (uint64_t)*out_count * vector->row_bytes <= INS_VECTOR_BYTES_MAX
               ? INS_OK
               : ins_fail(error, INS_CORRUPT,
                          "file %llu, extent at %llu: a point with %u rows of a multivector",
                          (unsigned long long)extent->file, (unsigned long long)extent->offset,
                          *out_count);
}

/* Where the vector of a run's row lies among its values; *out_has false: the row lacks it. */
static ins_status find_value(struct reader *reader, const struct place *place,
                             const struct vector_shape *shape, struct extent_vector *vector,
                             uint32_t *out_position, bool *out_has, ins_error *error) {
    ins_status status = reader_run_vector(reader, place->run, shape, vector, out_has, error);
    if (status == INS_OK && *out_has) {
        struct chunks rows = vector_rows(reader, place->run, vector);
        *out_has = extent_vector_position(vector, &rows, place->run_row, out_position);
    }
    return status;
}

static ins_status lost_vectors(const struct reader *reader, const struct place *place,
                               ins_error *error) {
    ins_id id = reader_id(reader, place);
    char text[ID_TEXT_MAX];
    (void)id_format(&id, text);
    return ins_fail(error, INS_CORRUPT,
                    "island %llu: point %s is a patch without the row that has its vectors",
                    (unsigned long long)reader->island->incarnation, text);
}

/* A vector of a place: where it was found, its own or inherited. */
struct found_vector {
    const void *stored; /* in a memtable, `dim` numbers; else: */
    uint32_t dim;
    struct place place;          /* in a run */
    struct extent_vector vector; /* there */
    uint32_t position;
    bool has;
};

/* Goes down the versions of a patch until one has the vector, or is whole. At most a handful of
 * rows in each memtable and one a run are looked at. */
static ins_status find_vector(struct reader *reader, const struct place *place,
                              const struct vector_shape *shape, struct found_vector *out,
                              ins_error *error) {
    struct place at = *place;
    out->stored = NULL;
    for (;;) {
        ins_status status = INS_OK;
        if (at.row != NULL) {
            out->stored = memrow_own_vector(at.row, shape->id, &out->dim);
            out->has = out->stored != NULL;
        } else {
            status = find_value(reader, &at, shape, &out->vector, &out->position, &out->has, error);
        }
        out->place = at;
        if (status != INS_OK || out->has || !reader_is_patch(reader, &at)) {
            return status;
        }
        if (!reader_older(reader, &at)) {
            return lost_vectors(reader, place, error);
        }
    }
}

ins_status reader_has_vector(struct reader *reader, const struct place *place,
                             const struct vector_shape *shape, bool *out, ins_error *error) {
    struct found_vector found;
    ins_status status = find_vector(reader, place, shape, &found, error);
    *out = status == INS_OK && found.has;
    return status;
}

/* ---- Values that cross a chunk ---- */

struct vector_copy {
    struct vector_copy *next;
    uint8_t *data; /* [room] */
    uint32_t room;
    uint16_t id;
};

/* The vector's copy, with room for `size` bytes; NULL: no memory. */
static uint8_t *copy_room(struct reader *reader, uint16_t id, uint32_t size) {
    struct vector_copy *copy = reader->vector_copies;
    while (copy != NULL && copy->id != id) {
        copy = copy->next;
    }
    if (copy == NULL) {
        copy = pool_alloc_zero(&reader->pool, sizeof(*copy));
        if (copy == NULL) {
            return NULL;
        }
        copy->id = id;
        copy->next = reader->vector_copies;
        reader->vector_copies = copy;
    }
    if (size > copy->room) {
        uint32_t room = 2 * copy->room; /* doubling bounds what earlier ones took */
        room = room > size ? room : size;
        copy->data = pool_alloc(&reader->pool, room);
        copy->room = copy->data == NULL ? 0 : room;
    }
    return copy->data;
}

/* `count` values of a run from `position` on, which may lie in several chunks. All of these are
 * asked for before the first wait. */
static ins_status bring_values(struct reader *reader, uint32_t run,
                               const struct extent_vector *vector, uint16_t id, uint32_t position,
                               uint32_t count, const void **out, ins_error *error) {
    uint32_t per_chunk = vector->rows_per_chunk, row_bytes = vector->row_bytes;
    uint32_t first = position / per_chunk, last = (position + count - 1) / per_chunk;
    const uint8_t *data = NULL;
    ins_status result = INS_OK;
    if (count == 1) {
        bool whole;
        result = reader_value(reader, run, vector, position, 1, &data, &whole, error);
        *out = data;
        return result;
    }
    for (uint32_t chunk = first; chunk <= last; chunk++) {
        ins_status status = reader_chunk(reader, run, vector->slot, chunk, &data, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    if (result != INS_OK || first == last) {
        *out = result != INS_OK ? NULL : data + (size_t)(position % per_chunk) * row_bytes;
        return result;
    }
    uint8_t *copy = copy_room(reader, id, count * row_bytes);
    if (copy == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a multivector of %u bytes",
                        count * row_bytes);
    }
    *out = copy;
    for (uint32_t at = position, end = position + count; at < end;) {
        uint32_t step = per_chunk - at % per_chunk;
        step = step < end - at ? step : end - at;
        ins_status status =
            reader_chunk(reader, run, vector->slot, at / per_chunk, &data, error); /* pinned */
        INS_ASSERT(status == INS_OK);
        memcpy(copy, data + (size_t)(at % per_chunk) * row_bytes, (size_t)step * row_bytes);
        copy += (size_t)step * row_bytes;
        at += step;
    }
    return INS_OK;
}

ins_status reader_vector(struct reader *reader, const struct place *place,
                         const struct vector_shape *shape, struct vector_ref *out,
                         ins_error *error) {
    struct found_vector found;
    ins_status status = find_vector(reader, place, shape, &found, error);
    *out = (struct vector_ref){.shape = *shape};
    if (status != INS_OK || !found.has) {
        return status;
    }
    if (found.stored != NULL) {
        out->data = found.stored;
        out->shape.dim = found.dim;
        return INS_OK;
    }
    uint32_t count;
    status =
        reader_vector_run(reader, found.place.run, &found.vector, found.position, &count, error);
    if (status == INS_OK) {
        out->shape.dim = count * shape->dim;
        status = bring_values(reader, found.place.run, &found.vector, shape->id, found.position,
                              count, &out->data, error);
    }
    return status;
}

/* Goes over all of them even when one has to wait, so that one wait brings them all. */
ins_status reader_vectors(struct reader *reader, const struct place *place,
                          const struct schema *schema, struct vector_ref *out, uint32_t *out_count,
                          ins_error *error) {
    ins_status result = INS_OK;
    *out_count = 0;
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        const struct vector_shape *shape = &schema->vectors[i].shape;
        struct vector_ref found;
        ins_status status = reader_vector(reader, place, shape, &found, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
        if (status == INS_OK && found.data != NULL) {
            out[(*out_count)++] = found;
        }
    }
    return result;
}

ins_status reader_version(struct reader *reader, const struct place *place, uint64_t *out,
                          ins_error *error) {
    if (place->row != NULL) {
        *out = place->row->lsn;
        return INS_OK;
    }
    const struct reader_run *run = &reader->runs[place->run];
    uint32_t per_chunk = extent_rows_per_chunk(&run->extent, SECTION_VERSIONS);
    const uint8_t *data = NULL;
    ins_status status = reader_chunk(reader, place->run, SECTION_VERSIONS,
                                     place->run_row / per_chunk, &data, error);
    if (status == INS_OK) {
        struct chunks versions = section_chunks(run, SECTION_VERSIONS);
        *out = extent_version(&run->extent, &versions, place->run_row);
    }
    return status;
}
