/* What the files of this folder share: the words of format 1, the layout of extents, the writer's
 * streams, the fuse filter and the encoder of id directory blocks. Format: docs/FORMATS.md. */
#ifndef INS_SEGMENT_PRIVATE_H
#define INS_SEGMENT_PRIVATE_H

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "segment/fields.h"
#include "segment/scans.h"

#define SEGMENT_FORMAT 1u
#define SEGMENT_PAGE 4096u
#define SEGMENT_HEADER_MAGIC 0x4745534c55534e49ull  /* "INSULSEG" */
#define SEGMENT_TRAILER_MAGIC 0x4c52544c55534e49ull /* "INSULTRL" */
#define SEGMENT_MAGIC_BYTES 8u
#define SEGMENT_TRAILER_BYTES 256u
#define SEGMENT_SCOPE_BYTES 24u
#define SEGMENT_ENTRIES_PER_PIECE 1024u
#define SEGMENT_SCOPES_PER_PIECE 2048u
#define SEGMENT_PIECE_BYTES_MAX (64u << 10)
#define SEGMENT_EXTENTS_MAX (16u << 20)
#define SEGMENT_FILE_BYTES_MIN (2ull * SEGMENT_PAGE) /* header page and trailer */
#define SEGMENT_FILE_BYTES_MAX (255ull << 30)        /* offsets are u32 in units of 64 bytes */
/* Where the fields of the trailer lie. */
enum trailer_at {
    TRAILER_FILE = 16,
    TRAILER_RANDOM = 24,
    TRAILER_SIZE = 40,
    TRAILER_DIRECTORY = 48,
    TRAILER_ENTRIES = 56,
    TRAILER_SCOPES = 60,
    TRAILER_SCOPE_INDEX = 64,
    TRAILER_TABLE_HASHES = 72,
    TRAILER_TABLE_HASH = 80,
    TRAILER_PAGE_HASH = 88,
    TRAILER_ZERO = 96,
    TRAILER_HASH = 248,
};
/* And those of the header page. */
enum page_at { PAGE_FILE = 16, PAGE_RANDOM = 24, PAGE_ZERO = 40, PAGE_HASH = 4088 };

_Static_assert(SEGMENT_ENTRIES_PER_PIECE *SEGMENT_ENTRY_BYTES <= SEGMENT_PIECE_BYTES_MAX, "");
_Static_assert(SEGMENT_SCOPES_PER_PIECE *SEGMENT_SCOPE_BYTES <= SEGMENT_PIECE_BYTES_MAX, "");

/* ---- Extent header ------------------------------------------------------------------------- */

#define EXTENT_MAGIC 0x54584549u /* "IEXT" */
#define EXTENT_HEADER_BYTES 80u
#define EXTENT_SECTION_BYTES 40u
#define EXTENT_HEADER_BYTES_MAX (1u << 20) /* a header is one block */
#define EXTENT_SECTION_COUNT_MAX (SECTION_SLOTS - 1 + 9 * INS_VECTORS_MAX + 2 * FIELD_TABLES_MAX)
#define EXTENT_HASHES_MAX                                                                          \
    ((EXTENT_HEADER_BYTES_MAX - EXTENT_HEADER_BYTES -                                              \
      EXTENT_SECTION_COUNT_MAX * EXTENT_SECTION_BYTES) /                                           \
         8 -                                                                                       \
     8)
enum section_flags { SECTION_FLAG_MULTI = 1 }; /* of SECTION_DENSE */
enum extent_flags { EXTENT_SMALL = 1, EXTENT_DIRECTORY = 2, EXTENT_WIDE_VERSIONS = 4 };
enum extent_encoding {
    ENCODING_PLAIN = 1,
    ENCODING_U32 = 4,
    ENCODING_U64 = 8,
    ENCODING_FUSE12 = 12,
};

/* ---- Layout: sizes that follow from counts (layout.c) -------------------------------------- */

