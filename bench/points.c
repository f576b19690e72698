#include "points.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/id.h"

static void make_vectors(struct bench_points *points, struct vectors *vectors) {
    const uint32_t each = POOL_VECTORS / POOL_SEEDS;
    for (uint32_t number = 0; number < POOL_VECTORS; number++) {
        uint64_t pick = bench_hash(points->seed, BENCH_SEEDS, number / each, 0);
        struct random random = random_of(points->seed, BENCH_SEEDS, number, 1);
        vectors_make(vectors, (uint32_t)(pick % vectors->count), &random,
                     points->vectors + (size_t)number * BENCH_DIM);
    }
}

/* A part of WORKLOADS 3 that comes, with the tenant, to about 80 bytes. */
static void make_payloads(struct bench_points *points) {
    for (uint32_t i = 0; i < POOL_VECTORS; i++) {
        struct pool_payload *payload = &points->payloads[i];
        uint64_t hash = bench_hash(points->seed, BENCH_PAYLOAD, 0, i);
        int size = snprintf(payload->text, sizeof(payload->text),
                            "\"bucket\":%u,\"kind\":\"k%03u\",\"ts\":%u,\"price\":%u.%02u}",
                            (unsigned)(hash % 100), (unsigned)(hash >> 8 & 511u),
                            1700000000u + (unsigned)(hash >> 20 & 0xffffffu),
                            (unsigned)(hash >> 44 & 63u), (unsigned)((hash >> 50) % 100));
        INS_ASSERT(size > 0);
        INS_ASSERT((size_t)size < sizeof(payload->text));
        payload->size = (uint8_t)size;
    }
}

/* Six digits: closer than f16, and about as long as what clients send. */
static bool make_texts(struct bench_points *points) {
    points->texts = malloc((size_t)POOL_VECTORS * VECTOR_TEXT_MAX);
    points->text_sizes = calloc(POOL_VECTORS, sizeof(*points->text_sizes));
    if (points->texts == NULL || points->text_sizes == NULL) {
        return false;
    }
    for (size_t v = 0; v < POOL_VECTORS; v++) {
        points->text_sizes[v] = (uint16_t)vectors_text(points->vectors + v * BENCH_DIM,
                                                       points->texts + v * VECTOR_TEXT_MAX);
    }
    return true;
}

/* No two alike, a million of them included: an odd factor permutes the 32-bit numbers. */
static void make_names(struct bench_points *points) {
    uint32_t shift = (uint32_t)bench_hash(points->seed, BENCH_NAME, 0, 0);
    for (uint32_t t = 0; t < points->tenant_count; t++) {
        (void)snprintf(points->names[t], NAME_BYTES, "t%08" PRIx32, (t ^ shift) * 2654435761u);
    }
}

bool points_open(struct bench_points *points, const struct bench_options *options,
                 bool with_texts) {
    struct vectors vectors;
    if (!vectors_open(&vectors, options->sample, false)) {
        return false;
    }
    uint32_t tenants = options->tenants;
    *points = (struct bench_points){
        .seed = options->seed,
        .tenant_count = tenants,
        .names = calloc(tenants, sizeof(*points->names)),
        .vectors = malloc((size_t)POOL_VECTORS * BENCH_DIM * sizeof(float)),
        .payloads = calloc(POOL_VECTORS, sizeof(*points->payloads)),
    };
    bool made = points->names != NULL && points->vectors != NULL && points->payloads != NULL;
    if (made) {
        make_vectors(points, &vectors);
        make_payloads(points);
        make_names(points);
        made = !with_texts || make_texts(points);
    }
    vectors_close(&vectors);
    if (!made) {
        (void)bench_fail("no memory for the points");
        points_close(points);
    }
    return made;
}

void points_close(struct bench_points *points) {
    free(points->names);
    free(points->vectors);
    free(points->payloads);
    free(points->texts);
    free(points->text_sizes);
    *points = (struct bench_points){0};
}

/* ---- Ids ---- */

static uint64_t id_key(uint64_t seed) {
    return bench_hash(seed, BENCH_ID, 0, 0);
}

/* x with odd * x = 1 modulo 2^64: each step doubles the bits that are right. */
static uint64_t inverse(uint64_t odd) {
    uint64_t x = odd;
    for (int i = 0; i < 6; i++) {
        x *= 2 - odd * x;
    }
    return x;
}

static uint64_t undo_shift(uint64_t value, unsigned shift) {
    uint64_t out = value;
    for (unsigned done = shift; done < 64; done += shift) {
        out = value ^ (out >> shift);
    }
    return out;
}

/* hash_u64 backwards: it is splitmix64's finaliser, which loses nothing. */
static uint64_t unhash_u64(uint64_t value) {
    value = undo_shift(value, 31) * inverse(0x94d049bb133111ebull);
    value = undo_shift(value, 27) * inverse(0xbf58476d1ce4e5b9ull);
    return undo_shift(value, 30);
}

ins_id point_id(uint64_t seed, enum bench_style style, uint32_t tenant, uint32_t i) {
    if (tenant % 2 == 0 && style != BENCH_STYLE_KEY) {
        return (ins_id){.low = (uint64_t)i + 1};
    }
    uint64_t hash = hash_u64(((uint64_t)tenant << 32 | i) ^ id_key(seed));
    if (tenant % 2 == 0) {
        return (ins_id){.low = hash};
    }
    return (ins_id){.high = hash, .low = hash_u64(hash + id_key(seed)), .is_uuid = true};
}

bool point_of_id(uint64_t seed, enum bench_style style, uint32_t tenant, ins_id id,
                 uint32_t *out_i) {
    uint64_t hash = id.is_uuid ? id.high : id.low;
    uint32_t i = (uint32_t)(unhash_u64(hash) ^ id_key(seed));
    if (tenant % 2 == 0 && style != BENCH_STYLE_KEY) {
        i = (uint32_t)(id.low - 1);
    }
    ins_id expected = point_id(seed, style, tenant, i);
    *out_i = i;
    return id_equal(&expected, &id);
}

size_t points_payload(const struct bench_points *points, enum bench_style style, uint32_t tenant,
                      uint32_t pool_index, char *out) {
    const struct pool_payload *payload = &points->payloads[pool_index];
    static const char begin[] = "{\"tenant\":\"";
    size_t size = 0;
    out[size++] = '{';
    if (style == BENCH_STYLE_KEY) {
        memcpy(out, begin, sizeof(begin) - 1);
        size = sizeof(begin) - 1;
        memcpy(out + size, points->names[tenant], NAME_BYTES - 1);
        size += NAME_BYTES - 1;
        out[size++] = '"';
        out[size++] = ',';
    }
    memcpy(out + size, payload->text, payload->size);
    return size + payload->size;
}

size_t points_id_text(ins_id id, char *out) {
    char text[ID_TEXT_MAX];
    size_t size = id_format(&id, text);
    size_t at = 0;
    if (id.is_uuid) {
        out[at++] = '"';
    }
    memcpy(out + at, text, size);
    at += size;
    if (id.is_uuid) {
        out[at++] = '"';
    }
    return at;
}
