/* Segments: immutable files of extents, their directory, and the manifest that names them.
 *
 * Write: segment_writer_begin, one segment_writer_extent per island in order of (shard, scope,
 * incarnation), segment_writer_commit. Read: segment_open (trailer and directory), then blocks by
 * struct block_key; who reads them and keeps them is the cache's business (tenant/).
 * Format: docs/FORMATS.md "Segment". Everything read is bounded and verified: INS_CORRUPT names
 * file and offset. Threads: a writer and an open reader belong to one thread; parsed extents are
 * plain data. */
#ifndef INS_SEGMENT_SEGMENT_H
#define INS_SEGMENT_SEGMENT_H

#include "base/bytes.h"
#include "base/hash.h"
#include "index/vectors.h"
#include "mem/mem.h"
#include "payload/fields.h"
#include "store/store.h"

/* ---- Blocks: the unit of reading, hashing, caching ---------------------------------------- */

struct block_key {
    uint64_t file;   /* file number */
    uint64_t offset; /* in the file */
    uint32_t size;   /* 1 .. 1 MiB */
    uint64_t hash;   /* XXH3-64 of the bytes */
};

#define SEGMENT_ENTRY_BYTES 64u /* of an extent in its file's directory */

/* ---- Runs ---------------------------------------------------------------------------------- */

enum run_flags {
    RUN_SMALL = 1,     /* the extent is one block */
    RUN_DIRECTORY = 2, /* rows are id directory entries (id -> incarnation) */
    RUN_GRAPH = 4,     /* some vector has a graph (graphs.h) */
    /* In memory only, below the header's size: */
    RUN_NO_GRAPH = 8,   /* it was to get one, in vain */
    RUN_INDEXED = 16,   /* it has all field indexes of its collection */
    RUN_DAMAGED = 32,   /* its codes or a graph were found damaged: they are used no more */
    RUN_LATE = 64,      /* it lacks field indexes of its collection */
    RUN_NO_RENEW = 128, /* late or damaged, and it was to be written anew, in vain */
    RUN_NOTED = RUN_NO_GRAPH | RUN_INDEXED | RUN_DAMAGED | RUN_LATE | RUN_NO_RENEW,
    RUN_HEADER_SHIFT = 8 /* header size in 64-byte units above this bit; 0 when small or empty */
};

/* One island's extent in one file: what stays resident. size_64 0: an entry without bytes. */
struct run {
    uint32_t file_slot;          /* the owner's table of files */
    uint32_t offset_64, size_64; /* in units of 64 bytes */
    uint32_t rows, tombstones;
    uint32_t flags;
    uint64_t hash; /* small: of the whole extent; large: of its header */
};
_Static_assert(sizeof(struct run) == 32, "resident for every run of every island");

struct run_entry {                                          /* a directory entry, decoded */
    uint64_t scope, incarnation, version_low, version_high; /* covers (low, high] */
    uint32_t shard;
    struct run run; /* file_slot not set */
};

/* ---- Extents: reading ------------------------------------------------------------------------ */

enum section_kind {
    SECTION_IDS = 1,
    SECTION_VERSIONS = 2,
    SECTION_TOMBSTONES = 3,
    SECTION_DENSE = 4,
    SECTION_PAYLOAD_OFFSETS = 5,
    SECTION_PAYLOAD = 6,
    SECTION_DIRECTORY = 7,
    SECTION_DIRECTORY_INDEX = 8,
    SECTION_FILTER = 9,
    SECTION_PATCHES = 10,
    /* kept for later: */ SECTION_KILLS = 11,
    SECTION_CODES = 13,
    SECTION_GRAPH = 14, /* links */
    SECTION_SPARSE = 15,
    SECTION_FIELD = 16,
    SECTION_VECTOR_ROWS = 17,
    SECTION_CODE_FACTORS = 18,
    SECTION_GRAPH_HEAD = 19,
    SECTION_SCAN = 20, /* 1-bit codes */
    SECTION_SCAN_HEAD = 21,
    SECTION_PIECES = 22,    /* hashes of parts of chunks */
    SECTION_SCAN_BOTH = 23, /* 1-bit codes, and 4-bit ones of the same rows */
    SECTION_KIND_MAX = SECTION_SCAN_BOTH,
};

/* A section's slot: its kind where that is below SECTION_SLOTS and its number is 0, which is what
 * nearly all extents have and nothing must look for; else SECTION_SLOTS + its place in the table.
 */
#define SECTION_SLOTS 11
#define SLOT_NONE UINT32_MAX

struct section {
    bool present;
    uint16_t kind, number; /* number: the vector's id (dense, vector rows, graphs, scans, pieces),
                              fields.h, else 0 */
    uint16_t encoding;
    bool multi;      /* a row of the extent has several of the values, one behind the other */
    uint64_t offset; /* from the extent's start */
    uint64_t size;
    uint32_t chunk_bytes; /* all chunks but the last are this long */
    uint32_t chunk_count;
    uint32_t first_hash; /* index into the header's hash table */
};

