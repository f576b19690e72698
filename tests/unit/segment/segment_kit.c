#include "segment_kit.h"

#include <stdio.h>
#include <string.h>

void kit_open(struct kit *kit) {
    struct arena_options options = {.limit_bytes = 128 * INS_MIB, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_JOB] = 64 * INS_MIB;
    options.purpose_limit_bytes[INS_MEM_CACHE] = 32 * INS_MIB; /* graphs that tests build */
    options.purpose_limit_bytes[INS_MEM_QUERY] = 8 * INS_MIB;
    struct store_memory_options store_options = {.seed = 1};
    assert_int_equal(arena_open(&options, &kit->arena, NULL), INS_OK);
    assert_int_equal(store_memory_open(&store_options, &kit->store), INS_OK);
}

void kit_close(struct kit *kit) {
    assert_int_equal(kit_job_bytes(kit), 0);
    kit->store->ops->close(kit->store);
    arena_close(kit->arena);
}

uint64_t kit_job_bytes(const struct kit *kit) {
    struct arena_usage usage;
    arena_get_usage(kit->arena, &usage);
    return usage.purpose_used[INS_MEM_JOB];
}

/* ---- Rows ------------------------------------------------------------------------------------ */

void kit_vector(const ins_id *id, const struct vector_shape *shape, float *out) {
    uint64_t seed = id_hash(id) + shape->id;
    for (uint32_t i = 0; i < shape->dim; i++) {
        out[i] = (float)(int32_t)(hash_u64(seed + i) & 0xffff) / 65536.0f - 0.5f;
    }
}

void kit_payload(const ins_id *id, uint32_t size, uint8_t *out) {
    uint64_t seed = id_hash(id);
    for (uint32_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(seed >> (i % 8 * 8)) ^ (uint8_t)i;
    }
}

static int compare_rows(const void *left, const void *right) {
    const struct kit_row *a = left;
    const struct kit_row *b = right;
    return id_compare(&a->id, &b->id);
}

struct kit_row *kit_rows(const struct kit_shape *shape, uint64_t seed, uint32_t *out_count) {
    uint32_t live = shape->numbers + shape->uuids;
    uint32_t count = live + shape->dead_numbers + shape->dead_uuids;
    struct kit_row *rows = calloc(count + 1, sizeof(*rows));
    assert_non_null(rows);
    uint64_t spread = shape->version_high - shape->version_low;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t random = hash_u64(seed * 1000003 + i + 1); /* a bijection: ids are distinct */
        bool dead = i >= live;
        uint32_t within = dead ? i - live : i;
        bool uuid = within >= (dead ? shape->dead_numbers : shape->numbers);
        rows[i].id = uuid ? (ins_id){.high = random, .low = hash_u64(random + 5), .is_uuid = true}
                          : (ins_id){.low = random};
        rows[i].version = shape->version_low + 1 + hash_u64(random + 1) % spread;
        rows[i].tombstone = dead;
        rows[i].patch = !dead && hash_u64(random + 4) % 9 == 0;
        rows[i].payload_size =
            dead ? 0 : (uint32_t)(hash_u64(random + 2) % ((uint64_t)shape->payload_max + 1));
        rows[i].incarnation = 1000 + hash_u64(random + 3) % 50000;
    }
    qsort(rows, count, sizeof(*rows), compare_rows);
    *out_count = count;
    return rows;
}

/* ---- Source -----------------------------------------------------------------------------------
 */

static ins_status source_rewind(void *context, enum extent_need need, uint32_t vector,
                                ins_error *error) {
    struct kit_source *source = context;
    (void)error;
    source->at = 0;
    source->need = need;
    source->which = vector;
    return INS_OK;
}

static bool has_vector(const struct kit_source *source, const struct kit_row *row, uint32_t which) {
    return !row->tombstone && hash_u64(id_hash(&row->id) + which) % source->every[which] == 0;
}

/* Values of the row: 1, or more of a multivector; their shape together. */
static uint32_t value_rows(const struct kit_source *source, const struct kit_row *row,
                           uint32_t which, struct vector_shape *out_shape) {
    *out_shape = source->shapes[which];
    uint32_t rows =
        out_shape->multi != 0 ? 1 + (uint32_t)(hash_u64(id_hash(&row->id) + 77) % KIT_ROWS_MAX) : 1;
    out_shape->dim *= rows;
    return rows;
}

