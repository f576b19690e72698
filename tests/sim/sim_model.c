#include "sim_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Values ---- */

ins_id model_id(const struct model_shape *shape, uint32_t id) {
    if (shape->uuids && id % 2 == 1) {
        return (ins_id){.high = id % 4, .low = id, .is_uuid = true};
    }
    return (ins_id){.low = id};
}

uint32_t model_id_number(const struct model_shape *shape, const ins_id *id) {
    if (id->low >= shape->id_count) {
        return UINT32_MAX;
    }
    ins_id same = model_id(shape, (uint32_t)id->low);
    bool equal = same.high == id->high && same.is_uuid == id->is_uuid;
    return equal ? (uint32_t)id->low : UINT32_MAX;
}

uint32_t model_rows(const struct model_shape *shape, uint32_t which, uint64_t seed) {
    return shape->vectors[which].multi ? 1 + (uint32_t)(sim_mix(seed + which) % MODEL_ROWS_MAX) : 0;
}

void model_vector(const struct model_shape *shape, uint32_t which, uint64_t seed, float *out) {
    uint32_t dim = shape->vectors[which].dim, rows = model_rows(shape, which, seed);
    for (uint32_t i = 0; i < dim * (rows > 0 ? rows : 1); i++) {
        out[i] = (float)((int)(sim_mix(seed * 31 + i + which * 7919ull) % 2001) - 1000) / 100.0F;
        if (i % dim == 0 && out[i] == 0.0F) {
            out[i] = 0.5F; /* never the zero vector, which has no direction */
        }
    }
}

/* To 11 binary digits, as IEEE halves have; below 2^-14 to units of 2^-24. */
static double round_to_half(double value) {
    int exponent;
    (void)frexp(value, &exponent);
    int unit = exponent - 11 < -24 ? -24 : exponent - 11;
    return ldexp(nearbyint(ldexp(value, -unit)), unit);
}

void model_store(const ins_vector_params *params, const float *values, double *out) {
    double norm = 0;
    for (uint32_t i = 0; i < params->dim; i++) {
        norm += (double)values[i] * (double)values[i];
    }
    bool normalise = params->distance == INS_DISTANCE_COSINE && params->datatype != INS_UINT8;
    for (uint32_t i = 0; i < params->dim; i++) {
        double value = normalise ? (double)values[i] / sqrt(norm) : (double)values[i];
        if (params->datatype == INS_UINT8) {
            value = value < 0 ? 0 : trunc(value); /* 255 is never reached */
        }
        out[i] = params->datatype == INS_FLOAT16 ? round_to_half((double)(float)value) : value;
    }
}

const char *model_who_text(int who, char *out) {
    if (who == 0) {
        return "";
    }
    (void)snprintf(out, 16, "t%d", who);
    return out;
}

static uint32_t value_n(uint64_t seed) {
    return (uint32_t)(sim_mix(seed) >> 33);
}

static void who_value(int who, char out[static 320]) {
    char name[16];
    if (who == WHO_LONG) { /* too long for an island */
        (void)snprintf(out, 320, "\"%0256d\"", 1);
    } else if (who >= 0) {
        (void)snprintf(out, 320, "\"%s\"", model_who_text(who, name));
    } else {
        (void)snprintf(out, 320, "%s",
                       who == WHO_ARRAY    ? "[\"t1\",\"t2\"]"
                       : who == WHO_NUMBER ? "7"
                                           : "null");
    }
}

size_t model_who_object(const struct model_version *version, char *out, size_t capacity) {
    char value[320];
    who_value(version->who, value);
    return (size_t)snprintf(out, capacity, "{\"who\":%s}", value);
}

size_t model_payload(const struct model_version *version, char *out, size_t capacity) {
    char value[320], who[340] = "";
    if (version->who != WHO_MISSING) {
        who_value(version->who, value);
        (void)snprintf(who, sizeof(who), ",\"who\":%s", value);
    }
    int head = snprintf(out, capacity, "{\"n\":%u,\"k\":%u,\"pad\":\"", value_n(version->seed),
                        value_n(version->seed) % 3);
    size_t at = (size_t)head;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    for (uint32_t done = 0; done < version->pad;) {
        uint32_t from = (uint32_t)((version->seed + done) % 26), left = version->pad - done;
        uint32_t size = left < 26 - from ? left : 26 - from;
        memcpy(out + at + done, letters + from, size);
        done += size;
    }
    at += version->pad;
    return at + (size_t)snprintf(out + at, capacity - at, "\"%s}", who);
}