/* Bytes of `count` ids of which `numbers` are numbers. */
uint64_t layout_ids_bytes(uint32_t count, uint32_t numbers);
/* Where id number `index` begins among them. */
uint64_t layout_id_offset(uint32_t numbers, uint32_t index);
uint64_t layout_tombstones_bytes(uint32_t count, uint32_t numbers, bool wide);
/* Chunk bytes of a section of a large extent: of islands and of the index, but for vectors. */
uint32_t layout_chunk_bytes(enum section_kind kind);
/* Whole rows of one vector. */
uint32_t layout_vector_chunk_bytes(uint32_t row_bytes);
/* Whole rows of a part of a graph, a power of two of them. */
uint32_t layout_graph_chunk_bytes(uint32_t row_bytes);
/* Whole values of one vector: what has a hash of its own. `size` of all values. */
uint32_t layout_piece_bytes(uint32_t row_bytes, uint64_t size);
/* Pieces of `size` bytes. */
uint64_t layout_piece_count(uint32_t row_bytes, uint64_t size);
/* What a section of dense values says of their type, and the reverse (0: of none). */
uint16_t layout_encoding_of(uint32_t datatype);
uint32_t layout_encoding_bytes(uint16_t encoding);
uint32_t layout_directory_chunk_bytes(uint32_t row_count);
/* Where an extent of `size` bytes goes when the file ends at `end`. */
uint64_t layout_place(uint64_t end, uint64_t size, bool small);
uint64_t layout_header_bytes(uint32_t section_count, uint32_t hash_count);
bool layout_is_small(uint64_t size, uint64_t rows_and_tombstones);

/* ---- Fuse filter (fuse_filter.c) ------------------------------------------------------------ */

#define FUSE_HEADER_BYTES 24u
#define FUSE_KEYS_MAX 131072u /* of one partition */
#define FUSE_KEYS_TARGET                                                                           \
    120000u /* on average; the spread is some 350, so none overflows by chance */

struct fuse_geometry {
    uint32_t segment_length, segment_count;
    uint32_t array_length; /* fingerprints */
    uint32_t bytes;        /* of the partition, header included */
};
struct fuse_geometry fuse_geometry_for(uint32_t key_count);
uint32_t fuse_partition_count(uint32_t id_count);
/* floor(hash * range / 2^64): spreads hashes evenly over [0, range). */
static inline uint64_t hash_scale(uint64_t hash, uint64_t range) {
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)hash * range) >> 64);
}
static inline uint32_t fuse_partition_of(uint64_t id_hash, uint32_t partition_count) {
    return (uint32_t)hash_scale(id_hash, partition_count);
}

struct fuse_builder; /* the working memory of one partition; INS_MEM_JOB */
INS_MUST_USE ins_status fuse_builder_create(struct arena *arena,
                                            const struct fuse_geometry *geometry,
                                            struct fuse_builder **out_builder, ins_error *error);
void fuse_builder_destroy(struct fuse_builder *builder); /* takes NULL */
/* Makes the partition of `keys` [count], count <= FUSE_KEYS_MAX, in `out` [geometry.bytes]. Sorts
 * keys when two are equal. When no seed works (crafted keys) the partition says yes to everything.
 */
void fuse_build(struct fuse_builder *builder, uint64_t *keys, uint32_t count, uint8_t *out);
/* A partition that says yes to every id. */
void fuse_saturate(uint8_t *out, uint32_t size);
/* `partition` [size]: any bytes. True when unsure or malformed. */
void fuse_prefetch(const uint8_t *partition, size_t size, uint64_t id_hash);
bool fuse_test(const uint8_t *partition, size_t size, uint64_t id_hash);

/* ---- Id directory blocks (directory_blocks.c, directory_encode.c) --------------------------- */

#define DIRECTORY_BLOCK_HEADER 24u
#define DIRECTORY_DICTIONARY_MAX 64u
#define DIRECTORY_INDEX_BYTES 12u
#define DIRECTORY_BLOCK_ENTRIES_MAX (INS_DIRECTORY_BLOCK - DIRECTORY_BLOCK_HEADER + 1)
#define DIRECTORY_INDEX_UUID 0x80000000u
#define DIRECTORY_INDEX_GROUP 0x40000000u
#define DIRECTORY_INDEX_BACK 0x3fffffffu

struct directory_index_entry {
    uint64_t key;
    uint32_t word;
};

