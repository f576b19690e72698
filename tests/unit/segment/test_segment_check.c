/* The check: every flipped byte and every cut is found, and damage that right hashes cover is
 * named.
 *
 * One file has islands of each kind: small, tombstones only, empty, large, and id directories,
 * small and large. Tests change its bytes in memory, make the hashes right again where they want
 * to, and put it back. */
#include "segment_kit.h"

#include <stdio.h>
#include <string.h>

#include "segment/graphs.h"
#include "segment/scans.h"
#include "segment/segment_private.h"

#define FILE_NUMBER 21u
static const uint8_t random_id[16] = {9, 8, 7};

static bool both_codes; /* the next beds have 4-bit codes too */

struct bed {
    struct kit kit;
    char name[SEGMENT_NAME_MAX];
    struct segment_info info;
    uint8_t *good, *bytes; /* [info.size_bytes] */
    struct run runs[6];
    uint32_t run_count;
};

struct live_rows {
    const struct kit_row *rows;
    uint32_t count, at;
    struct vector_shape shape;
    float values[64];
};

/* Rows come in order, tombstones among them are passed. */
static const float *live_row(void *context, uint32_t row) {
    struct live_rows *live = context;
    (void)row;
    while (live->rows[live->at].tombstone) {
        live->at++;
    }
    kit_vector(&live->rows[live->at++].id, &live->shape, live->values);
    return live->values;
}

static struct graph *bed_graph(struct bed *bed, const struct kit_source *source) {
    struct live_rows live = {.rows = source->rows, .shape = source->shapes[0]};
    uint32_t count = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        count += !source->rows[i].tombstone;
    }
    struct graph_options options = {
        .dim = live.shape.dim, .metric = INDEX_L2, .type = ROW_F16, .seed = 3};
    struct graph *graph;
    assert_int_equal(graph_build(&options, count, live_row, &live, bed->kit.arena, &graph, NULL),
                     INS_OK);
    return graph;
}

static void bed_add(struct bed *bed, struct segment_writer *writer, const struct kit_shape *shape,
                    uint32_t dim, bool directory) {
    uint32_t count;
    struct kit_row *rows = kit_rows(shape, 60 + bed->run_count, &count);
    struct kit_source source;
    kit_source_init(&source, rows, count, dim);
    source.source.scope = bed->run_count / 2;
    source.source.incarnation = 500 + bed->run_count;
    source.source.version_low = shape->version_low;
    source.source.version_high = shape->version_high;
    source.source.directory = directory;
    bool has_graph = !directory && shape->numbers > 1000;
    struct extent_graph graph = {.vector = 0, .graph = has_graph ? bed_graph(bed, &source) : NULL};
    source.source.graphs = &graph;
    source.source.graph_count = has_graph;
    const struct extent_scan scan = {
        .vector = 0, .metric = INDEX_L2, .bytes_min = 1, .seed = 7, .both = both_codes};
    source.source.scans = &scan;
    source.source.scan_count = !directory;
    source.source.piece_bytes_min = 1;
    struct run *run = &bed->runs[bed->run_count++];
    assert_int_equal(segment_writer_extent(writer, &source.source, run, NULL), INS_OK);
    assert_int_equal((run->flags & RUN_GRAPH) != 0, has_graph);
    graph_free((struct graph *)(uintptr_t)graph.graph);
    kit_source_fini(&source);
    free(rows);
}

