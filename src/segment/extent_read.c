/* Reading extents: the header, checked in every bound, and the blocks of its sections.
 *
 * Path: run_first_block says what to read first; extent_parse turns those bytes into a plain
 * description; extent_chunk says what to read next, or extent_section where it lies.
 * Failure: INS_CORRUPT with file and offset. After a parse that succeeded, no accessor reads
 *   outside its chunk, whatever the bytes are: sizes of sections follow from the counts. */
#include "segment/segment_private.h"

bool run_first_block(const struct run *run, uint64_t file, struct block_key *out) {
    if (run->size_64 == 0) {
        return false;
    }
    uint32_t units = (run->flags & RUN_SMALL) != 0 ? run->size_64 : run->flags >> RUN_HEADER_SHIFT;
    INS_ASSERT(units <= run->size_64);
    *out = (struct block_key){
        .file = file,
        .offset = ((uint64_t)run->offset_64 + run->size_64 - units) * 64,
        .size = units * 64,
        .hash = run->hash,
    };
    return true;
}

static ins_status corrupt(const struct extent *extent, const char *what, ins_error *error) {
    return ins_fail(error, INS_CORRUPT, "segment %016llx: extent at %llu: %s",
                    (unsigned long long)extent->file, (unsigned long long)extent->offset, what);
}

/* Why the fixed part is wrong, or NULL. */
static const char *parse_fixed(const struct run *run, const uint8_t *from, uint64_t incarnation,
                               struct extent *out) {
    uint32_t flags = load_u16(from + 6);
    bool directory = (run->flags & RUN_DIRECTORY) != 0;
    if (load_u32(from) != EXTENT_MAGIC || load_u16(from + 4) != SEGMENT_FORMAT) {
        return "no extent of format 1";
    }
    if (flags != ((flags & EXTENT_WIDE_VERSIONS) | (out->small ? EXTENT_SMALL : 0u) |
                  (directory ? EXTENT_DIRECTORY : 0u))) {
        return "flags differ from the directory's";
    }
    out->wide_versions = (flags & EXTENT_WIDE_VERSIONS) != 0;
    out->incarnation = load_u64(from + 8);
    out->version_low = load_u64(from + 16);
    out->version_high = load_u64(from + 24);
    out->row_count = load_u32(from + 44);
    out->number_count = load_u32(from + 48);
    out->tombstone_count = load_u32(from + 52);
    out->tombstone_number_count = load_u32(from + 56);
    out->patch_count = load_u32(from + 60);
    if (out->incarnation != incarnation) {
        return "belongs to another island";
    }
    if (out->row_count != run->rows || out->tombstone_count != run->tombstones ||
        load_u64(from + 72) != out->size) {
        return "counts or size differ from the directory's";
    }
    if (out->version_low > out->version_high || out->number_count > out->row_count ||
        out->tombstone_number_count > out->tombstone_count || out->patch_count > out->row_count ||
        out->wide_versions != (out->version_high - out->version_low > UINT32_MAX)) {
        return "counts contradict each other";
    }
    if (load_u32(from + 40) != 0 || load_u16(from + 70) != 0) {
        return "reserved fields are not zero";
    }
    if (directory && (out->tombstone_count != 0 || out->patch_count != 0 || out->row_count == 0)) {
        return "an id directory with tombstones or patches, or without rows";
    }
    return NULL;
}

/* What a section must be by the counts: its size (0 = any but 0) and whether its encoding is right.
 * False when there must be none. */
