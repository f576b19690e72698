#include "vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define MIXED 8u               /* neighbours whose differences make a vector */
#define SAMPLE_ROWS_MAX 65535u /* near holds rows in 16 bits */
#define SPREAD 0.7F

/* ---- Files ---- */

/* Of the numbers that a unit vector can hold: no infinities. */
static float from_half(uint16_t half) {
    float fraction = (float)(half & 1023u);
    int exponent = half >> 10 & 31;
    float value = exponent == 0 ? ldexpf(fraction, -24) : ldexpf(fraction + 1024.0F, exponent - 25);
    return (half & 0x8000u) != 0 ? -value : value;
}

static float *read_values(FILE *file, size_t count) {
    uint16_t *halves = malloc(count * sizeof(*halves));
    float *values = calloc(count, sizeof(*values));
    bool whole =
        halves != NULL && values != NULL && fread(halves, sizeof(*halves), count, file) == count;
    for (size_t i = 0; whole && i < count; i++) {
        values[i] = from_half(halves[i]);
    }
    free(halves);
    if (!whole) {
        free(values);
        values = NULL;
    }
    return values;
}

/* u32 rows, u32 dimensions, then the values as halves. */
static bool read_rows(const char *path, uint32_t rows_min, float **out_rows, uint32_t *out_count) {
    uint8_t head[8];
    FILE *file = fopen(path, "rbe");
    float *rows = NULL;
    if (file != NULL && fread(head, 1, sizeof(head), file) == sizeof(head) &&
        load_u32(head) > rows_min && load_u32(head) <= SAMPLE_ROWS_MAX &&
        load_u32(head + 4) == BENCH_DIM) {
        rows = read_values(file, (size_t)load_u32(head) * BENCH_DIM);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (rows == NULL) {
        (void)bench_fail("%s is no whole sample of %u dimensions", path, BENCH_DIM);
        return false;
    }
    *out_rows = rows;
    *out_count = load_u32(head);
    return true;
}

static bool read_shifts(struct vectors *vectors, const char *sample) {
    const char *slash = strrchr(sample, '/');
    int folder = slash == NULL ? 0 : (int)(slash - sample) + 1;
    char query[512], document[512];
    float *queries = NULL, *documents = NULL;
    uint32_t query_count = 0, document_count = 0;
    (void)snprintf(query, sizeof(query), "%.*squery.f16bin", folder, sample);
    (void)snprintf(document, sizeof(document), "%.*sdocquery.f16bin", folder, sample);
    bool good = read_rows(query, 0, &queries, &query_count) &&
                read_rows(document, 0, &documents, &document_count);
    if (good) {
        vectors->shift_count = query_count < document_count ? query_count : document_count;
        for (size_t i = 0; i < (size_t)vectors->shift_count * BENCH_DIM; i++) {
            queries[i] -= documents[i];
        }
        vectors->shifts = queries;
        queries = NULL;
    }
    free(queries);
    free(documents);
    return good;
}

bool vectors_open(struct vectors *vectors, const char *sample, bool with_queries) {
    *vectors = (struct vectors){0};
    if (!read_rows(sample, NEIGHBOURS, &vectors->rows, &vectors->count)) {
        return false;
    }
    vectors->near = calloc(vectors->count, sizeof(*vectors->near));
    vectors->known = calloc(vectors->count, sizeof(*vectors->known));
    if (vectors->near == NULL || vectors->known == NULL ||
        (with_queries && !read_shifts(vectors, sample))) {
        vectors_close(vectors);
        return false;
    }
    return true;
}

void vectors_close(struct vectors *vectors) {
    free(vectors->rows);
    free(vectors->near);
    free(vectors->known);
    free(vectors->shifts);
    *vectors = (struct vectors){0};
}

/* ---- Arithmetic ---- */

float vectors_dot(const float *left, const float *right) {
    float sums[16] = {0}; /* independent sums, so that the compiler may use wide registers */
    for (size_t i = 0; i < BENCH_DIM; i += 16) {
        for (size_t j = 0; j < 16; j++) {
            sums[j] += left[i + j] * right[i + j];
        }
    }
    float sum = 0.0F;
    for (size_t j = 0; j < 16; j++) {
        sum += sums[j];
    }
    return sum;
}

static void normalise(float *vector) {
    float scale = 1.0F / sqrtf(vectors_dot(vector, vector));
    for (size_t i = 0; i < BENCH_DIM; i++) {
        vector[i] *= scale;
    }
}

/* The rows nearest to row `seed`, itself left out. */
static void nearest(const struct vectors *vectors, uint32_t seed, uint16_t out[NEIGHBOURS]) {
    float scores[NEIGHBOURS];
    uint32_t count = 0;
    const float *query = vectors->rows + (size_t)seed * BENCH_DIM;
    for (uint32_t row = 0; row < vectors->count; row++) {
        float score =
            row == seed ? -2.0F : vectors_dot(query, vectors->rows + (size_t)row * BENCH_DIM);
        if (count == NEIGHBOURS && score <= scores[NEIGHBOURS - 1]) {
            continue;
        }
        uint32_t at = count < NEIGHBOURS ? count++ : NEIGHBOURS - 1;
        for (; at > 0 && scores[at - 1] < score; at--) {
            scores[at] = scores[at - 1];
            out[at] = out[at - 1];
        }
        scores[at] = score;
        out[at] = (uint16_t)row;
    }
}

const uint16_t *vectors_near(struct vectors *vectors, uint32_t row) {
    INS_ASSERT(row < vectors->count);
    if (!vectors->known[row]) {
        nearest(vectors, row, vectors->near[row]);
        vectors->known[row] = true;
    }
    return vectors->near[row];
}

static void add_difference(float *out, const float *to, const float *from, float weight) {
    for (size_t i = 0; i < BENCH_DIM; i++) {
        out[i] += weight * (to[i] - from[i]);
    }
}

void vectors_make(struct vectors *vectors, uint32_t row, struct random *random, float *out) {
    const float *seed = vectors->rows + (size_t)row * BENCH_DIM;
    uint16_t neighbours[NEIGHBOURS];
    double normal[2] = {0};
    memcpy(neighbours, vectors_near(vectors, row), sizeof(neighbours));
    memcpy(out, seed, BENCH_DIM * sizeof(*out));
    for (uint32_t j = 0; j < MIXED; j++) {
        /* Distinct ones: the first steps of a shuffle. */
        uint32_t other = j + (uint32_t)(random_next(random) % (NEIGHBOURS - j));
        uint16_t chosen = neighbours[other];
        neighbours[other] = neighbours[j];
        neighbours[j] = chosen;
        if (j % 2 == 0) {
            random_normal(random, normal);
        }
        float weight = SPREAD / sqrtf((float)MIXED) * (float)normal[j % 2];
        add_difference(out, vectors->rows + (size_t)chosen * BENCH_DIM, seed, weight);
    }
    normalise(out);
}

void vectors_shift(const struct vectors *vectors, struct random *random, float *vector) {
    INS_ASSERT(vectors->shift_count > 0);
    const float *shift =
        vectors->shifts + (size_t)(random_next(random) % vectors->shift_count) * BENCH_DIM;
    for (size_t i = 0; i < BENCH_DIM; i++) {
        vector[i] += shift[i];
    }
    normalise(vector);
}

/* ---- Text ---- */

/* snprintf would cost more than the server's whole work on the point. */
static size_t number_text(float value, char *out) {
    size_t size = 0;
    uint32_t millionths = (uint32_t)(fabs((double)value) * 1e6 + 0.5);
    if (value < 0.0F && millionths > 0) {
        out[size++] = '-';
    }
    INS_ASSERT(millionths < 10000000u); /* of a unit vector, or a sum of a few */
    out[size++] = (char)('0' + millionths / 1000000u);
    out[size++] = '.';
    millionths %= 1000000u;
    for (uint32_t unit = 100000; unit > 0; unit /= 10) {
        out[size++] = (char)('0' + millionths / unit);
        millionths %= unit;
    }
    return size;
}

size_t vectors_text(const float *vector, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < BENCH_DIM; i++) {
        out[size++] = i == 0 ? '[' : ',';
        size += number_text(vector[i], out + size);
    }
    out[size++] = ']';
    INS_ASSERT(size < VECTOR_TEXT_MAX);
    return size;
}
