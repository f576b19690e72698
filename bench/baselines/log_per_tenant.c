/* The rival of one log: a log per tenant, each write its own fdatasync. Gate 1.3.
 *
 * As cheap as such a log can be made: zero-filled files whose sizes never change, so that a sync
 * writes data alone; opened beforehand; no framing, no checksum, no index. Each thread serves its
 * share of the tenants: picks one, writes one record behind its last, syncs, counts.
 *
 *     insula-log-per-tenant [--data DIR] [--tenants N] [--threads N] [--bytes N] [--seconds S]
 *                           [--direct]
 *
 * --direct: the record padded to 4 KiB and written with O_DIRECT|O_DSYNC instead.
 * Last line, for programs: "log-per-tenant <threads> <records/s> <p50 us> <p99 us> <device writes
 * a record>"; -1 = not available. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

#define FILE_BYTES (256u << 10) /* of a tenant's log; it is written round and round */
#define PAGE 4096u
#define THREADS_MAX 256u

struct rival {
    struct bench_options common; /* data, seed */
    struct bench_directory directory;
    uint32_t tenants, threads, bytes;
    double seconds;
    bool direct;
    int *fds;          /* [tenants] */
    uint32_t *offsets; /* [tenants], of the thread that serves the tenant */
    _Atomic bool stop;
};

struct worker {
    struct rival *rival;
    pthread_t thread;
    uint32_t number;
    int failed; /* errno */
    uint8_t *record;
    struct latency latency;
};

/* ---- Files ---- */

static bool fill_file(int fd, const uint8_t *zeros) {
    for (uint32_t at = 0; at < FILE_BYTES; at += PAGE * 16) {
        if (pwrite(fd, zeros, PAGE * 16, at) != PAGE * 16) {
            return false;
        }
    }
    return fsync(fd) == 0;
}

static int file_open(const struct rival *rival, uint32_t tenant, const uint8_t *zeros) {
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/%08u.log", rival->directory.path, tenant);
    int flags = O_RDWR | O_CREAT | O_CLOEXEC;
    int fd = open(path, flags, 0666);
    if (fd >= 0 && !fill_file(fd, zeros)) {
        (void)close(fd);
        return -1;
    }
    if (fd >= 0 && rival->direct) {
        (void)close(fd);
        fd = open(path, flags | O_DIRECT | O_DSYNC);
    }
    return fd;
}

static bool files_open(struct rival *rival) {
    struct rlimit limit = {.rlim_cur = rival->tenants + 64, .rlim_max = rival->tenants + 64};
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < limit.rlim_cur) {
        limit.rlim_max = now.rlim_max > limit.rlim_max ? now.rlim_max : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    uint8_t *zeros = aligned_alloc(PAGE, PAGE * 16);
    rival->fds = calloc(rival->tenants, sizeof(*rival->fds));
    rival->offsets = calloc(rival->tenants, sizeof(*rival->offsets));
    bool good = zeros != NULL && rival->fds != NULL && rival->offsets != NULL;
    if (good) {
        memset(zeros, 0, PAGE * 16);
    }
    for (uint32_t i = 0; good && i < rival->tenants; i++) {
        rival->fds[i] = file_open(rival, i, zeros);
        good = rival->fds[i] >= 0;
    }
    free(zeros);
    if (!good) {
        (void)bench_fail("cannot make the logs: %s", strerror(errno));
    }
    return good;
}

/* ---- Threads ---- */

static bool write_one(struct worker *worker, uint32_t tenant) {
    struct rival *rival = worker->rival;
    uint32_t size = rival->direct ? (rival->bytes + PAGE - 1) / PAGE * PAGE : rival->bytes;
    uint32_t *offset = &rival->offsets[tenant];
    if (*offset + size > FILE_BYTES) {
        *offset = 0;
    }
    if (pwrite(rival->fds[tenant], worker->record, size, *offset) != (ssize_t)size ||
        (!rival->direct && fdatasync(rival->fds[tenant]) != 0)) {
        worker->failed = errno == 0 ? EIO : errno;
        return false;
    }
    *offset += size;
    return true;
}

