/* Insula's graphs as an image of memory: the arena lies where marks.h says, and is written into a
 * file and mapped at the same place as it was. Pointers in it stay good: to itself, and to kernels,
 * which are this program's (linked to one place, and those of x86-64-v3 whatever the machine has:
 * valgrind knows no others). Linked with --wrap of mmap64, kernels_get, arena_alloc and
 * arena_alloc_zero. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ann_private.h"
#include "marks.h"
#include "trace/subject.h"

#define PARTS_MAX 32u
#define EFFORT_MOST 4096u
#define ARENA_LEAST (512u << 20) /* as ann_build_graph opens it */
#define HEAD_BYTES 4096u
#define MAGIC 0x6567616d692d6e69ull

struct part {
    uint64_t begin, bytes, at; /* in the file */
};

/* The head of the file. */
struct image {
    uint64_t magic;
    const struct kernels *kernels; /* the same program has them in the same place */
    struct graph *graph;
    struct graph_scratch *scratch;
    struct fast_graph *fast; /* NULL: the compact layout */
    struct fast_scratch *fast_scratch;
    uint64_t index_bytes;
    uint32_t part_count, scratch_count;
    struct part parts[PARTS_MAX];
    struct part scratches[PARTS_MAX]; /* of the search's own memory */
};
_Static_assert(sizeof(struct image) <= HEAD_BYTES, "the head is a page");

static struct image image;
static bool is_scratch; /* what is allocated now */

/* ---- Where memory comes from ---- */

void *__real_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__real_arena_alloc(struct arena *arena, enum ins_mem_purpose purpose, size_t size);
void *__wrap_arena_alloc(struct arena *arena, enum ins_mem_purpose purpose, size_t size);
void *__real_arena_alloc_zero(struct arena *arena, enum ins_mem_purpose purpose, size_t size);
void *__wrap_arena_alloc_zero(struct arena *arena, enum ins_mem_purpose purpose, size_t size);
const struct kernels *__real_kernels_get(void);
const struct kernels *__wrap_kernels_get(void);

/* The arena's reservation: the only one of so much that is nothing yet. */
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    if (at == NULL && protection == PROT_NONE && bytes >= ARENA_LEAST) {
        at = (void *)IMAGE_AT; // a hint
    }
    return __real_mmap64(at, bytes, protection, flags, fd, offset);
}

static void *note(void *memory, size_t size) {
    if (is_scratch && memory != NULL && image.scratch_count < PARTS_MAX) {
        image.scratches[image.scratch_count++] =
            (struct part){.begin = (uintptr_t)memory, .bytes = size};
    }
    return memory;
}

void *__wrap_arena_alloc(struct arena *arena, enum ins_mem_purpose purpose, size_t size) {
    return note(__real_arena_alloc(arena, purpose, size), size);
}

void *__wrap_arena_alloc_zero(struct arena *arena, enum ins_mem_purpose purpose, size_t size) {
    return note(__real_arena_alloc_zero(arena, purpose, size), size);
}

const struct kernels *__wrap_kernels_get(void) {
    const struct kernels *kernels = kernels_for("avx2");
    return kernels != NULL ? kernels : __real_kernels_get();
}

/* ---- Building ---- */

bool subject_build(const struct subject_rows *rows, const char *layout) {
    struct ann ann = {.rows_in = {.count = rows->count,
                                  .dim = rows->dim,
                                  .values = (float *)(uintptr_t)rows->values},
                      .metric = rows->dot ? INDEX_DOT : INDEX_L2,
                      .type = rows->bytes ? ROW_U8 : ROW_F32};
    bool fast = strcmp(layout, "fast") == 0;
    ins_error error;
    if (!ann_build_graph(&ann, true)) {
        return false;
    }
    is_scratch = true;
    ins_status status = graph_scratch_make(ann.graph, EFFORT_MOST, &ann.scratch, &error);
    is_scratch = false;
    image.index_bytes = graph_bytes(ann.graph);
    if (status == INS_OK && fast) {
        image.scratch_count = 0;
        status = fast_graph_make(ann.graph, ann_row, &ann, &ann.fast, &error);
    }
    if (status == INS_OK && fast) {
        is_scratch = true;
        status = fast_scratch_make(ann.fast, EFFORT_MOST, &ann.fast_scratch, &error);
        is_scratch = false;
        image.index_bytes = fast_graph_bytes(ann.fast);
    }
    if (status != INS_OK) {
        return ann_complain(error.message, layout) == 0;
    }
    image.magic = MAGIC;
    image.kernels = kernels_get();
    image.graph = ann.graph;
    image.scratch = ann.scratch;
    image.fast = ann.fast;
    image.fast_scratch = ann.fast_scratch;
    return true;
}