static void bed_open(struct bed *bed, bool large) {
    memset(bed, 0, sizeof(*bed));
    kit_open(&bed->kit);
    struct kit_shape shapes[6] = {
        {.numbers = 5, .uuids = 2, .dead_numbers = 3, .dead_uuids = 1, .payload_max = 40},
        {.dead_numbers = 3, .dead_uuids = 2},
        {0},
        {.numbers = 40, .uuids = 20},
    };
    if (large) {
        shapes[4] = (struct kit_shape){
            .numbers = 3001, .uuids = 500, .dead_numbers = 71, .dead_uuids = 3, .payload_max = 200};
        shapes[5] = (struct kit_shape){.numbers = 6000, .uuids = 6000};
    }
    struct segment_writer *writer;
    assert_int_equal(
        segment_writer_begin(bed->kit.store, bed->kit.arena, FILE_NUMBER, random_id, &writer, NULL),
        INS_OK);
    for (uint32_t i = 0; i < (large ? 6u : 4u); i++) {
        shapes[i].version_low = 100;
        shapes[i].version_high = 1000;
        bed_add(bed, writer, &shapes[i], i == 0 ? 3 : 32, i == 3 || i == 5);
    }
    assert_int_equal(segment_writer_commit(writer, &bed->info, NULL), INS_OK);
    segment_name(FILE_NUMBER, bed->name);
    bed->good = malloc(bed->info.size_bytes);
    bed->bytes = malloc(bed->info.size_bytes);
    assert_int_equal(store_get(bed->kit.store, bed->name, 0, bed->good, bed->info.size_bytes, NULL),
                     INS_OK);
    memcpy(bed->bytes, bed->good, bed->info.size_bytes);
}

static void bed_close(struct bed *bed) {
    free(bed->good);
    free(bed->bytes);
    kit_close(&bed->kit);
}

/* Puts `bytes` in the file's place. */
static void bed_put(struct bed *bed) {
    struct store_writer *put;
    ins_store *store = bed->kit.store;
    void *aligned = aligned_alloc(4096, bed->info.size_bytes);
    assert_non_null(aligned);
    memcpy(aligned, bed->bytes, bed->info.size_bytes);
    assert_int_equal(store_remove(store, bed->name, NULL), INS_OK);
    assert_int_equal(store->ops->put_begin(store, bed->name, &put, NULL), INS_OK);
    assert_int_equal(store->ops->put_append(put, aligned, bed->info.size_bytes, NULL), INS_OK);
    assert_int_equal(store->ops->put_commit(put, NULL), INS_OK);
    free(aligned);
}

/* ---- Making hashes right again --------------------------------------------------------------- */

static uint8_t *bed_trailer(const struct bed *bed) {
    return bed->bytes + bed->info.size_bytes - SEGMENT_TRAILER_BYTES;
}

static uint8_t *bed_entry(const struct bed *bed, uint32_t index) {
    return bed->bytes + load_u64(bed_trailer(bed) + TRAILER_DIRECTORY) + index * 64;
}

static uint8_t *bed_scope(const struct bed *bed, uint32_t index) {
    return bed->bytes + load_u64(bed_trailer(bed) + TRAILER_SCOPE_INDEX) + index * 24;
}

static uint8_t *bed_header(const struct bed *bed, uint32_t index) {
    const struct run *run = &bed->runs[index];
    uint32_t units = (run->flags & RUN_SMALL) != 0 ? run->size_64 : run->flags >> RUN_HEADER_SHIFT;
    return bed->bytes + ((uint64_t)run->offset_64 + run->size_64 - units) * 64;
}

/* The section table entry of `kind`. */
static uint8_t *bed_section(const struct bed *bed, uint32_t index, uint32_t kind) {
    uint8_t *header = bed_header(bed, index);
    for (uint32_t i = 0; i < load_u16(header + 68); i++) {
        uint8_t *section = header + EXTENT_HEADER_BYTES + i * EXTENT_SECTION_BYTES;
        if (load_u16(section) == kind) {
            return section;
        }
    }
    fail_msg("extent %u has no section %u", index, kind);
    return NULL;
}

static uint8_t *bed_section_bytes(const struct bed *bed, uint32_t index, uint32_t kind) {
    return bed->bytes + (uint64_t)bed->runs[index].offset_64 * 64 +
           load_u64(bed_section(bed, index, kind) + 8);
}

static void seal_chunks(struct bed *bed, uint32_t index) {
    uint8_t *header = bed_header(bed, index);
    uint32_t sections = load_u16(header + 68);
    uint8_t *hashes = header + EXTENT_HEADER_BYTES + sections * EXTENT_SECTION_BYTES;
    for (uint32_t i = 0; i < sections; i++) {
        const uint8_t *section = header + EXTENT_HEADER_BYTES + i * EXTENT_SECTION_BYTES;
        const uint8_t *data =
            bed->bytes + (uint64_t)bed->runs[index].offset_64 * 64 + load_u64(section + 8);
        uint64_t size = load_u64(section + 16);
        uint32_t chunk_bytes = load_u32(section + 32);
        uint32_t first = load_u32(section + 36);
        for (uint64_t at = 0; at < size; at += chunk_bytes) {
            uint64_t left = size - at;
            size_t part = left < chunk_bytes ? (size_t)left : chunk_bytes;
            store_u64(hashes + (first + at / chunk_bytes) * 8, hash64(data + at, part));
        }
    }
}