static ins_status source_next(void *context, struct extent_row *out, bool *out_end,
                              ins_error *error) {
    struct kit_source *source = context;
    if (source->fail_after != 0 && --source->fail_after == 0) {
        return ins_fail(error, INS_IO, "the source failed as told");
    }
    if (source->at == source->count) {
        *out_end = true;
        return INS_OK;
    }
    const struct kit_row *row = &source->rows[source->at++];
    *out = (struct extent_row){.id = row->id,
                               .version = row->version,
                               .tombstone = row->tombstone,
                               .patch = row->patch && !source->source.directory &&
                                        source->need != EXTENT_NEED_PAYLOAD,
                               .incarnation = row->incarnation};
    for (uint32_t i = 0; i < source->source.vector_count; i++) {
        bool told = source->need == EXTENT_NEED_PRESENCE
                        ? i == source->which
                        : source->need == EXTENT_NEED_KEYS && (source->source.sparse >> i & 1) == 0;
        out->present |= (uint64_t)(told && has_vector(source, row, i)) << i;
    }
    bool asked = source->need == EXTENT_NEED_VECTOR || source->need == EXTENT_NEED_PRESENCE;
    struct vector_shape shape;
    if (asked && has_vector(source, row, source->which)) {
        out->vector_rows = value_rows(source, row, source->which, &shape);
    }
    if (source->need == EXTENT_NEED_VECTOR && has_vector(source, row, source->which)) {
        kit_vector(&row->id, &shape, source->vector);
        out->vector = source->vector;
    }
    if (source->need == EXTENT_NEED_PAYLOAD) {
        kit_payload(&row->id, row->payload_size, source->payload);
        out->payload = (struct slice){.data = source->payload, .size = row->payload_size};
    }
    return INS_OK;
}

void kit_source_init(struct kit_source *source, const struct kit_row *rows, uint32_t count,
                     uint32_t dim) {
    *source = (struct kit_source){
        .source = {.context = source,
                   .scope = 7,
                   .incarnation = 9,
                   .schema_version = 3,
                   .partition_version = 2,
                   .version_low = 100,
                   .version_high = 1000000,
                   .rewind = source_rewind,
                   .next = source_next},
        .rows = rows,
        .count = count,
    };
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        most = rows[i].payload_size > most ? rows[i].payload_size : most;
    }
    source->payload = malloc((size_t)most + 1);
    assert_non_null(source->payload);
    source->source.vectors = source->shapes;
    if (dim > 0) {
        kit_source_add(source, 0, dim, 1);
    }
}

void kit_source_add(struct kit_source *source, uint16_t id, uint32_t dim, uint32_t every) {
    uint32_t at = source->source.vector_count++;
    assert_true(at < KIT_VECTORS);
    source->shapes[at] = (struct vector_shape){.id = id, .datatype = INS_FLOAT32, .dim = dim};
    source->every[at] = every;
    /* Every other one is counted by a pass of its own. */
    source->source.sparse |= (uint64_t)(at % 2) << at;
    size_t bytes = 1;
    for (uint32_t i = 0; i <= at; i++) {
        bytes = bytes > vector_bytes(&source->shapes[i]) ? bytes : vector_bytes(&source->shapes[i]);
    }
    source->vector = realloc(source->vector, KIT_ROWS_MAX * bytes);
    assert_non_null(source->vector);
}

void kit_source_make_multi(struct kit_source *source) {
    source->shapes[source->source.vector_count - 1].multi = 1;
}

void kit_source_fini(struct kit_source *source) {
    free(source->vector);
    free(source->payload);
}

/* ---- Files -------------------------------------------------------------------------------------
 */

void kit_write_one(struct kit *kit, uint64_t file, struct kit_source *source,
                   struct segment_info *out_info, struct run *out_run) {
    static const uint8_t random_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct segment_writer *writer;
    ins_error error = {0};
    assert_int_equal(segment_writer_begin(kit->store, kit->arena, file, random_id, &writer, &error),
                     INS_OK);
    assert_int_equal(segment_writer_extent(writer, &source->source, out_run, &error), INS_OK);
    assert_int_equal(segment_writer_commit(writer, out_info, &error), INS_OK);
    assert_int_equal(kit_job_bytes(kit), 0);
}

struct findings {
    char *text;
    size_t size;
};

static void keep_first(void *context, bool is_damage, const char *text) {
    struct findings *findings = context;
    assert_true(is_damage);
    if (findings->size != 0 && findings->text[0] == '\0') {
        (void)snprintf(findings->text, findings->size, "%s", text);
    }
}

