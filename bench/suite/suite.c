#include "suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "../report.h"

#define AGING_POINTS_MAX 2000000u /* it is defined for M; at L it would be the whole report */
#define FREE_SPARE_BYTES (1ull << 30)

enum effect { READS, WRITES }; /* on what is stored */

struct workload {
    const char *name;
    bool (*run)(struct suite *suite, struct report *report);
    enum effect effect;
    double (*seconds)(const struct scale *scale); /* of its timed parts */
};

/* ---- Times and paths ---- */

double suite_seconds(const struct suite *suite, double own) {
    if (suite->options->seconds >= 0.0) {
        return suite->options->seconds;
    }
    double seconds = own * suite->time_factor;
    return seconds < 1.0 ? 1.0 : seconds;
}

double suite_warmup(const struct suite *suite, double own) {
    return suite->options->warmup >= 0.0 ? suite->options->warmup : own * suite->time_factor;
}

double suite_rate(const struct suite *suite) {
    return suite->options->rate > 0.0 ? suite->options->rate : suite->world.scale->rate;
}

void suite_path(const struct suite *suite, const char *name, char out[600]) {
    (void)snprintf(out, 600, "%s/%s", suite->directory.path, name);
}

void suite_answers_reset(struct suite *suite) {
    suite->answers.checked = suite->answers.hits = 0;
    suite->answers.foreign = suite->answers.wrong = suite->answers.stale = 0;
}

static double seconds_none(const struct scale *scale) {
    (void)scale;
    return 0.0;
}

static double seconds_steady(const struct scale *scale) {
    return scale->warmup_s + scale->measure_s;
}

static double seconds_storm(const struct scale *scale) {
    return 2.0 * scale->storm_s; /* and as long without writes */
}

static double seconds_restart(const struct scale *scale) {
    (void)scale;
    return 50.0;
}

static double seconds_churn(const struct scale *scale) {
    return scale->churn_s;
}

static double seconds_overload(const struct scale *scale) {
    (void)scale;
    return 60.0 + 60.0 + 10.0;
}

static double seconds_promise(const struct scale *scale) {
    (void)scale;
    return 2.0 * (30.0 + 7.0 * 10.0 + 9.0 * 10.0); /* both servers: warm-up, turns, the limit */
}

static double seconds_squeeze(const struct scale *scale) {
    (void)scale;
    return 5.0 * 90.0;
}

static double seconds_noisy(const struct scale *scale) {
    (void)scale;
    return 5.0 * 2.0 * 70.0;
}

static const struct workload workloads[] = {
    {"load", workload_load, WRITES, seconds_none},
    {"steady", workload_steady, READS, seconds_steady},
    {"cold", workload_cold, READS, seconds_none},
    {"promise", workload_promise, READS, seconds_promise},
    {"isolation", workload_isolation, WRITES, seconds_none},
    {"filter", workload_filter, READS, seconds_none},
    {"overload", workload_overload, READS, seconds_overload},
    {"squeeze", workload_squeeze, READS, seconds_squeeze},
    {"noisy", workload_noisy, WRITES, seconds_noisy},
    {"storm", workload_storm, WRITES, seconds_storm},
    {"restart", workload_restart, WRITES, seconds_restart},
    {"churn", workload_churn, WRITES, seconds_churn},
    {"aging", workload_aging, WRITES, seconds_none},
};

#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

static const struct workload *find(const char *name) {
    for (size_t i = 0; i < WORKLOADS; i++) {
        if (strcmp(workloads[i].name, name) == 0) {
            return &workloads[i];
        }
    }
    return NULL;
}

bool suite_has(const char *workload) {
    return strcmp(workload, "report") == 0 || find(workload) != NULL;
}

/* ---- The run's directory ---- */

static bool exists(const struct suite *suite, const char *name) {
    char path[600];
    suite_path(suite, name, path);
    return access(path, F_OK) == 0;
}

static void remove_file(const struct suite *suite, const char *name) {
    char path[600];
    suite_path(suite, name, path);
    (void)unlink(path);
}

