/* `insula-bench ann`, its sets and its peer. */
#ifndef INS_BENCH_ANN_H
#define INS_BENCH_ANN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int ann_main(int argc, char **argv);
int ann_set_main(int argc, char **argv);

/* hnswlib, M = 16, ef_construction = 200, f32; NULL when it was not there at build time. */
void *ann_peer_build(const float *rows, uint32_t count, uint32_t dim, bool dot,
                     uint64_t *out_bytes);
void ann_peer_search(void *peer, const float *queries, uint32_t count, uint32_t limit,
                     uint32_t effort, uint32_t *out_ids);

#ifdef __cplusplus
}
#endif
#endif
