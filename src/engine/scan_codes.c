#include "engine/scan_codes.h"

#include "base/hash.h"

/* Below, comparing the rows themselves takes some 20 us, and bounds save little of it. */
#define BYTES_MIN_DEFAULT (1 * INS_MIB)
/* Below, signs say too little of a row to leave it out, and cost nearly as much as the row; above,
 * what encoding a row takes does not fit one block of the arena. */
#define DIM_MIN 32u
#define DIM_MAX 32768u

static bool is_possible(const struct schema_vector *vector) {
    return vector != NULL && vector->distance != INS_DISTANCE_MANHATTAN &&
           vector->shape.dim >= DIM_MIN && vector->shape.dim <= DIM_MAX;
}

/* Rows that signs leave in doubt are looked at in 4 bits before they are compared, where that is
 * much less than the row. Multivectors' rows are not: of a point all are compared, or none. */
#define FINE_PARTS 3u
static bool is_looked_at_twice(const struct vector_shape *shape) {
    return !shape->multi && shape->dim <= SCAN_BOTH_DIM_MAX &&
           vector_bytes(shape) >= FINE_PARTS * code4_bound_bytes(shape->dim);
}

uint32_t scan_codes_wanted(const struct ins_db *db, const struct schema *schema,
                           uint64_t incarnation, const struct vector_shape *shapes, uint32_t count,
                           struct extent_scan *out) {
    uint64_t bytes_min = db->options.scan_bytes_min;
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct schema_vector *vector = schema_vector_of(schema, shapes[i].id);
        if (!is_possible(vector)) {
            continue;
        }
        bool cosine = vector->distance == INS_DISTANCE_COSINE;
        out[wanted++] = (struct extent_scan){
            .vector = i,
            .metric = vector->distance == INS_DISTANCE_DOT ? INDEX_DOT : INDEX_L2,
            .unit = cosine && vector->shape.datatype == INS_UINT8,
            .bytes_min = bytes_min != 0 ? bytes_min : BYTES_MIN_DEFAULT,
            .seed = hash_u64(incarnation + shapes[i].id),
            .both = is_looked_at_twice(&vector->shape)};
    }
    return wanted;
}
