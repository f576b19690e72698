/* What a program is that is traced: an index, built once, mapped from a file for the trace. */
#ifndef INS_BENCH_SUBJECT_TRACED_H
#define INS_BENCH_SUBJECT_TRACED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct subject_rows {
    const float *values; /* [count * dim] */
    uint32_t count, dim;
    bool dot, bytes; /* products, not Euclidean; every value is a whole number 0 .. 255 */
};

/* `layout`: as the command line has it. All complain themselves. */
bool subject_build(const struct subject_rows *rows, const char *layout);
bool subject_save(const char *name);
/* Maps it, and writes into `ranges` what lies where (read_trace.c). Reads none of it. */
bool subject_open(const char *name, FILE *ranges);
/* Returns how many; ids [limit]. */
uint32_t subject_search(const float *query, uint32_t limit, uint32_t effort, uint32_t *ids);

#ifdef __cplusplus
}
#endif
#endif
