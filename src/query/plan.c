#include "query/plan.h"

#include "base/assert.h"
#include "base/status.h"

void plan_begin(struct plan *plan, struct reader *reader, const struct filter *filter,
                const struct payload_path *tenant_path) {
    plan->reader = reader;
    plan->filter = filter != NULL && filter_probe_count(filter) > 0 ? filter : NULL;
    plan->about = (struct filter_row){.has_tenant = tenant_path != NULL, .tenant = reader->tenant};
    plan->probes = NULL;
    plan->entered = plan->useful = plan->has_group = false;
}

static ins_status bad_index(const struct plan *plan, ins_error *error) {
    const struct extent *extent = &plan->reader->runs[plan->run].extent;
    return ins_fail(error, INS_CORRUPT, "file %llu, extent at %llu: a field index is damaged",
                    (unsigned long long)extent->file, (unsigned long long)extent->offset);
}

static ins_status make_room(struct plan *plan, ins_error *error) {
    struct pool *pool = &plan->reader->pool;
    if (plan->probes != NULL) {
        return INS_OK;
    }
    plan->tables = pool_alloc(pool, FIELD_TABLES_MAX * sizeof(*plan->tables));
    plan->places = pool_alloc(pool, filter_probe_count(plan->filter) * sizeof(*plan->places));
    if (plan->tables == NULL || plan->places == NULL) {
        return ins_fail(error, INS_FULL, "no memory for the plan of a filter");
    }
    return filter_probes(plan->filter, pool, &plan->probes, error);
}

/* ---- Entering a run ---- */

