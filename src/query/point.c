#include "base/id.h"
#include "base/status.h"
#include "query/query.h"

/* A step's budget is counted in rows of a scan of short vectors; looking at so many bytes of
 * payload takes as long as one of them. */
#define FILTER_BYTES_A_ROW 16u

static uint32_t place_dim(const struct reader *reader, const struct place *place) {
    return place->row != NULL ? place->row->dim : reader->runs[place->run].extent.dim;
}

ins_status place_matches(struct reader *reader, const struct place *place,
                         const struct filter *filter, const struct payload_path *tenant_path,
                         struct json_parser *parser, bool *out_match, ins_error *error) {
    static const ins_text unnamed = {"", 0};
    struct filter_row row = {.id = reader_id(reader, place)};
    if (filter_needs_vectors(filter) && place_dim(reader, place) > 0) {
        row.vectors = &unnamed;
        row.vector_count = 1;
    }
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
    uint64_t work = filter_take_work(filter);
    reader->filter_bytes += work;
    if (work > INS_FILTER_ROW_BYTES_MAX) {
        char id[ID_TEXT_MAX];
        (void)id_format(&row.id, id);
        return ins_fail(error, INS_INVALID,
                        "filter: point %s takes more than %u bytes of payload to look at; fewer "
                        "conditions on large arrays would help",
                        id, INS_FILTER_ROW_BYTES_MAX);
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
        point.dim = place_dim(reader, place);
        point.vector = pool_copy(pool, vector, point.dim * sizeof(float));
        if (point.vector == NULL) {
            return ins_fail(error, INS_FULL, "no memory for a vector of %u dimensions", point.dim);
        }
    }
    reader_trim(reader, place);
    *out = point;
    return INS_OK;
}
