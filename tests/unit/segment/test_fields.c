/* Field indexes: every value of every row is found, nothing else; what does not fit is undecided;
 * damage that right hashes cover is named, and never read past.
 *
 * Rows have JSON payloads made from their number. The index is read back block by block and
 * compared with what the payloads say. */
#include "segment_kit.h"

#include <stdio.h>
#include <string.h>

#include "segment/fields.h"
#include "segment/segment_private.h"

#define FILE_NUMBER 3u
#define PAYLOAD_MAX 200000u

struct source {
    struct extent_source source;
    uint32_t count, at;
    void (*payload)(uint32_t row, char *out); /* of [PAYLOAD_MAX] */
    char *text;
};

static ins_status rewind_rows(void *context, enum extent_need need, uint32_t vector,
                              ins_error *error) {
    struct source *source = context;
    (void)need;
    (void)vector;
    (void)error;
    source->at = 0;
    return INS_OK;
}

static ins_status next_row(void *context, struct extent_row *out, bool *out_end, ins_error *error) {
    struct source *source = context;
    (void)error;
    *out_end = source->at == source->count;
    if (!*out_end) {
        source->payload(source->at, source->text);
        *out = (struct extent_row){
            .id = id_number(source->at * 3ull),
            .version = 7,
            .payload = {.data = (const uint8_t *)source->text, .size = strlen(source->text)}};
        source->at++;
    }
    return INS_OK;
}

/* ---- One file with one extent ---------------------------------------------------------------- */

struct bed {
    struct kit kit;
    struct arena *arena; /* of the pool: what the writer takes is counted apart */
    struct pool pool;
    struct payload_columns *columns[2];
    struct source source;
    struct segment_info info;
    struct run run;
    struct kit_extent loaded;
};

static void bed_open(struct bed *bed, uint32_t rows, void (*payload)(uint32_t row, char *out),
                     const struct payload_column *columns, uint32_t count) {
    static const uint8_t random_id[16] = {4, 2};
    memset(bed, 0, sizeof(*bed));
    kit_open(&bed->kit);
    struct arena_options options = {.limit_bytes = 4 * INS_MIB, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_JOB] = 4 * INS_MIB;
    assert_int_equal(arena_open(&options, &bed->arena, NULL), INS_OK);
    pool_init(&bed->pool, bed->arena, INS_MEM_JOB, INS_MIB);
    uint32_t tables = 0;
    for (uint32_t from = 0; from < count; from += FIELD_COLUMNS_MAX) {
        uint32_t part = count - from < FIELD_COLUMNS_MAX ? count - from : FIELD_COLUMNS_MAX;
        assert_int_equal(
            payload_columns_create(&bed->pool, columns + from, part, &bed->columns[tables++], NULL),
            INS_OK);
    }
    bed->source = (struct source){.source = {.context = &bed->source,
                                             .scope = 7,
                                             .incarnation = 9,
                                             .version_low = 1,
                                             .version_high = 10,
                                             .columns = bed->columns,
                                             .column_table_count = tables,
                                             .rewind = rewind_rows,
                                             .next = next_row},
                                  .count = rows,
                                  .payload = payload,
                                  .text = malloc(PAYLOAD_MAX)};
    struct segment_writer *writer;
    ins_error error = {0};
    assert_non_null(bed->source.text);
    assert_int_equal(segment_writer_begin(bed->kit.store, bed->kit.arena, FILE_NUMBER, random_id,
                                          &writer, &error),
                     INS_OK);
    assert_int_equal(segment_writer_extent(writer, &bed->source.source, &bed->run, &error), INS_OK);
    assert_int_equal(segment_writer_commit(writer, &bed->info, &error), INS_OK);
    assert_int_equal(kit_load(&bed->kit, &bed->run, FILE_NUMBER, 9, &bed->loaded, &error), INS_OK);
}