/* All hashes from the chunks up to the manifest's word. */
static void bed_seal(struct bed *bed) {
    for (uint32_t i = 0; i < bed->run_count; i++) {
        struct run run = bed->runs[i];
        if (run.size_64 == 0) {
            continue;
        }
        if ((run.flags & RUN_SMALL) == 0) {
            seal_chunks(bed, i);
        }
        struct block_key key;
        assert_true(run_first_block(&run, FILE_NUMBER, &key));
        store_u64(bed_entry(bed, i) + 56, hash64(bed->bytes + key.offset, key.size));
    }
    uint8_t *trailer = bed_trailer(bed);
    uint8_t *hashes = bed->bytes + load_u64(trailer + TRAILER_TABLE_HASHES);
    store_u64(hashes, hash64(bed_entry(bed, 0), load_u32(trailer + TRAILER_ENTRIES) * 64));
    store_u64(hashes + 8, hash64(bed_scope(bed, 0), load_u32(trailer + TRAILER_SCOPES) * 24));
    store_u64(trailer + TRAILER_TABLE_HASH, hash64(hashes, 16));
    store_u64(bed->bytes + PAGE_HASH, hash64(bed->bytes, PAGE_HASH));
    store_u64(trailer + TRAILER_PAGE_HASH, hash64(bed->bytes, SEGMENT_PAGE));
    store_u64(trailer + TRAILER_HASH, hash64(trailer, TRAILER_HASH));
    bed->info.trailer_hash = hash64(trailer, SEGMENT_TRAILER_BYTES);
}

/* Seals, puts, checks; the first finding must say `says`. Puts the good bytes back. */
static void expect_named(struct bed *bed, const char *says) {
    struct segment_info info = bed->info;
    char text[INS_ERROR_MESSAGE_MAX];
    bed_seal(bed);
    bed_put(bed);
    assert_int_equal(kit_check(&bed->kit, &bed->info, text, sizeof(text)), INS_CORRUPT);
    if (strstr(text, says) == NULL || strstr(text, bed->name) == NULL) {
        fail_msg("\"%s\" instead of \"%s\"", text, says);
    }
    bed->info = info;
    memcpy(bed->bytes, bed->good, info.size_bytes);
}

/* ---- Tests --------------------------------------------------------------------------------------
 */

/* Goal: the tests' own sealing is right. Method: sealing a good file changes nothing. */
static void test_seal(void **state) {
    (void)state;
    for (uint32_t large = 0; large < 2; large++) {
        struct bed bed;
        bed_open(&bed, large != 0);
        bed_seal(&bed);
        assert_memory_equal(bed.bytes, bed.good, bed.info.size_bytes);
        char text[256];
        if (kit_check(&bed.kit, &bed.info, text, sizeof(text)) != INS_OK) {
            fail_msg("%s", text);
        }
        bed_close(&bed);
    }
}

static void flip(struct bed *bed, uint64_t at) {
    uint8_t mask = (uint8_t)(1u << hash_u64(at) % 8);
    char text[256];
    assert_true(store_memory_flip(bed->kit.store, bed->name, at, mask));
    if (kit_check(&bed->kit, &bed->info, text, sizeof(text)) != INS_CORRUPT) {
        fail_msg("a flip at %llu was not found", (unsigned long long)at);
    }
    assert_non_null(strstr(text, bed->name));
    assert_true(store_memory_flip(bed->kit.store, bed->name, at, mask));
}

/* Goal: no byte of a small file can change unseen. Method: a bit of each byte. */
static void test_flip_every_byte(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, false);
    print_message("%llu bytes\n", (unsigned long long)bed.info.size_bytes);
    for (uint64_t at = 0; at < bed.info.size_bytes; at++) {
        flip(&bed, at);
    }
    bed_close(&bed);
}

