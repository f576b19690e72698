/* The small things of every workload: time, hashes, randomness, medians. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "base/lane.h"
#include "bench.h"

uint64_t bench_now_ns(void) {
    return system_now_ns(NULL);
}

double bench_seconds_since(uint64_t start_ns) {
    return (double)(bench_now_ns() - start_ns) / (double)BENCH_NS;
}

void bench_sleep(double seconds) {
    double whole = floor(seconds);
    struct timespec left = {.tv_sec = (time_t)whole, .tv_nsec = (long)((seconds - whole) * 1e9)};
    while (nanosleep(&left, &left) != 0) {
    }
}

int bench_fail(const char *format, ...) {
    va_list arguments;
    (void)fputs("insula-bench: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return BENCH_FAILED;
}

uint64_t bench_hash(uint64_t seed, enum bench_purpose purpose, uint64_t tenant, uint64_t i) {
    const uint64_t step = 0x9e3779b97f4a7c15ull; /* splitmix64's */
    uint64_t hash = hash_u64(seed + step);
    hash = hash_u64(hash ^ ((uint64_t)purpose * step));
    hash = hash_u64(hash ^ (tenant + step));
    return hash_u64(hash ^ (i + 2 * step));
}

static int order_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_median(double *values, size_t count) {
    INS_ASSERT(count > 0);
    qsort(values, count, sizeof(*values), order_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2.0;
}

const char *bench_style_text(enum bench_style style) {
    switch (style) {
    case BENCH_STYLE_COLLECTION:
        return "collection";
    case BENCH_STYLE_SHARD:
        return "shard";
    case BENCH_STYLE_KEY:
        break;
    }
    return "key";
}

/* ---- Randomness ---- */

uint64_t random_next(struct random *random) {
    random->state += 0x9e3779b97f4a7c15ull;
    return hash_u64(random->state);
}

double random_unit(struct random *random) {
    return ((double)(random_next(random) >> 11) + 1.0) * 0x1p-53;
}

/* Box and Muller. */
void random_normal(struct random *random, double out[2]) {
    double radius = sqrt(-2.0 * log(random_unit(random)));
    double angle = 2.0 * M_PI * random_unit(random);
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

double random_lognormal(struct random *random, double median, double sigma) {
    double normal[2];
    random_normal(random, normal);
    return median * exp(sigma * normal[0]);
}

double random_exponential(struct random *random, double mean) {
    return -mean * log(random_unit(random));
}
