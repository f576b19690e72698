#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "query/query.h"

/* A step's budget is counted in rows of a scan of short vectors; looking at so many bytes of
 * payload takes as long as one of them. */
#define FILTER_BYTES_A_ROW 16u

/* Names of the vectors that the place's row has: out[INS_VECTORS_MAX]. */
static ins_status vector_names(struct reader *reader, const struct place *place, ins_text *out,
                               uint32_t *out_count, ins_error *error) {
    const struct schema *schema = reader->island->scope->schema;
    ins_status result = INS_OK;
    *out_count = 0;
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        bool has;
        ins_status status =
            reader_has_vector(reader, place, &schema->vectors[i].shape, &has, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
        if (status == INS_OK && has) {
            out[(*out_count)++] = schema->vectors[i].name;
        }
    }
    return result;
}

static ins_status bring_vector_rows(struct reader *reader, uint32_t run, ins_error *error) {
    const struct schema *schema = reader->island->scope->schema;
    ins_status result = INS_OK;
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        struct extent_vector vector;
        bool has;
        ins_status status =
            reader_run_vector(reader, run, &schema->vectors[i].shape, &vector, &has, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

/* Patches inherit what older runs have. */
ins_status run_bring_vector_rows(struct reader *reader, uint32_t run, ins_error *error) {
    bool patches = reader->runs[run].extent.patch_count > 0;
    uint32_t end = patches ? reader->run_count : run + 1;
    ins_status result = INS_OK;
    for (; run < end; run++) {
        ins_status status = bring_vector_rows(reader, run, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

ins_status place_matches(struct reader *reader, const struct place *place,
                         const struct filter *filter, const struct payload_path *tenant_path,
                         struct json_parser *parser, bool *out_match, ins_error *error) {
    ins_text names[INS_VECTORS_MAX];
    struct filter_row row = {.vectors = names};
    if (filter_needs_id(filter)) {
        row.id = reader_id(reader, place);
    }
    if (filter_needs_vectors(filter)) {
        ins_status status = vector_names(reader, place, names, &row.vector_count, error);
        if (status != INS_OK) {
            return status;
        }
    }
    if (tenant_path != NULL) {
        row.has_tenant = true;
        row.tenant = reader->tenant;
    }
    if (filter_needs_payload(filter)) {
        ins_status status = reader_payload(reader, place, &row.payload, error);
        if (status != INS_OK) {
            return status;
        }
    }
    *out_match = filter_match(filter, parser, &row);
    reader->context->filtered_rows++;
    TRACE_COUNT(reader_trace(reader), refused_by_filter, !*out_match);
    uint64_t work = filter_take_work(filter);
    reader->filter_bytes += work;
    if (work > INS_FILTER_ROW_BYTES_MAX) {
        char text[ID_TEXT_MAX];
        ins_id id = reader_id(reader, place);
        (void)id_format(&id, text);
        return ins_fail(error, INS_INVALID,
                        "filter: point %s takes more than %u bytes of payload to look at; fewer "
                        "conditions on large arrays would help",
                        text, INS_FILTER_ROW_BYTES_MAX);
    }
    return INS_OK;
}

uint64_t filter_rows_worth(struct reader *reader) {
    uint64_t rows = reader->filter_bytes / FILTER_BYTES_A_ROW;
    reader->filter_bytes %= FILTER_BYTES_A_ROW;
    return rows;
}

/* What a selector leaves of a payload is small at most times: the work on the whole is done aside.
 */
static ins_text select_payload(struct pool *pool, ins_text stored,
                               const struct payload_path *tenant_path, ins_text tenant,
                               const ins_selector *selector) {
    struct pool aside;
    pool_init(&aside, pool->arena, pool->purpose, pool->max_bytes);
    ins_text text = stored.size == 0 ? (ins_text){.data = "{}", .size = 2} : stored;
    if (tenant_path != NULL) {
        text = payload_restore(&aside, stored, tenant_path, tenant);
    }
    if (text.data != NULL) {
        text = payload_select(&aside, text, selector);
    }
    if (text.data != NULL) {
        text.data = pool_copy(pool, text.data, text.size);
    }
    pool_fini(&aside);
    return text;
}

/* What is put back is the same for all points of an island: it is made once. */
static ins_text restore(struct reader *reader, const struct payload_path *tenant_path,
                        ins_text stored, struct pool *pool) {
    ins_text text;
    if (!reader->tenant_made) {
        reader->tenant_made = true;
        reader->tenant_member = payload_tenant_member(&reader->pool, tenant_path, reader->tenant);
    }
    if (payload_restore_member(pool, stored, tenant_path->parts[0], reader->tenant_member, &text)) {
        return text;
    }
    return payload_restore(pool, stored, tenant_path, reader->tenant);
}

static ins_status take_payload(struct reader *reader, const struct place *place,
                               const struct payload_path *tenant_path, const ins_selector *selector,
                               struct pool *pool, ins_text *out, ins_error *error) {
    ins_text stored;
    ins_status status = reader_payload(reader, place, &stored, error);
    if (status != INS_OK) {
        return status;
    }
    ins_text text = {.data = "{}", .size = 2};
    if (selector->kind != INS_SELECT_ALL) {
        text = select_payload(pool, stored, tenant_path, reader->tenant, selector);
    } else if (tenant_path != NULL) {
        text = restore(reader, tenant_path, stored, pool);
    } else if (stored.size > 0) {
        text = (ins_text){.data = pool_copy(pool, stored.data, stored.size), .size = stored.size};
    }
    if (text.data == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a payload of %zu bytes", stored.size);
    }
    *out = text;
    return INS_OK;
}

/* ---- Vectors ---- */

static ins_status want_vector(struct point_fields *fields, ins_text name, ins_error *error) {
    const struct schema_vector *vector = schema_vector_named(fields->schema, name);
    if (vector == NULL) {
        return ins_fail(error, INS_INVALID, "Not existing vector name error: %.*s", (int)name.size,
                        name.size == 0 ? "" : name.data);
    }
    fields->vectors |= (uint64_t)1 << (vector - fields->schema->vectors);
    return INS_OK;
}

ins_status point_fields_init(struct point_fields *fields, const struct schema *schema,
                             const ins_points_request *request, struct pool *pool,
                             ins_error *error) {
    *fields = (struct point_fields){.selector = &request->payload, .schema = schema};
    if (!request->with_vector) {
        return INS_OK;
    }
    ins_status status = INS_OK;
    for (size_t i = 0; i < request->vector_name_count && status == INS_OK; i++) {
        status = want_vector(fields, request->vector_names[i], error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (request->vector_names == NULL && schema->vector_count > 0) {
        fields->vectors = UINT64_MAX >> (64 - schema->vector_count);
    }
    ins_text *names = pool_alloc(pool, (schema->vector_count + 1) * sizeof(*names));
    for (uint32_t i = 0; i < schema->vector_count && names != NULL; i++) {
        ins_text name = schema->vectors[i].name;
        names[i] = (ins_text){.data = pool_copy(pool, name.data, name.size), .size = name.size};
        names = names[i].data == NULL ? NULL : names;
    }
    fields->names = names;
    return names == NULL ? ins_fail(error, INS_FULL, "no memory for the names of %u vectors",
                                    schema->vector_count)
                         : INS_OK;
}

static bool wants(const struct point_fields *fields, uint32_t index) {
    return (fields->vectors >> index & 1) != 0;
}

/* Where they lie: stored[i] of schema->vectors[i]; *out_named: of those with a name. All are asked
 * for before the first wait. */
static ins_status find_vectors(struct reader *reader, const struct place *place,
                               const struct point_fields *fields, struct vector_ref *stored,
                               uint32_t *out_named, ins_error *error) {
    ins_status result = INS_OK;
    *out_named = 0;
    for (uint32_t i = 0; i < fields->schema->vector_count; i++) {
        stored[i].data = NULL;
        if (!wants(fields, i)) {
            continue;
        }
        const struct schema_vector *vector = &fields->schema->vectors[i];
        ins_status status = reader_vector(reader, place, &vector->shape, &stored[i], error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
        *out_named += status == INS_OK && stored[i].data != NULL && vector->name.size > 0;
    }
    return result;
}

/* Copies them into the pool, as floats. */
static ins_status copy_vectors(const struct point_fields *fields, const struct vector_ref *stored,
                               uint32_t named, struct pool *pool, ins_point *point,
                               ins_error *error) {
    ins_vector *vectors = named == 0 ? NULL : pool_alloc(pool, named * sizeof(*vectors));
    bool full = named > 0 && vectors == NULL;
    for (uint32_t i = 0; i < fields->schema->vector_count && !full; i++) {
        const struct vector_shape *shape = &fields->schema->vectors[i].shape;
        if (!wants(fields, i) || stored[i].data == NULL) {
            continue;
        }
        uint32_t dim = shape->dim;
        uint32_t rows = shape->multi != 0 ? vector_row_count(shape, stored[i].shape.dim) : 0;
        float *values = pool_alloc(pool, stored[i].shape.dim * sizeof(float));
        full = values == NULL;
        if (full) {
            break;
        }
        vector_load(&stored[i].shape, stored[i].data, values);
        if (fields->names[i].size == 0) {
            point->vector = values;
            point->dim = dim;
            point->rows = rows;
        } else {
            INS_ASSERT(vectors != NULL); /* there is a name */
            vectors[point->vector_count++] =
                (ins_vector){.name = fields->names[i], .values = values, .dim = dim, .rows = rows};
        }
    }
    point->vectors = vectors;
    return full ? ins_fail(error, INS_FULL, "no memory for the vectors of a point") : INS_OK;
}

/* Where the reader's points lie; *out stays NULL without shard keys. */
static ins_status take_shard_key(const struct reader *reader, struct pool *pool,
                                 const ins_shard_key **out, ins_error *error) {
    const struct scope *scope = reader->island->scope;
    if (scope->collection == NULL) {
        return INS_OK;
    }
    ins_shard_key *key = pool_alloc(pool, sizeof(*key));
    if (key != NULL) {
        *key = scope_shard_key(scope);
        if (key->text.data != NULL) {
            key->text.data = pool_copy(pool, key->text.data, key->text.size);
        }
    }
    if (key == NULL || (!scope->is_number && key->text.data == NULL)) {
        return ins_fail(error, INS_FULL, "no memory for a shard key");
    }
    *out = key;
    return INS_OK;
}

ins_status point_take(struct reader *reader, const struct place *place,
                      const struct payload_path *tenant_path, const struct point_fields *fields,
                      struct pool *pool, ins_point *out, ins_error *error) {
    ins_point point = {.id = reader_id(reader, place)};
    struct vector_ref stored[INS_VECTORS_MAX];
    uint32_t named = 0;
    /* All that must be read is asked for before the first wait. */
    ins_status status = reader_version(reader, place, &point.version, error);
    if (fields->vectors != 0 && (status == INS_OK || status == INS_AGAIN)) {
        ins_status second = find_vectors(reader, place, fields, stored, &named, error);
        status = second != INS_OK ? second : status;
    }
    if (fields->selector->kind != INS_SELECT_NONE && (status == INS_OK || status == INS_AGAIN)) {
        ins_status third =
            take_payload(reader, place, tenant_path, fields->selector, pool, &point.payload, error);
        status = third != INS_OK ? third : status;
    }
    if (status == INS_OK) {
        status = take_shard_key(reader, pool, &point.shard_key, error);
    }
    if (status == INS_OK && fields->vectors != 0) {
        status = copy_vectors(fields, stored, named, pool, &point, error);
    }
    if (status != INS_OK) {
        return status;
    }
    reader_trim(reader, place);
    *out = point;
    return INS_OK;
}
