/* `footprint`: what an empty collection costs, in process, where the arena's own count is exact.
 *
 * Makes collections up to --from, looks, makes more up to --collections, looks again: the slope is
 * the cost of one. With --check a figure above the limit fails the run (gate 1.1 in CI). */
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "driver.h"
#include "report.h"

#define BYTES_PER_COLLECTION_MAX 512.0
/* The arena commits whole 2 MiB pages ahead of use, and at most an eighth; the slope of what is
 * resident is compared with that much more at the small scale of a test. */
#define FILES_HELD_OPEN 8.0 /* by the store, of those that were read last; a bounded number */
#define RESIDENT_SLACK_BYTES (8.0 * 1048576.0)

struct footprint {
    const struct bench_options *options;
    struct driver driver;
    uint32_t created, wanted;
};

struct look {
    uint32_t collections;
    ins_stats stats;
    struct process_sample process;
};

static bool next_collection(void *context, struct driver_slot *slot) {
    struct footprint *footprint = context;
    if (footprint->created == footprint->wanted) {
        return false;
    }
    int size = snprintf(slot->payload, sizeof(slot->payload), "c%08x", footprint->created++);
    slot->collection_request =
        (ins_collection_request){.collection = bench_text(slot->payload, (size_t)size),
                                 .dim = BENCH_DIM,
                                 .distance = INS_DISTANCE_COSINE};
    slot->request = &slot->collection_request;
    slot->start = ins_collection_create;
    return true;
}

/* `count` collections in all, flushed, so that the memtable's rows of their creation are gone. */
static bool grow(struct footprint *footprint, uint32_t count, struct look *out_look) {
    struct driver *driver = &footprint->driver;
    struct latency latency;
    uint64_t acknowledged, refused;
    footprint->wanted = count;
    driver_start(driver);
    driver_wait(driver);
    if (driver->failed > 0) {
        (void)bench_fail("%s", driver->first_error.message);
        return false;
    }
    if (!driver_call(driver, ins_flush, NULL)) {
        return false;
    }
    bench_sleep(0.2); /* the log closes its tail, spare files are made */
    out_look->collections = count;
    driver_look(driver, false, &out_look->stats, &latency, &acknowledged, &refused);
    process_read(getpid(), &out_look->process);
    return true;
}

static bool check(const char *what, double value, double limit) {
    if (value > limit) {
        (void)bench_fail("%s: %.1f, the limit is %.1f", what, value, limit);
        return false;
    }
    return true;
}

static double slope(uint64_t from, uint64_t to, const struct look *first, const struct look *last) {
    return ((double)to - (double)from) / (double)(last->collections - first->collections);
}

static bool report(const struct bench_options *options, const struct look *one,
                   const struct look *first, const struct look *last) {
    double catalog = slope(first->stats.mem_used[INS_MEM_CATALOG],
                           last->stats.mem_used[INS_MEM_CATALOG], first, last);
    double resident =
        slope(first->process.resident_bytes, last->process.resident_bytes, first, last);
    double descriptors = (double)last->process.descriptors - (double)one->process.descriptors;
    double mappings = (double)last->process.mappings - (double)one->process.mappings;
    double threads = (double)last->process.threads - (double)one->process.threads;
    double timers = (double)last->stats.timers - (double)one->stats.timers;
    struct report out;
    report_begin(&out, options, "footprint");
    report_number(&out, "from", "collections from", first->collections);
    report_number(&out, "to", "collections to", last->collections);
    report_number(&out, "catalog_bytes_each", "catalog bytes each, the arena's count", catalog);
    report_number(&out, "resident_bytes_each", "resident bytes each, the kernel's count", resident);
    report_number(&out, "resident_mib", "resident MiB in all",
                  (double)last->process.resident_bytes / 1048576.0);
    report_number(&out, "descriptors", "descriptors more than with one", descriptors);
    report_number(&out, "mappings", "mappings more than with one", mappings);
    report_number(&out, "threads", "threads more than with one", threads);
    report_number(&out, "timers", "timers more than with one", timers);
    report_end(&out);
    if (!options->check) {
        return true;
    }
    double more = (double)(last->collections - first->collections);
    bool bytes = check("catalog bytes each", catalog, BYTES_PER_COLLECTION_MAX);
    bool pages = check("resident bytes each", resident,
                       BYTES_PER_COLLECTION_MAX + RESIDENT_SLACK_BYTES / more);
    bool counts = check("descriptors", descriptors, FILES_HELD_OPEN);
    bool maps = check("mappings", mappings, 0.0);
    bool tasks = check("threads", threads, 0.0);
    return check("timers", timers, 0.0) && bytes && pages && counts && maps && tasks;
}

int run_footprint(const struct bench_options *options) {
    if (options->from < 2 || options->collections <= options->from) {
        return bench_fail("--from %u and --collections %u: from 2 on, and rising", options->from,
                          options->collections);
    }
    struct footprint footprint = {.options = options};
    struct look one, first, last;
    struct bench_directory directory;
    if (!directory_open(options, &directory)) {
        return BENCH_FAILED;
    }
    footprint.driver =
        (struct driver){.context = &footprint, .next = next_collection, .width = options->writers};
    bool good = false;
    if (driver_open(&footprint.driver, directory.path, options)) {
        good = grow(&footprint, 1, &one) && grow(&footprint, options->from, &first) &&
               grow(&footprint, options->collections, &last) &&
               report(options, &one, &first, &last);
        driver_close(&footprint.driver);
    }
    directory_close(&directory);
    return good ? BENCH_OK : BENCH_FAILED;
}