/* Takes entries in id order and gives blocks; needs no second look at an entry. */
struct directory_encoder {
    /* What to do with a block: `block` [size] is NULL when only the index is wanted. */
    ins_status (*emit)(void *context, const uint8_t *block, uint32_t size,
                       const struct directory_index_entry *index, ins_error *error);
    void *context;
    bool want_blocks;
    /* pending entries of the next block */
    struct directory_entry *pending; /* [DIRECTORY_BLOCK_ENTRIES_MAX] */
    uint32_t count;
    uint64_t incarnation_min, incarnation_max;
    uint64_t dictionary[DIRECTORY_DICTIONARY_MAX];
    uint32_t dictionary_count; /* above DIRECTORY_DICTIONARY_MAX: none */
    uint32_t group_back; /* blocks since the group's first, for the next block; 0 = begins anew */
    uint32_t block_count;
    uint8_t block[INS_DIRECTORY_BLOCK];
};

void directory_encoder_init(struct directory_encoder *encoder, struct directory_entry *pending,
                            bool want_blocks);
INS_MUST_USE ins_status directory_encoder_add(struct directory_encoder *encoder,
                                              const struct directory_entry *entry,
                                              ins_error *error);
INS_MUST_USE ins_status directory_encoder_finish(struct directory_encoder *encoder,
                                                 ins_error *error);

/* ---- Field indexes (field_write.c, field_read.c) --------------------------------------------- */

#define FIELD_TABLE_HEADER 16u
#define FIELD_BLOCK_HEADER 16u

struct field_block_layout {
    uint64_t postings, rows, heap, size; /* where they begin; all of it */
};
/* By the counts of a block. */
struct field_block_layout field_block_layout(const struct field_block *block,
                                             enum payload_domain domain);
uint32_t field_group_count(uint32_t row_count);
struct segment_writer;
/* Writes both sections of table `table` of source->columns. *out_written false: there is no memory
 * for it, and nothing was written. */
INS_MUST_USE ins_status fields_write(struct segment_writer *to, uint64_t extent_start,
                                     const struct extent_source *source, uint32_t row_count,
                                     uint32_t table, bool *out_written, ins_error *error);

/* ---- Graphs (graphs.c) ----------------------------------------------------------------------- */

struct extent_counts;
/* The sections of all graphs of the source. */
INS_MUST_USE ins_status graphs_write(struct segment_writer *to, uint64_t extent_start,
                                     const struct extent_source *source,
                                     const struct extent_counts *counts, ins_error *error);
/* Why the extent's sections of graphs are wrong, or NULL. */
const char *graphs_parse(const struct extent *extent, bool expected);

/* ---- Scan codes (scans.c) -------------------------------------------------------------------- */

/* The codes of one vector on their way: its values are seen once for their mean, then again. */
struct scan_write {
    const struct extent_scan *scan; /* NULL: none are wanted, or there is no memory */
    const struct vector_shape *shape;
    struct arena *arena;
    size_t memory_bytes;
    double *sums; /* [dim]; the beginning of the memory */
    float *values, *centre, *rotated, *signs;
    uint8_t *block, *fine; /* fine: 4-bit codes of the chunk's rows */
    struct scan_layout layout;
    uint32_t count;
};
void scan_write_begin(struct scan_write *write, struct arena *arena,
                      const struct extent_source *source, uint32_t vector, uint32_t count);
/* `stored`: the next `rows` values, one behind the other. */
void scan_write_see(struct scan_write *write, const void *stored, uint32_t rows);
/* Passes over the values once more; writes head and codes. */
INS_MUST_USE ins_status scan_write_codes(struct scan_write *write, struct segment_writer *to,
                                         uint64_t extent_start, const struct extent_source *source,
                                         ins_error *error);
void scan_write_end(struct scan_write *write);
/* Why the extent's sections of codes are wrong, or NULL. */
const char *scans_parse(const struct extent *extent);

/* ---- Pieces (pieces.c) ----------------------------------------------------------------------- */

#define PIECE_BYTES 4096u /* one page, or one value where that is more */
#define PIECE_COUNT_MAX                                                                            \
    (1u << 17) /* of one vector: 1 MiB of hashes; larger ones have larger pieces */