/* ---- The image ---- */

/* The parts of the arena that are there. */
static bool find_parts(void) {
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    uint64_t begin, end, at = HEAD_BYTES;
    char access[8];
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        bool ours = sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &begin, &end, access) == 3 &&
                    begin >= IMAGE_AT && end < 2 * IMAGE_AT && strncmp(access, "rw", 2) == 0;
        if (ours && image.part_count < PARTS_MAX) {
            image.parts[image.part_count++] = (struct part){begin, end - begin, at};
            at += end - begin;
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return image.part_count > 0;
}

bool subject_save(const char *name) {
    static const char nothing[HEAD_BYTES];
    FILE *file = fopen(name, "wb");
    if (file == NULL || !find_parts()) {
        (void)ann_complain(file == NULL ? strerror(errno) : "the arena is not in its place", name);
        return file != NULL && fclose(file) != 0 && false;
    }
    bool good = fwrite(&image, sizeof(image), 1, file) == 1 &&
                fwrite(nothing, HEAD_BYTES - sizeof(image), 1, file) == 1;
    for (uint32_t i = 0; i < image.part_count && good; i++) {
        const void *part = (const void *)(uintptr_t)image.parts[i].begin;
        good = fwrite(part, image.parts[i].bytes, 1, file) == 1;
    }
    good = fclose(file) == 0 && good;
    return good || ann_complain(strerror(errno), name) == 0;
}

static bool map_parts(int fd, FILE *ranges) {
    for (uint32_t i = 0; i < image.part_count; i++) {
        const struct part *part = &image.parts[i];
        void *at = (void *)(uintptr_t)part->begin;
        if (__real_mmap64(at, part->bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, (off_t)part->at) != at) {
            return false;
        }
        (void)fprintf(ranges, "index %" PRIx64 " %" PRIx64 "\nhuge %" PRIx64 " %" PRIx64 "\n",
                      part->begin, part->begin + part->bytes, part->begin,
                      part->begin + part->bytes);
    }
    for (uint32_t i = 0; i < image.scratch_count; i++) {
        (void)fprintf(ranges, "scratch %" PRIx64 " %" PRIx64 "\n", image.scratches[i].begin,
                      image.scratches[i].begin + image.scratches[i].bytes);
    }
    return fprintf(ranges, "size %" PRIu64 "\n", image.index_bytes) > 0;
}

bool subject_open(const char *name, FILE *ranges) {
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read(fd, &image, sizeof(image)) == (ssize_t)sizeof(image) &&
                image.magic == MAGIC && image.kernels == kernels_get() &&
                image.part_count <= PARTS_MAX && image.scratch_count <= PARTS_MAX &&
                map_parts(fd, ranges);
    if (fd >= 0) {
        (void)close(fd);
    }
    return good || ann_complain("not an image of this program, or its place is taken", name) == 0;
}

uint32_t subject_search(const float *query, uint32_t limit, uint32_t effort, uint32_t *ids) {
    struct graph_hit hits[LIMIT_MAX];
    uint32_t count =
        image.fast != NULL
            ? fast_graph_search(image.fast, image.fast_scratch, query, limit, effort, NULL, hits)
            : graph_search(image.graph, image.scratch, query, limit, effort, 0, NULL, hits);
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = hits[i].id;
    }
    return count;
}
