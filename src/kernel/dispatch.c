/* Which kernels run: chosen once, by what the CPU has and the operating system saves.
 *
 * __builtin_cpu_supports() answers for both: it reads XCR0 before it names an AVX feature. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel_private.h"

#define KERNELS_MAX 4u

/* The sets that this CPU runs, worst first; returns how many, at least the scalar one. */
static size_t list_kernels(const struct kernels *out[static KERNELS_MAX]) {
    size_t count = 0;
    out[count++] = &kernels_scalar;
#if defined(__x86_64__)
    __builtin_cpu_init();
    /* Every CPU with AVX2 has F16C, of which not all compilers know a name to ask for. */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        out[count++] = &kernels_avx2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
            out[count++] = &kernels_avx512;
            if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
                __builtin_cpu_supports("avx512vpopcntdq")) {
                out[count++] = &kernels_avx512vnni;
            }
        }
    }
#endif
#if defined(__aarch64__)
    out[count++] = &kernels_neon; /* every 64-bit Arm CPU has it */
#endif
    return count;
}

const struct kernels *kernels_for(const char *isa) {
    const struct kernels *known[KERNELS_MAX];
    size_t count = list_kernels(known);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(known[i]->isa, isa) == 0) {
            return known[i];
        }
    }
    return NULL;
}

static const struct kernels *choose(void) {
    const struct kernels *known[KERNELS_MAX];
    size_t count = list_kernels(known);
    const char *wish = getenv("INSULA_ISA");
    const struct kernels *wished = wish == NULL ? NULL : kernels_for(wish);
    return wished == NULL ? known[count - 1] : wished; /* a set that is not there changes nothing */
}

const struct kernels *kernels_get(void) {
    static _Atomic(const struct kernels *) chosen; /* racing threads store the same value */
    const struct kernels *kernels = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (kernels == NULL) {
        kernels = choose();
        atomic_store_explicit(&chosen, kernels, memory_order_relaxed);
    }
    return kernels;
}
