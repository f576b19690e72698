/* Reading one island at one LSN: a pinned view and the bytes that it needs.
 *
 * Path: reader_open pins runs, files, memtables and the LSN; reader_load brings headers, ids and
 * tombstones; then rows are found, checked, and their vectors and payloads taken, chunk by chunk.
 * Every function that may need bytes answers INS_AGAIN when they are on their way: the operation
 * returns, and starts its step again when its waiter's task runs. What was pinned stays pinned, so
 * a repeated step gets further.
 * Newest wins: sources are ordered active memtable, frozen memtable, newest run ... oldest run; a
 * row counts when no newer source has its id (as a row or a tombstone) at the view's LSN. A patch
 * counts like any row; the vectors that it lacks are those of the next older version (decision
 * 0018). Threads: the request lane. Memory: a pool of its own, given back by reader_close, and the
 * cache.
 */
#ifndef INS_TENANT_READER_H
#define INS_TENANT_READER_H

#include "tenant/cache.h"
#include "tenant/island.h"
#include "tenant/layouts.h"

/* Chunks of one section that reader_trim leaves. */
#define READER_CHUNKS_KEPT 4u
/* Pieces of values that a reader holds at most, and that reader_trim leaves. */
#define READER_PIECES_MAX 256u
#define READER_PIECES_KEPT 32u

/* What readers need of the database. */
struct read_context {
    struct arena *arena;
    struct cache *cache;
    struct islands *islands;
    struct generation *generations[2]; /* active and frozen by slot; NULL when empty */
    uint32_t active_slot;
    uint64_t durable_lsn;
    uint64_t filtered_reads, filtered_rows; /* reads with a filter; rows they looked at singly */
    struct {                                /* of searches in graphs */
        uint64_t searches, fallbacks;
    } graphs;
    struct { /* walks have paid for a fast layout: it is to be made (tenant/layouts.h) */
        void (*wanted)(void *context, struct island *island, const struct layout_key *key);
        void *context;
    } layouts;
    struct { /* of scans over 1-bit codes */
        uint64_t searches, fallbacks, rows, rows_fine, rows_exact;
    } codes;
    struct { /* of graphs and codes: runs whose rows are scanned since it was found */
        uint64_t runs;
        char last[INS_ERROR_MESSAGE_MAX];
        void (*found)(void *context, struct island *island, const char *what);
        void *context;
    } damage;
};

struct reader_chunks {      /* one section of one run */
    const uint8_t **chunks; /* [count]; NULL where not pinned */
    struct block **blocks;
    uint32_t count, pinned;
};

struct reader_run {
    struct run run;
    struct block *first;
    bool loaded; /* extent is parsed */
    bool cold;   /* its header had to be waited for */
    bool overlaps_known;
    bool no_pieces;    /* their hashes could not be read: chunks have their own */
    uint32_t overlaps; /* bit i: runs[i], which is newer, may have ids of this run */
    struct extent extent;
    struct reader_chunks sections[SECTION_SLOTS]; /* by slot; those above it: */
    struct reader_chunks *more; /* [extent.section_count] from slot SECTION_SLOTS on; or NULL */
};

/* Rows of a run whose payloads lie in one chunk, which is pinned as the chunk of their offsets is.
 * Whatever is unpinned ends it. */
struct payload_span {
    const uint8_t *offsets;     /* of row `first` */
    const uint8_t *data;        /* of byte `begin` of the section */
    uint64_t begin, end;        /* bytes of the chunk in the section */
    uint32_t run, first, count; /* count 0: there is none */
    bool wide;                  /* offsets are of 64 bits, else of 32 */
};

struct reader_piece { /* of a run's values, pinned */
    uint32_t run, slot, piece;
    struct block *block;
    const uint8_t *data;
};