/* Goal: the same of a large one. Method: a sample, and all bytes around each section's borders. */
static void test_flip_large(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, true);
    print_message("%llu bytes\n", (unsigned long long)bed.info.size_bytes);
    for (uint64_t i = 0; i < 500; i++) {
        flip(&bed, hash_u64(i + 1) % bed.info.size_bytes);
    }
    for (uint32_t extent = 4; extent < 6; extent++) {
        for (uint32_t kind = extent == 4 ? 1 : 7; kind <= (extent == 4 ? 6u : 9u); kind++) {
            uint64_t begin = (uint64_t)(bed_section_bytes(&bed, extent, kind) - bed.bytes);
            uint64_t end = begin + load_u64(bed_section(&bed, extent, kind) + 16);
            flip(&bed, begin - 1);
            flip(&bed, begin);
            flip(&bed, end - 1);
            flip(&bed, end);
        }
    }
    static const uint32_t graphs[] = {SECTION_CODES,      SECTION_GRAPH, SECTION_CODE_FACTORS,
                                      SECTION_GRAPH_HEAD, SECTION_SCAN,  SECTION_SCAN_HEAD,
                                      SECTION_PIECES};
    for (uint32_t i = 0; i < 7; i++) {
        uint64_t begin = (uint64_t)(bed_section_bytes(&bed, 4, graphs[i]) - bed.bytes);
        flip(&bed, begin);
        flip(&bed, begin + load_u64(bed_section(&bed, 4, graphs[i]) + 16) - 1);
    }
    bed_close(&bed);
}

/* Goal: cut and vanished files are found. Method: all lengths in steps, then none. */
static void test_truncate(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, false);
    char text[256];
    for (uint64_t size = bed.info.size_bytes - 1; size > 0; size -= size < 100 ? 1 : 97) {
        assert_true(store_memory_truncate(bed.kit.store, bed.name, size));
        assert_int_equal(kit_check(&bed.kit, &bed.info, text, sizeof(text)), INS_CORRUPT);
        assert_non_null(strstr(text, "bytes long instead of"));
    }
    assert_int_equal(store_remove(bed.kit.store, bed.name, NULL), INS_OK);
    assert_int_equal(kit_check(&bed.kit, &bed.info, text, sizeof(text)), INS_CORRUPT);
    assert_non_null(strstr(text, bed.name));
    bed_close(&bed);
}

/* Goal: a file that grew is found. Method: the manifest's words are of a shorter one. */
static void test_longer(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, false);
    bed.info.size_bytes -= 4096;
    char text[256];
    assert_int_equal(kit_check(&bed.kit, &bed.info, text, sizeof(text)), INS_CORRUPT);
    assert_non_null(strstr(text, "bytes long instead of"));
    bed.info.size_bytes += 4096;
    bed_close(&bed);
}