ins_status kit_check(struct kit *kit, const struct segment_info *info, char *out_text,
                     size_t text_size) {
    struct findings findings = {.text = out_text, .size = text_size};
    if (text_size != 0) {
        out_text[0] = '\0';
    }
    ins_error error = {0};
    ins_status status = segment_check(kit->store, kit->arena, info, keep_first, &findings, &error);
    assert_int_equal(kit_job_bytes(kit), 0);
    return status;
}

/* ---- Reading back ------------------------------------------------------------------------------
 */

static ins_status read_block(struct kit *kit, const struct block_key *key, uint8_t **out,
                             ins_error *error) {
    char name[SEGMENT_NAME_MAX];
    segment_name(key->file, name);
    assert_in_range(key->size, 1, INS_SMALL_EXTENT_BYTES_MAX);
    uint8_t *bytes = malloc(key->size);
    assert_non_null(bytes);
    ins_status status = store_get(kit->store, name, key->offset, bytes, key->size, error);
    if (status == INS_OK && hash64(bytes, key->size) != key->hash) {
        status = ins_fail(error, INS_CORRUPT, "%s: block at %llu: hash does not match", name,
                          (unsigned long long)key->offset);
    }
    if (status != INS_OK) {
        free(bytes);
        return status;
    }
    *out = bytes;
    return INS_OK;
}

