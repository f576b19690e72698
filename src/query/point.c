#include "base/status.h"
#include "query/query.h"

ins_status place_matches(struct reader *reader, const struct place *place,
                         const struct filter *filter, const struct payload_path *tenant_path,
                         struct json_parser *parser, bool *out_match, ins_error *error) {
    struct filter_row row = {.id = reader_id(reader, place)};
    if (tenant_path != NULL) {
        row.has_tenant = true;
        row.tenant = island_name(reader->island);
    }
    if (filter_needs_payload(filter)) {
        ins_status status = reader_payload(reader, place, &row.payload, error);
        if (status != INS_OK) {
            return status;
        }
    }
    *out_match = filter_match(filter, parser, &row);
    return INS_OK;
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
        text = select_payload(pool, stored, tenant_path, island_name(reader->island), selector);
    } else if (tenant_path != NULL) {
        text = payload_restore(pool, stored, tenant_path, island_name(reader->island));
    } else if (stored.size > 0) {
        text = (ins_text){.data = pool_copy(pool, stored.data, stored.size), .size = stored.size};
    }
    if (text.data == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a payload of %zu bytes", stored.size);
    }
    *out = text;
    return INS_OK;
}

ins_status point_take(struct reader *reader, const struct place *place,
                      const struct payload_path *tenant_path, const ins_selector *selector,
                      bool with_vector, struct pool *pool, ins_point *out, ins_error *error) {
    ins_point point = {.id = reader_id(reader, place)};
    const float *vector = NULL;
    /* All that must be read is asked for before the first wait. */
    ins_status status = reader_version(reader, place, &point.version, error);
    if (with_vector && (status == INS_OK || status == INS_AGAIN)) {
        ins_status second = reader_vector(reader, place, &vector, error);
        status = second != INS_OK ? second : status;
    }
    if (selector->kind != INS_SELECT_NONE && (status == INS_OK || status == INS_AGAIN)) {
        ins_status third =
            take_payload(reader, place, tenant_path, selector, pool, &point.payload, error);
        status = third != INS_OK ? third : status;
    }
    if (status != INS_OK) {
        return status;
    }
    if (vector != NULL) {
        point.dim = place->row != NULL ? place->row->dim : reader->runs[place->run].extent.dim;
        point.vector = pool_copy(pool, vector, point.dim * sizeof(float));
        if (point.vector == NULL) {
            return ins_fail(error, INS_FULL, "no memory for a vector of %u dimensions", point.dim);
        }
    }
    reader_trim(reader, place);
    *out = point;
    return INS_OK;
}