/* Goal: damage in islands that right hashes cover is named. Method: one invariant at a time. */
static void test_rows_named(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, true);
    static const uint32_t extents[] = {0, 4}; /* small, large */
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t extent = extents[i];
        uint32_t numbers = i == 0 ? 5 : 3001;
        uint8_t *ids = bed_section_bytes(&bed, extent, SECTION_IDS);
        store_u64(ids + 8, load_u64(ids));
        expect_named(&bed, "ids do not ascend, row 1");
        store_u64(ids + numbers * 8, 1);
        expect_named(&bed, "padding between ids is not zero");
        uint8_t *dead = bed_section_bytes(&bed, extent, SECTION_TOMBSTONES);
        store_u64(dead, load_u64(ids));
        expect_named(&bed, "both a row and a tombstone");
        uint8_t *versions = bed_section_bytes(&bed, extent, SECTION_VERSIONS);
        store_u32(versions + 4, 0);
        expect_named(&bed, "version outside the extent's interval, row 1");
        store_u32(versions + 4, 901);
        expect_named(&bed, "version outside the extent's interval, row 1");
        uint64_t dead_size = load_u64(bed_section(&bed, extent, SECTION_TOMBSTONES) + 16);
        store_u32(dead + dead_size - 4, 0);
        expect_named(&bed, "version outside");
        uint8_t *offsets = bed_section_bytes(&bed, extent, SECTION_PAYLOAD_OFFSETS);
        store_u32(offsets, 1);
        expect_named(&bed, "payload offsets do not rise");
        uint64_t offsets_size = load_u64(bed_section(&bed, extent, SECTION_PAYLOAD_OFFSETS) + 16);
        store_u32(offsets + offsets_size - 4, load_u32(offsets + offsets_size - 4) - 1);
        expect_named(&bed, "payload offsets do not rise");
        store_u32(offsets + 8, UINT32_MAX);
        expect_named(&bed, "payload offsets do not rise");
        store_u64(bed_header(&bed, extent) + 16, 101);
        expect_named(&bed, "versions differ from the directory's");
        store_u32(bed_header(&bed, extent) + 48, 0);
        expect_named(&bed, "section that contradicts the counts");
        store_u64(bed_header(&bed, extent) + 8, 4);
        expect_named(&bed, "another island");
        uint8_t *section = bed_section(&bed, extent, SECTION_VERSIONS);
        store_u64(section + 8, load_u64(bed_section(&bed, extent, SECTION_IDS) + 8));
        expect_named(&bed, "overlap");
    }
    const struct run *run = &bed.runs[0];
    bed.bytes[((uint64_t)run->offset_64 + run->size_64) * 64 - 1] = 1;
    expect_named(&bed, "padding in the extent");
    uint8_t *header = bed_header(&bed, 5); /* that of 4 has none */
    header[(bed.runs[5].flags >> RUN_HEADER_SHIFT) * 64 - 1] = 1;
    expect_named(&bed, "padding of the header");
    bed_close(&bed);
}

/* Goal: graphs that lie are named, and none is taken for a part of another. Method: as above. */
static void test_graphs_named(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, true);
    uint32_t count = bed.runs[4].rows;
    uint8_t *links = bed_section_bytes(&bed, 4, SECTION_GRAPH);
    memcpy(links, &count, 3);
    expect_named(&bed, "a link out of range, row 0");
    memcpy(links + 7 * LINKS_BYTES, &(uint32_t){7}, 3);
    expect_named(&bed, "a link to itself, row 7");
    memcpy(links + LINKS_BYTES, links + LINKS_BYTES + 3, 3);
    expect_named(&bed, "a link twice, row 1");
    memcpy(links, &(uint32_t){LINK_NONE}, 3);
    expect_named(&bed, "a link behind the end of its list, row 0");
    memset(links, 0xff, (size_t)count * LINKS_BYTES);
    expect_named(&bed, "most rows cannot be reached; those that can, row 256");
    bed_section_bytes(&bed, 4, SECTION_CODES)[3] ^= 0x80;
    expect_named(&bed, "a code that is not that of its values, row 0");
    bed_section_bytes(&bed, 4, SECTION_CODE_FACTORS)[7] ^= 0x80;
    expect_named(&bed, "a code that is not that of its values, row 0");
    bed_section_bytes(&bed, 4, SECTION_DENSE)[3] ^= 0x40;
    expect_named(&bed, "a code that is not that of its values, row 0");
    uint8_t *head = bed_section_bytes(&bed, 4, SECTION_GRAPH_HEAD);
    static const uint32_t words[] = {0, 4, 8, 12, 24, 28};
    for (uint32_t i = 0; i < 6; i++) {
        store_u32(head + words[i], 77);
        expect_named(&bed, "a head that contradicts its values");
    }
    store_u32(head + GRAPH_HEAD_BYTES, 0x7fc00000);
    expect_named(&bed, "a centre that is no number");
    store_u32(head + graph_head_bytes(32, 0), count);
    expect_named(&bed, "a sample out of range");
    store_u64(head + 16, 4); /* another rotation */
    expect_named(&bed, "a code that is not that of its values");
    store_u32(bed_entry(&bed, 4) + 52, load_u32(bed_entry(&bed, 4) + 52) & ~(uint32_t)RUN_GRAPH);
    expect_named(&bed, "graphs differ from the directory's");
    store_u32(bed_entry(&bed, 5) + 52, load_u32(bed_entry(&bed, 5) + 52) | RUN_GRAPH);
    expect_named(&bed, "a graph where none can be");
    store_u32(bed_section(&bed, 4, SECTION_CODES) + 32, 1600);
    expect_named(&bed, "");
    uint8_t *factors = bed_section(&bed, 4, SECTION_CODE_FACTORS);
    store_u64(factors + 16, load_u64(factors + 16) - 8);
    expect_named(&bed, "a graph that contradicts its values");
    store_u16(bed_section(&bed, 4, SECTION_GRAPH_HEAD) + 2, 1);
    expect_named(&bed, "a part of a graph without its head");
    bed_close(&bed);
}

