/* A search that valgrind looks at: made in one run, mapped in another.
 *
 *     insula-traced[-hnswlib] make LAYOUT l2|cos|ip f32|f16|u8 BASE QUERY TRUTH RECALL IMAGE
 *     valgrind ... insula-traced[-hnswlib] run IMAGE RANGES
 *
 * `make` builds an index, looks for the least effort with the recall, and writes the index into
 * IMAGE and queries and effort into IMAGE.queries; `run` maps them, marks where each query begins
 * and ends (marks.h) and searches. Both print the same sum of the answers: the trace is of the
 * searches whose recall is known. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ann_private.h"
#include "marks.h"
#include "trace/subject.h"

#define TRACED_QUERIES 200u
#define LIMIT 10u
#define EFFORT_LAST 2400u

struct traced {
    uint32_t count, dim, effort;
    float *values;
};

/* ---- Which effort ---- */

static double recall_at(const struct ann *ann, uint32_t effort) {
    uint64_t right = 0;
    for (uint32_t q = 0; q < ann->queries.count; q++) {
        uint32_t ids[LIMIT];
        uint32_t count =
            subject_search(ann->queries.values + (size_t)q * ann->queries.dim, LIMIT, effort, ids);
        right += ann_right_ones(ann, q, ids, count);
    }
    return (double)right / ((double)ann->queries.count * LIMIT);
}

/* The least effort with the recall, 0 when none has. */
static uint32_t least_effort(const struct ann *ann, double recall) {
    uint32_t low = LIMIT, high = EFFORT_LAST;
    if (recall_at(ann, high) < recall) {
        return 0;
    }
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (recall_at(ann, middle) >= recall) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return high;
}

/* ---- Answers ---- */

static uint64_t add_answer(uint64_t sum, const uint32_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        sum = (sum ^ ids[i]) * 0x100000001b3ull;
    }
    return sum;
}

static uint64_t search_all(const struct traced *traced, volatile uint32_t *begin,
                           volatile uint32_t *end) {
    uint64_t sum = 0;
    for (uint32_t q = 0; q < traced->count; q++) {
        uint32_t ids[LIMIT];
        *begin = q;
        uint32_t count =
            subject_search(traced->values + (size_t)q * traced->dim, LIMIT, traced->effort, ids);
        *end = q;
        sum = add_answer(sum, ids, count);
    }
    return sum;
}

/* ---- Queries in a file ---- */

static void queries_name(const char *image, char *out, size_t capacity) {
    (void)snprintf(out, capacity, "%s.queries", image);
}

static bool save_queries(const struct traced *traced, const char *image) {
    char name[4096];
    queries_name(image, name, sizeof(name));
    FILE *file = fopen(name, "wb");
    const uint32_t head[3] = {traced->count, traced->dim, traced->effort};
    size_t values = (size_t)traced->count * traced->dim;
    bool good = file != NULL && fwrite(head, sizeof(head), 1, file) == 1 &&
                fwrite(traced->values, sizeof(float), values, file) == values;
    good = file != NULL && fclose(file) == 0 && good;
    return good || ann_complain(strerror(errno), name) == 0;
}

static bool load_queries(struct traced *traced, const char *image) {
    char name[4096];
    queries_name(image, name, sizeof(name));
    FILE *file = fopen(name, "rb");
    uint32_t head[3];
    if (file == NULL || fread(head, sizeof(head), 1, file) != 1 || head[0] > TRACED_QUERIES ||
        head[1] == 0 || head[1] > ROTATION_DIM_MAX || head[2] < LIMIT || head[2] > EFFORT_LAST) {
        (void)ann_complain("no queries", name);
        if (file != NULL) {
            (void)fclose(file);
        }
        return false;
    }
    *traced = (struct traced){.count = head[0], .dim = head[1], .effort = head[2]};
    size_t values = (size_t)head[0] * head[1];
    traced->values = malloc((values + 1) * sizeof(float));
    bool good =
        traced->values != NULL && fread(traced->values, sizeof(float), values, file) == values;
    (void)fclose(file);
    return good || ann_complain("shorter than it says", name) == 0;
}

/* ---- make, run ---- */

static int make(char **words) {
    struct ann ann = {.limit = LIMIT,
                      .metric_name = words[1],
                      .type_name = words[2],
                      .base = words[3],
                      .query = words[4],
                      .truth_file = words[5]};
    double recall = strtod(words[6], NULL);
    if (!ann_names(&ann) || !ann_read_matrix(&ann, ann.base, 0, &ann.rows_in) ||
        !ann_read_matrix(&ann, ann.query, 0, &ann.queries) || !ann_read_truth(&ann)) {
        return 1;
    }
    struct subject_rows rows = {.values = ann.rows_in.values,
                                .count = ann.rows_in.count,
                                .dim = ann.rows_in.dim,
                                .dot = ann.metric == INDEX_DOT,
                                .bytes = ann.type == ROW_U8 && !ann.cosine};
    if (ann.queries.dim != rows.dim || !subject_build(&rows, words[0])) {
        return 1;
    }
    uint32_t effort = least_effort(&ann, recall), ignored = 0;
    if (effort == 0) {
        return ann_complain("not reached", "recall");
    }
    struct traced traced = {.count = ann.queries.count < TRACED_QUERIES ? ann.queries.count
                                                                        : TRACED_QUERIES,
                            .dim = ann.queries.dim,
                            .effort = effort,
                            .values = ann.queries.values};
    if (!save_queries(&traced, words[7]) || !subject_save(words[7])) {
        return 1;
    }
    (void)printf("{\"effort\":%u,\"recall\":%.5f,\"answers\":\"%016" PRIx64 "\"}\n", effort,
                 recall_at(&ann, effort), search_all(&traced, &ignored, &ignored));
    free(ann.rows_in.values);
    free(ann.queries.values);
    return 0;
}

static int run(char **words) {
    struct traced traced = {0};
    FILE *ranges = fopen(words[1], "w");
    if (ranges == NULL) {
        return ann_complain(strerror(errno), words[1]);
    }
    bool open = load_queries(&traced, words[0]) && subject_open(words[0], ranges);
    if (fclose(ranges) != 0 || !open) {
        return 1;
    }
    void *marks = mmap((void *)MARKS_AT, MARKS_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (marks != (void *)MARKS_AT) {
        return ann_complain("the place of the marks is taken", "marks");
    }
    volatile uint32_t *begin = marks;
    volatile uint32_t *end = begin + (MARK_END - MARK_BEGIN) / sizeof(*end);
    (void)printf("{\"answers\":\"%016" PRIx64 "\"}\n", search_all(&traced, begin, end));
    free(traced.values);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 10 && strcmp(argv[1], "make") == 0) {
        return make(argv + 2);
    }
    if (argc == 4 && strcmp(argv[1], "run") == 0) {
        return run(argv + 2);
    }
    return ann_complain("make LAYOUT METRIC TYPE BASE QUERY TRUTH RECALL IMAGE | run IMAGE RANGES",
                        "usage") +
           1;
}
