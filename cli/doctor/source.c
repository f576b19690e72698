#include "cli/doctor/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

struct source_text {
    struct source_text *next;
    char text[];
};

#define PATH_BYTES (SOURCE_NAME_MAX + 512)

static char *text_new(struct source *source, size_t size) {
    struct source_text *text = malloc(sizeof(*text) + size + 1);
    if (text == NULL) {
        return NULL;
    }
    text->next = source->texts;
    source->texts = text;
    text->text[size] = '\0';
    return text->text;
}

static const char *text_copy(struct source *source, const char *from) {
    size_t size = strlen(from);
    char *text = text_new(source, size);
    if (text != NULL) {
        memcpy(text, from, size + 1);
    }
    return text;
}

/* Files of /proc tell no size, so they are read until they end. */
static const char *read_file(struct source *source, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    size_t size = 0, capacity = 1u << 16;
    char *buffer = malloc(capacity);
    ssize_t got = 1;
    while (buffer != NULL && (got = read(fd, buffer + size, capacity - size)) > 0) {
        size += (size_t)got;
        if (size == capacity && capacity < SOURCE_TEXT_MAX) {
            char *larger = realloc(buffer, capacity * 2);
            if (larger == NULL) {
                break;
            }
            buffer = larger;
            capacity *= 2;
        } else if (size == capacity) {
            break;
        }
    }
    (void)close(fd);
    char *text = buffer == NULL || got < 0 ? NULL : text_new(source, size);
    if (text != NULL) {
        memcpy(text, buffer, size);
    }
    free(buffer);
    return text;
}

static const char *read_statfs(struct source *source, const char *path) {
    struct statvfs at;
    char text[256];
    if (statvfs(path, &at) != 0) {
        return NULL;
    }
    (void)snprintf(text, sizeof(text), "bytes %llu\nfree %llu\ninodes %llu\ninodes_free %llu\n",
                   (unsigned long long)at.f_blocks * at.f_frsize,
                   (unsigned long long)at.f_bavail * at.f_frsize, (unsigned long long)at.f_files,
                   (unsigned long long)at.f_favail);
    return text_copy(source, text);
}

static const char *read_clock(struct source *source) {
    struct timespec now;
    char text[64];
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(text, sizeof(text), "%.6f\n", (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
    return text_copy(source, text);
}

static const char *read_server(struct source *source, const char *path) {
    if (!source->has_server || !client_call(&source->client, "GET", path, NULL, 0) ||
        source->client.http != 200) {
        return NULL;
    }
    return text_copy(source, source->client.answer);
}

static const char *read_perf(struct source *source) {
    char text[256];
    perf_text(source->perf, text, sizeof(text));
    return text_copy(source, text);
}

static bool made_name(const char *name, const char *prefix, const char **out_rest) {
    size_t size = strlen(prefix);
    *out_rest = name + size;
    return strncmp(name, prefix, size) == 0;
}

static const char *read_live(struct source *source, const char *name) {
    const char *rest = NULL;
    if (made_name(name, "server", &rest)) {
        return read_server(source, rest);
    }
    if (made_name(name, "statfs", &rest)) {
        return read_statfs(source, rest);
    }
    if (strcmp(name, "clock") == 0) {
        return read_clock(source);
    }
    if (strcmp(name, "perf/dtlb") == 0) {
        return read_perf(source);
    }
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "/%s", name);
    return read_file(source, path);
}

/* ---- Recording ---- */

static void make_parents(char *path) {
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
}

static void record(const struct source *source, const char *name, const char *suffix,
                   const char *text) {
    char path[PATH_BYTES];
    if (source->record_to == NULL || text == NULL) {
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/%u/%s%s", source->record_to, source->sample, name,
                   suffix);
    make_parents(path);
    FILE *file = fopen(path, "we");
    if (file == NULL || fputs(text, file) < 0) {
        (void)fprintf(stderr, "insula doctor: cannot record %s: %s\n", path, strerror(errno));
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* Of a recording, what the second sample lacks did not change since the first. */
static const char *read_recording(struct source *source, const char *name, const char *suffix) {
    char path[PATH_BYTES];
    const char *text = NULL;
    for (unsigned sample = source->sample; text == NULL && sample > 0; sample--) {
        (void)snprintf(path, sizeof(path), "%s/%u/%s%s", source->recording, sample, name, suffix);
        text = read_file(source, path);
    }
    return text;
}

/* ---- Names, links, texts ---- */

#define FORMAT_NAME(name, format)                                                                  \
    do {                                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        /* NOLINTNEXTLINE: clang 14 misses va_start */                                             \
        (void)vsnprintf(name, sizeof(name), format, arguments);                                    \
        va_end(arguments);                                                                         \
    } while (0)

const char *source_read(struct source *source, const char *format, ...) {
    char name[SOURCE_NAME_MAX];
    FORMAT_NAME(name, format);
    if (source->recording != NULL) {
        return read_recording(source, name, "");
    }
    const char *text = read_live(source, name);
    record(source, name, "", text);
    return text;
}

static const char *list_live(struct source *source, const char *name) {
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "/%s", name);
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return NULL;
    }
    char *names = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&names, &size);
    for (struct dirent *each = NULL; out != NULL && (each = readdir(directory)) != NULL;) {
        if (each->d_name[0] != '.' && ftell(out) < (long)SOURCE_TEXT_MAX) {
            (void)fprintf(out, "%s\n", each->d_name);
        }
    }
    (void)closedir(directory);
    const char *text = NULL;
    if (out != NULL && fclose(out) == 0) {
        text = text_copy(source, names);
    }
    free(names);
    return text;
}

const char *source_names(struct source *source, const char *format, ...) {
    char name[SOURCE_NAME_MAX];
    FORMAT_NAME(name, format);
    if (source->recording != NULL) {
        return read_recording(source, name, "/.names");
    }
    const char *text = list_live(source, name);
    record(source, name, "/.names", text);
    return text;
}

const char *source_link(struct source *source, const char *format, ...) {
    char name[SOURCE_NAME_MAX], path[PATH_BYTES], target[SOURCE_NAME_MAX];
    FORMAT_NAME(name, format);
    if (source->recording != NULL) {
        return read_recording(source, name, ".link");
    }
    (void)snprintf(path, sizeof(path), "/%s", name);
    ssize_t size = readlink(path, target, sizeof(target) - 1);
    if (size < 0) {
        return NULL;
    }
    target[size] = '\0';
    record(source, name, ".link", target);
    return text_copy(source, target);
}

void source_close(struct source *source) {
    while (source->texts != NULL) {
        struct source_text *next = source->texts->next;
        free(source->texts);
        source->texts = next;
    }
    if (source->has_server) {
        client_close(&source->client);
    }
    perf_end(source->perf);
    source->perf = NULL;
}
