/* How much memory there is and how much of it we hold, as the kernel counts.
 *
 * A control group limits what all groups below it use, so every group from ours up to the mounted
 * root counts. In a container the path of /proc/self/cgroup may name groups that are not mounted;
 * those are skipped. Version 1 has "N:...,memory,...:PATH" and memory.limit_in_bytes below
 * <cgroup>/memory, version 2 "0::PATH" and memory.max below <cgroup>. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "mem/mem_private.h"

#define PATH_BYTES 1024
#define GROUP_LINES_MAX 256 /* of /proc/self/cgroup; it has some fifteen */
#define STATUS_LINES_MAX 512

static FILE *open_in(const char *folder, const char *name) {
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
    return length > 0 && length < (int)sizeof(path) ? fopen(path, "re") : NULL;
}

/* The sum of the lines "KEY:  123 kB" of the wanted keys, in bytes. */
static uint64_t sum_of_lines(FILE *file, const char *const *keys, size_t key_count) {
    uint64_t sum = 0;
    char line[256];
    for (int i = 0; i < STATUS_LINES_MAX && fgets(line, sizeof(line), file) != NULL; i++) {
        for (size_t k = 0; k < key_count; k++) {
            size_t key_size = strlen(keys[k]);
            if (strncmp(line, keys[k], key_size) == 0 && line[key_size] == ':') {
                sum += strtoull(line + key_size + 1, NULL, 10) * INS_KIB;
            }
        }
    }
    return sum;
}

/* UINT64_MAX when there is no such file or it says "max". */
static uint64_t read_limit(const char *folder, const char *file_name) {
    FILE *file = open_in(folder, file_name);
    if (file == NULL) {
        return UINT64_MAX;
    }
    uint64_t limit = UINT64_MAX;
    char line[64];
    if (fgets(line, sizeof(line), file) != NULL && line[0] >= '0' && line[0] <= '9') {
        limit = strtoull(line, NULL, 10);
    }
    (void)fclose(file);
    return limit;
}

/* The smallest limit of `group` below `root` and of those above it. */
static uint64_t limit_up(const char *root, const char *group, const char *file_name) {
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof(path), "%s%s", root, group);
    if (length <= 0 || length >= (int)sizeof(path)) {
        return read_limit(root, file_name);
    }
    uint64_t limit = UINT64_MAX;
    size_t root_size = strlen(root);
    for (;;) { /* each turn makes the path shorter */
        uint64_t here = read_limit(path, file_name);
        limit = here < limit ? here : limit;
        char *slash = strrchr(path + root_size, '/');
        if (slash == NULL) {
            return limit;
        }
        *slash = '\0';
    }
}

static bool names_memory(const char *controllers) {
    const char *at = controllers;
    while (at != NULL) {
        at += *at == ',';
        size_t size = strcspn(at, ",");
        if (size == strlen("memory") && strncmp(at, "memory", size) == 0) {
            return true;
        }
        at = strchr(at, ',');
    }
    return false;
}

/* One line "N:controllers:path" of /proc/self/cgroup. */
static uint64_t group_limit(const char *cgroup, char *line) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL) {
        return UINT64_MAX;
    }
    *group++ = '\0';
    controllers++;
    if (controllers[0] == '\0') {
        return limit_up(cgroup, group, "memory.max");
    }
    char root[PATH_BYTES];
    int length = snprintf(root, sizeof(root), "%s/memory", cgroup);
    if (!names_memory(controllers) || length <= 0 || length >= (int)sizeof(root)) {
        return UINT64_MAX;
    }
    return limit_up(root, group, "memory.limit_in_bytes");
}

static uint64_t cgroup_limit(const char *proc, const char *cgroup) {
    FILE *file = open_in(proc, "self/cgroup");
    if (file == NULL) {
        return UINT64_MAX;
    }
    uint64_t limit = UINT64_MAX;
    char line[PATH_BYTES];
    for (int i = 0; i < GROUP_LINES_MAX && fgets(line, sizeof(line), file) != NULL; i++) {
        uint64_t here = group_limit(cgroup, line);
        limit = here < limit ? here : limit;
    }
    (void)fclose(file);
    return limit;
}

static uint64_t total_bytes_at(const char *proc) {
    uint64_t total = 0;
    FILE *file = open_in(proc, "meminfo");
    if (file != NULL) {
        total = sum_of_lines(file, (const char *const[]){"MemTotal"}, 1);
        (void)fclose(file);
    }
    return total;
}

uint64_t mem_machine_bytes_at(const char *proc, const char *cgroup) {
    uint64_t total = total_bytes_at(proc);
    uint64_t limit = cgroup_limit(proc, cgroup);
    if (total == 0) {
        return limit == UINT64_MAX ? 0 : limit;
    }
    return limit < total ? limit : total;
}

uint64_t mem_machine_bytes(void) {
    return mem_machine_bytes_at("/proc", "/sys/fs/cgroup");
}

uint64_t mem_total_bytes(void) {
    return total_bytes_at("/proc");
}

uint64_t mem_resident_bytes(void) {
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL) {
        return 0;
    }
    uint64_t bytes = sum_of_lines(file, (const char *const[]){"VmRSS", "HugetlbPages", "VmPTE"}, 3);
    (void)fclose(file);
    return bytes;
}
