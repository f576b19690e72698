/* A mapping per tenant: each tenant's ten points in a file of its own, mapped into one process.
 *
 * As cheap as such a thing can be made: one file, one mapping, no descriptor kept, no index, no
 * log, no metadata; a search is an exact scan of the mapped rows. An engine that maps its vectors,
 * its graph, its ids and its log has a multiple of it.
 *
 *     insula-mapping-per-tenant FOLDER        commands: subject.h */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../bench.h"
#include "subject.h"

#define FILE_BYTES (sizeof(struct subject_point) * SUBJECT_POINTS)

struct mappings {
    const char *folder;
    struct subject_point **rows; /* [SUBJECT_TENANTS_MAX]; NULL = not open */
};

static bool map(struct mappings *mappings, uint32_t tenant, int flags) {
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%u", mappings->folder, tenant);
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0666);
    if (fd < 0) {
        return false;
    }
    void *rows = MAP_FAILED;
    if (flags == 0 || ftruncate(fd, (off_t)FILE_BYTES) == 0) {
        rows = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    (void)close(fd);
    mappings->rows[tenant] = rows == MAP_FAILED ? NULL : rows;
    return rows != MAP_FAILED;
}

static bool create(void *context, uint32_t tenant) {
    return map(context, tenant, O_CREAT | O_EXCL);
}

static bool open_one(void *context, uint32_t tenant) {
    return map(context, tenant, 0);
}

static bool fill(void *context, uint32_t tenant,
                 const struct subject_point points[SUBJECT_POINTS]) {
    struct mappings *mappings = context;
    memcpy(mappings->rows[tenant], points, FILE_BYTES);
    return msync(mappings->rows[tenant], FILE_BYTES, MS_SYNC) == 0;
}

static bool search(void *context, uint32_t tenant, const float query[SUBJECT_DIM],
                   uint64_t *out_id) {
    struct mappings *mappings = context;
    *out_id = subject_nearest(mappings->rows[tenant], query);
    return true;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)bench_fail("insula-mapping-per-tenant FOLDER");
        return BENCH_USAGE;
    }
    struct mappings mappings = {
        .folder = argv[1], .rows = calloc(SUBJECT_TENANTS_MAX, sizeof(struct subject_point *))};
    if (mappings.rows == NULL) {
        return bench_fail("no memory");
    }
    struct subject subject = {
        .context = &mappings, .create = create, .fill = fill, .open = open_one, .search = search};
    int result = subject_run(&subject);
    free(mappings.rows); /* the mappings end with the process */
    return result;
}