static void *worker_run(void *context) {
    struct worker *worker = context;
    struct rival *rival = worker->rival;
    uint32_t share = (rival->tenants - worker->number + rival->threads - 1) / rival->threads;
    for (uint64_t i = 0; !atomic_load_explicit(&rival->stop, memory_order_relaxed); i++) {
        uint64_t pick = bench_hash(rival->common.seed, BENCH_PICK, worker->number, i);
        uint32_t tenant = worker->number + (uint32_t)(pick % share) * rival->threads;
        uint64_t start_ns = bench_now_ns();
        if (!write_one(worker, tenant)) {
            break;
        }
        latency_add(&worker->latency, bench_now_ns() - start_ns);
    }
    return NULL;
}

static bool worker_start(struct worker *worker, struct rival *rival, uint32_t number) {
    worker->rival = rival;
    worker->number = number;
    worker->record = aligned_alloc(PAGE, (rival->bytes + PAGE - 1) / PAGE * PAGE);
    if (worker->record == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < rival->bytes; i++) {
        worker->record[i] = (uint8_t)bench_hash(rival->common.seed, BENCH_VECTOR, number, i);
    }
    return pthread_create(&worker->thread, NULL, worker_run, worker) == 0;
}

static void merge(struct latency *into, const struct latency *from) {
    into->count += from->count;
    into->max_ns = from->max_ns > into->max_ns ? from->max_ns : into->max_ns;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
}

/* ---- The whole ---- */

static int measure(struct rival *rival, struct worker *workers) {
    struct latency all = {0};
    struct device_counters before, after;
    uint32_t started = 0;
    device_read(rival->directory.path, &before);
    uint64_t start_ns = bench_now_ns();
    while (started < rival->threads && worker_start(&workers[started], rival, started)) {
        started++;
    }
    bench_sleep(started == rival->threads ? rival->seconds : 0.0);
    atomic_store(&rival->stop, true);
    int failed = started == rival->threads ? 0 : EAGAIN;
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        merge(&all, &workers[i].latency);
        failed = workers[i].failed != 0 ? workers[i].failed : failed;
    }
    double seconds = bench_seconds_since(start_ns);
    device_read(rival->directory.path, &after);
    if (failed != 0) {
        return bench_fail("a thread failed: %s", strerror(failed));
    }
    double writes = before.available && all.count > 0
                        ? (double)(after.writes - before.writes) / (double)all.count
                        : -1.0;
    (void)printf("log-per-tenant %u %.1f %.1f %.1f %.3f\n", rival->threads,
                 (double)all.count / seconds, (double)latency_quantile(&all, 0.5) / 1e3,
                 (double)latency_quantile(&all, 0.99) / 1e3, writes);
    return BENCH_OK;
}

static int run(struct rival *rival) {
    if (!directory_open(&rival->common, &rival->directory)) {
        return BENCH_FAILED;
    }
    struct worker *workers = calloc(rival->threads, sizeof(*workers));
    int result = BENCH_FAILED;
    if (workers != NULL && files_open(rival)) {
        result = measure(rival, workers);
    }
    for (uint32_t i = 0; rival->fds != NULL && i < rival->tenants; i++) {
        if (rival->fds[i] > 0) {
            (void)close(rival->fds[i]);
        }
    }
    for (uint32_t i = 0; workers != NULL && i < rival->threads; i++) {
        free(workers[i].record);
    }
    free(workers);
    free(rival->fds);
    free(rival->offsets);
    directory_close(&rival->directory);
    return result;
}

int main(int argc, char **argv) {
    static const struct option known[] = {
        {"data", required_argument, NULL, 'd'},
        {"tenants", required_argument, NULL, 't'},
        {"threads", required_argument, NULL, 'j'},
        {"bytes", required_argument, NULL, 'b'},
        {"seconds", required_argument, NULL, 's'},
        {"direct", no_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    struct rival rival = {
        .common = {.seed = 1}, .tenants = 1000, .threads = 16, .bytes = 600, .seconds = 10.0};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'd':
            rival.common.data = optarg;
            break;
        case 't':
            rival.tenants = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'j':
            rival.threads = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'b':
            rival.bytes = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 's':
            rival.seconds = strtod(optarg, NULL);
            break;
        case 'o':
            rival.direct = true;
            break;
        default:
            return BENCH_USAGE;
        }
    }
    if (rival.threads == 0 || rival.threads > THREADS_MAX || rival.tenants < rival.threads ||
        rival.bytes == 0 || rival.bytes > FILE_BYTES) {
        (void)bench_fail("--threads 1 to %u, --tenants at least as many, --bytes 1 to %u",
                         THREADS_MAX, FILE_BYTES);
        return BENCH_USAGE;
    }
    return run(&rival);
}
