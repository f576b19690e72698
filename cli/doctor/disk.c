/* Facts of the disk that the data lie on: from the mount that holds the path to its device. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/facts.h"

/* A word of a line of mountinfo; returns what follows. */
static const char *word(const char *at, char *out, size_t capacity) {
    at += strspn(at, " ");
    size_t size = strcspn(at, " \n");
    (void)snprintf(out, capacity, "%.*s", (int)size, at);
    return at + size;
}

static bool holds(const char *mount, const char *path) {
    size_t size = strlen(mount);
    return strcmp(mount, "/") == 0 ||
           (strncmp(mount, path, size) == 0 && (path[size] == '/' || path[size] == '\0'));
}

/* The mount with the longest path that holds `path`; of equals the last, which covers the others.
 * A line: id parent major:minor root mount options [fields] - type source super-options. */
static bool find_mount(const char *text, const char *path, char *device, struct facts *out) {
    size_t longest = 0;
    bool found = false;
    for (const char *line = text; line != NULL && *line != '\0';) {
        char skip[64], numbers[32], mount[FACT_TEXT_MAX], options[FACT_TEXT_MAX];
        const char *at = word(word(line, skip, sizeof(skip)), skip, sizeof(skip));
        at = word(at, numbers, sizeof(numbers));
        at = word(word(at, mount, sizeof(mount)), mount, sizeof(mount));
        at = word(at, options, sizeof(options));
        const char *dash = strstr(at, " - "), *end = strchr(line, '\n');
        if (dash != NULL && (end == NULL || dash < end) && holds(mount, path) &&
            strlen(mount) >= longest) {
            char super[FACT_TEXT_MAX];
            longest = strlen(mount);
            at = word(dash + 3, out->text[TEXT_FILESYSTEM], FACT_TEXT_MAX);
            at = word(at, super, sizeof(super));
            (void)word(at, super, sizeof(super));
            (void)snprintf(out->text[TEXT_MOUNT_OPTIONS], FACT_TEXT_MAX, "%.120s,%.120s", options,
                           super);
            (void)snprintf(device, 32, "%s", numbers);
            found = true;
        }
        line = end == NULL ? NULL : end + 1;
    }
    return found;
}

/* Fields behind the name in a line of /proc/diskstats. */
static void read_counts(struct source *source, const char *device, struct facts *out) {
    static const struct {
        enum fact fact;
        unsigned column; /* from the major number */
    } columns[] = {{FACT_DISK_READS, 3},     {FACT_DISK_READ_MS, 6},  {FACT_DISK_WRITES, 7},
                   {FACT_DISK_WRITE_MS, 10}, {FACT_DISK_BUSY_MS, 12}, {FACT_DISK_QUEUE_MS, 13},
                   {FACT_DISK_FLUSHES, 18},  {FACT_DISK_FLUSH_MS, 19}};
    unsigned major = 0, minor = 0;
    char *end = NULL;
    major = (unsigned)strtoul(device, &end, 10);
    minor = *end == ':' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
    const char *line = source_read(source, "proc/diskstats");
    for (; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        if (text_first(line) != (double)major || text_column(line, 1) != (double)minor) {
            continue;
        }
        char line_text[FACT_TEXT_MAX];
        text_copy_line(line_text, line);
        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
            out->of[columns[i].fact] = text_column(line_text, columns[i].column);
        }
        return;
    }
}

/* A partition has no queue of its own: its disk's lies one directory above. */
static void read_queue(struct source *source, const char *device, struct facts *out) {
    const char *up = "";
    const char *scheduler = source_read(source, "sys/dev/block/%s/queue/scheduler", device);
    if (scheduler == NULL) {
        up = "/..";
        scheduler = source_read(source, "sys/dev/block/%s/../queue/scheduler", device);
    }
    const char *open = scheduler == NULL ? NULL : strchr(scheduler, '[');
    text_copy_line(out->text[TEXT_SCHEDULER], open == NULL ? scheduler : open + 1);
    out->text[TEXT_SCHEDULER][strcspn(out->text[TEXT_SCHEDULER], "]")] = '\0';
    out->of[FACT_ROTATIONAL] =
        text_first(source_read(source, "sys/dev/block/%s%s/queue/rotational", device, up));
    text_copy_line(out->text[TEXT_WRITE_CACHE],
                   source_read(source, "sys/dev/block/%s%s/queue/write_cache", device, up));
}

void facts_disk(struct source *source, const char *data, struct facts *out) {
    char device[32];
    if (data != NULL) {
        (void)snprintf(out->text[TEXT_DATA], FACT_TEXT_MAX, "%s", data);
    }
    if (out->text[TEXT_DATA][0] == '\0') {
        return;
    }
    const char *space = source_read(source, "statfs%s", out->text[TEXT_DATA]);
    out->of[FACT_DISK_BYTES] = text_number(space, "bytes");
    out->of[FACT_DISK_FREE] = text_number(space, "free");
    out->of[FACT_INODES] = text_number(space, "inodes");
    out->of[FACT_INODES_FREE] = text_number(space, "inodes_free");
    const char *mounts = source_read(source, "proc/self/mountinfo");
    if (mounts == NULL || !find_mount(mounts, out->text[TEXT_DATA], device, out)) {
        return;
    }
    (void)snprintf(out->text[TEXT_DEVICE], FACT_TEXT_MAX, "%s", device);
    read_counts(source, device, out);
    read_queue(source, device, out);
}
