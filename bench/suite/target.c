#include "target.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../rest.h"

bool target_open(struct target *target, const struct bench_options *options, const char *data) {
    *target = (struct target){.options = options, .own = options->url == NULL};
    if (!target->own) {
        target->pid = options->pid;
        return http_server_parse(options->url, &target->server);
    }
    (void)snprintf(target->data, sizeof(target->data), "%s", data);
    if (!child_start(&target->child, options, data)) {
        return false;
    }
    target->pid = target->child.pid;
    target->server = target->child.server;
    return true;
}

void target_close(struct target *target) {
    child_stop(&target->child, false);
}

bool target_restart(struct target *target, bool kill_it) {
    if (!target->own) {
        return false;
    }
    child_stop(&target->child, kill_it);
    if (!child_start(&target->child, target->options, target->data)) {
        return false;
    }
    target->pid = target->child.pid;
    target->server = target->child.server;
    return true;
}

static double own_cpu(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0.0;
    }
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

void target_look(const struct target *target, struct target_look *out_look) {
    *out_look = (struct target_look){.own_cpu_s = own_cpu()};
    process_read(target->pid, &out_look->process);
    server_stats_read(&target->server, &out_look->stats);
    if (target->data[0] != '\0') {
        device_read(target->data, &out_look->device);
    }
    out_look->at_ns = bench_now_ns();
}

static double mib(uint64_t bytes) {
    return (double)bytes / 1048576.0;
}

static double difference(uint64_t after, uint64_t before) {
    return after >= before ? (double)(after - before) : 0.0;
}

static void report_process(struct report *report, const struct process_sample *before,
                           const struct process_sample *after, double seconds) {
    if (!before->available || !after->available) {
        report_absent(report, "server_cpu", "server: CPU (--pid)");
        return;
    }
    report_number(report, "server_cpu", "server: CPU, cores",
                  (after->cpu_s - before->cpu_s) / seconds);
    report_number(report, "server_rss_mib", "server: resident MiB", mib(after->resident_bytes));
    report_number(report, "server_rss_peak_mib", "server: resident MiB, highest since its start",
                  mib(after->peak_bytes));
    report_number(report, "server_switches_per_s", "server: context switches/s",
                  difference(after->switches, before->switches) / seconds);
    report_number(report, "server_minor_faults_per_s", "server: minor faults/s",
                  difference(after->minor_faults, before->minor_faults) / seconds);
    report_number(report, "server_major_faults_per_s", "server: major faults/s",
                  difference(after->major_faults, before->major_faults) / seconds);
    report_number(report, "server_descriptors", "server: descriptors", (double)after->descriptors);
    report_number(report, "server_threads", "server: threads", (double)after->threads);
    report_number(report, "server_write_mib", "server: MiB sent towards the disk",
                  mib(after->write_bytes - before->write_bytes));
}

void target_report(struct report *report, const struct target_look *before,
                   const struct target_look *after) {
    double seconds = (double)(after->at_ns - before->at_ns) / (double)BENCH_NS;
    report_process(report, &before->process, &after->process, seconds);
    if (before->stats.available && after->stats.available) {
        report_number(report, "log_syncs_per_s", "server: log syncs/s, its own count",
                      difference(after->stats.syncs, before->stats.syncs) / seconds);
        report_number(report, "log_mib", "server: MiB of log, its own count",
                      mib(after->stats.log_bytes - before->stats.log_bytes));
    } else {
        report_absent(report, "log_syncs_per_s", "server: log syncs/s");
    }
    if (before->device.available && after->device.available) {
        report_number(report, "device_write_mib", "whole disk: MiB written, by anybody",
                      mib(after->device.bytes - before->device.bytes));
    }
    report_number(report, "generator_cpu", "generator: CPU, cores",
                  (after->own_cpu_s - before->own_cpu_s) / seconds);
}

/* Counters that stand still while jobs do not run. */
static bool looks_same(const struct server_stats *left, const struct server_stats *right) {
    return left->flushes == right->flushes && left->merges == right->merges &&
           left->file_syncs == right->file_syncs && left->runs == right->runs;
}

bool target_settle(const struct target *target, double seconds_max) {
    struct server_stats before, after;
    uint64_t start_ns = bench_now_ns();
    char answer[200];
    if (http_once(&target->server, "POST", "/insula/flush", "{}", answer, sizeof(answer)) != 200) {
        return false;
    }
    server_stats_read(&target->server, &after);
    uint32_t quiet = 0;
    while (quiet < 4 && bench_seconds_since(start_ns) < seconds_max) {
        before = after;
        bench_sleep(0.25);
        server_stats_read(&target->server, &after);
        quiet = looks_same(&before, &after) ? quiet + 1 : 0;
    }
    return quiet == 4;
}

bool target_index_idle(const struct target *target, double seconds_max) {
    uint64_t start_ns = bench_now_ns(), said_ns = start_ns;
    struct server_stats stats;
    for (;;) {
        server_stats_read(&target->server, &stats);
        if (!stats.available || stats.graphs_waiting == 0) {
            return stats.available;
        }
        if (bench_seconds_since(start_ns) >= seconds_max) {
            return false;
        }
        if (bench_seconds_since(said_ns) >= 10.0) {
            said_ns = bench_now_ns();
            (void)fprintf(stderr, "waiting for the graphs of %llu tenants\n",
                          (unsigned long long)stats.graphs_waiting);
        }
        bench_sleep(0.5);
    }
}

uint64_t target_disk(const struct target *target) {
    return target->data[0] == '\0' ? 0 : directory_bytes(target->data);
}