/* A parsed header. Borrows `header` (kept pinned by the caller). */
struct extent {
    uint64_t file, offset, size; /* place */
    bool small;
    uint64_t incarnation, version_low, version_high;
    uint32_t row_count,
        number_count; /* rows, and how many of them have number ids (they come first) */
    uint32_t tombstone_count, tombstone_number_count;
    uint32_t patch_count; /* of the rows: they inherit the vectors that they lack */
    bool wide_versions;   /* u64 instead of u32 above version_low */
    bool numbered;        /* some sections have slots from SECTION_SLOTS on alone */
    struct section sections[SECTION_SLOTS];
    uint32_t section_count; /* in the table */
    const uint8_t *header;  /* small: the whole extent */
    const uint8_t *hashes;  /* u64 LE a chunk of every section (large only) */
};

/* The first block to read of a run: the whole extent when small, else its header. False for an
 * entry without bytes. */
bool run_first_block(const struct run *run, uint64_t file, struct block_key *out);
/* `bytes` is that block, verified against its hash. Checks every bound of the header. */
INS_MUST_USE ins_status extent_parse(const struct run *run, uint64_t file, struct slice bytes,
                                     uint64_t incarnation, struct extent *out, ins_error *error);
/* Slots of the extent are below this. */
static inline uint32_t extent_slot_count(const struct extent *extent) {
    return SECTION_SLOTS + extent->section_count;
}
/* SLOT_NONE when the extent has no such section. */
uint32_t extent_slot(const struct extent *extent, enum section_kind kind, uint32_t number);
struct section extent_slot_section(const struct extent *extent, uint32_t slot);
/* Block of chunk `chunk` of a section of a large extent. */
struct block_key extent_chunk(const struct extent *extent, uint32_t slot, uint32_t chunk);
/* Of a small extent: the section's bytes inside the block. */
struct slice extent_section(const struct extent *extent, uint32_t slot);
/* Rows in one chunk of IDS' number part, VERSIONS, PAYLOAD_OFFSETS: rows never cross chunks. */
uint32_t extent_rows_per_chunk(const struct extent *extent, enum section_kind kind);

/* One vector's sections. */
struct extent_vector {
    uint32_t slot;      /* of the values: those of the rows that have the vector, in row order */
    uint32_t rows_slot; /* of their row numbers; SLOT_NONE: every row has one value */
    uint32_t count;     /* values: one of each row that has it, or more of a multivector */
    uint32_t row_bytes, rows_per_chunk; /* of a value; values in a chunk */
    bool multi;                         /* rows have several values */
};
/* False when no row of the extent has the vector of that id. */
bool extent_vector(const struct extent *extent, uint32_t id, struct extent_vector *out);

struct chunks;
/* Pieces of a vector's values: parts of its chunks with hashes of their own, so that a few values
 * can be read without the rest. Each chunk is cut from its beginning; values never cross pieces. */
struct extent_pieces {
    uint32_t slot;      /* of the hashes, u64 each */
    uint32_t bytes;     /* of a piece; the last one of a chunk may be shorter */
    uint32_t per_chunk; /* pieces in a chunk; the last one may have fewer */
};
/* False when the vector has none: then whole chunks are read. */
bool extent_pieces(const struct extent *extent, const struct extent_vector *vector,
                   struct extent_pieces *out);
/* Piece number `piece` of all. `hashes`: the chunk of its hash at hand. */
struct block_key extent_piece(const struct extent *extent, const struct extent_vector *vector,
                              const struct extent_pieces *pieces, const struct chunks *hashes,
                              uint32_t piece);

/* Sections' chunks as the caller holds them: chunks[i] is NULL when not at hand. For a small extent
 * chunk 0 is the section. */
struct chunks {
    const uint8_t *const *chunks;
    uint32_t chunk_bytes, chunk_count;
};

/* Id of a row; of a tombstone (SECTION_TOMBSTONES). Needs that row's chunk. */
ins_id extent_id(const struct extent *extent, const struct chunks *ids, uint32_t row);
ins_id extent_tombstone_id(const struct extent *extent, const struct chunks *tombstones,
                           uint32_t index);
uint64_t extent_version(const struct extent *extent, const struct chunks *versions, uint32_t row);
uint64_t extent_tombstone_version(const struct extent *extent, const struct chunks *tombstones,
                                  uint32_t index);
/* First row with id >= `id` (row_count when none). All chunks of ids must be at hand. */
uint32_t extent_lower_bound(const struct extent *extent, const struct chunks *ids,
                            const ins_id *id);
