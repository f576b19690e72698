#include "points.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/id.h"

#define NEIGHBOURS 16u
#define MIXED 8u /* neighbours whose differences make a vector */
#define SAMPLE_ROWS_MAX 1000000u

struct sample {
    float *rows; /* [count][BENCH_DIM] */
    uint32_t count;
};

/* Of the numbers that a unit vector can hold: no infinities. */
static float from_half(uint16_t half) {
    float fraction = (float)(half & 1023u);
    int exponent = half >> 10 & 31;
    float value = exponent == 0 ? ldexpf(fraction, -24) : ldexpf(fraction + 1024.0F, exponent - 25);
    return (half & 0x8000u) != 0 ? -value : value;
}

static bool sample_open(struct sample *sample, const char *path) {
    uint8_t head[8];
    *sample = (struct sample){0};
    FILE *file = fopen(path, "rbe");
    if (file == NULL || fread(head, 1, sizeof(head), file) != sizeof(head) ||
        load_u32(head) <= NEIGHBOURS || load_u32(head) > SAMPLE_ROWS_MAX ||
        load_u32(head + 4) != BENCH_DIM) {
        (void)bench_fail("%s is no sample of %u dimensions", path, BENCH_DIM);
        if (file != NULL) {
            (void)fclose(file);
        }
        return false;
    }
    sample->count = load_u32(head);
    size_t values = (size_t)sample->count * BENCH_DIM;
    uint16_t *halves = malloc(values * sizeof(*halves));
    sample->rows = malloc(values * sizeof(*sample->rows));
    bool whole = halves != NULL && sample->rows != NULL &&
                 fread(halves, sizeof(*halves), values, file) == values;
    for (size_t i = 0; whole && i < values; i++) {
        sample->rows[i] = from_half(halves[i]);
    }
    free(halves);
    (void)fclose(file);
    if (!whole) {
        free(sample->rows);
        (void)bench_fail("%s is shorter than its head says", path);
    }
    return whole;
}

static float dot(const float *a, const float *b) {
    float sums[8] = {0}; /* independent sums, so that the compiler may use wide registers */
    for (size_t i = 0; i < BENCH_DIM; i += 8) {
        for (size_t j = 0; j < 8; j++) {
            sums[j] += a[i + j] * b[i + j];
        }
    }
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/* The rows nearest to row `seed`, itself left out. */
static void nearest(const struct sample *sample, uint32_t seed, uint32_t out[NEIGHBOURS]) {
    float scores[NEIGHBOURS];
    uint32_t count = 0;
    const float *query = sample->rows + (size_t)seed * BENCH_DIM;
    for (uint32_t row = 0; row < sample->count; row++) {
        float score = row == seed ? -2.0F : dot(query, sample->rows + (size_t)row * BENCH_DIM);
        if (count == NEIGHBOURS && score <= scores[NEIGHBOURS - 1]) {
            continue;
        }
        uint32_t at = count < NEIGHBOURS ? count++ : NEIGHBOURS - 1;
        for (; at > 0 && scores[at - 1] < score; at--) {
            scores[at] = scores[at - 1];
            out[at] = out[at - 1];
        }
        scores[at] = score;
        out[at] = row;
    }
}

/* Box and Muller, from two hashes. */
static float gauss(uint64_t a, uint64_t b) {
    double u = ((double)(a >> 11) + 1.0) * 0x1p-53, v = (double)(b >> 11) * 0x1p-53;
    return (float)(sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v));
}

static void make_vector(const struct bench_points *points, const struct sample *sample,
                        uint32_t seed_row, uint32_t neighbours[NEIGHBOURS], uint32_t number,
                        float *out) {
    const float *seed = sample->rows + (size_t)seed_row * BENCH_DIM;
    memcpy(out, seed, BENCH_DIM * sizeof(*out));
    for (uint32_t j = 0; j < MIXED; j++) {
        uint64_t a = bench_hash(points->seed, BENCH_SEEDS, number, 3 * (uint64_t)j + 1);
        uint64_t b = bench_hash(points->seed, BENCH_SEEDS, number, 3 * (uint64_t)j + 2);
        uint64_t c = bench_hash(points->seed, BENCH_SEEDS, number, 3 * (uint64_t)j + 3);
        uint32_t other =
            j + (uint32_t)(c % (NEIGHBOURS - j)); /* distinct: a shuffle's first steps */
        uint32_t row = neighbours[other];
        neighbours[other] = neighbours[j];
        neighbours[j] = row;
        float weight = 0.7F / sqrtf((float)MIXED) * gauss(a, b);
        const float *to = sample->rows + (size_t)row * BENCH_DIM;
        for (size_t i = 0; i < BENCH_DIM; i++) {
            out[i] += weight * (to[i] - seed[i]);
        }
    }
    float norm = sqrtf(dot(out, out));
    for (size_t i = 0; i < BENCH_DIM; i++) {
        out[i] /= norm;
    }
}

static void make_vectors(struct bench_points *points, const struct sample *sample) {
    const uint32_t each = POOL_VECTORS / POOL_SEEDS;
    for (uint32_t s = 0; s < POOL_SEEDS; s++) {
        uint32_t neighbours[NEIGHBOURS];
        uint32_t row = (uint32_t)(bench_hash(points->seed, BENCH_SEEDS, s, 0) % sample->count);
        nearest(sample, row, neighbours);
        for (uint32_t i = 0; i < each; i++) {
            uint32_t number = s * each + i;
            make_vector(points, sample, row, neighbours, number,
                        points->vectors + (size_t)number * BENCH_DIM);
        }
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
        char *text = points->texts + v * VECTOR_TEXT_MAX;
        size_t size = 0;
        for (size_t i = 0; i < BENCH_DIM; i++) {
            size +=
                (size_t)snprintf(text + size, VECTOR_TEXT_MAX - size, "%c%.6f", i == 0 ? '[' : ',',
                                 (double)points->vectors[v * BENCH_DIM + i]);
        }
        text[size++] = ']';
        INS_ASSERT(size < VECTOR_TEXT_MAX);
        points->text_sizes[v] = (uint16_t)size;
    }
    return true;
}

static void make_names(struct bench_points *points) {
    for (uint32_t t = 0; t < points->tenant_count; t++) {
        uint64_t hash = bench_hash(points->seed, BENCH_NAME, t, 0);
        (void)snprintf(points->names[t], NAME_BYTES, "t%08" PRIx32, (uint32_t)hash);
    }
}

bool points_open(struct bench_points *points, const struct bench_options *options,
                 bool with_texts) {
    struct sample sample;
    if (!sample_open(&sample, options->sample)) {
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
        make_vectors(points, &sample);
        make_payloads(points);
        make_names(points);
        made = !with_texts || make_texts(points);
    }
    free(sample.rows);
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

ins_id points_id(const struct bench_points *points, enum bench_style style, uint32_t tenant,
                 uint32_t i) {
    if (tenant % 2 == 1) {
        return (ins_id){.high = bench_hash(points->seed, BENCH_ID, tenant, 2 * (uint64_t)i),
                        .low = bench_hash(points->seed, BENCH_ID, tenant, 2 * (uint64_t)i + 1),
                        .is_uuid = true};
    }
    if (style == BENCH_STYLE_COLLECTION) {
        return (ins_id){.low = (uint64_t)i + 1};
    }
    return (ins_id){.low = bench_hash(points->seed, BENCH_ID, tenant, i)};
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