static bool section_expect(const struct extent *extent, bool directory, enum section_kind kind,
                           uint16_t encoding, uint64_t *out_size, bool *out_encoding_ok) {
    uint16_t version_encoding = extent->wide_versions ? ENCODING_U64 : ENCODING_U32;
    uint64_t rows = extent->row_count;
    *out_size = 0;
    *out_encoding_ok = encoding == ENCODING_PLAIN;
    if (directory != (kind >= SECTION_DIRECTORY && kind <= SECTION_FILTER)) {
        return false;
    }
    switch (kind) {
    case SECTION_IDS:
        *out_size = layout_ids_bytes(extent->row_count, extent->number_count);
        return rows != 0;
    case SECTION_VERSIONS:
        *out_encoding_ok = encoding == version_encoding;
        *out_size = rows * encoding;
        return rows != 0;
    case SECTION_TOMBSTONES:
        *out_encoding_ok = encoding == version_encoding;
        *out_size = layout_tombstones_bytes(extent->tombstone_count, extent->tombstone_number_count,
                                            extent->wide_versions);
        return extent->tombstone_count != 0;
    case SECTION_DENSE:
        *out_encoding_ok = layout_encoding_bytes(encoding) != 0;
        return rows != 0; /* its size: parse_vectors */
    case SECTION_VECTOR_ROWS:
        *out_encoding_ok = encoding == ENCODING_U32;
        return rows != 0;
    case SECTION_PAYLOAD_OFFSETS:
        *out_encoding_ok = encoding == ENCODING_U32 || encoding == ENCODING_U64;
        *out_size = (rows + 1) * encoding;
        return rows != 0;
    case SECTION_PAYLOAD:
        return rows != 0;
    case SECTION_DIRECTORY:
    case SECTION_DIRECTORY_INDEX:
        return true;
    case SECTION_FILTER:
        *out_encoding_ok = encoding == ENCODING_FUSE12;
        return true;
    case SECTION_PATCHES:
        *out_encoding_ok = encoding == ENCODING_U32;
        *out_size = (uint64_t)extent->patch_count * 4;
        return extent->patch_count != 0;
    case SECTION_KILLS:
    case SECTION_SPARSE:
        break;
    case SECTION_CODES: /* their sizes: graphs_parse, scans_parse */
    case SECTION_GRAPH:
    case SECTION_CODE_FACTORS:
    case SECTION_GRAPH_HEAD:
    case SECTION_SCAN:
    case SECTION_SCAN_BOTH:
    case SECTION_SCAN_HEAD:
        return rows != 0 && !extent->small;
    case SECTION_PIECES: /* its size: pieces_parse */
        *out_encoding_ok = encoding == ENCODING_U64;
        return rows != 0 && !extent->small;
    case SECTION_FIELD: /* its sizes: field_table_parse, field_block_parse */
        return rows != 0 && !extent->small;
    }
    return false;
}

/* Chunk bytes that the section must have; 0 when it says itself and `said` is not possible. */
static uint32_t chunk_expect(const struct extent *extent, enum section_kind kind, uint32_t said) {
    if (kind == SECTION_DIRECTORY) {
        return layout_directory_chunk_bytes(extent->row_count);
    }
    if (kind == SECTION_FILTER) {
        bool possible = said > FUSE_HEADER_BYTES && said % 8 == 0 && said <= INS_CHUNK_BYTES;
        return possible ? said : 0;
    }
    if (kind == SECTION_DENSE || kind == SECTION_CODES || kind == SECTION_CODE_FACTORS ||
        kind == SECTION_GRAPH || kind == SECTION_SCAN || kind == SECTION_SCAN_BOTH) {
        return said <= INS_CHUNK_BYTES ? said : 0; /* those who parse them know better */
    }
    return layout_chunk_bytes(kind);
}

/* Where sections may lie: behind the header when small, before it when large. */
struct section_bounds {
    uint64_t begin, end;
    uint32_t hash_count;
    uint32_t hashes_seen;
    bool directory;
    uint32_t last; /* kind << 16 | number */
};

static bool kind_has_numbers(uint32_t kind) {
    return kind == SECTION_DENSE || kind == SECTION_CODES || kind == SECTION_GRAPH ||
           (kind >= SECTION_FIELD && kind <= SECTION_SCAN_BOTH);
}

static struct section section_decode(const uint8_t *from) {
    return (struct section){
        .present = true,
        .kind = load_u16(from),
        .number = load_u16(from + 2),
        .encoding = load_u16(from + 4),
        .multi = load_u16(from + 6) == SECTION_FLAG_MULTI,
        .offset = load_u64(from + 8),
        .size = load_u64(from + 16),
        .chunk_bytes = load_u32(from + 32),
        .first_hash = load_u32(from + 36),
    };
}

