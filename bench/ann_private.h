/* What the files of `insula-bench ann` share. */
#ifndef INS_BENCH_ANN_PRIVATE_H
#define INS_BENCH_ANN_PRIVATE_H

#include <stdio.h>

#include "ann.h"
#include "index/graph_fast.h"

#define ROUNDS_MAX 99
#define EFFORTS 14
#define LIMIT_MAX 100u
#define ANN_THREADS_MAX 64u

struct matrix {
    uint32_t count, dim;
    float *values;
};

struct truth {
    uint32_t count, k;
    const uint32_t *ids;
    const float *distances;
};

struct ann {
    const char *base, *query, *truth_file, *json, *metric_name, *type_name;
    enum index_metric metric;
    bool cosine, with_peer, filters, turns;
    enum row_type type;
    uint32_t limit, rows, rounds, effort, threads;
    double alpha;
    struct matrix rows_in, queries;
    struct truth truth;
    struct arena *arena;
    struct graph *graph;
    struct graph_scratch *scratch;
    struct fast_graph *fast;
    struct fast_scratch *fast_scratch;
    double fast_s; /* CPU to make it of the graph */
    void *peer;    /* lives until the process ends */
    double build_s, peer_build_s;
    uint64_t peer_bytes;
    struct ann_scan *scan;
};

struct point_of_curve {
    uint32_t effort;
    double recall, us[ROUNDS_MAX];
};

struct curve {
    const char *name;
    struct point_of_curve points[EFFORTS];
    uint32_t count;
};

/* ann_build.c */
double ann_cpu_s(void); /* of this thread */
/* Prints it; returns 1. */
int ann_complain(const char *what, const char *name);
/* Metric and type by their names. */
bool ann_names(struct ann *ann);
const float *ann_row(void *context, uint32_t row); /* `context`: a struct ann */
/* The arena and the graph alone; `plain_pages`: of 4 KiB. */
bool ann_build_graph(struct ann *ann, bool plain_pages);
/* All that is measured. */
bool ann_build(struct ann *ann);

/* ann_files.c */
bool ann_read_matrix(const struct ann *ann, const char *name, uint32_t count_max,
                     struct matrix *out);
bool ann_read_truth(struct ann *ann);
/* How many of the ids are among the query's nearest, or as near. */
uint32_t ann_right_ones(const struct ann *ann, uint32_t query, const uint32_t *ids, uint32_t count);

/* ann_scan.c: the scan over 1-bit codes, beside the exact one over floats. */
bool ann_scan_build(struct ann *ann);
void ann_scan_free(struct ann *ann);
void ann_scan_round(struct ann *ann, uint32_t round);
/* One query, with a bit a row that passes; `out_ids` [limit], ascending. Returns how many. */
uint32_t ann_scan_filtered(const struct ann *ann, const float *query, const uint64_t *allowed,
                           float certainty, uint32_t *out_ids);
/* The same among `count` rows, by comparing all. */
uint32_t ann_scan_rank(const struct ann *ann, const float *query, const uint32_t *rows,
                       uint32_t count, uint32_t *out_ids);
void ann_scan_print(const struct ann *ann);
void ann_scan_write(FILE *out, const struct ann *ann);

/* ann_filter.c: searches with filters, printed; returns the exit code. */
int ann_filters(const struct ann *ann);

/* ann_threads.c: the same from ann->threads threads at once, printed; returns the exit code. */
int ann_threads(struct ann *ann);

/* ann.c */
double ann_median(const double *values, uint32_t count);
/* Microseconds at a recall, between the two points around it; 0 when the curve does not reach it.
 */
double ann_us_at(const struct curve *curve, double recall, uint32_t rounds);

#endif
