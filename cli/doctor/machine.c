/* Facts of the machine and of the control group that the process lives in. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor/facts.h"

/* "always [madvise] never": the chosen word. */
static void chosen_word(char out[static FACT_TEXT_MAX], const char *text) {
    const char *open = text == NULL ? NULL : strchr(text, '[');
    const char *close = open == NULL ? NULL : strchr(open, ']');
    if (close == NULL) {
        text_copy_line(out, text);
        return;
    }
    (void)snprintf(out, FACT_TEXT_MAX, "%.*s", (int)(close - open - 1), open + 1);
}

/* "some avg10=1.23 avg60=...": percent of the last ten seconds in which something waited. */
static double pressure(struct source *source, const char *what) {
    const char *text = source_read(source, "proc/pressure/%s", what);
    const char *at = text == NULL ? NULL : strstr(text, "some avg10=");
    return at == NULL ? UNKNOWN : text_first(at + strlen("some avg10="));
}

static unsigned count_lines(const char *text, const char *begin) {
    unsigned count = 0;
    for (const char *line = text; line != NULL && *line != '\0';) {
        count += strncmp(line, begin, strlen(begin)) == 0;
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return count;
}

static void read_cpu(struct source *source, struct facts *out) {
    const char *text = source_read(source, "proc/cpuinfo");
    if (text != NULL) {
        const char *flags = strstr(text, "flags");
        out->of[FACT_CPUS] = count_lines(text, "processor");
        out->of[FACT_CPU_AVX2] = flags == NULL ? UNKNOWN : strstr(flags, " avx2") != NULL;
        out->of[FACT_CPU_AVX512] = flags == NULL ? UNKNOWN : strstr(flags, " avx512f") != NULL;
    }
    text_copy_line(
        out->text[TEXT_CLOCK_SOURCE],
        source_read(source, "sys/devices/system/clocksource/clocksource0/current_clocksource"));
    text_copy_line(out->text[TEXT_GOVERNOR],
                   source_read(source, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
    const char *nodes = source_names(source, "sys/devices/system/node");
    out->of[FACT_NUMA_NODES] = nodes == NULL ? UNKNOWN : (double)count_lines(nodes, "node");
    out->of[FACT_NUMA_BALANCING] =
        text_first(source_read(source, "proc/sys/kernel/numa_balancing"));
}

static void read_memory(struct source *source, struct facts *out) {
    const char *text = source_read(source, "proc/meminfo");
    out->of[FACT_MEMORY_TOTAL] = text_number(text, "MemTotal") * 1024;
    out->of[FACT_MEMORY_AVAILABLE] = text_number(text, "MemAvailable") * 1024;
    out->of[FACT_SWAP_TOTAL] = text_number(text, "SwapTotal") * 1024;
    out->of[FACT_SWAP_FREE] = text_number(text, "SwapFree") * 1024;
    out->of[FACT_HUGE_TOTAL] = text_number(text, "HugePages_Total");
    out->of[FACT_HUGE_FREE] = text_number(text, "HugePages_Free");
    out->of[FACT_COMMIT_LIMIT] = text_number(text, "CommitLimit") * 1024;
    out->of[FACT_SWAPPED_IN] = text_number(source_read(source, "proc/vmstat"), "pswpin");
    chosen_word(out->text[TEXT_THP],
                source_read(source, "sys/kernel/mm/transparent_hugepage/enabled"));
    chosen_word(out->text[TEXT_THP_DEFRAG],
                source_read(source, "sys/kernel/mm/transparent_hugepage/defrag"));
}

/* TcpExt's line of names and its line of values belong together by position. */
static double net_counter(const char *text, const char *name) {
    const char *heads = text == NULL ? NULL : strstr(text, "TcpExt:");
    const char *values = heads == NULL ? NULL : strstr(heads + 1, "TcpExt:");
    const char *found = heads == NULL ? NULL : strstr(heads, name);
    if (values == NULL || found == NULL || found > values) {
        return UNKNOWN;
    }
    unsigned index = 0;
    for (const char *at = heads; at < found; at++) {
        index += *at == ' ';
    }
    return text_column(values, index);
}

void facts_machine(struct source *source, struct facts *out) {
    static const struct {
        enum fact fact;
        const char *name;
    } settings[] = {
        {FACT_SWAPPINESS, "vm/swappiness"},   {FACT_OVERCOMMIT, "vm/overcommit_memory"},
        {FACT_MAP_LIMIT, "vm/max_map_count"}, {FACT_DIRTY_RATIO, "vm/dirty_ratio"},
        {FACT_DIRTY_BYTES, "vm/dirty_bytes"}, {FACT_THREAD_LIMIT, "kernel/threads-max"},
        {FACT_FILE_LIMIT, "fs/file-max"},     {FACT_BACKLOG, "net/core/somaxconn"},
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        out->of[settings[i].fact] =
            text_first(source_read(source, "proc/sys/%s", settings[i].name));
    }
    read_cpu(source, out);
    read_memory(source, out);
    out->of[FACT_PSI_CPU] = pressure(source, "cpu");
    out->of[FACT_PSI_MEMORY] = pressure(source, "memory");
    out->of[FACT_PSI_IO] = pressure(source, "io");
    out->of[FACT_BACKLOG_DROPS] =
        net_counter(source_read(source, "proc/net/netstat"), "ListenOverflows");
}

/* ---- Control groups ---- */

/* Version 2: one line "0::/path". */
static void read_cgroup2(struct source *source, const char *path, struct facts *out) {
    out->of[FACT_CGROUP_VERSION] = 2;
    out->of[FACT_CGROUP_MEMORY_MAX] =
        text_first(source_read(source, "sys/fs/cgroup%s/memory.max", path));
    out->of[FACT_CGROUP_MEMORY_NOW] =
        text_first(source_read(source, "sys/fs/cgroup%s/memory.current", path));
    out->of[FACT_CGROUP_OOM_KILLS] =
        text_number(source_read(source, "sys/fs/cgroup%s/memory.events", path), "oom_kill");
    const char *cpu = source_read(source, "sys/fs/cgroup%s/cpu.max", path);
    out->of[FACT_CGROUP_CPUS] = text_first(cpu) / text_column(cpu, 1);
    const char *stat = source_read(source, "sys/fs/cgroup%s/cpu.stat", path);
    out->of[FACT_CGROUP_PERIODS] = text_number(stat, "nr_periods");
    out->of[FACT_CGROUP_THROTTLED] = text_number(stat, "nr_throttled");
    out->of[FACT_CGROUP_PIDS_MAX] =
        text_first(source_read(source, "sys/fs/cgroup%s/pids.max", path));
    out->of[FACT_CGROUP_PIDS_NOW] =
        text_first(source_read(source, "sys/fs/cgroup%s/pids.current", path));
}

/* Version 1: a line some controllers, "4:cpu,cpuacct:/path". */
static bool controller_path(const char *text, const char *controller, char *out, size_t capacity) {
    size_t name_size = strlen(controller);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *names = line + strcspn(line, ":\n"), *end = names;
        for (end += *end == ':'; *end != ':' && *end != '\n' && *end != '\0';) {
            size_t size = strcspn(end, ",:\n");
            if (size == name_size && strncmp(end, controller, size) == 0) {
                const char *path = strchr(end, ':');
                int path_size = path == NULL ? 0 : (int)strcspn(path + 1, "\n");
                (void)snprintf(out, capacity, "%.*s", path_size == 1 ? 0 : path_size,
                               path == NULL ? "" : path + 1);
                return true;
            }
            end += size + (end[size] == ',');
        }
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return false;
}

static void read_cgroup1(struct source *source, const char *groups, struct facts *out) {
    char path[FACT_TEXT_MAX];
    out->of[FACT_CGROUP_VERSION] = 1;
    if (controller_path(groups, "memory", path, sizeof(path))) {
        double max =
            text_first(source_read(source, "sys/fs/cgroup/memory%s/memory.limit_in_bytes", path));
        out->of[FACT_CGROUP_MEMORY_MAX] = max < 1e18 ? max : UNKNOWN; /* its word for "no limit" */
        out->of[FACT_CGROUP_MEMORY_NOW] =
            text_first(source_read(source, "sys/fs/cgroup/memory%s/memory.usage_in_bytes", path));
        out->of[FACT_CGROUP_OOM_KILLS] = text_number(
            source_read(source, "sys/fs/cgroup/memory%s/memory.oom_control", path), "oom_kill");
    }
    if (controller_path(groups, "cpu", path, sizeof(path))) {
        double quota =
            text_first(source_read(source, "sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", path));
        out->of[FACT_CGROUP_CPUS] =
            quota > 0
                ? quota /
                      text_first(source_read(source, "sys/fs/cgroup/cpu%s/cpu.cfs_period_us", path))
                : UNKNOWN;
        const char *stat = source_read(source, "sys/fs/cgroup/cpu%s/cpu.stat", path);
        out->of[FACT_CGROUP_PERIODS] = text_number(stat, "nr_periods");
        out->of[FACT_CGROUP_THROTTLED] = text_number(stat, "nr_throttled");
    }
    if (controller_path(groups, "pids", path, sizeof(path))) {
        out->of[FACT_CGROUP_PIDS_MAX] =
            text_first(source_read(source, "sys/fs/cgroup/pids%s/pids.max", path));
        out->of[FACT_CGROUP_PIDS_NOW] =
            text_first(source_read(source, "sys/fs/cgroup/pids%s/pids.current", path));
    }
}

void facts_cgroup(struct source *source, struct facts *out) {
    const char *groups = out->of[FACT_PID] > 0
                             ? source_read(source, "proc/%.0f/cgroup", out->of[FACT_PID])
                             : source_read(source, "proc/self/cgroup");
    if (groups == NULL) {
        return;
    }
    if (strncmp(groups, "0::", 3) != 0) {
        read_cgroup1(source, groups, out); /* also where both are mounted */
        return;
    }
    char path[FACT_TEXT_MAX];
    text_copy_line(path, groups + 3);
    text_copy_line(out->text[TEXT_CGROUP], path);
    read_cgroup2(source, strcmp(path, "/") == 0 ? "" : path, out);
}