static ins_status load_section(struct kit *kit, struct kit_extent *loaded, uint32_t kind,
                               ins_error *error) {
    struct section found = extent_slot_section(&loaded->extent, kind);
    const struct section *section = &found;
    loaded->chunks[kind] = calloc(section->chunk_count, sizeof(uint8_t *));
    assert_non_null(loaded->chunks[kind]);
    loaded->views[kind] = (struct chunks){.chunks = (const uint8_t *const *)loaded->chunks[kind],
                                          .chunk_bytes = section->chunk_bytes,
                                          .chunk_count = section->chunk_count};
    if (loaded->extent.small) {
        struct slice slice = extent_section(&loaded->extent, kind);
        assert_int_equal(slice.size, section->size);
        loaded->chunks[kind][0] = malloc(slice.size); /* exact, so that a sanitizer sees overruns */
        memcpy(loaded->chunks[kind][0], slice.data, slice.size);
        return INS_OK;
    }
    for (uint32_t i = 0; i < section->chunk_count; i++) {
        struct block_key key = extent_chunk(&loaded->extent, kind, i);
        ins_status status = read_block(kit, &key, &loaded->chunks[kind][i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

ins_status kit_load(struct kit *kit, const struct run *run, uint64_t file, uint64_t incarnation,
                    struct kit_extent *out, ins_error *error) {
    struct block_key key;
    memset(out, 0, sizeof(*out));
    assert_true(run_first_block(run, file, &key));
    ins_status status = read_block(kit, &key, &out->first, error);
    if (status == INS_OK) {
        struct slice bytes = {.data = out->first, .size = key.size};
        status = extent_parse(run, file, bytes, incarnation, &out->extent, error);
    }
    for (uint32_t i = 0; status == INS_OK && i < out->extent.section_count; i++) {
        struct section section = extent_slot_section(&out->extent, SECTION_SLOTS + i);
        uint32_t slot = extent_slot(&out->extent, section.kind, section.number);
        assert_true(slot < KIT_SLOTS);
        status = load_section(kit, out, slot, error);
    }
    if (status != INS_OK) {
        kit_unload(out);
    }
    return status;
}

void kit_unload(struct kit_extent *loaded) {
    for (uint32_t kind = 1; kind < KIT_SLOTS; kind++) {
        uint32_t count = loaded->chunks[kind] == NULL ? 0 : loaded->views[kind].chunk_count;
        for (uint32_t i = 0; i < count; i++) {
            free(loaded->chunks[kind][i]);
        }
        free(loaded->chunks[kind]);
    }
    free(loaded->first);
    memset(loaded, 0, sizeof(*loaded));
}

static void expect_payload(const struct kit_extent *loaded, const struct kit_row *row,
                           uint32_t index) {
    uint64_t begin;
    uint64_t end;
    assert_int_equal(extent_payload_range(&loaded->extent, &loaded->views[SECTION_PAYLOAD_OFFSETS],
                                          index, &begin, &end),
                     INS_OK);
    assert_int_equal(end - begin, row->payload_size);
    const struct chunks *payload = &loaded->views[SECTION_PAYLOAD];
    uint8_t *expected = malloc((size_t)row->payload_size + 1);
    kit_payload(&row->id, row->payload_size, expected);
    for (uint64_t at = begin; at < end; at++) {
        uint8_t byte = payload->chunks[at / payload->chunk_bytes][at % payload->chunk_bytes];
        assert_int_equal(byte, expected[at - begin]);
    }
    free(expected);
}

void kit_expect_rows(const struct kit_extent *loaded, const struct kit_row *rows, uint32_t count) {
    const struct extent *extent = &loaded->extent;
    const struct chunks *ids = &loaded->views[SECTION_IDS];
    const struct chunks *dead = &loaded->views[SECTION_TOMBSTONES];
    const struct chunks *patches = &loaded->views[SECTION_PATCHES];
    uint32_t row = 0;
    uint32_t tombstone = 0;
    uint32_t patch = 0;
    for (uint32_t i = 0; i < count; i++) {
        ins_id id;
        uint32_t found;
        if (rows[i].tombstone) {
            assert_true(tombstone < extent->tombstone_count);
            id = extent_tombstone_id(extent, dead, tombstone);
            assert_true(id_equal(&id, &rows[i].id));
            assert_int_equal(extent_tombstone_version(extent, dead, tombstone), rows[i].version);
            assert_true(extent_find_tombstone(extent, dead, &rows[i].id));
            assert_false(extent_find(extent, ids, &rows[i].id, &found));
            assert_int_equal(extent_lower_bound(extent, ids, &rows[i].id), row);
            tombstone++;
            continue;
        }
        assert_true(row < extent->row_count);
        id = extent_id(extent, ids, row);
        assert_true(id_equal(&id, &rows[i].id));
        uint64_t version = extent_version(extent, &loaded->views[SECTION_VERSIONS], row);
        assert_int_equal(version, rows[i].version);
        assert_true(extent_find(extent, ids, &rows[i].id, &found));
        assert_int_equal(found, row);
        assert_false(extent_find_tombstone(extent, dead, &rows[i].id));
        expect_payload(loaded, &rows[i], row);
        assert_int_equal(extent_is_patch(extent, patches, row), rows[i].patch);
        if (rows[i].patch) {
            assert_int_equal(extent_patch_row(patches, patch++), row);
        }
        row++;
    }
    assert_int_equal(row, extent->row_count);
    assert_int_equal(tombstone, extent->tombstone_count);
    assert_int_equal(patch, extent->patch_count);
}

static void expect_vector(const struct kit_extent *loaded, const struct kit_source *source,
                          uint32_t which) {
    const struct vector_shape *shape = &source->shapes[which];
    struct extent_vector vector;
    bool any = extent_vector(&loaded->extent, shape->id, &vector);
    uint8_t *expected = malloc((size_t)KIT_ROWS_MAX * vector_bytes(shape));
    uint32_t row = 0, position = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        uint32_t found;
        bool has = has_vector(source, &source->rows[i], which);
        if (source->rows[i].tombstone) {
            continue;
        }
        assert_true(any || !has);
        if (any) {
            const struct chunks *rows =
                &loaded->views[vector.rows_slot == SLOT_NONE ? vector.slot : vector.rows_slot];
            assert_int_equal(extent_vector_position(&vector, rows, row, &found), has);
            if (has) {
                assert_int_equal(found, position);
                struct vector_shape whole;
                uint32_t count = value_rows(source, &source->rows[i], which, &whole);
                assert_int_equal(extent_vector_run(&vector, rows, position), count);
                kit_vector(&source->rows[i].id, &whole, (float *)(void *)expected);
                for (uint32_t k = 0; k < count; k++, position++) {
                    const uint8_t *chunk =
                        loaded->views[vector.slot].chunks[position / vector.rows_per_chunk];
                    assert_int_equal(extent_vector_row(&loaded->extent, &vector, rows, position),
                                     row);
                    assert_memory_equal(chunk + (size_t)(position % vector.rows_per_chunk) *
                                                    vector.row_bytes,
                                        expected + (size_t)k * vector.row_bytes, vector.row_bytes);
                }
            }
        }
        row++;
    }
    assert_int_equal(any ? vector.count : 0, position);
    free(expected);
}

void kit_expect_vectors(const struct kit_extent *loaded, const struct kit_source *source) {
    uint32_t dense = 0;
    for (uint32_t i = 0; i < source->source.vector_count; i++) {
        struct extent_vector vector;
        expect_vector(loaded, source, i);
        dense += extent_vector(&loaded->extent, source->shapes[i].id, &vector);
    }
    for (uint32_t i = 0; i < loaded->extent.section_count; i++) {
        dense -= extent_slot_section(&loaded->extent, SECTION_SLOTS + i).kind == SECTION_DENSE;
    }
    assert_int_equal(dense, 0);
}
