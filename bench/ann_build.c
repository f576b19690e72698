/* Building what `insula-bench ann` measures. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ann_private.h"

double ann_cpu_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int ann_complain(const char *what, const char *name) {
    (void)fprintf(stderr, "insula-bench ann: %s: %s\n", name, what);
    return 1;
}

bool ann_names(struct ann *ann) {
    static const char *const types[] = {[ROW_F32] = "f32", [ROW_F16] = "f16", [ROW_U8] = "u8"};
    bool known = false;
    for (int i = 0; i < 3; i++) {
        if (ann->type_name != NULL && strcmp(ann->type_name, types[i]) == 0) {
            ann->type = (enum row_type)i;
            known = true;
        }
    }
    if (!known) {
        (void)ann_complain("f32, f16 or u8", "--type");
        return false;
    }
    const char *metric = ann->metric_name == NULL ? "" : ann->metric_name;
    ann->cosine = strcmp(metric, "cos") == 0;
    ann->metric = strcmp(metric, "ip") == 0 ? INDEX_DOT : INDEX_L2;
    if (!ann->cosine && ann->metric != INDEX_DOT && strcmp(metric, "l2") != 0) {
        (void)ann_complain("l2, cos or ip", "--metric");
        return false;
    }
    return true;
}

const float *ann_row(void *context, uint32_t row) {
    const struct ann *ann = context;
    return ann->rows_in.values + (size_t)row * ann->rows_in.dim;
}

/* Bytes as they are; of others code and rest keep twice as much as half floats, in fewer bytes. */
static enum row_type stored_type(const struct ann *ann) {
    return ann->type == ROW_U8 && !ann->cosine ? ROW_U8 : ROW_REST;
}

bool ann_build_graph(struct ann *ann, bool plain_pages) {
    ins_error error;
    uint64_t bytes =
        (uint64_t)ann->rows_in.count * (ann->rows_in.dim * 16ull + 2048) + (512u << 20);
    bytes = (bytes + (2u << 20) - 1) / (2u << 20) * (2u << 20);
    struct arena_options options = {.limit_bytes = 3 * bytes, .plain_pages = plain_pages};
    options.purpose_limit_bytes[INS_MEM_CACHE] = bytes;
    options.purpose_limit_bytes[INS_MEM_JOB] = bytes;
    options.purpose_limit_bytes[INS_MEM_QUERY] = bytes;
    struct graph_options graph_options = {.dim = ann->rows_in.dim,
                                          .metric = ann->metric,
                                          .type = stored_type(ann),
                                          .build_effort = ann->effort,
                                          .alpha = (float)ann->alpha,
                                          .seed = 1};
    double begin = ann_cpu_s();
    if (arena_open(&options, &ann->arena, &error) != INS_OK ||
        graph_build(&graph_options, ann->rows_in.count, ann_row, ann, ann->arena, &ann->graph,
                    &error) != INS_OK) {
        (void)ann_complain(error.message, "build");
        return false;
    }
    ann->build_s = ann_cpu_s() - begin;
    return true;
}

bool ann_build(struct ann *ann) {
    ins_error error;
    if (!ann_build_graph(ann, false)) {
        return false;
    }
    if (graph_scratch_make(ann->graph, 4096, &ann->scratch, &error) != INS_OK) {
        (void)ann_complain(error.message, "build");
        return false;
    }
    double begin = ann_cpu_s();
    if (ann->metric == INDEX_L2 &&
        (fast_graph_make(ann->graph, ann_row, ann, &ann->fast, &error) != INS_OK ||
         fast_scratch_make(ann->fast, 4096, &ann->fast_scratch, &error) != INS_OK)) {
        (void)ann_complain(error.message, "fast");
        return false;
    }
    ann->fast_s = ann_cpu_s() - begin;
#ifdef BENCH_ANN_PEERS
    if (ann->with_peer) {
        begin = ann_cpu_s();
        ann->peer = ann_peer_build(ann->rows_in.values, ann->rows_in.count, ann->rows_in.dim,
                                   ann->metric == INDEX_DOT, &ann->peer_bytes);
        ann->peer_build_s = ann_cpu_s() - begin;
    }
#endif
    return true;
}