static bool make_folder(const struct suite *suite, const char *name) {
    char path[600];
    suite_path(suite, name, path);
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        (void)bench_fail("cannot make %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

/* While it is there, the state file does not say what is stored. */
static bool mark_writing(const struct suite *suite) {
    char path[600];
    suite_path(suite, "writing", path);
    FILE *file = fopen(path, "we");
    if (file == NULL || fclose(file) != 0) {
        (void)bench_fail("cannot write %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static bool save_state(const struct suite *suite) {
    char path[600];
    suite_path(suite, "state", path);
    if (!world_save(&suite->world, path)) {
        return false;
    }
    remove_file(suite, "writing");
    return true;
}

static void figures_path(const struct suite *suite, const char *workload, char out[600]) {
    char name[64];
    (void)snprintf(name, sizeof(name), "figures/%s.json", workload);
    suite_path(suite, name, out);
}

static bool has_figures(const struct suite *suite, const char *workload) {
    char path[600];
    figures_path(suite, workload, path);
    return access(path, F_OK) == 0;
}

static void forget_figures(const struct suite *suite) {
    char path[600];
    for (size_t i = 0; i < WORKLOADS; i++) {
        figures_path(suite, workloads[i].name, path);
        (void)unlink(path);
    }
}

/* ---- Disk ---- */

/* Points, twice while a merge rewrites them, and the log. */
static uint64_t disk_need(const struct world *world) {
    const uint64_t each = BENCH_DIM * sizeof(float) + 420; /* payload, id, directory, indexes */
    return world->point_count * each * 5 / 2 + FREE_SPARE_BYTES;
}

static bool check_disk(const struct suite *suite) {
    const double gib = 1073741824.0;
    uint64_t need = disk_need(&suite->world), have = disk_free(suite->directory.path);
    if (suite->options->url != NULL) {
        return true; /* its disk is not ours to see */
    }
    (void)fprintf(stderr, "%s: %llu points of %u tenants; needs %.1f GiB of disk, %.1f are free\n",
                  suite->world.scale->name, (unsigned long long)suite->world.point_count,
                  suite->world.tenant_count, (double)need / gib, (double)have / gib);
    if (have < need) {
        (void)bench_fail("not enough disk below %s", suite->directory.path);
        return false;
    }
    return true;
}

/* ---- Open ---- */

static bool forget_data(struct suite *suite) {
    char path[600];
    suite_path(suite, "server", path);
    if (access(path, F_OK) == 0 && !directory_remove(path)) {
        (void)bench_fail("cannot remove %s", path);
        return false;
    }
    remove_file(suite, "state");
    remove_file(suite, "writing");
    forget_figures(suite);
    return true;
}

/* The data of an earlier run is used again when its state is whole. */
static bool reopen(struct suite *suite) {
    char path[600];
    bool whole = exists(suite, "state") && !exists(suite, "writing");
    if (suite->options->fresh || (!whole && suite->options->url == NULL)) {
        if (exists(suite, "writing")) {
            (void)fprintf(stderr, "the last run was cut off while it wrote: loading again\n");
        }
        return forget_data(suite);
    }
    suite_path(suite, "state", path);
    return !whole || world_load(&suite->world, path);
}

static bool suite_open(struct suite *suite, const struct bench_options *options) {
    char server[600];
    suite->options = options;
    suite->time_factor = 1.0;
    suite->start_ns = bench_now_ns();
    if (!directory_open(options, &suite->directory) || !make_folder(suite, "figures") ||
        !world_open(&suite->world, options) || !check_disk(suite) || !reopen(suite)) {
        return false;
    }
    suite->wire = (struct wire){.world = &suite->world, .target = &suite->target};
    suite_path(suite, "server", server);
    return answers_open(&suite->answers, &suite->wire) &&
           target_open(&suite->target, options, server);
}

static void suite_close(struct suite *suite) {
    target_close(&suite->target);
    answers_close(&suite->answers);
    world_close(&suite->world);
    directory_close(&suite->directory);
}

/* ---- Head of the report ---- */

static void first_line(const char *path, const char *key, char out[96]) {
    char line[256];
    FILE *file = fopen(path, "re");
    (void)snprintf(out, 96, "unknown");
    for (int i = 0; file != NULL && i < 100 && fgets(line, sizeof(line), file) != NULL; i++) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) == 0 && colon != NULL) {
            int size = (int)strcspn(colon + 2, "\n");
            (void)snprintf(out, 96, "%.*s", size, colon + 2);
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void report_head(const struct suite *suite, struct report *report) {
    const struct bench_options *options = suite->options;
    char text[96];
    struct utsname system;
    struct tm tm;
    time_t now = time(NULL);
    report_begin(report, options, "run");
    if (gmtime_r(&now, &tm) != NULL &&
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0) {
        report_text(report, "date", "date", text);
    }
    report_text(report, "commit", "commit", options->commit == NULL ? "not told" : options->commit);
    report_text(report, "scale", "scale", suite->world.scale->name);
    report_text(report, "style", "a tenant is a", bench_style_text(suite->world.style));
    report_text(report, "server", "server",
                options->url == NULL ? "insula of this build" : options->url);
    report_number(report, "memory_budget_mib", "memory budget of the server, MiB",
                  (double)options->memory_budget / 1048576.0);
    first_line("/proc/cpuinfo", "model name", text);
    report_text(report, "cpu", "processor", text);
    report_number(report, "cores", "cores, shared with the generator",
                  (double)sysconf(_SC_NPROCESSORS_ONLN));
    first_line("/proc/meminfo", "MemTotal", text);
    report_text(report, "memory", "memory", text);
    if (uname(&system) == 0) {
        report_text(report, "kernel", "kernel", system.release);
    }
    double load[1];
    if (getloadavg(load, 1) == 1) {
        report_number(report, "load_average", "load of the machine at the end, a minute's",
                      load[0]);
    }
}

/* ---- Documents ---- */

static bool write_documents(const struct suite *suite, const struct document *document) {
    const char *folder = suite->options->out == NULL ? suite->directory.path : suite->options->out;
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/report.md", folder);
    bool good = document_markdown(document, path);
    (void)snprintf(path, sizeof(path), "%s/report.html", folder);
    good = document_html(document, path) && good;
    (void)snprintf(path, sizeof(path), "%s/report.json", folder);
    good = document_json(document, path) && good;
    if (good) {
        (void)fprintf(stderr, "%s/report.md, .html, .json\n", folder);
    }
    return good;
}

/* Of all workloads that have figures, those of earlier runs included. */
static bool write_report(const struct suite *suite) {
    struct report head, reports[WORKLOADS];
    uint32_t count = 0;
    bool good = true;
    char path[600];
    for (size_t i = 0; good && i < WORKLOADS; i++) {
        if (has_figures(suite, workloads[i].name)) {
            figures_path(suite, workloads[i].name, path);
            good = report_load(&reports[count], path);
            count += good;
        }
    }
    report_head(suite, &head);
    if (good) {
        good = write_documents(
            suite, &(struct document){.reports = reports, .count = count, .head = &head});
    }
    report_free(&head);
    for (uint32_t i = 0; i < count; i++) {
        report_free(&reports[i]);
    }
    return good;
}

/* ---- Run ---- */

static bool run_workload(struct suite *suite, const struct workload *workload) {
    struct report report;
    char path[600];
    report_begin(&report, suite->options, workload->name);
    suite_answers_reset(suite);
    bool good = (workload->effect == READS || mark_writing(suite)) && workload->run(suite, &report);
    if (good && workload->effect == WRITES) {
        good = save_state(suite);
    }
    if (good) {
        figures_path(suite, workload->name, path);
        report_print(&report);
        good = report_save(&report, path);
        const struct figure *foreign = report_find(&report, "foreign");
        if (foreign != NULL && foreign->value > 0.0) {
            (void)bench_fail("%s: hits of another tenant: the run fails", workload->name);
            good = false;
        }
    }
    report_free(&report);
    return good;
}

/* What is left of --minutes for what is still to run, over what that would take. */
static double time_factor(const struct suite *suite, size_t from) {
    double own = 0.0, left = suite->options->minutes * 60.0 - bench_seconds_since(suite->start_ns);
    for (size_t i = from; i < WORKLOADS; i++) {
        own += has_figures(suite, workloads[i].name)
                   ? 0.0
                   : workloads[i].seconds(suite->world.scale) + 15.0; /* starts, settling, recall */
    }
    if (suite->options->minutes <= 0.0 || own <= 0.0) {
        return 1.0;
    }
    double factor = left / own;
    return factor > 1.0 ? 1.0 : factor < 0.01 ? 0.01 : factor;
}

static bool run_all(struct suite *suite) {
    for (size_t i = 0; i < WORKLOADS; i++) {
        if (has_figures(suite, workloads[i].name)) {
            (void)fprintf(stderr, "%s: figures of an earlier run are kept\n", workloads[i].name);
            continue;
        }
        if (workloads[i].run == workload_aging && suite->world.point_count > AGING_POINTS_MAX) {
            (void)fprintf(stderr, "aging: not in a report of this scale; it takes its own name\n");
            continue;
        }
        suite->time_factor = time_factor(suite, i);
        if (!run_workload(suite, &workloads[i])) {
            return false;
        }
    }
    return write_report(suite);
}

static bool run_one(struct suite *suite, const struct workload *workload) {
    bool loaded = exists(suite, "state");
    if (workload->run != workload_load && !loaded && !run_workload(suite, &workloads[0])) {
        return false;
    }
    if (workload->run == workload_load && loaded) {
        (void)bench_fail("%s is loaded: --fresh loads it again", suite->directory.path);
        return false;
    }
    return run_workload(suite, workload);
}

int run_suite(const struct bench_options *options, const char *name) {
    if (scale_find(options->scale) == NULL) {
        return bench_fail("--scale %s: want tiny, S, M or L", options->scale);
    }
    struct suite *suite = calloc(1, sizeof(*suite));
    if (suite == NULL) {
        return bench_fail("no memory");
    }
    bool good = suite_open(suite, options) &&
                (find(name) == NULL ? run_all(suite) : run_one(suite, find(name)));
    suite_close(suite);
    free(suite);
    return good ? BENCH_OK : BENCH_FAILED;
}
