/* Feeds bytes to all that reads segments, with hashes made right where they guard the way: an
 * extent whose every row is used, an id directory block, a filter, and a whole file through the
 * check. */
#include <stdlib.h>

#include "base/assert.h"
#include "segment/fields.h"
#include "segment/segment_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *exact_copy(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size == 0 ? 1 : size); /* so that the sanitizer sees its end */
    INS_ASSERT(copy != NULL);
    if (size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

/* ---- Extents -----------------------------------------------------------------------------------
 */

static void use_rows(const struct extent *extent, const struct chunks *views) {
    const struct chunks *ids = &views[SECTION_IDS];
    for (uint32_t row = 0; row < extent->row_count; row++) {
        ins_id id = extent_id(extent, ids, row);
        uint64_t begin;
        uint64_t end;
        uint32_t found;
        (void)extent_version(extent, &views[SECTION_VERSIONS], row);
        (void)extent_find(extent, ids, &id, &found);
        if (extent_payload_range(extent, &views[SECTION_PAYLOAD_OFFSETS], row, &begin, &end) ==
            INS_OK) {
            INS_ASSERT(begin <= end);
            INS_ASSERT(end <= extent->sections[SECTION_PAYLOAD].size);
        }
    }
    for (uint32_t i = 0; i < extent->tombstone_count; i++) {
        ins_id id = extent_tombstone_id(extent, &views[SECTION_TOMBSTONES], i);
        (void)extent_tombstone_version(extent, &views[SECTION_TOMBSTONES], i);
        (void)extent_find_tombstone(extent, &views[SECTION_TOMBSTONES], &id);
    }
}

static void walk_block(const uint8_t *block, size_t size) {
    struct directory_cursor cursor;
    struct directory_entry entry;
    uint8_t *exact = exact_copy(block, size);
    ins_status status = directory_block_begin(exact, size, &cursor, NULL);
    while (status == INS_OK && directory_block_next(&cursor, &entry, &status)) {
        if (cursor.index == cursor.count) { /* whole and ascending: its last id is found */
            bool found = false;
            uint64_t incarnation;
            status = directory_block_find(exact, size, &entry.id, &found, &incarnation, NULL);
            INS_ASSERT(status == INS_OK);
            INS_ASSERT(found);
        }
    }
    free(exact);
}

static void use_directory(const struct extent *extent, const struct chunks *views) {
    for (uint64_t number = 0; number < 64; number++) {
        ins_id id = {.high = number % 2 * hash_u64(number), .low = number, .is_uuid = number % 2};
        uint64_t hash = id_hash(&id);
        uint32_t chunk = directory_filter_chunk(extent, hash);
        INS_ASSERT(chunk < extent->sections[SECTION_FILTER].chunk_count);
        (void)directory_filter_test(extent, views[SECTION_FILTER].chunks[chunk], hash);
        uint32_t block;
        uint32_t offset;
        if (directory_block_of(extent, &views[SECTION_DIRECTORY_INDEX], &id, &block)) {
            (void)directory_block_chunk(extent, block, &offset);
            uint64_t size = extent->sections[SECTION_DIRECTORY].size - offset;
            walk_block(views[SECTION_DIRECTORY].chunks[0] + offset,
                       size < INS_DIRECTORY_BLOCK ? (size_t)size : INS_DIRECTORY_BLOCK);
        }
    }
}

/* A small extent of these bytes: words that only a writer can get wrong are put right. */
static void try_extent(const uint8_t *data, size_t size, bool directory) {
    size_t extent_bytes = size / 64 * 64;
    if (extent_bytes < 128 || extent_bytes > INS_SMALL_EXTENT_BYTES) {
        return;
    }
    uint8_t *bytes = exact_copy(data, extent_bytes);
    store_u32(bytes, EXTENT_MAGIC);
    store_u16(bytes + 4, SEGMENT_FORMAT);
    store_u32(bytes + 40, 0);
    store_u32(bytes + 64, 0);
    store_u16(bytes + 70, 0);
    store_u64(bytes + 72, extent_bytes);
    struct run run = {
        .offset_64 = 64,
        .size_64 = (uint32_t)(extent_bytes / 64),
        .rows = load_u32(bytes + 44),
        .tombstones = load_u32(bytes + 52),
        .flags = RUN_SMALL | (directory ? RUN_DIRECTORY : 0u),
    };
    struct extent extent;
    struct slice slice = {.data = bytes, .size = extent_bytes};
    if (extent_parse(&run, 1, slice, load_u64(bytes + 8), &extent, NULL) == INS_OK) {
        const uint8_t *firsts[SECTION_SLOTS];
        struct chunks views[SECTION_SLOTS];
        for (uint32_t kind = 1; kind < SECTION_SLOTS; kind++) {
            const struct section *section = &extent.sections[kind];
            firsts[kind] = exact_copy(bytes + section->offset, section->size);
            views[kind] = (struct chunks){.chunks = &firsts[kind],
                                          .chunk_bytes = section->chunk_bytes,
                                          .chunk_count = section->chunk_count};
        }
        if (directory) {
            use_directory(&extent, views);
        } else {
            use_rows(&extent, views);
        }
        for (uint32_t kind = 1; kind < SECTION_SLOTS; kind++) {
            free((uint8_t *)(uintptr_t)firsts[kind]);
        }
    }
    free(bytes);
}

/* ---- Field indexes ------------------------------------------------------------------------------
 */

/* One block, asked for what is in it and what is not: no row beyond the group is ever set. */
static void use_field_block(const uint8_t *data, size_t size, enum payload_domain domain,
                            uint32_t row_count) {
    struct field_block block;
    struct row_bits bits = {{0}};
    uint8_t *exact = exact_copy(data, size);
    if (field_block_parse((struct slice){.data = exact, .size = size}, domain, row_count, &block)) {
        for (uint64_t i = 0; i < 16; i++) {
            if (domain == DOMAIN_TEXT) {
                char text[] = {(char)('a' + i)};
                (void)field_block_text(&block, (ins_text){text, i % 2}, &bits);
                (void)field_block_text(&block, (ins_text){text, 1}, &bits);
            } else {
                (void)field_block_keys(&block, i << 60, UINT64_MAX - i, &bits);
                (void)field_block_keys(&block, i, i, &bits);
            }
        }
        (void)field_block_undecided(&block, &bits);
    }
    for (uint32_t row = row_count; row < ROW_GROUP; row++) {
        INS_ASSERT(!row_bits_has(&bits, row));
    }
    free(exact);
}

static void use_field_table(const uint8_t *data, size_t size) {
    struct field_table table;
    uint8_t *exact = exact_copy(data, size);
    uint32_t rows = size < 8 ? 1 : load_u32(data + 4) % 8 * ROW_GROUP + 1;
    struct slice first = {.data = exact, .size = size};
    if (field_table_parse(first, size, rows, &table)) {
        const uint8_t *chunk = exact;
        struct chunks chunks = {.chunks = &chunk, .chunk_bytes = INS_CHUNK_BYTES, .chunk_count = 1};
        for (uint32_t group = 0; group < table.group_count; group++) {
            for (uint32_t column = 0; column < table.column_count; column++) {
                uint64_t begin;
                uint32_t block_size;
                if (field_block_place(&table, &chunks, group, column, 1000000, &begin,
                                      &block_size)) {
                    INS_ASSERT(begin + block_size <= 1000000);
                }
            }
        }
    }
    free(exact);
}

static void try_fields(const uint8_t *data, size_t size) {
    if (size < 2 || size > INS_CHUNK_BYTES) {
        return;
    }
    uint32_t domain = data[0] % 6;
    if (domain == 0) {
        use_field_table(data + 1, size - 1);
    } else {
        use_field_block(data + 2, size - 2, (enum payload_domain)domain, 1u + data[1] * 16u);
    }
}

/* ---- Files --------------------------------------------------------------------------------------
 */

static void ignore(void *context, bool is_damage, const char *text) {
    (void)context;
    INS_ASSERT(is_damage);
    INS_ASSERT(text[0] != '\0');
}

/* A file: header page, the input as one extent, and tables whose hashes are right but whose words
 * the input's last 128 bytes give. */
struct file_place {
    uint64_t directory, scopes, hashes, size;
};

static struct file_place place_file(size_t extent_bytes) {
    struct file_place place = {.directory = SEGMENT_PAGE + extent_bytes};
    place.scopes = place.directory + 64;
    place.hashes = place.scopes + 64;
    place.size = align_up(place.hashes + 16 + SEGMENT_TRAILER_BYTES, SEGMENT_PAGE);
    return place;
}

static void fill_page(uint8_t *page) {
    store_u64(page, SEGMENT_HEADER_MAGIC);
    store_u32(page + SEGMENT_MAGIC_BYTES, SEGMENT_FORMAT);
    store_u64(page + PAGE_FILE, 1);
    store_u64(page + PAGE_HASH, hash64(page, PAGE_HASH));
}

static void fill_trailer(uint8_t *file, const struct file_place *place) {
    uint8_t *trailer = file + place->size - SEGMENT_TRAILER_BYTES;
    store_u64(trailer, SEGMENT_TRAILER_MAGIC);
    store_u32(trailer + SEGMENT_MAGIC_BYTES, SEGMENT_FORMAT);
    store_u64(trailer + TRAILER_FILE, 1);
    store_u64(trailer + TRAILER_SIZE, place->size);
    store_u64(trailer + TRAILER_DIRECTORY, place->directory);
    store_u32(trailer + TRAILER_ENTRIES, 1);
    store_u32(trailer + TRAILER_SCOPES, 1);
    store_u64(trailer + TRAILER_SCOPE_INDEX, place->scopes);
    store_u64(trailer + TRAILER_TABLE_HASHES, place->hashes);
    store_u64(trailer + TRAILER_TABLE_HASH, hash64(file + place->hashes, 16));
    store_u64(trailer + TRAILER_PAGE_HASH, hash64(file, SEGMENT_PAGE));
    store_u64(trailer + TRAILER_HASH, hash64(trailer, TRAILER_HASH));
}

/* The entry says what the input says, but for the hash of what it points to. */
static void fill_tables(uint8_t *file, const struct file_place *place) {
    uint8_t *entry = file + place->directory;
    uint64_t offset = load_u64(entry + 24);
    uint64_t bytes = load_u64(entry + 32);
    uint32_t header = load_u32(entry + 52) >> RUN_HEADER_SHIFT;
    if (offset <= place->directory && bytes <= place->directory - offset && header <= bytes / 64) {
        uint64_t first = header == 0 ? 0 : bytes - header * 64ull;
        store_u64(entry + 56, hash64(file + offset + first, (size_t)(bytes - first)));
    }
    store_u64(file + place->hashes, hash64(entry, 64));
    store_u64(file + place->hashes + 8, hash64(file + place->scopes, SEGMENT_SCOPE_BYTES));
}

static void check_file(ins_store *store, struct arena *arena, const uint8_t *file, uint64_t size) {
    struct segment_info info = {
        .file = 1,
        .size_bytes = size,
        .extent_count = 1,
        .trailer_hash = hash64(file + size - SEGMENT_TRAILER_BYTES, SEGMENT_TRAILER_BYTES)};
    struct store_writer *put;
    char name[SEGMENT_NAME_MAX];
    segment_name(1, name);
    ins_status status = store_remove(store, name, NULL);
    INS_ASSERT(status == INS_OK);
    status = store->ops->put_begin(store, name, &put, NULL);
    INS_ASSERT(status == INS_OK);
    status = store->ops->put_append(put, file, size, NULL);
    INS_ASSERT(status == INS_OK);
    status = store->ops->put_commit(put, NULL);
    INS_ASSERT(status == INS_OK);
    status = segment_check(store, arena, &info, ignore, NULL, NULL);
    INS_ASSERT(status == INS_OK || status == INS_CORRUPT);
}

static void try_file(const uint8_t *data, size_t size) {
    static ins_store *store;
    static struct arena *arena;
    if (store == NULL) { /* kept from one input to the next */
        struct arena_options options = {.limit_bytes = 32 * INS_MIB, .plain_pages = true};
        options.purpose_limit_bytes[INS_MEM_JOB] = 16 * INS_MIB;
        struct store_memory_options store_options = {.seed = 1};
        ins_status status = arena_open(&options, &arena, NULL);
        INS_ASSERT(status == INS_OK);
        status = store_memory_open(&store_options, &store);
        INS_ASSERT(status == INS_OK);
    }
    if (size < 192 || size > 4 * INS_SMALL_EXTENT_BYTES) {
        return;
    }
    size_t extent_bytes = (size - 128) / 64 * 64;
    struct file_place place = place_file(extent_bytes);
    uint8_t *file = aligned_alloc(SEGMENT_PAGE, place.size);
    INS_ASSERT(file != NULL);
    memset(file, 0, place.size);
    memcpy(file + SEGMENT_PAGE, data, extent_bytes);
    memcpy(file + place.directory, data + size - 128, 64);
    memcpy(file + place.scopes, data + size - 64, SEGMENT_SCOPE_BYTES);
    fill_page(file);
    fill_tables(file, &place);
    fill_trailer(file, &place);
    check_file(store, arena, file, place.size);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const uint8_t *rest = data + 1;
    size_t left = size - 1;
    switch (data[0] % 6) {
    case 0:
        try_extent(rest, left, false);
        break;
    case 1:
        try_extent(rest, left, true);
        break;
    case 2:
        walk_block(rest, left < INS_DIRECTORY_BLOCK ? left : INS_DIRECTORY_BLOCK);
        break;
    case 3: {
        uint8_t *exact = exact_copy(rest, left);
        for (uint64_t i = 0; i < 64; i++) {
            (void)fuse_test(exact, left, hash_u64(i));
        }
        free(exact);
        break;
    }
    case 5:
        try_fields(rest, left);
        break;
    default:
        try_file(rest, left);
        break;
    }
    return 0;
}