#define PIECE_VALUES_MIN_DEFAULT                                                                   \
    (1u << 20) /* smaller sections of values are read in a few reads                               \
                */

/* Hashes of the pieces of a section that is being written. */
struct piece_write {
    struct arena *arena;
    uint64_t *hashes; /* [room]; NULL: none are wanted, or there is no memory */
    uint32_t room, count, bytes;
};
/* `size`: of the values; at most `size_min`: they get none. */
void piece_write_begin(struct piece_write *write, struct arena *arena, uint32_t row_bytes,
                       uint64_t size, uint64_t size_min);
/* The next chunk of the section, as it goes to the file. */
void piece_write_chunk(struct piece_write *write, const uint8_t *chunk, size_t size);
/* Writes them as a section of vector `number`, if there are any. */
INS_MUST_USE ins_status piece_write_section(struct piece_write *write, struct segment_writer *to,
                                            uint64_t extent_start, uint16_t number,
                                            ins_error *error);
void piece_write_end(struct piece_write *write);
/* Why the extent's sections of pieces are wrong, or NULL. */
const char *pieces_parse(const struct extent *extent);

/* ---- Writer -------------------------------------------------------------------------------- */

#define SINK_BYTES (1u << 20)

/* A piece of a table that waits for the end of the file. */
struct table_piece {
    struct table_piece *next;
    uint32_t size; /* bytes in use */
    uint8_t bytes[SEGMENT_PIECE_BYTES_MAX];
};
struct table {
    struct table_piece *first, *last;
    uint32_t entry_bytes, entries_per_piece;
    uint32_t entry_count;
};

/* The sections of the extent being made, ascending by (kind, number) when it is done. */
struct section_list {
    uint32_t count;
    struct section items[EXTENT_SECTION_COUNT_MAX];
};
/* Keeps the order; two of one name are not allowed. */
void section_list_add(struct section_list *list, const struct section *section);

struct segment_writer {
    ins_store *store;
    struct arena *arena;
    struct store_writer *put; /* NULL: committed or failed */
    uint64_t file;
    uint8_t random_id[16];
    uint64_t page_hash;
    /* sink: bytes on their way to the file */
    uint8_t *out; /* [SINK_BYTES] */
    size_t out_used;
    uint64_t end; /* of the file so far */
    /* the chunk or small extent being made */
    uint8_t *build;   /* [INS_SMALL_EXTENT_BYTES_MAX] */
    uint64_t *hashes; /* [hash_capacity] of the large extent being made */
    uint32_t hash_count, hash_capacity;
    struct section_list sections;
    struct table directory, scopes;
    bool any_extent;
    uint32_t last_shard;
    uint64_t last_scope, last_incarnation;
};

/* Adds the directory entry of an extent that the caller has written. */
INS_MUST_USE ins_status segment_writer_entry(struct segment_writer *writer,
                                             const struct run_entry *entry, const struct run *run,
                                             ins_error *error);
INS_MUST_USE ins_status sink_put(struct segment_writer *writer, const void *data, size_t size,
                                 ins_error *error);
/* Zeros up to file offset `end`. */
INS_MUST_USE ins_status sink_zero_to(struct segment_writer *writer, uint64_t end, ins_error *error);

/* A section of a large extent on its way: cut into chunks, hashed, written. */
struct section_stream {
    struct segment_writer *writer;
    struct section section;     /* as it will be in the table */
    uint32_t used;              /* bytes of the chunk that is being filled */
    struct piece_write *pieces; /* sees the chunks; NULL: nobody does */
};
/* Begins the section, of which kind, number, encoding and chunk_bytes are set, at the next place;
 * `size` 0 when it is not known yet (goes to a page). */
INS_MUST_USE ins_status stream_begin(struct section_stream *stream, struct segment_writer *writer,
                                     uint64_t extent_start, const struct section *section,
                                     uint64_t size, ins_error *error);
INS_MUST_USE ins_status stream_put(struct section_stream *stream, const void *data, size_t size,
                                   ins_error *error);
