/* Group commit alone: encoded records through the log on real lanes, nothing else.
 *
 * Question: how many records a second become durable when N logical writers each wait for their own
 * record before they send the next, and how many syncs and device bytes does that cost? One record
 * a writer is outstanding; the request lane appends it again in the step in which it became
 * durable.
 *
 *     insula-log-commit [--data DIR] [--writers N] [--bytes N] [--seconds S] [--drop]
 *
 * Last line, for programs: "log-commit <writers> <records/s> <syncs/s> <bytes/record> <p50 us> <p99
 * us>". */
#include <getopt.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/lane.h"
#include "wal/wal.h"

#define BUCKETS 4096u
#define BUCKET_NS 4000u /* 4 us a bucket, up to 16 ms */

struct writer {
    struct wal_record record; /* first */
    uint64_t sent_ns;
};

struct bench {
    ins_task start_task, stop_task, truncate_task;
    ins_runtime *runtime;
    struct wal *wal;
    struct writer *writers;
    uint32_t writer_count, record_bytes;
    uint64_t end_ns;
    uint64_t durable, outstanding, truncated;
    _Atomic uint64_t truncate_lsn; /* 0: no truncation is under way */
    uint64_t waits[BUCKETS];
    sem_t done;
};

static void send(struct bench *bench, struct writer *writer, uint64_t now_ns) {
    ins_error error;
    ins_status status = wal_reserve(bench->wal, writer->record.size, &error);
    INS_ASSERT(status == INS_OK);
    writer->sent_ns = now_ns;
    wal_append(bench->wal, &writer->record);
    bench->outstanding++;
}

static void start_run(ins_task *task) {
    struct bench *bench =
        (struct bench *)(void *)((uint8_t *)task - offsetof(struct bench, start_task));
    uint64_t now_ns = system_now_ns(NULL);
    for (uint32_t i = 0; i < bench->writer_count; i++) {
        send(bench, &bench->writers[i], now_ns);
    }
}

/* Background lane. As after a flush: files go and come again, so that appends meet recycled ones.
 */
static void truncate_run(ins_task *task) {
    struct bench *bench =
        (struct bench *)(void *)((uint8_t *)task - offsetof(struct bench, truncate_task));
    ins_error error;
    if (wal_truncate(bench->wal, bench->truncate_lsn, &error) != INS_OK) {
        (void)fprintf(stderr, "log-commit: %s\n", error.message);
        exit(1);
    }
    bench->truncate_lsn = 0;
}

static void truncate_maybe(struct bench *bench, uint64_t lsn) {
    if ((lsn - bench->truncated) * bench->record_bytes < INS_LOG_FILE_BYTES_DEFAULT / 2 ||
        bench->truncate_lsn != 0) {
        return;
    }
    bench->truncated = bench->truncate_lsn = lsn;
    bench->runtime->post(bench->runtime->context, INS_LANE_BACKGROUND, &bench->truncate_task);
    bench->runtime->wake(bench->runtime->context, INS_LANE_BACKGROUND);
}

static void on_durable(void *context, uint64_t lsn, struct wal_record *released) {
    struct bench *bench = context;
    uint64_t now_ns = system_now_ns(NULL);
    truncate_maybe(bench, lsn);
    while (released != NULL) {
        struct writer *writer = (struct writer *)(void *)released;
        released = released->next;
        uint64_t bucket = (now_ns - writer->sent_ns) / BUCKET_NS;
        bench->waits[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
        bench->durable++;
        bench->outstanding--;
        if (now_ns < bench->end_ns) {
            send(bench, writer, now_ns);
        }
    }
    if (bench->outstanding == 0) {
        (void)sem_post(&bench->done);
    }
}

static void on_failed(void *context, const ins_error *error, struct wal_record *released) {
    (void)context;
    (void)released;
    (void)fprintf(stderr, "log-commit: %s\n", error->message);
    exit(1);
}

static void on_stopped(void *context) {
    struct bench *bench = context;
    (void)sem_post(&bench->done);
}

static void stop_run(ins_task *task) {
    struct bench *bench =
        (struct bench *)(void *)((uint8_t *)task - offsetof(struct bench, stop_task));
    wal_stop(bench->wal, on_stopped, bench);
}

static double percentile_us(const struct bench *bench, double share) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        sum += bench->waits[i];
        if ((double)sum >= share * (double)bench->durable) {
            return (i + 0.5) * BUCKET_NS / 1000.0;
        }
    }
    return BUCKETS * (BUCKET_NS / 1000.0);
}

