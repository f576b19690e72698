#include "extents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

/* docs/FORMATS.md, "Segments". */
#define TRAILER_BYTES 256u
#define ENTRY_BYTES 64u
#define PAGE_BYTES 4096u
#define READ_BYTES (1u << 20)
#define EXTENTS_MAX (16u << 20)

/* ---- Directories of files ---- */

static bool add_entry(struct extents *extents, const uint8_t *entry) {
    if (extents->count == extents->capacity) {
        uint32_t capacity = extents->capacity == 0 ? 1024 : 2 * extents->capacity;
        struct extent_place *places =
            capacity > EXTENTS_MAX ? NULL : realloc(extents->places, capacity * sizeof(*places));
        if (places == NULL) {
            return false;
        }
        extents->places = places;
        extents->capacity = capacity;
    }
    extents->places[extents->count++] = (struct extent_place){.incarnation = load_u64(entry),
                                                              .low = load_u64(entry + 8),
                                                              .high = load_u64(entry + 16),
                                                              .offset = load_u64(entry + 24),
                                                              .bytes = load_u64(entry + 32),
                                                              .file = extents->file_count};
    return true;
}

static bool add_entries(struct extents *extents, int fd, uint64_t size) {
    uint8_t trailer[TRAILER_BYTES], entry[ENTRY_BYTES];
    if (size < TRAILER_BYTES || pread(fd, trailer, sizeof(trailer),
                                      (off_t)(size - TRAILER_BYTES)) != (ssize_t)sizeof(trailer)) {
        return false;
    }
    uint64_t at = load_u64(trailer + 48);
    uint32_t count = load_u32(trailer + 56);
    bool good = memcmp(trailer, "INSULTRL", 8) == 0;
    for (uint32_t i = 0; good && i < count; i++) {
        good = pread(fd, entry, sizeof(entry), (off_t)(at + (uint64_t)i * ENTRY_BYTES)) ==
                   (ssize_t)sizeof(entry) &&
               add_entry(extents, entry);
    }
    return good;
}

static bool add_file(struct extents *extents, const char *path) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good =
        fd >= 0 && fstat(fd, &info) == 0 && add_entries(extents, fd, (uint64_t)info.st_size);
    if (fd >= 0) {
        (void)close(fd);
    }
    int *files = realloc(extents->files, (extents->file_count + 1) * sizeof(int));
    if (files != NULL) {
        extents->files = files;
        files[extents->file_count] = good ? open(path, O_RDONLY | O_CLOEXEC | O_DIRECT) : -1;
        good = files[extents->file_count++] >= 0;
    }
    if (files == NULL || !good) {
        (void)bench_fail("cannot read the directory of %s: %s", path, strerror(errno));
    }
    return files != NULL && good;
}

/* ---- What counts ---- */

static int order(const void *left, const void *right) {
    const struct extent_place *a = left, *b = right;
    if (a->incarnation != b->incarnation) {
        return a->incarnation < b->incarnation ? -1 : 1;
    }
    return (a->high < b->high) - (a->high > b->high);
}

static bool covers(const struct extent_place *wide, const struct extent_place *place) {
    return wide->low <= place->low && wide->high >= place->high;
}

/* An extent hides every other of its island inside its interval; of two equal ones the one in the
 * newer file counts: files are added in the order of their numbers. */
static void hide(struct extents *extents) {
    qsort(extents->places, extents->count, sizeof(*extents->places), order);
    for (uint32_t i = 0; i < extents->count; i++) {
        struct extent_place *place = &extents->places[i];
        for (uint32_t n = i + 1; n < extents->count; n++) {
            struct extent_place *other = &extents->places[n];
            if (other->incarnation != place->incarnation) {
                break;
            }
            bool equal = covers(place, other) && covers(other, place);
            other->hidden |= covers(place, other) && (!equal || place->file > other->file);
            place->hidden |= covers(other, place) && (!equal || other->file > place->file);
        }
    }
}

bool extents_open(struct extents *extents, const char *data) {
    char folder[700], path[1000];
    struct dirent **entries = NULL;
    *extents = (struct extents){.buffer = aligned_alloc(PAGE_BYTES, READ_BYTES)};
    (void)snprintf(folder, sizeof(folder), "%s/objects", data);
    int count = scandir(folder, &entries, NULL, alphasort);
    bool good = extents->buffer != NULL && count >= 0;
    if (!good) {
        (void)bench_fail("cannot list %s: %s", folder, strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        size_t size = strlen(entries[i]->d_name);
        if (good && size > 4 && strcmp(entries[i]->d_name + size - 4, ".seg") == 0) {
            (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
            good = add_file(extents, path);
        }
        free(entries[i]);
    }
    free(entries);
    hide(extents);
    return good;
}

void extents_close(struct extents *extents) {
    for (uint32_t i = 0; i < extents->file_count; i++) {
        if (extents->files[i] >= 0) {
            (void)close(extents->files[i]);
        }
    }
    free(extents->files);
    free(extents->places);
    free(extents->buffer);
    *extents = (struct extents){0};
}

/* ---- Direct reads ---- */

static const struct extent_place *first_of(const struct extents *extents, uint64_t incarnation) {
    uint32_t begin = 0, end = extents->count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (extents->places[middle].incarnation < incarnation) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return extents->places + begin;
}

static bool read_place(struct extents *extents, const struct extent_place *place,
                       uint64_t *out_reads, uint64_t *out_bytes) {
    uint64_t at = place->offset / PAGE_BYTES * PAGE_BYTES;
    uint64_t end = align_up(place->offset + place->bytes, PAGE_BYTES);
    while (at < end) {
        size_t size = end - at < READ_BYTES ? (size_t)(end - at) : READ_BYTES;
        if (pread(extents->files[place->file], extents->buffer, size, (off_t)at) != (ssize_t)size) {
            return false;
        }
        (*out_reads)++;
        *out_bytes += size;
        at += size;
    }
    return true;
}

bool extents_read(struct extents *extents, uint64_t incarnation, uint64_t *out_reads,
                  uint64_t *out_bytes) {
    const struct extent_place *end = extents->places + extents->count;
    uint64_t before = *out_reads;
    for (const struct extent_place *place = first_of(extents, incarnation);
         place < end && place->incarnation == incarnation; place++) {
        if (!place->hidden && place->bytes > 0 &&
            !read_place(extents, place, out_reads, out_bytes)) {
            (void)bench_fail("direct read of %llu bytes: %s", (unsigned long long)place->bytes,
                             strerror(errno));
            return false;
        }
    }
    return *out_reads > before;
}
