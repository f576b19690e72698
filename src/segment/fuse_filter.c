/* Binary fuse filter of 12 bits with three probes: "surely not in this run" for 1.7 bytes an id.
 *
 * Built partition by partition after Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than
 * Xor Filters" (algorithm 1: peel positions that one key alone uses, then assign in reverse).
 * Failure: none. Keys that no seed can place (crafted ones) give a partition that says yes to all.
 * A test reads only inside the partition, whatever its bytes are. */
#include <math.h>
#include <stdlib.h>

#include "segment/segment_private.h"

#define FUSE_SEEDS_MAX 64u /* a handful is usual; so many fail only by design */
#define FUSE_BITS 12u

uint32_t fuse_partition_count(uint32_t id_count) {
    return id_count <= FUSE_KEYS_MAX ? 1 : id_count / FUSE_KEYS_TARGET + 1;
}

/* The paper's array of n * max(1.125, 0.875 + 0.25 * ln(10^6) / ln(n)) positions, in whole
 * segments. Two changes keep filter and index of 10,000 and more ids within 16 bits an id: segments
 * of 2^floor(log_3.33(n) + 1.5) instead of 2.25, and a fraction of up to 0.6 segments is dropped.
 * Both cost seeds, not answers: see test_fuse_filter.c for how many are tried. */
struct fuse_geometry fuse_geometry_for(uint32_t key_count) {
    INS_ASSERT(key_count <= FUSE_KEYS_MAX);
    double keys = key_count < 2 ? 2.0 : (double)key_count;
    uint32_t length = 1u << (uint32_t)floor(log(keys) / log(3.33) + 1.5);
    double factor = fmax(1.125, 0.875 + 0.25 * log(1e6) / log(keys));
    double dropped = key_count < 10000 ? 0.0 : 0.6;
    uint32_t segments = (uint32_t)ceil(keys * factor / (double)length - dropped);
    segments = segments < 3 ? 3 : segments;
    uint32_t array_length = segments * length;
    uint32_t packed = (array_length * FUSE_BITS + 7) / 8;
    return (struct fuse_geometry){
        .segment_length = length,
        .segment_count = segments,
        .array_length = array_length,
        .bytes = (uint32_t)align_up(FUSE_HEADER_BYTES + packed, 8),
    };
}

/* ---- Probes -------------------------------------------------------------------------------- */

struct fuse_shape {
    uint64_t seed;
    uint32_t length, segments;
};

static uint64_t fuse_mix(const struct fuse_shape *shape, uint64_t id_hash) {
    return hash_u64(id_hash + shape->seed);
}

static void fuse_probes(const struct fuse_shape *shape, uint64_t hash, uint32_t out[static 3]) {
    uint32_t length = shape->length;
    uint32_t mask = length - 1;
    uint64_t range = (uint64_t)(shape->segments - 2) * length;
    uint32_t first = (uint32_t)hash_scale(hash, range);
    out[0] = first;
    out[1] = (first + length) ^ ((uint32_t)(hash >> 18) & mask);
    out[2] = (first + 2 * length) ^ ((uint32_t)hash & mask);
}

static uint32_t fuse_fingerprint(uint64_t hash) {
    return (uint32_t)((hash * 0x9e3779b97f4a7c15ull) >> (64 - FUSE_BITS));
}

static uint32_t packed_get(const uint8_t *packed, uint32_t index) {
    const uint8_t *at = packed + (size_t)index / 2 * 3;
    return index % 2 == 0 ? (uint32_t)at[0] | ((uint32_t)at[1] & 0xf) << 8
                          : (uint32_t)at[1] >> 4 | (uint32_t)at[2] << 4;
}

static void packed_put(uint8_t *packed, uint32_t index, uint32_t value) {
    uint8_t *at = packed + (size_t)index / 2 * 3;
    if (index % 2 == 0) {
        at[0] = (uint8_t)value;
        at[1] = (uint8_t)((at[1] & 0xf0) | (value >> 8));
    } else {
        at[1] = (uint8_t)((at[1] & 0x0f) | (value & 0xf) << 4);
        at[2] = (uint8_t)(value >> 4);
    }
}