bool extent_find(const struct extent *extent, const struct chunks *ids, const ins_id *id,
                 uint32_t *out_row);
bool extent_find_tombstone(const struct extent *extent, const struct chunks *tombstones,
                           const ins_id *id);
/* The rows that are patches, ascending; and whether a row is one. All chunks at hand. */
uint32_t extent_patch_row(const struct chunks *patches, uint32_t index);
bool extent_is_patch(const struct extent *extent, const struct chunks *patches, uint32_t row);
/* Row of the value number `position`; row_count when the section's bytes are no row's number.
 * `rows`: chunks of rows_slot; not looked at when every row has the vector. */
uint32_t extent_vector_row(const struct extent *extent, const struct extent_vector *vector,
                           const struct chunks *rows, uint32_t position);
/* And the inverse, the first of a multivector's; false when the row lacks the vector. All chunks of
 * `rows` at hand. */
bool extent_vector_position(const struct extent_vector *vector, const struct chunks *rows,
                            uint32_t row, uint32_t *out_position);
/* Values that the row has from `position` on, its first: 1, but of multivectors. */
uint32_t extent_vector_run(const struct extent_vector *vector, const struct chunks *rows,
                           uint32_t position);
/* Where the payload of `row` lies in SECTION_PAYLOAD: [*out_begin, *out_end). INS_CORRUPT when out
 * of bounds. */
INS_MUST_USE ins_status extent_payload_range(const struct extent *extent,
                                             const struct chunks *offsets, uint32_t row,
                                             uint64_t *out_begin, uint64_t *out_end);

/* ---- Id directory: runs of (id -> incarnation), sorted, in 4 KiB blocks, with a filter --------
 */

/* False: surely not in this run. One filter chunk is looked at: directory_filter_chunk says which
 * (SECTION_FILTER chunk number). */
uint32_t directory_filter_chunk(const struct extent *extent, uint64_t id_hash);
bool directory_filter_test(const struct extent *extent, const uint8_t *chunk, uint64_t id_hash);
/* Asks the processor for the words that the test will look at. */
void directory_filter_prefetch(const struct extent *extent, const uint8_t *chunk, uint64_t id_hash);
/* Which 4 KiB block of SECTION_DIRECTORY may hold the id: false when before the first. All chunks
 * of the index at hand. A block never crosses a chunk. */
bool directory_block_of(const struct extent *extent, const struct chunks *index, const ins_id *id,
                        uint32_t *out_block);
uint32_t directory_block_count(const struct extent *extent);
/* Chunk of SECTION_DIRECTORY that holds block `block`, and the offset in it. */
uint32_t directory_block_chunk(const struct extent *extent, uint32_t block, uint32_t *out_offset);

struct directory_entry {
    ins_id id;
    uint64_t incarnation;
};
struct directory_cursor {                    /* walks one block; offsets in it, widths in bits */
    const uint8_t *block, *end;              /* end: of what its arrays take */
    uint32_t count, index;                   /* entries; the next one */
    uint32_t codes, width, dictionary_count; /* of the incarnations */
    uint32_t ids, id_width, lows;
    bool uuids;
    ins_id last;
};
INS_MUST_USE ins_status directory_block_begin(const uint8_t *block, size_t size,
                                              struct directory_cursor *out, ins_error *error);
/* False at the end, or when the block's bytes are malformed (*out_status INS_CORRUPT). */
bool directory_block_next(struct directory_cursor *cursor, struct directory_entry *out,
                          ins_status *out_status);
INS_MUST_USE ins_status directory_block_find(const uint8_t *block, size_t size, const ins_id *id,
                                             bool *out_found, uint64_t *out_incarnation,
                                             ins_error *error);

/* ---- Writing --------------------------------------------------------------------------------- */

enum extent_need {
    EXTENT_NEED_KEYS = 0,
    EXTENT_NEED_VECTOR = 1,   /* values of one vector */
    EXTENT_NEED_PRESENCE = 2, /* whether rows have one vector */
    EXTENT_NEED_PAYLOAD = 3,
};

struct extent_row {
    ins_id id;
    uint64_t version; /* with EXTENT_NEED_KEYS */
    bool tombstone;
    bool patch;           /* with all but PAYLOAD: inherits the vectors that it lacks */
    uint64_t incarnation; /* directory rows: where the id lives */
    uint64_t present;     /* with KEYS and PRESENCE: bit i: the row has source->vectors[i] */
    const void *vector;   /* with EXTENT_NEED_VECTOR; NULL: the row lacks it */
    uint32_t vector_rows; /* with VECTOR and PRESENCE: of the value; 1, or more of a multivector */
    struct slice payload; /* with EXTENT_NEED_PAYLOAD; size 0 = none */
};

/* Rows of one island in id order, newest version of each id only. The writer passes over them
 * several times: keys first, then once or more per section. */