static void bed_close(struct bed *bed) {
    kit_unload(&bed->loaded);
    free(bed->source.text);
    pool_fini(&bed->pool);
    arena_close(bed->arena);
    kit_close(&bed->kit);
}

static uint32_t slot_of(const struct bed *bed, uint32_t number) {
    return extent_slot(&bed->loaded.extent, SECTION_FIELD, number);
}

static void table_of(const struct bed *bed, uint32_t index, struct field_table *out) {
    uint32_t slot = slot_of(bed, field_table_number(index));
    assert_int_not_equal(slot, SLOT_NONE);
    struct section section = extent_slot_section(&bed->loaded.extent, slot);
    size_t size = section.size < section.chunk_bytes ? section.size : section.chunk_bytes;
    struct slice first = {.data = bed->loaded.views[slot].chunks[0], .size = size};
    assert_true(field_table_parse(first, section.size, bed->loaded.extent.row_count, out));
}

static void block_of(const struct bed *bed, uint32_t index, uint32_t group, uint32_t column,
                     struct field_block *out) {
    struct field_table table;
    uint32_t slot = slot_of(bed, field_table_number(index));
    uint32_t blocks = slot_of(bed, field_blocks_number(index));
    struct section section = extent_slot_section(&bed->loaded.extent, blocks);
    uint64_t begin;
    uint32_t size;
    table_of(bed, index, &table);
    assert_true(field_block_place(&table, &bed->loaded.views[slot], group, column, section.size,
                                  &begin, &size));
    const struct chunks *chunks = &bed->loaded.views[blocks];
    struct slice bytes = {.size = size};
    if (size > 0) {
        bytes.data = chunks->chunks[begin / INS_CHUNK_BYTES] + begin % INS_CHUNK_BYTES;
    }
    uint32_t left = bed->loaded.extent.row_count - group * ROW_GROUP;
    assert_true(field_block_parse(bytes, table.columns[column].domain,
                                  left < ROW_GROUP ? left : ROW_GROUP, out));
}

static uint32_t popcount(const struct row_bits *bits) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < ROW_GROUP_WORDS; i++) {
        count += (uint32_t)__builtin_popcountll(bits->words[i]);
    }
    return count;
}

/* ---- Rows of all kinds ----------------------------------------------------------------------- */

static void mixed_payload(uint32_t row, char *out) {
    if (row % 11 == 0) {
        out[0] = '\0'; /* none */
        return;
    }
    (void)sprintf(out,
                  "{\"k\":\"key%u\",\"n\":%d,\"x\":%u.5,\"b\":%s,\"w\":\"2024-01-01T00:%02u:00Z\","
                  "\"l\":[%u,\"t%u\",%u,%u]}",
                  row % 37, (int)(row % 1000) - 500, row % 50, row % 2 == 0 ? "true" : "false",
                  row % 60, row % 5, row % 3, row % 5, row % 7);
}

static const struct payload_column mixed[] = {
    {{"k", 1}, DOMAIN_TEXT}, {{"n", 1}, DOMAIN_INTEGER}, {{"x", 1}, DOMAIN_REAL},
    {{"b", 1}, DOMAIN_BOOL}, {{"w", 1}, DOMAIN_MOMENT},  {{"l[]", 3}, DOMAIN_INTEGER},
    {{"l", 1}, DOMAIN_TEXT}, {{"no", 2}, DOMAIN_TEXT},
};
enum { MIXED_COUNT = sizeof(mixed) / sizeof(mixed[0]) };

static bool present(uint32_t row) {
    return row % 11 != 0;
}