struct reader {
    struct read_context *context;
    struct pool pool; /* the view's own: a read over many islands needs memory for one at a time */
    struct cache_waiter *waiter;
    struct island *island; /* pinned */
    ins_text tenant;       /* its name when the view was opened; stays while it is pinned */
    uint64_t lsn;
    struct island_mem *mem[2]; /* newest first: active, frozen */
    struct generation *generations[2];
    struct reader_run *runs; /* [run_count], newest first */
    uint32_t run_count;
    uint32_t payload_room;
    char *payload_copy; /* [payload_room]: of the newest payload that crosses a chunk */
    struct payload_span span;
    struct vector_copy *vector_copies; /* a list: of multivectors that cross one */
    uint32_t page_room; /* tenant/page.c, tenant/directory.c: what one page needs, used again */
    struct reader_piece *pieces; /* [READER_PIECES_MAX] once one was pinned; ascending */
    uint32_t piece_count;
    bool pinned_more; /* than at the last reader_trim() */
    bool tenant_made, open;
    const struct memrow **page_rows[2];
    struct directory_entry *page_entries; /* [(2 + run_count) * page_room] */
    ins_text tenant_member; /* query/point.c: the tenant field of the island's points, once made */
    uint64_t filter_bytes;  /* of payload walked for filters, not yet charged to a step */
};

/* Where the newest version of an id lies. */
struct place {
    const struct memrow *row; /* in a memtable, or */
    uint32_t run, run_row;    /* in runs[run] */
};

/* Where what is done is counted; NULL: nobody asked. */
static inline struct trace *reader_trace(const struct reader *reader) {
    return reader->waiter == NULL ? NULL : reader->waiter->trace;
}

/* `lsn` UINT64_MAX: a writer's view, which sees everything sequenced. `like`: a pool whose purpose
 * and limit the view's own gets. INS_FULL when that is used up. */
INS_MUST_USE ins_status reader_open(struct reader *reader, struct read_context *context,
                                    struct island *island, uint64_t lsn, const struct pool *like,
                                    struct cache_waiter *waiter, ins_error *error);
/* Unpins everything. Takes a zeroed reader, and one that is closed. */
void reader_close(struct reader *reader);

/* Brings headers of all runs. */
INS_MUST_USE ins_status reader_load_headers(struct reader *reader, ins_error *error);
/* And every chunk of ids, tombstones and patches (islands) or index (id directories). */
INS_MUST_USE ins_status reader_load(struct reader *reader, ins_error *error);

/* Pins one chunk of a section; *out_data its bytes. Missing sections: INS_CORRUPT. */
INS_MUST_USE ins_status reader_chunk(struct reader *reader, uint32_t run, uint32_t slot,
                                     uint32_t chunk, const uint8_t **out_data, ins_error *error);
/* The same when the chunk is at hand; else INS_AGAIN, and nothing is brought. */
INS_MUST_USE ins_status reader_chunk_at_hand(struct reader *reader, uint32_t run, uint32_t slot,
                                             uint32_t chunk, const uint8_t **out_data,
                                             ins_error *error);
/* Pins all chunks of a section, if there is one. */
INS_MUST_USE ins_status reader_load_slot(struct reader *reader, uint32_t run, uint32_t slot,
                                         ins_error *error);
/* Unpins the section's chunks except `keep` (UINT32_MAX: all go). Small extents stay whole. */
void reader_release_chunks(struct reader *reader, uint32_t run, uint32_t slot, uint32_t keep);

/* The section's chunks as they are held; how many. */
struct chunks reader_slot_chunks(const struct reader *reader, uint32_t run, uint32_t slot);
uint32_t reader_slot_pinned(const struct reader *reader, uint32_t run, uint32_t slot);

/* Codes or a graph of the run are damaged: nobody uses them from here on, and who opened the
 * database is told, once for each run. `what`: which, and where. */
void reader_note_damage(struct reader *reader, uint32_t run, const char *what);

/* Unpins versions, vectors and payloads of the place's run where more than a few chunks are held:
 * call it when a row has been dealt with, so that a read of many rows never holds the whole cache.
 */
void reader_trim(struct reader *reader, const struct place *place);

/* After reader_load: true when a source newer than run `run` has the id. run = run_count: any run;
 * memtables are always newer than runs. */
bool reader_superseded(const struct reader *reader, uint32_t run, const ins_id *id);
/* After reader_load: leaves out of that question what newer runs cannot have, by their first and
 * last ids. Worth it before many rows of the run are asked about. */