INS_MUST_USE ins_status stream_zero(struct section_stream *stream, size_t size, ins_error *error);
/* An empty one is left out. */
INS_MUST_USE ins_status stream_end(struct section_stream *stream, ins_error *error);

/* What the passes over a source agree on. */
struct extent_counts {
    uint32_t rows, numbers, tombstones, tombstone_numbers, patches;
    uint32_t vectors[INS_VECTORS_MAX]; /* values of source->vectors[i]: a row has one, or none, or
                                          of a multivector several */
};
/* True when it is written which rows have source->vectors[which]. */
static inline bool counts_need_rows(const struct extent_source *source,
                                    const struct extent_counts *counts, uint32_t which) {
    return counts->vectors[which] != 0 &&
           (source->vectors[which].multi != 0 || counts->vectors[which] != counts->rows);
}
/* Walks a source and asserts the order of its rows. */
struct source_walk {
    const struct extent_source *source;
    enum extent_need need;
    uint32_t vector;
    struct extent_row row;
    bool begun, end;
    ins_id last;
};
INS_MUST_USE ins_status walk_begin(struct source_walk *walk, const struct extent_source *source,
                                   enum extent_need need, uint32_t vector, ins_error *error);
/* The next row is in walk->row unless walk->end. */
INS_MUST_USE ins_status walk_next(struct source_walk *walk, ins_error *error);
/* The next row that is no tombstone. */
INS_MUST_USE ins_status walk_live(struct source_walk *walk, ins_error *error);
INS_MUST_USE ins_status walk_count(const struct extent_source *source,
                                   struct extent_counts *out_counts, ins_error *error);

/* Versions of the interval do not fit a u32 above its low end. */
static inline bool extent_is_wide(const struct extent_source *source) {
    return source->version_high - source->version_low > UINT32_MAX;
}
/* Encodes header and section table to `out`; returns their bytes. */
size_t extent_header_put(uint8_t *out, const struct extent_source *source,
                         const struct extent_counts *counts, const struct section_list *sections,
                         bool small, uint32_t hash_count, uint64_t extent_size);
/* Ends a large extent: header, table of writer->sections, hashes. Fills `out_run`. */
INS_MUST_USE ins_status extent_finish_large(struct segment_writer *writer,
                                            const struct extent_source *source,
                                            const struct extent_counts *counts, uint64_t start,
                                            struct run *out_run, ins_error *error);
/* Places the small extent of `size` bytes that lies in writer->build. Fills `out_run`. */
INS_MUST_USE ins_status extent_finish_small(struct segment_writer *writer,
                                            const struct extent_source *source,
                                            const struct extent_counts *counts, uint64_t size,
                                            struct run *out_run, ins_error *error);
INS_MUST_USE ins_status extent_write_rows(struct segment_writer *writer,
                                          const struct extent_source *source,
                                          const struct extent_counts *counts, struct run *out_run,
                                          ins_error *error);
/* Ids and versions as sections hold them. */
static inline void put_id_at(uint8_t *at, const ins_id *id) {
    if (id->is_uuid) {
        store_u64(at, id->high);
        at += 8;
    }
    store_u64(at, id->low);
}
static inline void put_version_at(uint8_t *base, bool wide, uint32_t index, uint64_t version) {
    if (wide) {
        store_u64(base + (uint64_t)index * 8, version);
    } else {
        store_u32(base + (uint64_t)index * 4, (uint32_t)version);
    }
}
/* The two forms of extent_write_rows. `payload_bytes` of all rows. */
uint64_t small_rows_layout(struct section_list *list, const struct extent_source *source,
                           const struct extent_counts *counts, uint64_t payload_bytes);
INS_MUST_USE ins_status small_rows_write(struct segment_writer *writer,
                                         const struct extent_source *source,
                                         const struct extent_counts *counts, uint64_t size,
                                         struct run *out_run, ins_error *error);
INS_MUST_USE ins_status large_rows_write(struct segment_writer *writer,
                                         const struct extent_source *source,
                                         const struct extent_counts *counts, struct run *out_run,
                                         ins_error *error);
