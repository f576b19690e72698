/* Data-TLB misses by perf_event_open(2): one counter of loads and one of misses a thread. Virtual
 * machines often have none; then the text says why. */
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/doctor/source.h"

#define PERF_THREADS_MAX 64u

struct perf_counts {
    int loads[PERF_THREADS_MAX], misses[PERF_THREADS_MAX];
    uint32_t count;
    int error_number; /* why there are none */
};

static int open_counter(int thread, uint64_t result) {
    struct perf_event_attr attribute = {
        .size = sizeof(attribute),
        .type = PERF_TYPE_HW_CACHE,
        .config = PERF_COUNT_HW_CACHE_DTLB | PERF_COUNT_HW_CACHE_OP_READ << 8 | result << 16,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attribute, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void add_thread(struct perf_counts *perf, int thread) {
    int loads = open_counter(thread, PERF_COUNT_HW_CACHE_RESULT_ACCESS);
    int misses = loads < 0 ? -1 : open_counter(thread, PERF_COUNT_HW_CACHE_RESULT_MISS);
    if (misses < 0) {
        perf->error_number = errno;
        if (loads >= 0) {
            (void)close(loads);
        }
        return;
    }
    perf->loads[perf->count] = loads;
    perf->misses[perf->count] = misses;
    perf->count++;
}

struct perf_counts *perf_begin(int pid) {
    struct perf_counts *perf = calloc(1, sizeof(*perf));
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *tasks = perf == NULL ? NULL : opendir(path);
    if (tasks == NULL) {
        return perf;
    }
    for (struct dirent *each = NULL;
         perf->count < PERF_THREADS_MAX && (each = readdir(tasks)) != NULL;) {
        if (each->d_name[0] != '.') {
            add_thread(perf, (int)strtol(each->d_name, NULL, 10));
        }
    }
    (void)closedir(tasks);
    return perf;
}

static uint64_t read_counter(int fd) {
    uint64_t value = 0;
    return read(fd, &value, sizeof(value)) == (ssize_t)sizeof(value) ? value : 0;
}

void perf_text(const struct perf_counts *perf, char *out, size_t capacity) {
    uint64_t loads = 0, misses = 0;
    if (perf == NULL || perf->count == 0) {
        int error_number = perf == NULL || perf->error_number == 0 ? ENOENT : perf->error_number;
        (void)snprintf(out, capacity, "unavailable %s\n", strerror(error_number));
        return;
    }
    for (uint32_t i = 0; i < perf->count; i++) {
        loads += read_counter(perf->loads[i]);
        misses += read_counter(perf->misses[i]);
    }
    (void)snprintf(out, capacity, "loads %llu\nmisses %llu\n", (unsigned long long)loads,
                   (unsigned long long)misses);
}

void perf_end(struct perf_counts *perf) {
    for (uint32_t i = 0; perf != NULL && i < perf->count; i++) {
        (void)close(perf->loads[i]);
        (void)close(perf->misses[i]);
    }
    free(perf);
}