void reader_find_overlaps(struct reader *reader, uint32_t run);
/* True when the place's row is a patch. */
bool reader_is_patch(const struct reader *reader, const struct place *place);
/* The next older version of the same id: *place becomes its place. False when there is none, or a
 * tombstone: the patch lacks its row, which is damage. After reader_load. */
bool reader_older(const struct reader *reader, struct place *place);
/* A row of mem[which]: visible, newest, and a point. */
bool reader_row_counts(const struct reader *reader, uint32_t which, const struct memrow *row);
/* Newest version; false when there is none or it is a tombstone. */
bool reader_find(const struct reader *reader, const ins_id *id, struct place *out);

ins_id reader_id(const struct reader *reader, const struct place *place);
/* After reader_load: the run's chunks of ids, for extent_id over many rows. */
struct chunks reader_ids(const struct reader *reader, uint32_t run);
/* One vector of a run: *out_has false when none of its rows has it. Brings its row numbers, where
 * it has some. INS_CORRUPT when its shape in the extent is another. */
INS_MUST_USE ins_status reader_run_vector(struct reader *reader, uint32_t run,
                                          const struct vector_shape *shape,
                                          struct extent_vector *out, bool *out_has,
                                          ins_error *error);
/* After reader_run_vector: row of the value number `position`; INS_CORRUPT when it is none. */
INS_MUST_USE ins_status reader_vector_row(const struct reader *reader, uint32_t run,
                                          const struct extent_vector *vector, uint32_t position,
                                          uint32_t *out_row, ins_error *error);
/* After reader_run_vector: value number `position`. Its chunk is pinned where it is at hand or
 * worth reading (cache_chunk_worth; then *out_whole), else its piece alone, until
 * reader_release_pieces. `wanted`: pieces of the chunk that are going to be asked for, this one
 * included; 0: told already.
 */
INS_MUST_USE ins_status reader_value(struct reader *reader, uint32_t run,
                                     const struct extent_vector *vector, uint32_t position,
                                     uint32_t wanted, const uint8_t **out, bool *out_whole,
                                     ins_error *error);
/* Which piece of the run's values has it; counts as one a chunk where they have no pieces. */
uint32_t reader_value_piece(const struct reader *reader, uint32_t run,
                            const struct extent_vector *vector, uint32_t position);
void reader_release_pieces(struct reader *reader);
/* Stored values of one vector of a place, its own or inherited, and their shape: a pointer into
 * pinned memory; of a multivector that crosses a chunk a copy, which stays until the same vector of
 * another place is asked for. out->data NULL: it lacks it. */
INS_MUST_USE ins_status reader_vector(struct reader *reader, const struct place *place,
                                      const struct vector_shape *shape, struct vector_ref *out,
                                      ins_error *error);
/* After reader_run_vector: how many of its values from `position` on are of that one's row. Never
 * more than a point may have: else INS_CORRUPT. */
INS_MUST_USE ins_status reader_vector_run(const struct reader *reader, uint32_t run,
                                          const struct extent_vector *vector, uint32_t position,
                                          uint32_t *out_count, ins_error *error);
/* Whether it has the vector, without the values. */
INS_MUST_USE ins_status reader_has_vector(struct reader *reader, const struct place *place,
                                          const struct vector_shape *shape, bool *out,
                                          ins_error *error);
/* All vectors of a place that its collection's schema has: out[INS_VECTORS_MAX]. What they point to
 * stays pinned until reader_trim, reader_close or the next wait of another row. */
INS_MUST_USE ins_status reader_vectors(struct reader *reader, const struct place *place,
                                       const struct schema *schema, struct vector_ref *out,
                                       uint32_t *out_count, ins_error *error);
INS_MUST_USE ins_status reader_version(struct reader *reader, const struct place *place,
                                       uint64_t *out, ins_error *error);
/* Stored payload: a pointer into pinned memory, or a copy when it crosses a chunk, which stays
 * until the next call. */
INS_MUST_USE ins_status reader_payload(struct reader *reader, const struct place *place,
                                       ins_text *out, ins_error *error);
/* Upper bound of the rows that count. Needs nothing loaded. */
uint64_t reader_row_bound(const struct reader *reader);
/* True when the number of points is known without reading: *out_count. */
bool reader_count_known(const struct reader *reader, uint64_t *out_count);

#endif