/* False: the head is no filter's, or of one that says yes to every id. */
static bool shape_of(const uint8_t *partition, size_t size, struct fuse_shape *out) {
    if (size < FUSE_HEADER_BYTES) {
        return false;
    }
    *out = (struct fuse_shape){
        .seed = load_u64(partition),
        .length = load_u32(partition + 8),
        .segments = load_u32(partition + 12),
    };
    uint64_t array_length = (uint64_t)out->length * out->segments;
    bool power_of_two = out->length != 0 && (out->length & (out->length - 1)) == 0;
    return power_of_two && out->segments >= 3 &&
           array_length <= (size - FUSE_HEADER_BYTES) * 8 / FUSE_BITS;
}

void fuse_prefetch(const uint8_t *partition, size_t size, uint64_t id_hash) {
    struct fuse_shape shape;
    if (!shape_of(partition, size, &shape)) {
        return;
    }
    uint32_t probes[3];
    fuse_probes(&shape, fuse_mix(&shape, id_hash), probes);
    for (int i = 0; i < 3; i++) {
        __builtin_prefetch(partition + FUSE_HEADER_BYTES + (size_t)probes[i] / 2 * 3);
    }
}

bool fuse_test(const uint8_t *partition, size_t size, uint64_t id_hash) {
    struct fuse_shape shape;
    if (!shape_of(partition, size, &shape)) {
        return true;
    }
    uint64_t hash = fuse_mix(&shape, id_hash);
    uint32_t probes[3];
    fuse_probes(&shape, hash, probes);
    const uint8_t *packed = partition + FUSE_HEADER_BYTES;
    return (packed_get(packed, probes[0]) ^ packed_get(packed, probes[1]) ^
            packed_get(packed, probes[2])) == fuse_fingerprint(hash);
}

/* ---- Building ------------------------------------------------------------------------------ */

struct fuse_builder {
    struct arena *arena;
    struct fuse_geometry geometry;
    uint64_t *xors;   /* [array_length] xor of the hashes that use a position */
    uint32_t *counts; /* [array_length] how many do */
    uint32_t *alone;  /* [array_length] queue of positions that one key uses */
    uint64_t *order;  /* [FUSE_KEYS_MAX] hashes as they were peeled */
    uint32_t *places; /* [FUSE_KEYS_MAX] and the position that each owns */
};

static size_t keys_capacity(const struct fuse_geometry *geometry) {
    return geometry->array_length < FUSE_KEYS_MAX ? geometry->array_length : FUSE_KEYS_MAX;
}

void fuse_builder_destroy(struct fuse_builder *builder) {
    if (builder == NULL) {
        return;
    }
    struct arena *arena = builder->arena;
    size_t length = builder->geometry.array_length;
    size_t keys = keys_capacity(&builder->geometry);
    arena_free(arena, INS_MEM_JOB, builder->xors, length * sizeof(uint64_t));
    arena_free(arena, INS_MEM_JOB, builder->counts, length * sizeof(uint32_t));
    arena_free(arena, INS_MEM_JOB, builder->alone, length * sizeof(uint32_t));
    arena_free(arena, INS_MEM_JOB, builder->order, keys * sizeof(uint64_t));
    arena_free(arena, INS_MEM_JOB, builder->places, keys * sizeof(uint32_t));
    arena_free(arena, INS_MEM_JOB, builder, sizeof(*builder));
}

ins_status fuse_builder_create(struct arena *arena, const struct fuse_geometry *geometry,
                               struct fuse_builder **out_builder, ins_error *error) {
    struct fuse_builder *builder = arena_alloc_zero(arena, INS_MEM_JOB, sizeof(*builder));
    if (builder == NULL) {
        return segment_out_of_memory(sizeof(*builder), error);
    }
    size_t length = geometry->array_length;
    size_t keys = keys_capacity(geometry);
    builder->arena = arena;
    builder->geometry = *geometry;
    builder->xors = arena_alloc(arena, INS_MEM_JOB, length * sizeof(uint64_t));
    builder->counts = arena_alloc(arena, INS_MEM_JOB, length * sizeof(uint32_t));
    builder->alone = arena_alloc(arena, INS_MEM_JOB, length * sizeof(uint32_t));
    builder->order = arena_alloc(arena, INS_MEM_JOB, keys * sizeof(uint64_t));
    builder->places = arena_alloc(arena, INS_MEM_JOB, keys * sizeof(uint32_t));
    if (builder->xors == NULL || builder->counts == NULL || builder->alone == NULL ||
        builder->order == NULL || builder->places == NULL) {
        fuse_builder_destroy(builder);
        return segment_out_of_memory(length * sizeof(uint64_t), error);
    }
    *out_builder = builder;
    return INS_OK;
}