/* Goal: codes that lie are named. Method: as above. */
static void test_scans_named(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, true);
    uint32_t count = bed.runs[4].rows;
    uint8_t *codes = bed_section_bytes(&bed, 4, SECTION_SCAN);
    uint32_t words = 1, block = scan_block_bytes(32), tail = count % CODE1_ROWS;
    assert_int_not_equal(tail, 0);
    store_u32(codes, ~load_u32(codes));
    expect_named(&bed, "a code that is not that of its values, row 0");
    for (uint32_t f = 0; f < CODE1_FACTORS; f++) {
        codes[words * CODE1_ROWS * 8 + f * CODE1_ROWS * 4 + 3] ^= 0x80;
        expect_named(&bed, "a code that is not that of its values, row 0");
    }
    uint8_t *last = codes + (size_t)(count / CODE1_ROWS) * block;
    store_u64(last + (size_t)tail * 8, 1);
    expect_named(&bed, "a code behind the last row");
    store_u32(last + words * CODE1_ROWS * 8 + tail * 4, 1);
    expect_named(&bed, "a code behind the last row");
    uint8_t *head = bed_section_bytes(&bed, 4, SECTION_SCAN_HEAD);
    static const uint32_t at[] = {0, 4, 8, 12, 24};
    for (uint32_t i = 0; i < 5; i++) {
        store_u32(head + at[i], 77);
        expect_named(&bed, "a head that contradicts its values");
    }
    store_u32(head + SCAN_HEAD_BYTES, 0x7fc00000);
    expect_named(&bed, "a head that contradicts its values");
    store_u64(head + 16, 4); /* another rotation */
    expect_named(&bed, "a code that is not that of its values");
    store_u32(bed_section(&bed, 4, SECTION_SCAN) + 32, 1600);
    expect_named(&bed, "");
    uint8_t *section = bed_section(&bed, 4, SECTION_SCAN);
    store_u64(section + 16, load_u64(section + 16) - block);
    expect_named(&bed, "scan codes that contradict their values");
    store_u16(bed_section(&bed, 4, SECTION_SCAN_HEAD) + 2, 1);
    expect_named(&bed, "a part of scan codes without the other");
    bed_close(&bed);
}

/* Goal: 4-bit codes that lie are named, and every byte of them is looked at by some hash. Method:
 * as above; flips. */
static void test_both_named(void **state) {
    (void)state;
    struct bed bed;
    both_codes = true;
    bed_open(&bed, true);
    uint32_t count = bed.runs[4].rows, bytes = code4_bound_bytes(32);
    struct scan_layout layout = scan_layout_of(32, true);
    uint8_t *codes = bed_section_bytes(&bed, 4, SECTION_SCAN_BOTH);
    assert_true(count < layout.chunk_rows);
    uint8_t *fine = codes + scan_layout_fine(&layout, count, 0);
    uint64_t size = load_u64(bed_section(&bed, 4, SECTION_SCAN_BOTH) + 16);
    assert_true(fine + (size_t)count * bytes == codes + size);
    flip(&bed, (uint64_t)(codes - bed.bytes));
    flip(&bed, (uint64_t)(fine - bed.bytes) - 1);
    for (uint64_t at = (uint64_t)(fine - bed.bytes); at < (uint64_t)(fine - bed.bytes) + bytes;
         at++) {
        flip(&bed, at);
    }
    flip(&bed, (uint64_t)(codes - bed.bytes) + size - 1);
    fine[3] ^= 0x20; /* a level by two */
    expect_named(&bed, "a 4-bit code that is not that of its values, row 0");
    for (uint32_t f = 0; f < 3; f++) {
        fine[16 + f * 4 + 3] ^= 0x40;
        expect_named(&bed, "a 4-bit code that is not that of its values, row 0");
    }
    codes[0] ^= 0xff;
    codes[1] ^= 0xff;
    expect_named(&bed, "a code that is not that of its values, row 0");
    uint8_t *section = bed_section(&bed, 4, SECTION_SCAN_BOTH);
    store_u64(section + 16, load_u64(section + 16) - bytes);
    expect_named(&bed, "scan codes that contradict their values");
    store_u16(bed_section(&bed, 4, SECTION_SCAN_BOTH), SECTION_PIECES);
    expect_named(&bed, "");
    store_u16(bed_section(&bed, 4, SECTION_SCAN_HEAD) + 2, 1);
    expect_named(&bed, "a part of scan codes without the other");
    bed_close(&bed);
    both_codes = false;
}