/* Goal: each value names its rows, in every group, and nothing is undecided. */
static void test_values(void **state) {
    (void)state;
    enum { ROWS = 3 * ROW_GROUP - 100 };
    struct bed bed;
    bed_open(&bed, ROWS, mixed_payload, mixed, MIXED_COUNT);
    struct field_table table;
    table_of(&bed, 0, &table);
    assert_int_equal(table.column_count, MIXED_COUNT);
    assert_int_equal(table.group_count, 3);
    for (uint32_t group = 0; group < 3; group++) {
        struct field_block blocks[MIXED_COUNT];
        for (uint32_t column = 0; column < MIXED_COUNT; column++) {
            struct row_bits undecided = {{0}};
            block_of(&bed, 0, group, column, &blocks[column]);
            assert_true(field_block_undecided(&blocks[column], &undecided));
            assert_int_equal(popcount(&undecided), 0);
        }
        for (uint32_t which = 0; which < 60; which++) {
            struct row_bits bits[7] = {{{0}}};
            char text[16];
            (void)sprintf(text, "key%u", which);
            assert_true(field_block_text(&blocks[0], (ins_text){text, strlen(text)}, &bits[0]));
            uint64_t key = payload_key_integer((int64_t)which - 30);
            assert_true(field_block_keys(&blocks[1], key, payload_key_integer(which), &bits[1]));
            key = payload_key_real(which + 0.5);
            assert_true(field_block_keys(&blocks[2], key, key, &bits[2]));
            assert_true(field_block_keys(&blocks[3], which % 2, which % 2, &bits[3]));
            key = payload_key_integer((1704067200 + 60ll * which) * 1000000);
            assert_true(field_block_keys(&blocks[4], key, UINT64_MAX, &bits[4]));
            key = payload_key_integer(which);
            assert_true(field_block_keys(&blocks[5], key, key, &bits[5]));
            (void)sprintf(text, "t%u", which);
            assert_true(field_block_text(&blocks[6], (ins_text){text, strlen(text)}, &bits[6]));
            for (uint32_t i = 0; i < blocks[0].row_count; i++) {
                uint32_t row = group * ROW_GROUP + i;
                int n = (int)(row % 1000) - 500;
                bool expected[7] = {
                    row % 37 == which, n >= (int)which - 30 && n <= (int)which,
                    row % 50 == which, (row % 2 == 0) == (which % 2 == 1),
                    row % 60 >= which, row % 5 == which || row % 7 == which,
                    row % 3 == which,
                };
                for (int c = 0; c < 7; c++) {
                    if (row_bits_has(&bits[c], i) != (present(row) && expected[c])) {
                        fail_msg("column %d, row %u, value %u", c, row, which);
                    }
                }
            }
        }
        struct row_bits none = {{0}};
        assert_true(field_block_text(&blocks[7], (ins_text){"key1", 4}, &none));
        assert_true(field_block_keys(&blocks[1], 1, 0, &none));
        assert_int_equal(popcount(&none), 0);
    }
    char text[200];
    assert_int_equal(kit_check(&bed.kit, &bed.info, text, sizeof(text)), INS_OK);
    bed_close(&bed);
}

/* ---- What does not fit ----------------------------------------------------------------------- */

static void crowded_payload(uint32_t row, char *out) {
    if (row % 100 == 1) { /* a text that is too long */
        memcpy(out, "{\"k\":\"", 6);
        memset(out + 6, 'x', 256);
        memcpy(out + 262, "\"}", 3);
    } else if (row % 100 == 2) { /* too many values */
        size_t at = (size_t)sprintf(out, "{\"k\":[\"v0\"");
        for (int i = 1; i < 300; i++) {
            at += (size_t)sprintf(out + at, ",\"v%d\"", i);
        }
        (void)sprintf(out + at, "]}");
    } else { /* unique texts that fill a block */
        size_t at = (size_t)sprintf(out, "{\"k\":\"");
        memset(out + at, 'a' + (int)(row % 7), 200);
        (void)sprintf(out + at + 200, "%u\"}", row);
    }
}