/* All chunks of a table, of which the first is parsed. */
static ins_status load_table(struct plan *plan, uint32_t slot, struct field_table *out,
                             ins_error *error) {
    const struct extent *extent = &plan->reader->runs[plan->run].extent;
    struct section section = extent_slot_section(extent, slot);
    ins_status result = INS_OK;
    const uint8_t *first = NULL;
    for (uint32_t chunk = 0; chunk < section.chunk_count; chunk++) {
        const uint8_t *data = NULL;
        ins_status status = reader_chunk(plan->reader, plan->run, slot, chunk, &data, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        first = chunk == 0 ? data : first;
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    if (result != INS_OK) {
        return result;
    }
    size_t size = section.size < section.chunk_bytes ? section.size : section.chunk_bytes;
    bool good = field_table_parse((struct slice){.data = first, .size = size}, section.size,
                                  extent->row_count, out);
    return good ? INS_OK : bad_index(plan, error);
}

static struct plan_place find_column(const struct plan *plan, ins_text path,
                                     enum payload_domain domain) {
    for (uint32_t t = 0; t < plan->table_count; t++) {
        for (uint32_t c = 0; c < plan->tables[t].column_count; c++) {
            const struct payload_column *column = &plan->tables[t].columns[c];
            if (column->domain == domain && column->path.size == path.size &&
                memcmp(column->path.data, path.data, path.size) == 0) {
                return (struct plan_place){.table = (uint8_t)t, .column = (uint8_t)c};
            }
        }
    }
    return (struct plan_place){.table = PLAN_NOWHERE};
}

/* True when all columns that the probe asks are there. */
static bool place_probe(struct plan *plan, uint32_t number) {
    const struct filter_probe *probe = &plan->probes[number];
    bool all = !probe->too_large;
    for (enum payload_domain domain = DOMAIN_TEXT; domain <= DOMAIN_LAST; domain++) {
        struct plan_place *place = &plan->places[number][domain];
        place->table = PLAN_NOWHERE;
        if (all && probe_asks(probe, domain)) {
            *place = find_column(plan, probe->path, domain);
            all = place->table != PLAN_NOWHERE;
        }
    }
    plan->places[number][0].table = all ? 0 : PLAN_NOWHERE; /* domain 0 is none: the whole probe */
    return all;
}

static bool run_is_indexed(const struct reader *reader, uint32_t run) {
    const struct reader_run *reader_run = &reader->runs[run];
    return reader_run->loaded && !reader_run->extent.small &&
           extent_slot(&reader_run->extent, SECTION_FIELD, 0) != SLOT_NONE;
}

ins_status plan_enter(struct plan *plan, uint32_t run, ins_error *error) {
    const struct reader_run *reader_run = &plan->reader->runs[run];
    if (plan->entered && plan->run == run) {
        return INS_OK;
    }
    plan->run = run;
    plan->entered = plan->useful = plan->has_group = false;
    plan->table_count = 0;
    bool indexed = plan->filter != NULL && run_is_indexed(plan->reader, run);
    ins_status status = indexed ? make_room(plan, error) : INS_OK;
    for (uint32_t i = 0; status == INS_OK && indexed && i < FIELD_TABLES_MAX; i++) {
        uint32_t slot = extent_slot(&reader_run->extent, SECTION_FIELD, field_table_number(i));
        if (slot == SLOT_NONE) {
            break;
        }
        status = load_table(plan, slot, &plan->tables[i], error);
        plan->table_count += status == INS_OK;
    }
    if (status != INS_OK) {
        return status;
    }
    plan->entered = true;
    for (uint32_t i = 0; indexed && i < filter_probe_count(plan->filter); i++) {
        plan->useful |= place_probe(plan, i);
    }
    return INS_OK;
}

/* ---- Groups ---- */

/* The block of a column for the plan's group, pinned. */
static ins_status load_block(struct plan *plan, struct plan_place place, struct field_block *out,
                             ins_error *error) {
    struct reader *reader = plan->reader;
    const struct extent *extent = &reader->runs[plan->run].extent;
    const struct field_table *table = &plan->tables[place.table];
    uint32_t table_slot = extent_slot(extent, SECTION_FIELD, field_table_number(place.table));
    uint32_t blocks_slot = extent_slot(extent, SECTION_FIELD, field_blocks_number(place.table));
    struct section blocks = extent_slot_section(extent, blocks_slot);
    struct chunks chunks = reader_slot_chunks(reader, plan->run, table_slot);
    uint32_t left = extent->row_count - plan->group * ROW_GROUP;
    uint64_t begin;
    uint32_t size;
    if (!field_block_place(table, &chunks, plan->group, place.column, blocks.size, &begin, &size)) {
        return bad_index(plan, error);
    }
    struct slice bytes = {.data = NULL, .size = size};
    if (size > 0) {
        uint32_t chunk = (uint32_t)(begin / blocks.chunk_bytes);
        const uint8_t *data = NULL;
        ins_status status = reader_chunk(reader, plan->run, blocks_slot, chunk, &data, error);
        if (status != INS_OK) {
            return status;
        }
        bytes.data = data + begin % blocks.chunk_bytes;
    }
    enum payload_domain domain = table->columns[place.column].domain;
    return field_block_parse(bytes, domain, left < ROW_GROUP ? left : ROW_GROUP, out)
               ? INS_OK
               : bad_index(plan, error);
}

static bool is_left(const void *probe, ins_text text) {
    return !probe_has_text(probe, text);
}

static bool look_up(const struct filter_probe *probe, enum payload_domain domain,
                    const struct field_block *block, struct row_verdict *out) {
    size_t at = 0;
    uint64_t low;
    uint64_t high;
    ins_text text;
    bool good = true;
    if (domain == DOMAIN_TEXT && probe_is_except(probe)) {
        good = field_block_texts(block, is_left, probe, &out->sure);
    }
    while (good && domain == DOMAIN_TEXT && probe_next_text(probe, &at, &text)) {
        good = field_block_text(block, text, &out->sure);
    }
    while (good && domain != DOMAIN_TEXT && probe_next_keys(probe, domain, &at, &low, &high)) {
        good = field_block_keys(block, low, high, &out->sure);
    }
    return good && field_block_undecided(block, &out->maybe);
}

static ins_status decide(void *context, uint32_t number, struct row_verdict *out, bool *out_known,
                         ins_error *error) {
    struct plan *plan = context;
    const struct filter_probe *probe = &plan->probes[number];
    *out_known = plan->places[number][0].table != PLAN_NOWHERE;
    for (enum payload_domain domain = DOMAIN_TEXT; *out_known && domain <= DOMAIN_LAST; domain++) {
        struct field_block block;
        if (!probe_asks(probe, domain)) {
            continue;
        }
        ins_status status = load_block(plan, plan->places[number][domain], &block, error);
        if (status != INS_OK) {
            return status;
        }
        if (!look_up(probe, domain, &block, out)) {
            return bad_index(plan, error);
        }
    }
    for (uint32_t i = 0; *out_known && i < ROW_GROUP_WORDS; i++) {
        out->maybe.words[i] |= out->sure.words[i];
    }
    return INS_OK;
}

/* Blocks of groups that are behind us are let go. */
static void trim_blocks(struct plan *plan) {
    const struct extent *extent = &plan->reader->runs[plan->run].extent;
    for (uint32_t i = 0; i < plan->table_count; i++) {
        uint32_t slot = extent_slot(extent, SECTION_FIELD, field_blocks_number(i));
        if (reader_slot_pinned(plan->reader, plan->run, slot) > READER_CHUNKS_KEPT) {
            reader_release_chunks(plan->reader, plan->run, slot, UINT32_MAX);
        }
    }
}

ins_status plan_group(struct plan *plan, uint32_t group, ins_error *error) {
    INS_ASSERT(plan->entered);
    INS_ASSERT(plan->useful);
    if (plan->has_group && plan->group == group) {
        return INS_OK;
    }
    const struct extent *extent = &plan->reader->runs[plan->run].extent;
    INS_ASSERT(group <= (extent->row_count - 1) / ROW_GROUP);
    uint32_t left = extent->row_count - group * ROW_GROUP;
    plan->has_group = false;
    plan->group = group;
    ins_status status = filter_rows(plan->filter, &plan->about, left < ROW_GROUP ? left : ROW_GROUP,
                                    decide, plan, &plan->verdict, error);
    if (status != INS_OK) {
        return status;
    }
    plan->has_group = true;
    TRACE_COUNT(reader_trace(plan->reader), refused_by_index,
                (left < ROW_GROUP ? left : ROW_GROUP) - plan_count(plan));
    trim_blocks(plan);
    return INS_OK;
}

uint32_t plan_count(const struct plan *plan) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < ROW_GROUP_WORDS; i++) {
        count += (uint32_t)__builtin_popcountll(plan->verdict.maybe.words[i]);
    }
    return count;
}

