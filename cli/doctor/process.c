/* Facts of one process, and of the engines that run beside it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/facts.h"

static const char *next_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end == NULL || end[1] == '\0' ? NULL : end + 1;
}

static double count_lines(const char *text) {
    if (text == NULL) {
        return UNKNOWN;
    }
    double count = 0;
    for (const char *line = *text == '\0' ? NULL : text; line != NULL; line = next_line(line)) {
        count++;
    }
    return count;
}

static double own_limit(struct source *source, int pid, const char *name) {
    const char *limits = source_read(source, "proc/%d/limits", pid);
    const char *at = limits == NULL ? NULL : strstr(limits, name);
    return at == NULL ? UNKNOWN : text_first(at + strlen(name));
}

/* Sums over the threads: time on a CPU, and time that it waited for one. */
static void read_waits(struct source *source, int pid, struct facts *out) {
    const char *tasks = source_names(source, "proc/%d/task", pid);
    double run = 0, wait = 0, switches = 0, forced = 0;
    for (const char *line = tasks; line != NULL; line = next_line(line)) {
        int task = (int)strtol(line, NULL, 10);
        const char *text = source_read(source, "proc/%d/task/%d/schedstat", pid, task);
        const char *status = source_read(source, "proc/%d/task/%d/status", pid, task);
        if (text == NULL || status == NULL) {
            continue; /* it ended meanwhile */
        }
        run += text_first(text);
        wait += text_column(text, 1);
        switches += text_number(status, "voluntary_ctxt_switches");
        forced += text_number(status, "nonvoluntary_ctxt_switches");
    }
    out->of[FACT_RUN_NS] = tasks == NULL ? UNKNOWN : run;
    out->of[FACT_RUN_WAIT_NS] = tasks == NULL ? UNKNOWN : wait;
    out->of[FACT_SWITCHES] = tasks == NULL ? UNKNOWN : switches;
    out->of[FACT_SWITCHES_FORCED] = tasks == NULL ? UNKNOWN : forced;
}

/* Fields of /proc/PID/stat behind the command's ")": 8 minor faults, 10 major faults. */
static void read_faults(struct source *source, int pid, struct facts *out) {
    const char *stat = source_read(source, "proc/%d/stat", pid);
    const char *after = stat == NULL ? NULL : strrchr(stat, ')');
    out->of[FACT_FAULTS] = after == NULL ? UNKNOWN : text_column(after, 8);
    out->of[FACT_FAULTS_MAJOR] = after == NULL ? UNKNOWN : text_column(after, 10);
}

/* The directory of the log that it holds open: .../log/<name>. */
static void find_data(struct source *source, int pid, const char *descriptors, struct facts *out) {
    for (const char *line = descriptors; line != NULL; line = next_line(line)) {
        const char *target = source_link(source, "proc/%d/fd/%ld", pid, strtol(line, NULL, 10));
        const char *log = target == NULL ? NULL : strstr(target, "/log/");
        if (log != NULL && target[0] == '/') {
            (void)snprintf(out->text[TEXT_DATA], FACT_TEXT_MAX, "%.*s", (int)(log - target),
                           target);
            return;
        }
    }
}

static void read_tlb(struct source *source, struct facts *out) {
    const char *text = source_read(source, "perf/dtlb");
    out->of[FACT_TLB_LOADS] = text_number(text, "loads");
    out->of[FACT_TLB_MISSES] = text_number(text, "misses");
    text_copy_line(out->text[TEXT_TLB_REASON],
                   text != NULL && isnan(out->of[FACT_TLB_LOADS]) ? text : "counted");
}

