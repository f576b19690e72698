#include "baseline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/json.h"

#define TURNS 7u
#define ROW_BYTES_MAX 4096u
#define BODY_BYTES_MAX (1u << 20)

void baseline_keep(struct baseline *baseline, const char *body, size_t size) {
    char *copy = baseline->count < BASELINE_BODIES ? malloc(size) : NULL;
    if (copy != NULL) {
        memcpy(copy, body, size);
        baseline->bodies[baseline->count] = copy;
        baseline->sizes[baseline->count++] = size;
    }
}

void baseline_free(struct baseline *baseline) {
    for (uint32_t i = 0; i < baseline->count; i++) {
        free(baseline->bodies[i]);
    }
    *baseline = (struct baseline){0};
}

static double cpu_now_s(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

struct work {
    struct json_parser *parser;
    float vector[BENCH_DIM];
    uint8_t row[ROW_BYTES_MAX];
    uint8_t *copies[3];
    size_t at, capacity; /* of the copies */
    uint32_t checksum;
    uint64_t points;
};

static bool do_point(struct work *work, struct json_value point, const char *text, size_t bytes) {
    struct json_value vector;
    size_t count = 0;
    float sum = 0.0F;
    if (!json_get(point, "vector", &vector) ||
        !json_floats(vector, work->vector, BENCH_DIM, &count) || count != BENCH_DIM) {
        return false;
    }
    for (size_t i = 0; i < BENCH_DIM; i++) {
        sum += work->vector[i] * work->vector[i];
    }
    float scale = 1.0F / sqrtf(sum);
    for (size_t i = 0; i < BENCH_DIM; i++) {
        work->vector[i] *= scale;
    }
    size_t row = sizeof(work->vector) + bytes;
    memcpy(work->row, work->vector, sizeof(work->vector));
    memcpy(work->row + sizeof(work->vector), text, bytes);
    work->at = work->at + row > work->capacity ? 0 : work->at;
    const uint8_t *from = work->row;
    for (size_t i = 0; i < 3; i++) {
        memcpy(work->copies[i] + work->at, from, row);
        from = work->copies[i] + work->at;
    }
    work->checksum ^= crc32c(from, row);
    work->at += row;
    work->points++;
    return true;
}

/* The payload stands for a share of the text: its bytes are copied as text, as a server does. */
static bool do_body(struct work *work, const char *body, size_t size) {
    struct json_value root, points, point;
    if (json_parse(work->parser, body, size, &root, NULL) != INS_OK ||
        !json_get(root, "points", &points)) {
        return false;
    }
    size_t count = json_count(points), each = size / (count == 0 ? 1 : count);
    size_t vector_text = (size_t)BENCH_DIM * 9u;
    size_t payload = each > vector_text ? each - vector_text : 0;
    payload = payload < ROW_BYTES_MAX / 2 ? payload : ROW_BYTES_MAX / 2;
    struct json_iterator at = json_begin(points);
    for (size_t n = 0; json_next(&at, &point); n++) {
        if (!do_point(work, point, body + n * each, payload)) {
            return false;
        }
    }
    return true;
}

static double turn_us(struct work *work, const struct baseline *baseline) {
    double start_s = cpu_now_s();
    work->points = 0;
    while (cpu_now_s() - start_s < 0.05) {
        for (uint32_t i = 0; i < baseline->count; i++) {
            if (!do_body(work, baseline->bodies[i], baseline->sizes[i])) {
                return 0.0;
            }
        }
    }
    return (cpu_now_s() - start_s) * 1e6 / (double)work->points;
}

double baseline_us(const struct baseline *baseline) {
    double turns[TURNS] = {0};
    struct work *work = calloc(1, sizeof(*work));
    bool good = work != NULL && baseline->count > 0;
    if (good) {
        work->parser = json_parser_create(BODY_BYTES_MAX, 32);
        work->capacity = 16u << 20; /* beyond the caches, as memtables and logs are */
        good = work->parser != NULL;
        for (size_t i = 0; i < 3; i++) {
            work->copies[i] = malloc(work->capacity + ROW_BYTES_MAX);
            good = good && work->copies[i] != NULL;
        }
    }
    for (size_t i = 0; good && i < TURNS; i++) {
        turns[i] = turn_us(work, baseline);
    }
    if (work != NULL) {
        for (size_t i = 0; i < 3; i++) {
            free(work->copies[i]);
        }
        json_parser_destroy(work->parser);
    }
    free(work);
    return good ? bench_median(turns, TURNS) : 0.0;
}