/* Goal: a row is found by its value or is undecided, and both happen. */
static void test_undecided(void **state) {
    (void)state;
    enum { ROWS = ROW_GROUP + 600 };
    struct payload_column column = {.path = {"k", 1}, .domain = DOMAIN_TEXT};
    struct bed bed;
    bed_open(&bed, ROWS, crowded_payload, &column, 1);
    uint32_t found = 0;
    uint32_t doubtful = 0;
    for (uint32_t group = 0; group < 2; group++) {
        struct field_block block;
        struct row_bits undecided = {{0}};
        block_of(&bed, 0, group, 0, &block);
        assert_true(field_block_undecided(&block, &undecided));
        for (uint32_t i = 0; i < block.row_count; i++) {
            char text[512];
            uint32_t row = group * ROW_GROUP + i;
            struct row_bits bits = {{0}};
            crowded_payload(row % 100 == 2 ? 1 : row, text);
            size_t size = strlen(text) - 8;
            ins_text value = {text + 6, size};
            assert_true(field_block_text(&block, value, &bits));
            assert_true(row_bits_has(&bits, i) || row_bits_has(&undecided, i));
            bool odd = row % 100 == 1 || row % 100 == 2;
            assert_true(!odd || row_bits_has(&undecided, i));
            assert_true(popcount(&bits) <= 1);
            found += row_bits_has(&bits, i);
            doubtful += row_bits_has(&undecided, i) && !odd;
        }
    }
    assert_true(found > 2000);
    assert_true(doubtful > 500);
    char text[200];
    assert_int_equal(kit_check(&bed.kit, &bed.info, text, sizeof(text)), INS_OK);
    bed_close(&bed);
}

/* Goal: more columns than a table holds go to a second one; a wide last group ends where rows do.
 */
static void test_tables(void **state) {
    (void)state;
    struct payload_column columns[20];
    char names[20][8];
    for (uint32_t i = 0; i < 20; i++) {
        (void)sprintf(names[i], i == 18 ? "n" : "c%u", i);
        columns[i] =
            (struct payload_column){.path = {names[i], strlen(names[i])}, .domain = DOMAIN_INTEGER};
    }
    struct bed bed;
    bed_open(&bed, 2000, mixed_payload, columns, 20);
    struct field_table table;
    table_of(&bed, 0, &table);
    assert_int_equal(table.column_count, 16);
    table_of(&bed, 1, &table);
    assert_int_equal(table.column_count, 4);
    assert_int_equal(slot_of(&bed, field_table_number(2)), SLOT_NONE);
    struct field_block block;
    struct row_bits bits = {{0}};
    block_of(&bed, 1, 0, 2, &block);
    assert_true(field_block_keys(&block, 0, UINT64_MAX, &bits));
    assert_int_equal(popcount(&bits), 2000 - 182);
    bed_close(&bed);
}

/* Goal: without memory for an index the extent is written without one. Method: each allocation of
 * the job fails in turn. */
static void test_no_memory(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, 2000, mixed_payload, mixed, MIXED_COUNT);
    uint32_t without = 0;
    bool failed = true; /* the last time */
    for (uint64_t countdown = 1; countdown < 40; countdown++) {
        static const uint8_t random_id[16] = {1};
        struct segment_writer *writer = NULL;
        struct segment_info info;
        struct run run;
        arena_fail_at(bed.kit.arena, countdown);
        ins_status status = segment_writer_begin(bed.kit.store, bed.kit.arena, 50 + countdown,
                                                 random_id, &writer, NULL);
        if (status == INS_OK) {
            status = segment_writer_extent(writer, &bed.source.source, &run, NULL);
        }
        arena_fail_at(bed.kit.arena, 0);
        failed = status != INS_OK;
        if (failed) {
            segment_writer_abort(writer);
            continue;
        }
        assert_int_equal(segment_writer_commit(writer, &info, NULL), INS_OK);
        struct kit_extent loaded;
        assert_int_equal(kit_load(&bed.kit, &run, 50 + countdown, 9, &loaded, NULL), INS_OK);
        bool indexed = extent_slot(&loaded.extent, SECTION_FIELD, 0) != SLOT_NONE;
        without += !indexed;
        failed = !indexed;
        kit_unload(&loaded);
        assert_int_equal(kit_check(&bed.kit, &info, NULL, 0), INS_OK);
    }
    assert_false(failed);
    assert_true(without >= 5);
    bed_close(&bed);
}