/* Larger is nearer: the dot product, or the distance below zero, of Euclid its square. */
static double row_similarity(const ins_vector_params *params, const double *q, const double *v) {
    double dot = 0, l2 = 0, l1 = 0, norms[2] = {0};
    for (uint32_t i = 0; i < params->dim; i++) {
        dot += q[i] * v[i];
        l2 += (q[i] - v[i]) * (q[i] - v[i]);
        l1 += fabs(q[i] - v[i]);
        norms[0] += q[i] * q[i];
        norms[1] += v[i] * v[i];
    }
    if (params->distance == INS_DISTANCE_EUCLID) {
        return -l2;
    }
    if (params->distance == INS_DISTANCE_MANHATTAN) {
        return -l1;
    }
    if (params->distance == INS_DISTANCE_COSINE && params->datatype == INS_UINT8) {
        return norms[0] * norms[1] == 0 ? 0 : dot / sqrt(norms[0] * norms[1]);
    }
    return dot;
}

double model_score(const struct model_shape *shape, uint32_t which, const float *query,
                   uint32_t query_rows, uint64_t seed) {
    float values[MODEL_NUMBERS_MAX] = {0};
    double q[MODEL_DIM_MAX] = {0}, v[MODEL_DIM_MAX] = {0}, sum = 0;
    const ins_vector_params *params = &shape->vectors[which];
    uint32_t rows = model_rows(shape, which, seed);
    model_vector(shape, which, seed, values);
    for (uint32_t i = 0; i < (query_rows > 0 ? query_rows : 1); i++) {
        double best = -INFINITY;
        model_store(params, query + i * params->dim, q);
        for (uint32_t k = 0; k < (rows > 0 ? rows : 1); k++) {
            model_store(params, values + k * params->dim, v);
            best = fmax(best, row_similarity(params, q, v));
        }
        sum += best;
    }
    return params->distance == INS_DISTANCE_EUCLID      ? sqrt(-sum)
           : params->distance == INS_DISTANCE_MANHATTAN ? -sum
                                                        : sum;
}

static bool who_is(int who, int wanted) {
    return who == wanted || (who == WHO_ARRAY && (wanted == 1 || wanted == 2));
}

bool model_matches(const struct model_filter *filter, uint32_t id,
                   const struct model_version *version) {
    uint32_t n = value_n(version->seed);
    if (filter->vector != 0 && (version->vectors >> (filter->vector - 1) & 1) == 0) {
        return false;
    }
    switch (filter->kind) {
    case FILTER_WHO:
        return who_is(version->who, filter->a);
    case FILTER_WHO_ANY:
        return who_is(version->who, filter->a) || who_is(version->who, filter->b);
    case FILTER_WHO_AND_K:
        return who_is(version->who, filter->a) && (int)(n % 3) == filter->b;
    case FILTER_NOT_WHO:
        return !who_is(version->who, filter->a);
    case FILTER_K:
        return (int)(n % 3) == filter->b;
    case FILTER_RANGE:
        return n >= 1u << 30;
    case FILTER_IDS:
        return (int)id == filter->a || (int)id == filter->b;
    case FILTER_NONE:
    case FILTER_KINDS:
        break;
    }
    return true;
}

double model_number(const struct model_version *version) {
    return value_n(version->seed);
}

bool model_has_value(const struct model_version *version, enum model_key key, uint32_t number) {
    if (key == MODEL_KEY_K) {
        return value_n(version->seed) % 3 == number;
    }
    switch (version->who) {
    case WHO_LONG:
        return number == MODEL_WHO;
    case WHO_NUMBER:
        return number == MODEL_WHO + 1;
    case WHO_ARRAY:
        return number == 1 || number == 2;
    default:
        return version->who == (int)number;
    }
}

bool model_value(enum model_key key, uint32_t number, char buffer[static MODEL_VALUE_BYTES],
                 ins_value *out) {
    *out = (ins_value){.kind = INS_VALUE_INTEGER, .integer = key == MODEL_KEY_K ? number : 7};
    if (key == MODEL_KEY_K) {
        return number < 3;
    }
    if (number <= MODEL_WHO) {
        who_value(number == MODEL_WHO ? WHO_LONG : (int)number, buffer);
        *out = (ins_value){.kind = INS_VALUE_TEXT, .text = {buffer + 1, strlen(buffer) - 2}};
    }
    return number <= MODEL_WHO + 1;
}

int model_island(const struct model_collection *collection, const struct model_version *version) {
    return collection->islands && version->who >= 0 ? version->who : -1;
}

/* ---- Versions ---- */