/* A small section is one chunk. */
static void section_set_chunks(const struct extent *extent, struct section *section) {
    if (extent->small) {
        section->chunk_bytes = (uint32_t)section->size;
    }
    section->chunk_count =
        (uint32_t)((section->size + section->chunk_bytes - 1) / section->chunk_bytes);
}

static const uint8_t *table_at(const struct extent *extent, uint32_t index) {
    return extent->header + EXTENT_HEADER_BYTES + (size_t)index * EXTENT_SECTION_BYTES;
}

uint32_t extent_slot(const struct extent *extent, enum section_kind kind, uint32_t number) {
    if (number == 0 && kind < SECTION_SLOTS) {
        return extent->sections[kind].present ? (uint32_t)kind : SLOT_NONE;
    }
    if (!extent->numbered) {
        return SLOT_NONE;
    }
    for (uint32_t i = 0; i < extent->section_count; i++) {
        const uint8_t *entry = table_at(extent, i);
        if (load_u16(entry) == kind && load_u16(entry + 2) == number) {
            return SECTION_SLOTS + i;
        }
    }
    return SLOT_NONE;
}

struct section extent_slot_section(const struct extent *extent, uint32_t slot) {
    if (slot < SECTION_SLOTS) {
        return extent->sections[slot];
    }
    INS_ASSERT(slot < extent_slot_count(extent));
    struct section section = section_decode(table_at(extent, slot - SECTION_SLOTS));
    section_set_chunks(extent, &section);
    return section;
}

static const char *parse_section(struct extent *extent, struct section_bounds *bounds,
                                 const uint8_t *from) {
    struct section section = section_decode(from);
    uint32_t kind = section.kind, order = kind << 16 | section.number;
    uint64_t size;
    bool encoding_ok;
    if (order <= bounds->last || kind == 0 || kind > SECTION_KIND_MAX) {
        return "section of a kind that format 1 does not have, or out of order";
    }
    bounds->last = order;
    uint32_t flags = load_u16(from + 6);
    if ((section.number != 0 && !kind_has_numbers(kind)) || load_u64(from + 24) != 0 ||
        flags != (kind == SECTION_DENSE ? flags & SECTION_FLAG_MULTI : 0)) {
        return "reserved fields of a section are not zero";
    }
    if (!section_expect(extent, bounds->directory, (enum section_kind)kind, section.encoding, &size,
                        &encoding_ok) ||
        !encoding_ok || section.size == 0 || (size != 0 && section.size != size)) {
        return "section that contradicts the counts";
    }
    if (section.offset % 8 != 0 || section.offset < bounds->begin || section.offset > bounds->end ||
        section.size > bounds->end - section.offset) {
        return "section outside the extent";
    }
    if (extent->small) {
        if (section.chunk_bytes != 0 || section.first_hash != 0) {
            return "chunks in a small extent";
        }
        section_set_chunks(extent, &section);
    } else {
        uint32_t chunk_bytes = chunk_expect(extent, (enum section_kind)kind, section.chunk_bytes);
        if (chunk_bytes == 0 || section.chunk_bytes != chunk_bytes ||
            section.first_hash != bounds->hashes_seen) {
            return "chunks that contradict the section";
        }
        if ((section.size - 1) / chunk_bytes >= bounds->hash_count - bounds->hashes_seen) {
            return "chunks without hashes";
        }
        section_set_chunks(extent, &section);
        bounds->hashes_seen += section.chunk_count;
    }
    if (kind < SECTION_SLOTS && section.number == 0) {
        extent->sections[kind] = section;
    } else {
        extent->numbered = true;
    }
    return NULL;
}

/* A vector's values: as many as rows have it, or more of a multivector, whose row numbers are
 * there; each of 1 .. INS_DIM_MAX numbers. */