/* ---- Hostile bytes --------------------------------------------------------------------------- */

/* Goal: whatever a block's words say, nothing outside of it is read and no row beyond the group is
 * set. Method: each byte of a block in turn gets other values; the copy is exact, for sanitizers.
 */
static void test_hostile_block(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, 1700, mixed_payload, mixed, MIXED_COUNT);
    struct field_table table;
    table_of(&bed, 0, &table);
    for (uint32_t column = 0; column < 2; column++) {
        uint32_t slot = slot_of(&bed, field_table_number(0));
        uint32_t blocks = slot_of(&bed, field_blocks_number(0));
        uint64_t begin;
        uint32_t size;
        assert_true(field_block_place(&table, &bed.loaded.views[slot], 0, column,
                                      extent_slot_section(&bed.loaded.extent, blocks).size, &begin,
                                      &size));
        uint8_t *copy = malloc(size);
        assert_non_null(copy);
        uint32_t refused = 0;
        for (uint32_t at = 0; at < size; at += at < 400 ? 1 : 37) {
            memcpy(copy, bed.loaded.views[blocks].chunks[0] + begin, size);
            copy[at] ^= (uint8_t)(0x81 + at);
            struct field_block block;
            struct row_bits bits = {{0}};
            bool good = field_block_parse((struct slice){.data = copy, .size = size},
                                          table.columns[column].domain, 1700, &block);
            for (uint32_t which = 0; good && which < 40; which++) {
                char text[16];
                (void)sprintf(text, "key%u", which);
                good =
                    column == 0
                        ? field_block_text(&block, (ins_text){text, strlen(text)}, &bits)
                        : field_block_keys(&block, payload_key_integer((int64_t)which * 25 - 500),
                                           payload_key_integer((int64_t)which * 25 - 480), &bits);
            }
            good = good && field_block_undecided(&block, &bits);
            for (uint32_t row = 1700; row < ROW_GROUP; row++) {
                assert_false(row_bits_has(&bits, row));
            }
            refused += !good;
        }
        assert_true(refused > 10);
        free(copy);
    }
    bed_close(&bed);
}

/* Goal: a table that lies is refused. Method: each byte of its head in turn; short ones. */
static void test_hostile_table(void **state) {
    (void)state;
    struct bed bed;
    bed_open(&bed, 1700, mixed_payload, mixed, MIXED_COUNT);
    uint32_t slot = slot_of(&bed, field_table_number(0));
    size_t size = extent_slot_section(&bed.loaded.extent, slot).size;
    uint8_t *copy = malloc(size);
    struct field_table table;
    assert_non_null(copy);
    for (size_t at = 0; at < 20; at++) {
        memcpy(copy, bed.loaded.views[slot].chunks[0], size);
        copy[at] ^= 0x48;
        if (at != 16) {
            assert_false(
                field_table_parse((struct slice){.data = copy, .size = size}, size, 1700, &table));
        }
    }
    memcpy(copy, bed.loaded.views[slot].chunks[0], size);
    for (size_t cut = 0; cut < size; cut++) {
        assert_false(
            field_table_parse((struct slice){.data = copy, .size = cut}, cut, 1700, &table));
    }
    assert_false(field_table_parse((struct slice){.data = copy, .size = size}, size, 5000, &table));
    free(copy);
    bed_close(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),        cmocka_unit_test(test_undecided),
        cmocka_unit_test(test_tables),        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_hostile_block), cmocka_unit_test(test_hostile_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