INS_MUST_USE ins_status extent_write_directory(struct segment_writer *writer,
                                               const struct extent_source *source,
                                               const struct extent_counts *counts,
                                               struct run *out_run, ins_error *error);

/* ---- Reading ------------------------------------------------------------------------------- */

/* Reads [offset, offset + size) of a segment of `file_bytes` bytes through `buffer`, which holds
 * size + 2 pages: direct reads want whole pages. *out points into buffer. */
INS_MUST_USE ins_status segment_read(ins_store *store, const char *name, uint64_t file_bytes,
                                     uint64_t offset, size_t size, uint8_t *buffer,
                                     const uint8_t **out, ins_error *error);
#define SEGMENT_READ_SLACK ((size_t)2 * SEGMENT_PAGE)

struct segment_trailer { /* verified against the manifest's words */
    uint64_t directory, scope_index, table_hashes;
    uint32_t entry_count, scope_count;
    uint64_t table_hash, page_hash;
};
INS_MUST_USE ins_status segment_read_trailer(ins_store *store, const struct segment_info *info,
                                             uint8_t *buffer, struct segment_trailer *out,
                                             ins_error *error);
static inline uint32_t segment_piece_count(uint32_t entry_count, uint32_t entries_per_piece) {
    return (entry_count + entries_per_piece - 1) / entries_per_piece;
}
INS_MUST_USE ins_status segment_out_of_memory(size_t size, ins_error *error);
bool bytes_all_zero(const uint8_t *data, size_t size);

/* ---- Check --------------------------------------------------------------------------------- */

struct check {
    ins_store *store;
    struct arena *arena;
    const struct segment_info *info;
    char name[SEGMENT_NAME_MAX];
    ins_check_report report;
    void *report_context;
    bool damaged;
    uint8_t *buffer; /* [CHECK_BUFFER_BYTES], one block at a time */
    uint64_t end;    /* of what has been seen, to find gaps that are not zero */
};
#define CHECK_BUFFER_BYTES (INS_SMALL_EXTENT_BYTES_MAX + SEGMENT_READ_SLACK)

/* Reports damage; does not fail. */
void check_damage(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Reads a block and verifies its hash. False and reported when that fails. */
bool check_block(struct check *check, const struct block_key *key, const char *what,
                 uint8_t *buffer, const uint8_t **out);
/* The sections of an extent whose header is verified. INS_OK also when damage was reported; fails
 * when out of memory. */
INS_MUST_USE ins_status check_rows(struct check *check, const struct extent *extent,
                                   ins_error *error);
INS_MUST_USE ins_status check_directory_run(struct check *check, const struct extent *extent,
                                            ins_error *error);

/* Its graphs; called by check_rows. */
INS_MUST_USE ins_status check_graphs(struct check *check, const struct extent *extent,
                                     ins_error *error);
/* Its 1-bit codes; called by check_rows. */
INS_MUST_USE ins_status check_scans(struct check *check, const struct extent *extent,
                                    ins_error *error);
/* Hashes of its pieces; called by check_rows. */
INS_MUST_USE ins_status check_pieces(struct check *check, const struct extent *extent,
                                     ins_error *error);
/* Its field indexes; called by check_rows. */
INS_MUST_USE ins_status check_fields(struct check *check, const struct extent *extent,
                                     ins_error *error);

/* One section read chunk by chunk, in order; one chunk is held. */
struct section_cursor {
    struct check *check;
    const struct extent *extent;
    uint32_t slot;
    struct section section;
    const char *what;
    uint8_t *buffer;      /* [INS_CHUNK_BYTES + SEGMENT_READ_SLACK] when large */
    const uint8_t *bytes; /* of chunk `chunk` */
    uint32_t chunk;       /* UINT32_MAX: none yet */
    bool failed;
};
INS_MUST_USE ins_status section_cursor_open(struct section_cursor *cursor, struct check *check,
                                            const struct extent *extent, uint32_t slot,
                                            const char *what, ins_error *error);
void section_cursor_close(struct section_cursor *cursor);
/* `size` bytes at `offset` of the section, within one chunk. NULL when the chunk is damaged. */
const uint8_t *section_cursor_at(struct section_cursor *cursor, uint64_t offset, uint32_t size);

#endif