static const char *parse_values(const struct extent *extent, const struct section *values) {
    uint32_t rows_slot = extent_slot(extent, SECTION_VECTOR_ROWS, values->number);
    uint64_t count = extent->row_count;
    if (rows_slot != SLOT_NONE) {
        uint64_t size = extent_slot_section(extent, rows_slot).size;
        count = size / 4;
        if (size % 4 != 0 || (values->multi ? count > UINT32_MAX : count >= extent->row_count)) {
            return "rows of a vector that contradict the counts";
        }
    } else if (values->multi) {
        return "a multivector without rows";
    }
    uint64_t row_bytes = values->size / count, width = layout_encoding_bytes(values->encoding);
    if (values->size % count != 0 || row_bytes % width != 0 || row_bytes == 0 ||
        row_bytes / width > INS_DIM_MAX) {
        return "values of a vector that contradict its rows";
    }
    if (!extent->small && values->chunk_bytes != layout_vector_chunk_bytes((uint32_t)row_bytes)) {
        return "chunks that contradict the section";
    }
    return NULL;
}

static const char *parse_vectors(const struct extent *extent) {
    const char *wrong = NULL;
    const struct section *first = &extent->sections[SECTION_DENSE];
    if (!extent->numbered) {
        return first->present ? parse_values(extent, first) : NULL; /* the usual case */
    }
    for (uint32_t i = 0; i < extent->section_count && wrong == NULL; i++) {
        const uint8_t *entry = table_at(extent, i);
        uint32_t kind = load_u16(entry), number = load_u16(entry + 2);
        if (kind == SECTION_DENSE) {
            struct section values =
                extent_slot_section(extent, extent_slot(extent, SECTION_DENSE, number));
            wrong = parse_values(extent, &values);
        } else if (kind == SECTION_VECTOR_ROWS &&
                   extent_slot(extent, SECTION_DENSE, number) == SLOT_NONE) {
            wrong = "rows of a vector without values";
        }
    }
    return wrong;
}

/* Tables and blocks of field indexes: numbers from 0 on, without a gap. */
static const char *parse_fields(const struct extent *extent) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < extent->section_count; i++) {
        const uint8_t *entry = table_at(extent, i);
        if (load_u16(entry) != SECTION_FIELD) {
            continue;
        }
        if (load_u16(entry + 2) != count) {
            return "field indexes with a gap";
        }
        count++;
    }
    return count % 2 == 0 && count <= 2 * FIELD_TABLES_MAX ? NULL : "field indexes without blocks";
}

/* What must be there together. */
static const char *parse_complete(const struct extent *extent, bool directory) {
    const struct section *sections = extent->sections;
    if (directory) {
        const struct section *filter = &sections[SECTION_FILTER];
        uint64_t index_bytes = (uint64_t)directory_block_count(extent) * DIRECTORY_INDEX_BYTES;
        if (!sections[SECTION_DIRECTORY].present || !filter->present ||
            sections[SECTION_DIRECTORY_INDEX].size != index_bytes) {
            return "id directory without blocks, index or filter";
        }
        uint32_t partitions = fuse_partition_count(extent->row_count);
        if (filter->size % partitions != 0 || filter->size / partitions > INS_CHUNK_BYTES ||
            (!extent->small && filter->chunk_count != partitions) ||
            (extent->small && partitions != 1) || filter->size % filter->chunk_bytes != 0) {
            return "filter of another size";
        }
        return NULL;
    }
    bool rows = extent->row_count != 0;
    if (sections[SECTION_IDS].present != rows || sections[SECTION_VERSIONS].present != rows ||
        sections[SECTION_TOMBSTONES].present != (extent->tombstone_count != 0) ||
        sections[SECTION_PATCHES].present != (extent->patch_count != 0)) {
        return "a section is missing";
    }
    if (sections[SECTION_PAYLOAD].present != sections[SECTION_PAYLOAD_OFFSETS].present) {
        return "payload without offsets, or offsets without payload";
    }
    const char *wrong = parse_vectors(extent);
    return wrong == NULL ? parse_fields(extent) : wrong;
}

