/* Reports, latencies, medians, time, hashes: the small things of every workload. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
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

/* ---- Report ---- */

static void report_key(struct report *report, const char *key) {
    (void)printf("%s\"%s\":", report->started ? "," : "{", key);
    report->started = true;
}

void report_number(struct report *report, const char *key, const char *label, double value) {
    if (report->json) {
        report_key(report, key);
        isfinite(value) ? (void)printf("%.9g", value) : (void)printf("null");
        return;
    }
    int digits = fabs(value) >= 1000.0 || value == floor(value) ? 0 : fabs(value) >= 1.0 ? 2 : 5;
    (void)printf("  %-44s %14.*f\n", label, digits, value);
}

void report_text(struct report *report, const char *key, const char *label, const char *value) {
    if (report->json) { /* keys and values here are our own: nothing to escape */
        report_key(report, key);
        (void)printf("\"%s\"", value);
        return;
    }
    (void)printf("  %-44s %14s\n", label, value);
}

void report_absent(struct report *report, const char *key, const char *label) {
    if (report->json) {
        report_key(report, key);
        (void)printf("null");
        return;
    }
    (void)printf("  %-44s %14s\n", label, "not available");
}

void report_begin(struct report *report, const struct bench_options *options,
                  const char *workload) {
    *report = (struct report){.json = options->json};
    if (!report->json) {
        (void)printf("%s\n", workload);
        return;
    }
    report_text(report, "workload", "", workload);
    report_number(report, "seed", "", (double)options->seed);
}

void report_end(struct report *report) {
    if (report->json) {
        (void)printf("}\n");
    }
    (void)fflush(stdout);
}

/* ---- Latencies: 64 buckets an octave ---- */

#define OCTAVE 64u

static size_t latency_bucket(uint64_t ns) {
    if (ns < OCTAVE) {
        return (size_t)ns;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - 6u; /* leaves 7 bits, the first set */
    size_t bucket = (size_t)(shift + 1) * OCTAVE + (size_t)((ns >> shift) - OCTAVE);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static uint64_t bucket_end(size_t bucket) {
    if (bucket < OCTAVE) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket / OCTAVE) - 1;
    return ((bucket % OCTAVE + OCTAVE + 1) << shift) - 1;
}

void latency_add(struct latency *latency, uint64_t ns) {
    latency->count++;
    latency->max_ns = ns > latency->max_ns ? ns : latency->max_ns;
    latency->buckets[latency_bucket(ns)]++;
}

uint64_t latency_quantile(const struct latency *latency, double quantile) {
    uint64_t wanted = (uint64_t)ceil(quantile * (double)latency->count), seen = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        if (seen >= wanted && seen > 0) {
            uint64_t end = bucket_end(i);
            return end < latency->max_ns ? end : latency->max_ns;
        }
    }
    return 0;
}

void report_latency(struct report *report, const struct latency *latency) {
    const double us = 1e-3;
    report_number(report, "p50_us", "latency p50, us", (double)latency_quantile(latency, 0.5) * us);
    report_number(report, "p99_us", "latency p99, us",
                  (double)latency_quantile(latency, 0.99) * us);
    report_number(report, "max_us", "latency max, us", (double)latency->max_ns * us);
}