static void must(ins_status status, const ins_error *error) {
    if (status != INS_OK) {
        (void)fprintf(stderr, "log-commit: %s\n", error->message);
        exit(1);
    }
}

static void run_on_request_lane(struct bench *bench, ins_task *task) {
    bench->runtime->post(bench->runtime->context, INS_LANE_REQUEST, task);
    bench->runtime->wake(bench->runtime->context, INS_LANE_REQUEST);
    (void)sem_wait(&bench->done);
}

static void writers_make(struct bench *bench) {
    bench->writers = calloc(bench->writer_count, sizeof(*bench->writers));
    INS_ASSERT(bench->writers != NULL);
    for (uint32_t i = 0; i < bench->writer_count; i++) {
        struct wal_record *record = &bench->writers[i].record;
        record->size = bench->record_bytes;
        record->type = WAL_RECORD_EFFECTS;
        record->data = malloc(bench->record_bytes);
        INS_ASSERT(record->data != NULL);
        system_random(NULL, record->data, bench->record_bytes);
        record->crc = crc32c(record->data, bench->record_bytes);
    }
}

static void bench_run(struct bench *bench, const char *data, double seconds, bool drop) {
    ins_error error;
    ins_store *store;
    struct arena *arena;
    struct arena_options arena_options = {.limit_bytes = 8u << 20};
    arena_options.purpose_limit_bytes[INS_MEM_LOG] = 8u << 20;
    must(arena_open(&arena_options, &arena, &error), &error);
    must(ins_store_open_directory(data, false, &store, &error), &error);
    must(ins_runtime_open_threads(store, &bench->runtime, &error), &error);
    struct log_sink *sink = store->ops->log_sink(store);
    struct wal_options options = {
        .runtime = bench->runtime,
        .arena = arena,
        .sink = sink,
        .file_bytes = INS_LOG_FILE_BYTES_DEFAULT,
        .pending_bytes_max = 256u << 20,
        .drop = drop,
        .callbacks = {.context = bench, .durable = on_durable, .failed = on_failed},
    };
    struct wal_replay_result result;
    must(wal_open(&options, 0, NULL, NULL, &result, &bench->wal, &error), &error);

    uint64_t begin_ns = system_now_ns(NULL);
    uint64_t syncs = sink->sync_count;
    bench->end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    run_on_request_lane(bench, &bench->start_task);
    double took_s = (double)(system_now_ns(NULL) - begin_ns) * 1e-9;
    syncs = sink->sync_count - syncs;
    struct wal_stats stats;
    wal_get_stats(bench->wal, &stats);
    (void)printf("log-commit %u %.0f %.0f %.1f %.0f %.0f\n", bench->writer_count,
                 (double)bench->durable / took_s, (double)syncs / took_s,
                 (double)stats.bytes / (double)bench->durable, percentile_us(bench, 0.5),
                 percentile_us(bench, 0.99));

    run_on_request_lane(bench, &bench->stop_task); /* behind a truncation under way */
    wal_close(bench->wal);
    ins_runtime_close_threads(bench->runtime);
    must(sink->ops->release(sink, UINT64_MAX, &error), &error); /* leaves two spares */
    ins_store_close(store);
    arena_close(arena);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"data", required_argument, NULL, 'd'},  {"writers", required_argument, NULL, 'w'},
        {"bytes", required_argument, NULL, 'b'}, {"seconds", required_argument, NULL, 's'},
        {"drop", no_argument, NULL, 'n'},        {NULL, 0, NULL, 0},
    };
    static struct bench bench = {.writer_count = 1000, .record_bytes = 600};
    const char *data = "data-log-commit";
    double seconds = 3;
    bool drop = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'd':
            data = optarg;
            break;
        case 'w':
            bench.writer_count = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'b':
            bench.record_bytes = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 's':
            seconds = strtod(optarg, NULL);
            break;
        case 'n':
            drop = true;
            break;
        default:
            return 2;
        }
    }
    bench.start_task.run = start_run;
    bench.stop_task.run = stop_run;
    bench.truncate_task.run = truncate_run;
    (void)sem_init(&bench.done, 0, 0);
    writers_make(&bench);
    bench_run(&bench, data, seconds, drop);
    for (uint32_t i = 0; i < bench.writer_count; i++) {
        free(bench.writers[i].record.data);
    }
    free(bench.writers);
    return 0;
}