ins_status extent_parse(const struct run *run, uint64_t file, struct slice bytes,
                        uint64_t incarnation, struct extent *out, ins_error *error) {
    struct extent extent = {
        .file = file,
        .offset = (uint64_t)run->offset_64 * 64,
        .size = (uint64_t)run->size_64 * 64,
        .small = (run->flags & RUN_SMALL) != 0,
        .header = bytes.data,
    };
    struct block_key block;
    if (!run_first_block(run, file, &block) || bytes.size != block.size ||
        bytes.size < EXTENT_HEADER_BYTES) {
        return corrupt(&extent, "too short for a header", error);
    }
    const char *wrong = parse_fixed(run, bytes.data, incarnation, &extent);
    if (wrong != NULL) {
        return corrupt(&extent, wrong, error);
    }
    uint32_t hash_count = load_u32(bytes.data + 64);
    uint32_t section_count = load_u16(bytes.data + 68);
    bool hashes_ok = extent.small ? hash_count == 0 : hash_count <= EXTENT_HASHES_MAX;
    uint64_t header_bytes = layout_header_bytes(section_count, hash_count);
    if (!hashes_ok || section_count > EXTENT_SECTION_COUNT_MAX || header_bytes > bytes.size ||
        (!extent.small && bytes.size != align_up(header_bytes, 64))) {
        return corrupt(&extent, "header longer or shorter than its tables", error);
    }
    extent.section_count = section_count;
    extent.hashes = bytes.data + layout_header_bytes(section_count, 0);
    struct section_bounds bounds = {
        .begin = extent.small ? header_bytes : 0,
        .end = extent.small ? extent.size : extent.size - bytes.size,
        .hash_count = hash_count,
        .directory = (run->flags & RUN_DIRECTORY) != 0,
    };
    for (uint32_t i = 0; i < section_count && wrong == NULL; i++) {
        const uint8_t *at = bytes.data + EXTENT_HEADER_BYTES + (size_t)i * EXTENT_SECTION_BYTES;
        wrong = parse_section(&extent, &bounds, at);
    }
    if (wrong == NULL && bounds.hashes_seen != hash_count) {
        wrong = "chunk hashes that no section owns";
    }
    if (wrong == NULL) {
        wrong = parse_complete(&extent, bounds.directory);
    }
    if (wrong == NULL) {
        wrong = graphs_parse(&extent, (run->flags & RUN_GRAPH) != 0);
    }
    if (wrong == NULL) {
        wrong = scans_parse(&extent);
    }
    if (wrong == NULL) {
        wrong = pieces_parse(&extent);
    }
    if (wrong != NULL) {
        return corrupt(&extent, wrong, error);
    }
    *out = extent;
    return INS_OK;
}

struct block_key extent_chunk(const struct extent *extent, uint32_t slot, uint32_t chunk) {
    struct section section = extent_slot_section(extent, slot);
    INS_ASSERT(!extent->small);
    INS_ASSERT(section.present);
    INS_ASSERT(chunk < section.chunk_count);
    uint64_t begin = (uint64_t)chunk * section.chunk_bytes;
    uint64_t left = section.size - begin;
    return (struct block_key){
        .file = extent->file,
        .offset = extent->offset + section.offset + begin,
        .size = left < section.chunk_bytes ? (uint32_t)left : section.chunk_bytes,
        .hash = load_u64(extent->hashes + (uint64_t)(section.first_hash + chunk) * 8),
    };
}

struct slice extent_section(const struct extent *extent, uint32_t slot) {
    struct section section = extent_slot_section(extent, slot);
    INS_ASSERT(extent->small);
    if (!section.present) {
        return (struct slice){0};
    }
    return (struct slice){.data = extent->header + section.offset, .size = section.size};
}

uint32_t extent_rows_per_chunk(const struct extent *extent, enum section_kind kind) {
    const struct section *section = &extent->sections[kind];
    uint32_t row_bytes = 0;
    if (kind == SECTION_IDS) {
        row_bytes = 8;
    } else if (kind == SECTION_VERSIONS || kind == SECTION_PAYLOAD_OFFSETS) {
        row_bytes = section->encoding;
    }
    INS_ASSERT(section->present);
    INS_ASSERT(row_bytes != 0);
    return section->chunk_bytes / row_bytes;
}