/* Goal: hashes of pieces that lie are named. Method: as above. */
static void test_pieces_named(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, true);
    uint8_t *hashes = bed_section_bytes(&bed, 4, SECTION_PIECES);
    uint64_t count = load_u64(bed_section(&bed, 4, SECTION_PIECES) + 16) / 8;
    assert_int_equal(count, (bed.runs[4].rows + 31) / 32); /* rows of 128 bytes */
    hashes[0] ^= 1;
    expect_named(&bed, "vector 0: piece 0 has another hash");
    hashes[8 * (count - 1)] ^= 1;
    expect_named(&bed, "has another hash");
    uint8_t *section = bed_section(&bed, 4, SECTION_PIECES);
    store_u64(section + 16, 8 * (count - 1));
    expect_named(&bed, "hashes of pieces that contradict the values");
    store_u16(section + 2, 1);
    expect_named(&bed, "hashes of pieces without values");
    store_u16(section + 4, 4);
    expect_named(&bed, "section that contradicts the counts");
    bed_close(&bed);
}

/* Goal: damage in id directories that right hashes cover is named. Method: as above. */
static void test_directory_named(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, true);
    static const uint32_t extents[] = {3, 5};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t extent = extents[i];
        uint8_t *block = bed_section_bytes(&bed, extent, SECTION_DIRECTORY);
        store_u16(block, 0);
        expect_named(&bed, "block 0: malformed head");
        store_u64(block + 16, UINT64_MAX);
        expect_named(&bed, "block 0: ");
        block[5] = 60;
        expect_named(&bed, "block 0: malformed head");
        block[5]--;
        expect_named(&bed, "block 0: ");
        store_u16(block, load_u16(block) - 1);
        expect_named(&bed, "block 0: ");
        uint8_t *index = bed_section_bytes(&bed, extent, SECTION_DIRECTORY_INDEX);
        store_u64(index, load_u64(index) + 1);
        expect_named(&bed, "block 0: index entry differs");
        store_u32(index + 8, 1);
        expect_named(&bed, "block 0: index entry differs");
        uint8_t *filter = bed_section_bytes(&bed, extent, SECTION_FILTER);
        memset(filter + FUSE_HEADER_BYTES, 0x5a, 60);
        expect_named(&bed, "the filter denies an id");
        store_u32(bed_header(&bed, extent) + 48, 1);
        expect_named(&bed, "fewer or more ids");
    }
    uint8_t *block = bed_section_bytes(&bed, 5, SECTION_DIRECTORY);
    memcpy(block + 4096, block, 4096);
    expect_named(&bed, "block 1: ids do not ascend");
    bed_close(&bed);
}