/* Peels as many keys as possible; returns how many. All of them: the seed works. */
static uint32_t fuse_peel(struct fuse_builder *builder, const struct fuse_shape *shape,
                          const uint64_t *keys, uint32_t count) {
    uint32_t length = builder->geometry.array_length;
    memset(builder->xors, 0, length * sizeof(uint64_t));
    memset(builder->counts, 0, length * sizeof(uint32_t));
    uint32_t probes[3];
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = fuse_mix(shape, keys[i]);
        fuse_probes(shape, hash, probes);
        for (unsigned probe = 0; probe < 3; probe++) {
            builder->xors[probes[probe]] ^= hash;
            builder->counts[probes[probe]]++;
        }
    }
    uint32_t alone_count = 0;
    for (uint32_t i = 0; i < length; i++) {
        if (builder->counts[i] == 1) {
            builder->alone[alone_count++] = i;
        }
    }
    uint32_t peeled = 0;
    while (alone_count > 0) {
        uint32_t place = builder->alone[--alone_count];
        if (builder->counts[place] != 1) {
            continue; /* its key was peeled from another position */
        }
        uint64_t hash = builder->xors[place];
        INS_ASSERT(peeled < count);
        builder->order[peeled] = hash;
        builder->places[peeled++] = place;
        fuse_probes(shape, hash, probes);
        for (unsigned probe = 0; probe < 3; probe++) {
            builder->xors[probes[probe]] ^= hash;
            if (--builder->counts[probes[probe]] == 1) {
                builder->alone[alone_count++] = probes[probe];
            }
        }
    }
    return peeled;
}

/* In reverse order of peeling, each key sets the one position that no later key touches. */
static void fuse_assign(const struct fuse_builder *builder, const struct fuse_shape *shape,
                        uint32_t count, uint8_t *packed) {
    uint32_t probes[3];
    for (uint32_t i = count; i-- > 0;) {
        uint64_t hash = builder->order[i];
        uint32_t place = builder->places[i];
        fuse_probes(shape, hash, probes);
        uint32_t value = fuse_fingerprint(hash);
        for (unsigned probe = 0; probe < 3; probe++) {
            value ^= probes[probe] == place ? 0 : packed_get(packed, probes[probe]);
        }
        packed_put(packed, place, value);
    }
}

static int compare_keys(const void *left, const void *right) {
    uint64_t a = load_u64(left);
    uint64_t b = load_u64(right);
    return (a > b) - (a < b);
}

/* Two ids may have one hash; peeling would never end with both. */
static uint32_t drop_equal(uint64_t *keys, uint32_t count) {
    qsort(keys, count, sizeof(*keys), compare_keys);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || keys[i] != keys[kept - 1]) {
            keys[kept++] = keys[i];
        }
    }
    return kept;
}

void fuse_saturate(uint8_t *out, uint32_t size) {
    memset(out, 0, size);
}

void fuse_build(struct fuse_builder *builder, uint64_t *keys, uint32_t count, uint8_t *out) {
    const struct fuse_geometry *geometry = &builder->geometry;
    INS_ASSERT(count <= keys_capacity(geometry));
    struct fuse_shape shape = {.length = geometry->segment_length,
                               .segments = geometry->segment_count};
    fuse_saturate(out, geometry->bytes);
    for (uint32_t attempt = 0; attempt < FUSE_SEEDS_MAX; attempt++) {
        shape.seed = hash_u64(attempt + 1);
        if (attempt == 2) {
            count = drop_equal(keys, count);
        }
        if (fuse_peel(builder, &shape, keys, count) == count) {
            store_u64(out, shape.seed);
            store_u32(out + 8, shape.length);
            store_u32(out + 12, shape.segments);
            store_u32(out + 16, count);
            fuse_assign(builder, &shape, count, out + FUSE_HEADER_BYTES);
            return;
        }
    }
}