uint32_t plan_next(const struct plan *plan, uint32_t row, uint32_t end) {
    INS_ASSERT_SLOW(plan->has_group);
    while (row < end) {
        uint32_t at = row % ROW_GROUP;
        uint64_t word = plan->verdict.maybe.words[at / 64] >> at % 64;
        if (word != 0) {
            uint32_t next = row + (uint32_t)__builtin_ctzll(word);
            return next < end ? next : end;
        }
        row += 64 - at % 64;
    }
    return end;
}

uint64_t plan_group_cost(const struct plan *plan) {
    return 64 + 64ull * filter_probe_count(plan->filter);
}

/* ---- All runs ---- */

ins_status plans_ask(struct plans *plans, const struct place *place, bool *out_may, bool *out_sure,
                     ins_error *error) {
    struct reader *reader = plans->reader;
    *out_may = true;
    *out_sure = plans->filter == NULL;
    if (*out_sure || place->row != NULL || !run_is_indexed(reader, place->run)) {
        return INS_OK;
    }
    if (plans->items == NULL) {
        plans->items = pool_alloc(&reader->pool, reader->run_count * sizeof(struct plan));
        for (uint32_t i = 0; plans->items != NULL && i < reader->run_count; i++) {
            plan_begin(&plans->items[i], reader, plans->filter, plans->tenant_path);
        }
    }
    if (plans->items == NULL) {
        return ins_fail(error, INS_FULL, "no memory for the plan of a filter");
    }
    struct plan *plan = &plans->items[place->run];
    ins_status status = plan_enter(plan, place->run, error);
    if (status == INS_OK && plan->useful) {
        status = plan_group(plan, place->run_row / ROW_GROUP, error);
        *out_may = status == INS_OK && plan_may_pass(plan, place->run_row);
        *out_sure = status == INS_OK && plan_is_sure(plan, place->run_row);
    }
    return status;
}