/* Goal: damage in the tables that right hashes cover is named. Method: as above. */
static void test_tables_named(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, false);
    store_u64(bed_entry(&bed, 1), 1);
    expect_named(&bed, "directory entry 1: incarnations do not ascend");
    store_u64(bed_entry(&bed, 0) + 8, 5000);
    expect_named(&bed, "directory entry 0: versions run backwards");
    store_u64(bed_entry(&bed, 0) + 24, 64);
    expect_named(&bed, "directory entry 0: extent outside the file");
    store_u64(bed_entry(&bed, 0) + 32, 1ull << 40);
    expect_named(&bed, "directory entry 0: extent outside the file");
    store_u32(bed_entry(&bed, 0) + 48, 1);
    expect_named(&bed, "directory entry 0: sealed with a key");
    store_u32(bed_entry(&bed, 0) + 52, RUN_NO_GRAPH);
    expect_named(&bed, "directory entry 0: unknown flags");
    store_u32(bed_entry(&bed, 0) + 52, 0);
    expect_named(&bed, "directory entry 0: impossible header size");
    store_u32(bed_entry(&bed, 0) + 40, 0);
    store_u32(bed_entry(&bed, 0) + 44, 0);
    expect_named(&bed, "directory entry 0: an extent without rows");
    store_u32(bed_entry(&bed, 2) + 40, 1);
    expect_named(&bed, "directory entry 2: an entry without bytes");
    store_u32(bed_entry(&bed, 0) + 40, 1);
    expect_named(&bed, "counts or size differ");
    store_u32(bed_scope(&bed, 1) + 12, 1);
    expect_named(&bed, "scope index entry 1: scopes do not tile");
    store_u32(bed_scope(&bed, 0) + 16, 3);
    expect_named(&bed, "scope index entry 1: scopes do not tile");
    store_u32(bed_scope(&bed, 0) + 16, 4);
    expect_named(&bed, "scope index goes on");
    store_u32(bed_scope(&bed, 1) + 16, 1);
    expect_named(&bed, "scope index ends before");
    store_u64(bed_scope(&bed, 1), 0);
    expect_named(&bed, "scope index entry 1: scopes do not ascend");
    store_u16(bed_scope(&bed, 1) + 10, 1);
    expect_named(&bed, "scope index entry 1: reserved");
    store_u64(bed.bytes + PAGE_FILE, 3);
    expect_named(&bed, "header page at 0: fields differ");
    store_u64(bed_trailer(&bed) + TRAILER_FILE, 3);
    expect_named(&bed, "belongs to another file");
    bed_trailer(&bed)[TRAILER_ZERO] = 3;
    expect_named(&bed, "reserved fields are not zero");
    /* An extent in another place: moved by 64 bytes, into what should be a gap or another extent.
     */
    uint8_t *entry = bed_entry(&bed, 1);
    store_u64(entry + 24, load_u64(entry + 24) + 64);
    bed.runs[1].offset_64++;
    expect_named(&bed, "not where it belongs");
    bed.runs[1].offset_64--;
    bed_close(&bed);
}

/* Goal: the check fails cleanly without memory, and names reads that fail. Method: each in turn. */
static void test_check_failures(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, true);
    uint64_t before = store_memory_calls(bed.kit.store, false);
    assert_int_equal(kit_check(&bed.kit, &bed.info, NULL, 0), INS_OK);
    uint64_t calls = store_memory_calls(bed.kit.store, false) - before;
    char text[256];
    for (uint64_t call = 1; call <= calls; call++) {
        store_memory_fail_at(bed.kit.store, call, false, INS_IO, false);
        assert_int_equal(kit_check(&bed.kit, &bed.info, text, sizeof(text)), INS_CORRUPT);
        assert_non_null(strstr(text, "injected"));
        store_memory_fail_off(bed.kit.store);
    }
    uint32_t refused = 0;
    for (uint64_t countdown = 1; countdown <= 40; countdown++) {
        arena_fail_at(bed.kit.arena, countdown);
        ins_status status = kit_check(&bed.kit, &bed.info, NULL, 0);
        assert_true(status == INS_OK || status == INS_EXHAUSTED);
        refused += status == INS_OK ? 0 : 1;
        arena_fail_at(bed.kit.arena, 0);
    }
    assert_true(refused >= 12);
    bed_close(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal),
        cmocka_unit_test(test_flip_every_byte),
        cmocka_unit_test(test_flip_large),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_longer),
        cmocka_unit_test(test_rows_named),
        cmocka_unit_test(test_graphs_named),
        cmocka_unit_test(test_scans_named),
        cmocka_unit_test(test_both_named),
        cmocka_unit_test(test_pieces_named),
        cmocka_unit_test(test_directory_named),
        cmocka_unit_test(test_tables_named),
        cmocka_unit_test(test_check_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