/* An id that comes twice in one write has the last one's version. */
static void point_add(struct model_point *point, const struct model_version *version) {
    if (point->count > 0 && point->versions[point->count - 1].lsn == version->lsn) {
        point->count--;
    }
    if (point->count == point->capacity) {
        point->capacity = point->capacity == 0 ? 4 : 2 * point->capacity;
        point->versions = realloc(point->versions, point->capacity * sizeof(*version));
        if (point->versions == NULL) {
            abort();
        }
    }
    point->versions[point->count++] = *version;
}

const struct model_version *model_newest(const struct model_point *point) {
    const struct model_version *newest =
        point->count == 0 ? NULL : &point->versions[point->count - 1];
    return newest != NULL && newest->live ? newest : NULL;
}

uint32_t model_window(const struct model_point *point, uint64_t from, uint64_t to,
                      const struct model_version **out_first, bool *out_absent) {
    uint32_t first = 0, end = 0;
    while (end < point->count && point->versions[end].lsn <= to) {
        if (point->versions[end].lsn <= from) {
            first = end;
        }
        end++;
    }
    *out_absent = end == 0 || point->versions[first].lsn > from;
    *out_first = end == 0 ? NULL : &point->versions[first];
    return end - first;
}

/* ---- Collections ---- */

static void collection_free(struct model_collection *collection) {
    for (uint32_t id = 0; collection != NULL && id < MODEL_IDS; id++) {
        free(collection->points[id].versions);
    }
    free(collection);
}

static void drop(struct model *model, uint32_t name, uint64_t lsn) {
    struct model_collection *collection = model->current[name];
    collection->drop_lsn = lsn;
    for (uint32_t i = 0; i < MODEL_ALIASES; i++) {
        if (model->aliases[i] == collection) {
            model->aliases[i] = NULL;
        }
    }
    collection->next = model->dropped;
    model->dropped = collection;
    model->current[name] = NULL;
}

static void put(struct model_collection *collection, uint32_t id,
                const struct model_version *version, uint64_t lsn) {
    struct model_version added = *version;
    added.lsn = lsn;
    point_add(&collection->points[id], &added);
}

/* No point lives: an index may form islands. That it did not, after deletes, weakens checks only.
 */
static bool is_empty(const struct model_collection *collection) {
    for (uint32_t id = 0; id < collection->shape.id_count; id++) {
        if (model_newest(&collection->points[id]) != NULL) {
            return false;
        }
    }
    return true;
}

/* The point as it was before a write at `lsn`, or NULL. */
static const struct model_version *live_before(const struct model_point *point, uint64_t lsn) {
    const struct model_version *newest = NULL;
    for (uint32_t i = 0; i < point->count && point->versions[i].lsn < lsn; i++) {
        newest = &point->versions[i];
    }
    return newest != NULL && newest->live ? newest : NULL;
}

static bool is_change(enum model_kind kind) {
    return kind >= WRITE_SET_WHO && kind <= WRITE_UPDATE_VECTORS;
}

/* What becomes of a point; false: it stays as it is. */
static bool changed(const struct model_write *write, uint32_t i, const struct model_version *old,
                    struct model_version *out) {
    const struct model_version *sent = &write->versions[i];
    *out = *sent;
    if (write->kind == WRITE_INSERT_ONLY) {
        return old == NULL;
    }
    if (write->kind == WRITE_UPDATE_ONLY || write->kind == WRITE_UPSERT) {
        return old != NULL || write->kind == WRITE_UPSERT;
    }
    if (old == NULL) {
        return false;
    }
    *out = *old;
    out->earliest = 0;
    if (write->kind == WRITE_SET_WHO || write->kind == WRITE_CHANGE_FILTER) {
        out->who = write->versions[0].who;
    } else if (write->kind == WRITE_UPDATE_VECTORS) {
        for (uint32_t which = 0; which < MODEL_VECTORS; which++) {
            bool sends = (sent->vectors >> which & 1) != 0;
            out->vector_seeds[which] = (sends ? sent : old)->vector_seeds[which];
        }
        out->vectors |= sent->vectors;
    } else {
        *out = write->versions[0];
        memcpy(out->vector_seeds, old->vector_seeds, sizeof(old->vector_seeds));
        out->vectors = old->vectors;
    }
    return true;
}

