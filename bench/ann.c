/* `ann`: recall and speed of the index on files, one thread, one query at a time, beside hnswlib.
 *
 *     insula-bench ann --base F --query F --truth F --metric l2|cos|ip --type f32|f16|u8
 *                      [--rounds N] [--limit K] [--rows N] [--effort N] [--alpha X] [--peer]
 *                      [--filters] [--threads N] [--turns] [--json F]
 *
 * Files: u32 count, u32 dimensions, then rows of the type; truth: u32 queries, u32 k, ids, f32
 * distances (l2 squared, cos = 1 - cosine, ip = -product). A result is right when its distance is
 * at most the k-th exact one * (1 + 1e-5).
 * Rounds alternate between all rivals and their efforts; a figure is the median over rounds of the
 * CPU time of this thread. With --turns each round waits for a line of the standard input, and says
 * when it is done: other programs have theirs in between. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ann_private.h"

/* ---- One slice ---- */

static uint32_t search(struct ann *ann, bool fast, const float *query, uint32_t effort,
                       struct graph_hit *hits) {
    return fast ? fast_graph_search(ann->fast, ann->fast_scratch, query, ann->limit, effort, NULL,
                                    hits)
                : graph_search(ann->graph, ann->scratch, query, ann->limit, effort,
                               (uint32_t)graph_rerank(ann->limit, effort), NULL, hits);
}

static void ours(struct ann *ann, bool fast, struct point_of_curve *point, uint32_t round) {
    uint32_t *ids = malloc((size_t)ann->queries.count * ann->limit * sizeof(uint32_t));
    uint32_t *counts = malloc(ann->queries.count * sizeof(uint32_t));
    double begin = ann_cpu_s();
    for (uint32_t q = 0; q < ann->queries.count; q++) {
        struct graph_hit hits[LIMIT_MAX];
        counts[q] = search(ann, fast, ann->queries.values + (size_t)q * ann->queries.dim,
                           point->effort, hits);
        for (uint32_t i = 0; i < counts[q]; i++) {
            ids[(size_t)q * ann->limit + i] = hits[i].id;
        }
    }
    point->us[round] = (ann_cpu_s() - begin) * 1e6 / ann->queries.count;
    uint64_t right = 0;
    for (uint32_t q = 0; q < ann->queries.count && round == 0; q++) {
        right += ann_right_ones(ann, q, ids + (size_t)q * ann->limit, counts[q]);
    }
    if (round == 0) {
        point->recall = (double)right / ((double)ann->queries.count * ann->limit);
    }
    free(ids);
    free(counts);
}

#ifdef BENCH_ANN_PEERS
static void theirs(struct ann *ann, struct point_of_curve *point, uint32_t round) {
    uint32_t *ids = calloc((size_t)ann->queries.count * ann->limit, sizeof(uint32_t));
    double begin = ann_cpu_s();
    ann_peer_search(ann->peer, ann->queries.values, ann->queries.count, ann->limit, point->effort,
                    ids);
    point->us[round] = (ann_cpu_s() - begin) * 1e6 / ann->queries.count;
    uint64_t right = 0;
    for (uint32_t q = 0; q < ann->queries.count && round == 0; q++) {
        right += ann_right_ones(ann, q, ids + (size_t)q * ann->limit, ann->limit);
    }
    if (round == 0) {
        point->recall = (double)right / ((double)ann->queries.count * ann->limit);
    }
    free(ids);
}

#endif

/* ---- Report ---- */

static int order_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double ann_median(const double *values, uint32_t count) {
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, count * sizeof(double));
    qsort(sorted, count, sizeof(double), order_doubles);
    return sorted[count / 2];
}

double ann_us_at(const struct curve *curve, double recall, uint32_t rounds) {
    for (uint32_t i = 0; i < curve->count; i++) {
        if (curve->points[i].recall < recall) {
            continue;
        }
        double here = ann_median(curve->points[i].us, rounds);
        if (i == 0) {
            return here;
        }
        double before = ann_median(curve->points[i - 1].us, rounds);
        double low = curve->points[i - 1].recall, high = curve->points[i].recall;
        return before + (here - before) * (recall - low) / (high - low);
    }
    return 0;
}

static void print_curve(const struct ann *ann, const struct curve *curve) {
    for (uint32_t i = 0; i < curve->count; i++) {
        const struct point_of_curve *point = &curve->points[i];
        double us = ann_median(point->us, ann->rounds);
        (void)printf("  %-10s effort %4u  recall@%u %.4f  %8.1f us  %8.0f queries/s\n", curve->name,
                     point->effort, ann->limit, point->recall, us, 1e6 / us);
    }
}

