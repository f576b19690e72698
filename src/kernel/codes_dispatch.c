/* As dispatch.c: the best set that this CPU runs. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/codes_private.h"

#define SETS_MAX 3u

/* Worst first; at least the scalar one. */
static size_t list_sets(const struct code_kernels *out[static SETS_MAX]) {
    size_t count = 0;
    out[count++] = &code_kernels_scalar;
#if defined(__x86_64__)
    __builtin_cpu_init();
    /* Every CPU with AVX2 has F16C, of which compilers know no name to ask for. */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        out[count++] = &code_kernels_avx2;
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("avx512vnni")) {
            out[count++] = &code_kernels_avx512;
        }
    }
#endif
    return count;
}

const struct code_kernels *code_kernels_for(const char *isa) {
    const struct code_kernels *known[SETS_MAX];
    size_t count = list_sets(known);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(known[i]->isa, isa) == 0) {
            return known[i];
        }
    }
    return NULL;
}

static const struct code_kernels *choose(void) {
    const struct code_kernels *known[SETS_MAX];
    size_t count = list_sets(known);
    const char *wish = getenv("INSULA_ISA");
    const struct code_kernels *wished = wish == NULL ? NULL : code_kernels_for(wish);
    return wished == NULL ? known[count - 1] : wished;
}

const struct code_kernels *code_kernels_get(void) {
    static _Atomic(const struct code_kernels *) chosen; /* racing threads store the same value */
    const struct code_kernels *kernels = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (kernels == NULL) {
        kernels = choose();
        atomic_store_explicit(&chosen, kernels, memory_order_relaxed);
    }
    return kernels;
}