void facts_process(struct source *source, int pid, struct facts *out) {
    const char *status = source_read(source, "proc/%d/status", pid);
    if (status == NULL) {
        return;
    }
    const char *rollup = source_read(source, "proc/%d/smaps_rollup", pid);
    const char *descriptors = source_names(source, "proc/%d/fd", pid);
    out->of[FACT_PID] = pid;
    out->of[FACT_RESIDENT] = text_number(status, "VmRSS") * 1024;
    out->of[FACT_SWAPPED] = text_number(status, "VmSwap") * 1024;
    out->of[FACT_PAGE_TABLES] = text_number(status, "VmPTE") * 1024;
    out->of[FACT_THREADS] = text_number(status, "Threads");
    out->of[FACT_TRACER] = text_number(status, "TracerPid");
    double reserved = text_number(status, "HugetlbPages") * 1024;
    out->of[FACT_HUGE] = text_number(rollup, "AnonHugePages") * 1024 +
                         text_number(rollup, "ShmemPmdMapped") * 1024 +
                         (reserved > 0 ? reserved : 0);
    out->of[FACT_MAPS] = count_lines(source_read(source, "proc/%d/maps", pid));
    out->of[FACT_DESCRIPTORS] = count_lines(descriptors);
    out->of[FACT_DESCRIPTOR_LIMIT] = own_limit(source, pid, "Max open files");
    text_copy_line(out->text[TEXT_COMMAND], source_read(source, "proc/%d/comm", pid));
    read_waits(source, pid, out);
    read_faults(source, pid, out);
    read_tlb(source, out);
    find_data(source, pid, descriptors, out);
}

/* ---- Other engines ---- */

/* Names of programs that keep vectors for tenants. */
static const char *const engines[] = {
    "qdrant",       "weaviate",      "milvus",  "postgres", "chroma",     "vespa", "marqo",
    "redis-server", "elasticsearch", "lancedb", "mongod",   "opensearch", "vald",  "typesense"};
#define ENGINE_PROCESSES_MAX 4096u /* looked at in a group; the rest is counted only */
#define ENGINE_LINKS_MAX 8192u     /* descriptors whose names are read, of all */

static bool is_engine(const char *name) {
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
        if (strncmp(name, engines[i], strlen(engines[i])) == 0) {
            return true;
        }
    }
    return false;
}

static struct engine_group *group_of(struct facts *out, const char *name) {
    for (unsigned i = 0; i < out->group_count; i++) {
        if (strcmp(out->groups[i].name, name) == 0) {
            return &out->groups[i];
        }
    }
    if (out->group_count == ENGINE_GROUPS_MAX) {
        return NULL;
    }
    struct engine_group *group = &out->groups[out->group_count++];
    (void)snprintf(group->name, sizeof(group->name), "%.31s", name);
    return group;
}

static bool looks_like_log(const char *target) {
    return target != NULL && target[0] == '/' &&
           (strstr(target, "/wal") != NULL || strstr(target, "wal/") != NULL ||
            strstr(target, ".wal") != NULL || strstr(target, "journal") != NULL ||
            strstr(target, "translog") != NULL || strstr(target, "/open-") != NULL);
}

static double zero_unless(double value) {
    return isnan(value) ? 0 : value;
}

static void add_process(struct source *source, int pid, unsigned *links,
                        struct engine_group *group) {
    const char *status = source_read(source, "proc/%d/status", pid);
    double maps = zero_unless(count_lines(source_read(source, "proc/%d/maps", pid)));
    const char *descriptors = source_names(source, "proc/%d/fd", pid);
    group->resident += zero_unless(text_number(status, "VmRSS")) * 1024;
    group->page_tables += zero_unless(text_number(status, "VmPTE")) * 1024;
    group->threads += zero_unless(text_number(status, "Threads"));
    group->switches += zero_unless(text_number(status, "voluntary_ctxt_switches")) +
                       zero_unless(text_number(status, "nonvoluntary_ctxt_switches"));
    group->maps += maps;
    group->maps_max = maps > group->maps_max ? maps : group->maps_max;
    group->descriptors += zero_unless(count_lines(descriptors));
    for (const char *line = descriptors; line != NULL && *links < ENGINE_LINKS_MAX;
         line = next_line(line)) {
        const char *target = source_link(source, "proc/%d/fd/%ld", pid, strtol(line, NULL, 10));
        group->logs += looks_like_log(target);
        (*links)++;
    }
}

void facts_engines(struct source *source, int own_pid, struct facts *out) {
    unsigned links = 0;
    const char *names = source_names(source, "proc");
    for (const char *line = names; line != NULL; line = next_line(line)) {
        int pid = (int)strtol(line, NULL, 10);
        const char *command =
            pid <= 0 || pid == own_pid ? NULL : source_read(source, "proc/%d/comm", pid);
        char name[FACT_TEXT_MAX];
        text_copy_line(name, command);
        if (name[0] == '\0' || !is_engine(name)) {
            continue;
        }
        name[31] = '\0';
        struct engine_group *group = group_of(out, name);
        if (group != NULL && ++group->processes <= ENGINE_PROCESSES_MAX) {
            add_process(source, pid, &links, group);
        }
    }
}