static void print_ratios(const struct ann *ann, const struct curve *mine,
                         const struct curve *peer) {
    static const double recalls[] = {0.90, 0.95, 0.99, 0.999};
    for (size_t i = 0; i < sizeof(recalls) / sizeof(recalls[0]); i++) {
        double a = ann_us_at(mine, recalls[i], ann->rounds);
        double b = peer->count == 0 ? 0 : ann_us_at(peer, recalls[i], ann->rounds);
        (void)printf("recall %.3f: insula %.1f us, hnswlib %.1f us, ratio %.2f\n", recalls[i], a, b,
                     a == 0 ? 0 : b / a);
    }
}

static void write_curve(FILE *out, const struct ann *ann, const struct curve *curve, double build_s,
                        uint64_t bytes, bool last) {
    (void)fprintf(out, "{\"name\":\"%s\",\"build_cpu_s\":%.3f,\"bytes\":%llu,\"curve\":[",
                  curve->name, build_s, (unsigned long long)bytes);
    for (uint32_t i = 0; i < curve->count; i++) {
        double us = ann_median(curve->points[i].us, ann->rounds);
        (void)fprintf(out, "%s{\"effort\":%u,\"recall\":%.5f,\"cpu_us\":%.2f,\"qps\":%.1f}",
                      i == 0 ? "" : ",", curve->points[i].effort, curve->points[i].recall, us,
                      1e6 / us);
    }
    (void)fprintf(out, "]}%s", last ? "" : ",");
}

static int write_json(const struct ann *ann, const struct curve *mine, const struct curve *fast,
                      const struct curve *peer) {
    FILE *out = fopen(ann->json, "w");
    if (out == NULL) {
        return ann_complain(strerror(errno), ann->json);
    }
    (void)fprintf(out,
                  "{\"workload\":\"ann\",\"rows\":%u,\"dim\":%u,\"queries\":%u,\"k\":%u,"
                  "\"metric\":\"%s\",\"type\":\"%s\",\"isa\":\"%s\",\"rounds\":%u,\"rivals\":[",
                  ann->rows_in.count, ann->rows_in.dim, ann->queries.count, ann->limit,
                  ann->metric_name, ann->type_name, kernels_get()->isa, ann->rounds);
    write_curve(out, ann, mine, ann->build_s, graph_bytes(ann->graph),
                fast->count == 0 && peer->count == 0);
    if (fast->count > 0) {
        write_curve(out, ann, fast, ann->build_s + ann->fast_s, fast_graph_bytes(ann->fast),
                    peer->count == 0);
    }
    if (peer->count > 0) {
        write_curve(out, ann, peer, ann->peer_build_s, ann->peer_bytes, true);
    }
    (void)fprintf(out, "],");
    ann_scan_write(out, ann);
    (void)fprintf(out, "}\n");
    return fclose(out) == 0 ? 0 : ann_complain(strerror(errno), ann->json);
}

/* ---- The whole ---- */

/* Says that the last round, or the building, is done. */
static bool wait_for_turn(void) {
    char line[16];
    (void)printf("turn\n");
    (void)fflush(stdout);
    return fgets(line, sizeof(line), stdin) != NULL;
}