static void apply_points(struct model_collection *collection, const struct model_write *write,
                         uint64_t lsn) {
    const struct model_version gone = {0};
    for (uint32_t i = 0; i < write->count; i++) {
        struct model_point *point = &collection->points[write->ids[i]];
        const struct model_version *old = live_before(point, lsn);
        struct model_version next;
        if (write->kind == WRITE_UPDATE_VECTORS && old != NULL) {
            old = model_newest(point); /* an id that comes twice has the vectors of both */
        }
        if (write->kind == WRITE_DELETE && old != NULL) {
            put(collection, write->ids[i], &gone, lsn);
        } else if (write->kind != WRITE_DELETE && changed(write, i, old, &next)) {
            put(collection, write->ids[i], &next, lsn);
        }
    }
}

/* Each id of a change was there, or it would have been refused. */
static bool all_there(const struct model_collection *collection, const struct model_write *write,
                      uint64_t lsn) {
    bool all = true;
    for (uint32_t i = 0; i < write->count && is_change(write->kind); i++) {
        all = all && live_before(&collection->points[write->ids[i]], lsn) != NULL;
    }
    return all;
}

/* What a long write makes of a point when it gets that far; false: it does not write it. */
static bool loose_outcome(const struct model_write *write, uint32_t id,
                          const struct model_version *newest, struct model_version *out) {
    *out = (struct model_version){0};
    if (write->kind == WRITE_BATCH) {
        for (uint32_t i = 0; i < write->count; i++) {
            if (write->ids[i] == id) {
                *out = write->versions[i];
                return true;
            }
        }
        return false;
    }
    bool passes = newest != NULL && model_matches(&write->filter, id, newest);
    return passes && (write->kind == WRITE_DELETE_FILTER || changed(write, 0, newest, out));
}

bool model_is_loose(const struct model_collection *collection, uint32_t id,
                    const struct model_version *version) {
    struct model_version unused;
    return collection->loose && version->live &&
           loose_outcome(&collection->loose_write, id, version, &unused);
}

void model_apply_filter(struct model *model, const struct model_write *write, uint64_t from,
                        uint64_t lsn) {
    const struct model_version gone = {0};
    struct model_collection *collection = model->current[write->name];
    model->lsn = lsn;
    collection->tight_lsn = lsn;
    for (uint32_t id = 0; id < collection->shape.id_count; id++) {
        const struct model_version *newest = model_newest(&collection->points[id]);
        struct model_version next = gone;
        if (newest == NULL || !model_matches(&write->filter, id, newest)) {
            continue;
        }
        if (write->kind == WRITE_CHANGE_FILTER && changed(write, 0, newest, &next)) {
            next.earliest = from + 1;
        }
        put(collection, id, &next, lsn);
    }
}

static struct model_write part_of(const struct model_write *batch, uint32_t part) {
    uint32_t from = part == 0 ? 0 : batch->part_ends[part - 1];
    struct model_write upsert = {.kind = WRITE_UPSERT, .name = batch->name};
    upsert.count = batch->part_ends[part] - from;
    memcpy(upsert.ids, batch->ids + from, upsert.count * sizeof(upsert.ids[0]));
    memcpy(upsert.versions, batch->versions + from, upsert.count * sizeof(upsert.versions[0]));
    return upsert;
}

bool model_apply_part(struct model *model, const struct model_write *batch, uint32_t part,
                      uint64_t lsn, const char **out_reason) {
    struct model_write upsert = part_of(batch, part);
    struct model_collection *collection = model->current[batch->name];
    *out_reason = collection == NULL ? "its collection was not there"
                                     : "its LSN is not above that of an earlier write to it";
    if (collection == NULL || lsn <= collection->tight_lsn || lsn <= collection->create_lsn) {
        return false;
    }
    collection->tight_lsn = lsn;
    model->lsn = lsn > model->lsn ? lsn : model->lsn; /* others were answered in between */
    apply_points(collection, &upsert, lsn);
    return true;
}

void model_tighten(struct model *model, struct model_collection *collection, const uint64_t *lsns) {
    for (uint32_t id = 0; id < collection->shape.id_count; id++) {
        const struct model_version *newest = model_newest(&collection->points[id]);
        bool same = newest == NULL ? lsns[id] == 0 : model_is_version(newest, lsns[id]);
        struct model_version next;
        if (!same && loose_outcome(&collection->loose_write, id, newest, &next)) {
            put(collection, id, &next, lsns[id] == 0 ? model->lsn : lsns[id]);
            model->lsn = lsns[id] > model->lsn ? lsns[id] : model->lsn;
        }
    }
    collection->loose = false;
}

