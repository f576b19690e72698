/* What the files of insula-bench share: options, reports, counters of the machine.
 *
 * Path: main.c parses the options and runs one workload; a workload makes its load, takes counters
 * before and after, and reports. Nothing here is part of the engine. */
#ifndef INS_BENCH_BENCH_H
#define INS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/assert.h"
#include "insula.h"

#define BENCH_OK 0
#define BENCH_FAILED 1
#define BENCH_USAGE 2

#define BENCH_DIM 128u
#define BENCH_TENANTS_MAX 1000000u
#define BENCH_WIDTH_MAX 4096u /* writers or connections */
#define BENCH_NS 1000000000ull

enum bench_style { BENCH_STYLE_KEY, BENCH_STYLE_COLLECTION, BENCH_STYLE_SHARD };
const char *bench_style_text(enum bench_style style);

struct bench_options {
    const char *data;   /* directory; NULL = temporary, below the current one */
    const char *url;    /* http://HOST:PORT; NULL = in process, or a server of one's own */
    const char *sample; /* sample.f16bin, with its other files beside it */
    const char *server; /* executable; NULL = the one of this build */
    const char *kind;   /* of `requests`, of `noisy`; NULL = its own choice */
    const char *scale;  /* of the suite: tiny, S, M, L */
    const char *commit; /* what the report says of it */
    const char *out;    /* directory of the suite's reports; NULL = the data directory */
    enum bench_style style;
    uint32_t tenants, points, writers, connections;
    uint32_t collections, from;
    uint32_t measured;      /* size: points of the tenant that is measured */
    double seconds, warmup; /* below 0: the workload's own */
    double minutes, rate;   /* of the suite; 0 = its own */
    uint64_t seed, memory_budget;
    pid_t pid; /* of the server; 0 = not told */
    bool drop_log, json, flush, check, setup_only, no_setup, fresh;
};

uint64_t bench_now_ns(void);
double bench_seconds_since(uint64_t start_ns);
void bench_sleep(double seconds);
/* "insula-bench: ..." on the standard error; returns BENCH_FAILED. */
int bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Randomness: splitmix64 over (seed, purpose, tenant, i) ---- */

enum bench_purpose {
    BENCH_NAME = 1,
    BENCH_ID,
    BENCH_VECTOR,
    BENCH_PAYLOAD,
    BENCH_PICK,  /* which point a writer writes next */
    BENCH_SEEDS, /* what the pool of vectors is made of */
    BENCH_TOPIC,
    BENCH_POPULARITY,
    BENCH_ARRIVAL,
    BENCH_QUERY,
    BENCH_WRITE,
    BENCH_CHURN,
    BENCH_TRUTH
};

uint64_t bench_hash(uint64_t seed, enum bench_purpose purpose, uint64_t tenant, uint64_t i);

/* A stream of splitmix64, begun at a hash of the key. */
struct random {
    uint64_t state;
};

static inline struct random random_of(uint64_t seed, enum bench_purpose purpose, uint64_t tenant,
                                      uint64_t i) {
    return (struct random){.state = bench_hash(seed, purpose, tenant, i)};
}

uint64_t random_next(struct random *random);
double random_unit(struct random *random); /* above 0, at most 1 */
/* Two independent values of the standard normal distribution. */
void random_normal(struct random *random, double out[2]);
double random_lognormal(struct random *random, double median, double sigma);
double random_exponential(struct random *random, double mean);

/* ---- Latencies: buckets 1.6 % wide ---- */

#define LATENCY_BUCKETS 4096

struct latency {
    uint64_t count, max_ns;
    uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);
/* Upper end of the bucket that holds the quantile; 0 without samples. */
uint64_t latency_quantile(const struct latency *latency, double quantile);
void latency_merge(struct latency *into, const struct latency *from);

/* ---- The machine's counters ---- */

struct device_counters { /* of the block device below a path, by /proc/diskstats */
    bool available;
    uint64_t writes, bytes, flushes;
};

void device_read(const char *path, struct device_counters *out_counters);

struct process_sample {
    bool available;
    uint64_t resident_bytes; /* VmRSS + HugetlbPages + VmPTE */
    uint64_t peak_bytes;     /* VmHWM */
    uint64_t descriptors, mappings, threads;
    uint64_t segment_descriptors; /* of them: segment files, of which a bounded number stay open */
    uint64_t sockets;             /* of them: connections, which the load decides */
    double cpu_s;                 /* utime + stime of all its threads */
    uint64_t read_bytes;          /* what its read calls returned */
    uint64_t write_bytes;         /* what it sent towards the disk, by /proc/PID/io */
    uint64_t minor_faults, major_faults;
    uint64_t switches; /* of context, of all its threads, wanted or not */
};

void process_read(pid_t pid, struct process_sample *out_sample);

/* Bytes of a directory's files on disk, with all below it. */
uint64_t directory_bytes(const char *path);
bool directory_remove(const char *path);
/* Bytes that may still be written below `path`. */
uint64_t disk_free(const char *path);

/* ---- Temporary data directory ---- */

struct bench_directory {
    char path[512];
    bool temporary;
};

/* options->data, or a new directory below the current one. False: said on the standard error. */
bool directory_open(const struct bench_options *options, struct bench_directory *out_directory);
/* Removes it when it is temporary. */
void directory_close(struct bench_directory *directory);

/* ---- Median of a few values; sorts them ---- */
double bench_median(double *values, size_t count);

/* ---- Workloads ---- */

int run_writers(const struct bench_options *options);
int run_collections(const struct bench_options *options);
int run_footprint(const struct bench_options *options);
int run_requests(const struct bench_options *options);
int run_start(const struct bench_options *options);
int run_size(const struct bench_options *options);
/* One workload of the suite, or with "report" all of them: suite/suite.c. */
bool suite_has(const char *workload);
int run_suite(const struct bench_options *options, const char *workload);

int writers_in_process(const struct bench_options *options);
int writers_over_http(const struct bench_options *options);

#endif