static int measure(struct ann *ann) {
    static const uint32_t efforts[EFFORTS] = {10,  14,  20,  28,  40,  56,   80,
                                              112, 160, 240, 360, 640, 1200, 2400};
    static struct curve mine = {.name = "compact"}, fast = {.name = "fast"},
                        peer = {.name = "hnswlib"};
    for (uint32_t i = 0; i < EFFORTS; i++) {
        if (efforts[i] >= ann->limit) {
            mine.points[mine.count++].effort = efforts[i];
        }
    }
    memcpy(peer.points, mine.points, sizeof(peer.points));
    memcpy(fast.points, mine.points, sizeof(fast.points));
    fast.count = ann->fast != NULL ? mine.count : 0;
    peer.count = ann->peer != NULL ? mine.count : 0;
    for (uint32_t round = 0; round < ann->rounds; round++) {
        if (ann->turns && !wait_for_turn()) {
            return ann_complain("no line for the next round", "--turns");
        }
        for (uint32_t i = 0; i < mine.count; i++) {
            ours(ann, false, &mine.points[i], round);
            if (ann->fast != NULL) {
                ours(ann, true, &fast.points[i], round);
            }
#ifdef BENCH_ANN_PEERS
            if (ann->peer != NULL) {
                theirs(ann, &peer.points[i], round);
            }
#endif
        }
        ann_scan_round(ann, round);
    }
    (void)printf("%u rows of %u dimensions, %s, %s; %s kernels; median of %u rounds\n",
                 ann->rows_in.count, ann->rows_in.dim, ann->metric_name, ann->type_name,
                 kernels_get()->isa, ann->rounds);
    (void)printf("insula: %.1f s of CPU to build, %.0f bytes a row\n", ann->build_s,
                 (double)graph_bytes(ann->graph) / ann->rows_in.count);
    if (ann->peer != NULL) {
        (void)printf("hnswlib: %.1f s of CPU to build, %.0f bytes a row\n", ann->peer_build_s,
                     (double)ann->peer_bytes / ann->rows_in.count);
    }
    print_curve(ann, &mine);
    if (ann->fast != NULL) {
        (void)printf("fast layout: %.1f s of CPU more, %.0f bytes a row\n", ann->fast_s,
                     (double)fast_graph_bytes(ann->fast) / ann->rows_in.count);
    }
    print_curve(ann, &fast);
    print_curve(ann, &peer);
    print_ratios(ann, &mine, &peer);
    ann_scan_print(ann);
    if (ann->threads > 1 && ann_threads(ann) != 0) {
        return 1;
    }
    return ann->json == NULL ? 0 : write_json(ann, &mine, &fast, &peer);
}

int ann_main(int argc, char **argv) {
    static const struct option options[] = {
        {"base", required_argument, NULL, 'b'},   {"query", required_argument, NULL, 'q'},
        {"truth", required_argument, NULL, 't'},  {"metric", required_argument, NULL, 'm'},
        {"type", required_argument, NULL, 'y'},   {"json", required_argument, NULL, 'j'},
        {"rounds", required_argument, NULL, 'r'}, {"limit", required_argument, NULL, 'k'},
        {"rows", required_argument, NULL, 'n'},   {"effort", required_argument, NULL, 'e'},
        {"alpha", required_argument, NULL, 'a'},  {"peer", no_argument, NULL, 'p'},
        {"filters", no_argument, NULL, 'f'},      {"threads", required_argument, NULL, 'w'},
        {"turns", no_argument, NULL, 'u'},        {NULL, 0, NULL, 0}};
    struct ann ann = {.limit = 10, .rounds = 7};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'b':
            ann.base = optarg;
            break;
        case 'q':
            ann.query = optarg;
            break;
        case 't':
            ann.truth_file = optarg;
            break;
        case 'm':
            ann.metric_name = optarg;
            break;
        case 'y':
            ann.type_name = optarg;
            break;
        case 'j':
            ann.json = optarg;
            break;
        case 'r':
            ann.rounds = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'k':
            ann.limit = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            ann.rows = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'e':
            ann.effort = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'a':
            ann.alpha = strtod(optarg, NULL);
            break;
        case 'w':
            ann.threads = (uint32_t)strtoul(optarg, NULL, 10);
            if (ann.threads < 2 || ann.threads > ANN_THREADS_MAX) {
                return ann_complain("2 .. 64", "--threads");
            }
            break;
        case 'u':
            ann.turns = true;
            break;
        case 'f':
            ann.filters = true;
            break;
        case 'p':
#ifndef BENCH_ANN_PEERS
            return ann_complain("built without hnswlib; ./dev bench-ann builds with it", "--peer");
#endif
            ann.with_peer = true;
            break;
        default:
            return 2;
        }
    }
    if (ann.base == NULL || ann.query == NULL || ann.truth_file == NULL || ann.rounds == 0 ||
        ann.rounds > ROUNDS_MAX || ann.limit == 0 || ann.limit > LIMIT_MAX) {
        return ann_complain(
                   "--base, --query and --truth are needed; --rounds 1 .. 99, --limit 1 .. 100",
                   "usage") +
               1;
    }
    bool ready = ann_names(&ann) && ann_read_matrix(&ann, ann.base, ann.rows, &ann.rows_in) &&
                 ann_read_matrix(&ann, ann.query, 0, &ann.queries) && ann_read_truth(&ann) &&
                 ann_build(&ann) && ann_scan_build(&ann);
    int code = !ready ? 1 : ann.filters ? ann_filters(&ann) : measure(&ann);
    ann_scan_free(&ann);
    fast_scratch_free(ann.fast_scratch);
    fast_graph_free(ann.fast);
    graph_scratch_free(ann.scratch);
    graph_free(ann.graph);
    arena_close(ann.arena);
    free(ann.rows_in.values);
    free(ann.queries.values);
    return code;
}