/* A write that found nothing to do tells the LSN at which it looked. */
static bool does_nothing(const struct model_collection *collection, const struct model_write *write,
                         uint64_t lsn) {
    for (uint32_t id = 0; id < collection->shape.id_count; id++) {
        const struct model_version *version;
        bool absent, named = write->kind == WRITE_DELETE_FILTER;
        uint32_t count = model_window(&collection->points[id], lsn, lsn, &version, &absent);
        for (uint32_t i = 0; i < write->count && !named; i++) {
            named = write->ids[i] == id;
        }
        bool live = count > 0 && version->live && !model_is_loose(collection, id, version);
        bool passes = write->kind != WRITE_DELETE_FILTER ||
                      (live && model_matches(&write->filter, id, version));
        if (named && passes && live == (write->kind != WRITE_INSERT_ONLY)) {
            return false;
        }
    }
    return true;
}

/* No point has it yet. */
static void add_vector(struct model_collection *collection, const ins_vector_params *params) {
    uint32_t which = collection->shape.vector_count++;
    collection->shape.vectors[which] = *params;
    for (uint32_t id = 0; id < MODEL_IDS; id++) {
        for (uint32_t i = 0; i < collection->points[id].count; i++) {
            collection->points[id].versions[i].vectors &= ~(1u << which);
        }
    }
}

bool model_apply(struct model *model, const struct model_write *write, uint64_t lsn,
                 const char **out_reason) {
    struct model_collection *collection = model->current[write->name];
    bool may_do_nothing = write->kind == WRITE_DELETE || write->kind == WRITE_DELETE_FILTER ||
                          write->kind == WRITE_INSERT_ONLY || write->kind == WRITE_UPDATE_ONLY;
    if (lsn <= model->lsn && may_do_nothing) {
        *out_reason = "at that LSN there was something to do";
        return collection == NULL || collection->create_lsn > lsn ||
               does_nothing(collection, write, lsn);
    }
    if (lsn <= model->lsn && write->kind == WRITE_ALIAS) {
        return true; /* it found nothing to change */
    }
    if (lsn <= model->lsn) {
        *out_reason = "its LSN is not above those of earlier writes";
        return false;
    }
    bool needs_none = write->kind == WRITE_ALIAS && write->alias_delete;
    if (!needs_none && (collection == NULL) != (write->kind == WRITE_CREATE)) {
        *out_reason = collection == NULL ? "its collection was not there"
                                         : "a collection of that name was there";
        return false;
    }
    if (collection != NULL && write->kind > WRITE_DROP && !all_there(collection, write, lsn)) {
        *out_reason = "it changed a point that was not there";
        return false;
    }
    model->lsn = lsn;
    if (write->kind == WRITE_CREATE) {
        collection = calloc(1, sizeof(*collection));
        if (collection == NULL) {
            abort();
        }
        collection->shape = write->shape;
        collection->create_lsn = lsn;
        model->current[write->name] = collection;
    } else if (write->kind == WRITE_DROP) {
        drop(model, write->name, lsn);
    } else if (write->kind == WRITE_INDEX) {
        collection->islands = collection->islands || is_empty(collection);
    } else if (write->kind == WRITE_PATCH) {
        *(write->patch % 2 == 1 ? &collection->quota : &collection->patch) = write->patch;
    } else if (write->kind == WRITE_VECTOR_ADD) {
        add_vector(collection, &write->shape.vectors[0]);
    } else if (write->kind == WRITE_VECTOR_DROP) {
        collection->shape.vector_count--;
    } else if (write->kind == WRITE_ALIAS) {
        model->aliases[write->alias] = write->alias_delete ? NULL : collection;
    } else if (write->kind != WRITE_INDEX_DROP) {
        apply_points(collection, write, lsn);
    }
    return true;
}

static void settle_collection(struct model_collection *collection) {
    for (uint32_t id = 0; id < MODEL_IDS; id++) {
        struct model_point *point = &collection->points[id];
        if (point->count > 0) {
            point->versions[0] = point->versions[point->count - 1];
            point->count = point->versions[0].live ? 1 : 0;
        }
    }
}

void model_settle(struct model *model) {
    for (uint32_t name = 0; name < MODEL_NAMES; name++) {
        if (model->current[name] != NULL) {
            settle_collection(model->current[name]);
        }
    }
    while (model->dropped != NULL) {
        struct model_collection *next = model->dropped->next;
        collection_free(model->dropped);
        model->dropped = next;
    }
}

void model_fini(struct model *model) {
    model_settle(model);
    for (uint32_t name = 0; name < MODEL_NAMES; name++) {
        collection_free(model->current[name]);
        model->current[name] = NULL;
    }
}
