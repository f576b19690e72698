/* What the kernel counts: the disk below a path, a process; and temporary directories. */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bench.h"

#define SECTOR_BYTES 512u /* of /proc/diskstats, whatever the device's are */
#define LINES_MAX 100000

/* ---- Device ---- */

void device_read(const char *path, struct device_counters *out_counters) {
    *out_counters = (struct device_counters){0};
    struct stat status;
    FILE *file = path == NULL || stat(path, &status) != 0 ? NULL : fopen("/proc/diskstats", "re");
    if (file == NULL) {
        return;
    }
    char line[512];
    for (int i = 0; i < LINES_MAX && fgets(line, sizeof(line), file) != NULL; i++) {
        unsigned major_number, minor_number;
        uint64_t writes, sectors, flushes;
        int fields = sscanf(line,
                            "%u %u %*s %*u %*u %*u %*u %" SCNu64 " %*u %" SCNu64
                            " %*u %*u %*u %*u %*u %*u %*u %*u %" SCNu64,
                            &major_number, &minor_number, &writes, &sectors, &flushes);
        if (fields >= 4 && major_number == major(status.st_dev) &&
            minor_number == minor(status.st_dev)) {
            *out_counters = (struct device_counters){.available = true,
                                                     .writes = writes,
                                                     .bytes = sectors * SECTOR_BYTES,
                                                     .flushes = fields == 5 ? flushes : 0};
        }
    }
    (void)fclose(file);
}

/* ---- Process ---- */

static FILE *proc_open(pid_t pid, const char *name) {
    char path[400];
    (void)snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
    return fopen(path, "re");
}

/* The number behind "KEY:" in a file of such lines; 0 when it is not there. */
static uint64_t proc_number(pid_t pid, const char *name, const char *key) {
    FILE *file = proc_open(pid, name);
    if (file == NULL) {
        return 0;
    }
    char line[256];
    size_t key_size = strlen(key);
    uint64_t number = 0;
    for (int i = 0; i < LINES_MAX && fgets(line, sizeof(line), file) != NULL; i++) {
        if (strncmp(line, key, key_size) == 0 && line[key_size] == ':') {
            number = strtoull(line + key_size + 1, NULL, 10);
            break;
        }
    }
    (void)fclose(file);
    return number;
}

static uint64_t proc_lines(pid_t pid, const char *name) {
    FILE *file = proc_open(pid, name);
    uint64_t count = 0;
    for (int c; file != NULL && (c = fgetc(file)) != EOF;) {
        count += c == '\n';
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

static void count_descriptor(int directory, const char *name, struct process_sample *out_sample) {
    char target[512];
    ssize_t size = readlinkat(directory, name, target, sizeof(target));
    out_sample->descriptors++;
    out_sample->segment_descriptors += size > 4 && memcmp(target + size - 4, ".seg", 4) == 0;
    out_sample->sockets += size > 7 && memcmp(target, "socket:", 7) == 0;
}

static void proc_descriptors(pid_t pid, struct process_sample *out_sample) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
    DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.') {
            count_descriptor(dirfd(directory), entry->d_name, out_sample);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
}

/* Of stat: faults (fields 10 and 12), CPU (14, 15). They stand behind the name, which may hold
 * anything but is closed by the last ). */
static void proc_stat(pid_t pid, struct process_sample *out_sample) {
    FILE *file = proc_open(pid, "stat");
    char line[1024];
    unsigned long user, system, minor_faults, major_faults;
    if (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *behind = strrchr(line, ')');
        if (behind != NULL &&
            sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %lu %*u %lu %*u %lu %lu",
                   &minor_faults, &major_faults, &user, &system) == 4) {
            out_sample->cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
            out_sample->minor_faults = minor_faults;
            out_sample->major_faults = major_faults;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* Each thread counts its own. */
static uint64_t proc_switches(pid_t pid) {
    char path[64], name[300];
    (void)snprintf(path, sizeof(path), "/proc/%ld/task", (long)pid);
    DIR *directory = opendir(path);
    const struct dirent *entry;
    uint64_t count = 0;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(name, sizeof(name), "task/%s/status", entry->d_name);
            count += proc_number(pid, name, "voluntary_ctxt_switches") +
                     proc_number(pid, name, "nonvoluntary_ctxt_switches");
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return count;
}

void process_read(pid_t pid, struct process_sample *out_sample) {
    *out_sample = (struct process_sample){0};
    if (pid <= 0) {
        return;
    }
    uint64_t kib = proc_number(pid, "status", "VmRSS") +
                   proc_number(pid, "status", "HugetlbPages") + proc_number(pid, "status", "VmPTE");
    *out_sample = (struct process_sample){
        .available = kib > 0,
        .resident_bytes = kib * 1024,
        .peak_bytes = proc_number(pid, "status", "VmHWM") * 1024,
        .mappings = proc_lines(pid, "maps"),
        .threads = proc_number(pid, "status", "Threads"),
        .read_bytes = proc_number(pid, "io", "rchar"),
        .write_bytes = proc_number(pid, "io", "write_bytes"),
        .switches = proc_switches(pid),
    };
    proc_stat(pid, out_sample);
    proc_descriptors(pid, out_sample);
}

/* ---- Directories ---- */

static uint64_t walked_bytes; /* of directory_bytes: nftw has no context; one thread */

static int add_bytes(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)path;
    (void)walk;
    walked_bytes += kind == FTW_F ? (uint64_t)status->st_blocks * 512u : 0u;
    return 0;
}

uint64_t directory_bytes(const char *path) {
    walked_bytes = 0;
    (void)nftw(path, add_bytes, 16, FTW_PHYS);
    return walked_bytes;
}

uint64_t disk_free(const char *path) {
    struct statvfs status;
    return statvfs(path, &status) == 0 ? (uint64_t)status.f_bavail * status.f_frsize : 0;
}

/* ---- Temporary directory ---- */

bool directory_open(const struct bench_options *options, struct bench_directory *out_directory) {
    *out_directory = (struct bench_directory){.temporary = options->data == NULL};
    char *path = out_directory->path;
    size_t capacity = sizeof(out_directory->path);
    if (options->data == NULL) {
        (void)snprintf(path, capacity, "insula-bench-XXXXXX");
        if (mkdtemp(path) == NULL) {
            (void)bench_fail("cannot make a directory here: %s", strerror(errno));
            return false;
        }
        return true;
    }
    int size = snprintf(path, capacity, "%s", options->data);
    if (size < 0 || (size_t)size >= capacity || (mkdir(path, 0777) != 0 && errno != EEXIST)) {
        (void)bench_fail("cannot make %s: %s", options->data, strerror(errno));
        return false;
    }
    return true;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

bool directory_remove(const char *path) {
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0;
}

void directory_close(struct bench_directory *directory) {
    if (directory->temporary) {
        (void)directory_remove(directory->path);
    }
}