struct extent_source {
    void *context;
    uint32_t shard;
    uint64_t scope, incarnation;
    uint32_t schema_version, partition_version;
    uint64_t version_low, version_high; /* the interval (low, high] that the extent covers */
    const struct vector_shape *vectors; /* [vector_count], ascending by id: what is written */
    uint32_t vector_count;
    uint64_t sparse; /* bit i: `present` of vectors[i] comes with PRESENCE only, not with KEYS */
    bool directory;  /* rows are id directory entries */
    /* What a large extent is indexed by, in tables of at most FIELD_COLUMNS_MAX columns. */
    struct payload_columns *const *columns; /* [column_table_count] */
    uint32_t column_table_count;
    const struct extent_graph
        *graphs; /* [graph_count], by graphs.h; an extent with some is large */
    uint32_t graph_count;
    /* [scan_count], by scans.h, ascending by vector: which vectors of a large extent get 1-bit
     * codes */
    const struct extent_scan *scans;
    uint32_t scan_count;
    uint64_t piece_bytes_min; /* values of more bytes get hashes of their pieces; 0 = 1 MiB */
    /* `vector`: which of `vectors` a pass with VECTOR or PRESENCE is about. */
    ins_status (*rewind)(void *context, enum extent_need need, uint32_t vector, ins_error *error);
    /* *out_end at the end. What `out` points to lives until the next call. */
    ins_status (*next)(void *context, struct extent_row *out, bool *out_end, ins_error *error);
};

struct segment_writer;

/* Buffers come from the arena's INS_MEM_JOB share: 2 MiB and 64 KiB for each 1,024 extents; up to 1
 * MiB more for a large extent, some 9 MiB while a large id directory is written. */
INS_MUST_USE ins_status segment_writer_begin(ins_store *store, struct arena *arena, uint64_t file,
                                             const uint8_t random_id[16],
                                             struct segment_writer **out_writer, ins_error *error);
/* Extents come in ascending (shard, scope, incarnation). Writes an entry without bytes when the
 * source has no rows. *out_run: what the run list keeps (file_slot 0). */
INS_MUST_USE ins_status segment_writer_extent(struct segment_writer *writer,
                                              const struct extent_source *source,
                                              struct run *out_run, ins_error *error);

struct segment_info { /* what the manifest says of a file */
    uint64_t file;
    uint8_t random_id[16];
    uint64_t size_bytes;
    uint64_t trailer_hash;
    uint32_t extent_count;
};
/* Durable on INS_OK. Frees the writer in every case. */
INS_MUST_USE ins_status segment_writer_commit(struct segment_writer *writer,
                                              struct segment_info *out_info, ins_error *error);
void segment_writer_abort(struct segment_writer *writer);          /* takes NULL */
uint64_t segment_writer_size(const struct segment_writer *writer); /* bytes so far */

#define SEGMENT_NAME_MAX 40
void segment_name(uint64_t file, char out[static SEGMENT_NAME_MAX]); /* "segments/%016x.seg" */

/* Reads trailer and directory, verifies them against the manifest's words and visits each entry in
 * order. Memory: INS_MEM_JOB, one piece of the directory at a time. */
INS_MUST_USE ins_status segment_read_directory(
    ins_store *store, struct arena *arena, const struct segment_info *info,
    ins_status (*visit)(void *context, const struct run_entry *entry, ins_error *error),
    void *context, ins_error *error);
/* Verifies every byte: header, extents (each section decoded, ids ascending, payload JSON not
 * parsed, offsets rising, filter says yes to each id), padding zero, directory, trailer. Reports
 * each finding; INS_CORRUPT when there is any. */
INS_MUST_USE ins_status segment_check(ins_store *store, struct arena *arena,
                                      const struct segment_info *info, ins_check_report report,
                                      void *report_context, ins_error *error);

/* ---- Manifest -------------------------------------------------------------------------------- */

struct manifest { /* decoded; files in ascending number */
    uint8_t database_id[16];
    uint64_t flushed_lsn;       /* every record up to it lies in the files */
    uint64_t next_file;         /* file numbers from here on are free */
    uint64_t log_lsn;           /* the log was durable up to it when files were taken out */
    uint64_t erased_lsn;        /* what was dead at it is in no file, nor in the log */
    struct segment_info *files; /* [file_count], the caller's memory */
    uint32_t file_count;
};

#define MANIFEST_CELL "manifest"
size_t manifest_size(const struct manifest *manifest); /* bytes when encoded */
void manifest_encode(const struct manifest *manifest, uint8_t *out);
/* `files` [capacity] receives the entries. INS_CORRUPT names what is wrong. */
INS_MUST_USE ins_status manifest_decode(const uint8_t *data, size_t size,
                                        struct segment_info *files, uint32_t capacity,
                                        struct manifest *out, ins_error *error);

#endif
