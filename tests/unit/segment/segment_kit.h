/* What the segment tests share: rows made from a seed, a source over them, and extents read back
 * whole through the public functions alone. */
#ifndef SEGMENT_KIT_H
#define SEGMENT_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/id.h"
#include "base/status.h"
#include "segment/segment.h"

#define KIT_VECTORS 8u
#define KIT_SLOTS (SECTION_SLOTS + 32u)

struct kit {
    ins_store *store;
    struct arena *arena;
};
void kit_open(struct kit *kit);
void kit_close(struct kit *kit);
uint64_t kit_job_bytes(const struct kit *kit); /* in use: 0 when nothing leaks */

struct kit_row {
    ins_id id;
    uint64_t version, incarnation;
    bool tombstone, patch;
    uint32_t payload_size;
};

/* Vectors and payloads follow from the id, so rows stay small. */
void kit_vector(const ins_id *id, const struct vector_shape *shape, float *out);
void kit_payload(const ins_id *id, uint32_t size, uint8_t *out);

struct kit_source {
    struct extent_source source;
    const struct kit_row *rows;
    uint32_t count, at;
    enum extent_need need;
    uint32_t which;                          /* vector of the pass */
    struct vector_shape shapes[KIT_VECTORS]; /* source.vectors */
    uint32_t every[KIT_VECTORS];             /* one row in so many has the vector */
    float *vector;
    uint8_t *payload;
    uint32_t fail_after; /* calls of next until one fails; 0 = never */
};
/* scope 7, incarnation 9, versions (100, 10^6]. */
void kit_source_init(struct kit_source *source, const struct kit_row *rows, uint32_t count,
                     uint32_t dim);
/* One vector more, which one row in `every` has, by its id. Ids ascend. */
void kit_source_add(struct kit_source *source, uint16_t id, uint32_t dim, uint32_t every);
/* The vector that was added last becomes a multivector of 1 .. KIT_ROWS_MAX rows a value. */
#define KIT_ROWS_MAX 4u
void kit_source_make_multi(struct kit_source *source);
void kit_source_fini(struct kit_source *source);

struct kit_shape {
    uint32_t numbers, uuids; /* rows */
    uint32_t dead_numbers, dead_uuids;
    uint32_t payload_max; /* sizes 0 .. this */
    uint64_t version_low, version_high;
};
/* Rows in id order, to be freed. */
struct kit_row *kit_rows(const struct kit_shape *shape, uint64_t seed, uint32_t *out_count);

/* Writes one file with this one extent. */
void kit_write_one(struct kit *kit, uint64_t file, struct kit_source *source,
                   struct segment_info *out_info, struct run *out_run);
/* The manifest's words of a file whose tables or contents a test has changed by hand. */
ins_status kit_check(struct kit *kit, const struct segment_info *info, char *out_text,
                     size_t text_size);

struct kit_extent {
    struct extent extent;
    uint8_t *first;
    uint8_t **chunks[KIT_SLOTS];
    struct chunks views[KIT_SLOTS];
};
/* Reads and verifies every block. */
ins_status kit_load(struct kit *kit, const struct run *run, uint64_t file, uint64_t incarnation,
                    struct kit_extent *out, ins_error *error);
void kit_unload(struct kit_extent *loaded);
void kit_expect_rows(const struct kit_extent *loaded, const struct kit_row *rows, uint32_t count);
/* The vectors that the source says, and no others. */
void kit_expect_vectors(const struct kit_extent *loaded, const struct kit_source *source);

#endif
