/* Answers against the model.
 *
 * An answer was made between two LSNs, `from` (durable when the read began) and `to` (durable when
 * it ended). Every point in it must be a version that was current at some moment between them and
 * passes the filter; every point that passed it all the time in one island must be in it. When
 * nothing was written meanwhile this is equality. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_private.h"
#include "sim.h"

/* A delete by filter is answered when all its chunks are done: a read may see the first before. */
static bool being_deleted(const struct sim_slot *slot, uint32_t id,
                          const struct model_version *version) {
    const struct sim *sim = slot->sim;
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *other = &sim->slots[i];
        if (other->busy && other->is_write && other->write.kind == WRITE_DELETE_FILTER &&
            other->write.name == slot->write.name &&
            model_matches(&other->write.filter, id, version)) {
            return true;
        }
    }
    return false;
}

struct sim_span sim_span_of(const struct sim_slot *slot, uint32_t id) {
    uint64_t to = slot->sim->model.lsn;
    const struct model_collection *collection = slot->collection;
    struct sim_span span;
    bool absent;
    span.count = model_window(&collection->points[id], slot->from_lsn, to, &span.versions, &absent);
    span.always = !absent && span.count > 0;
    span.present = span.always;
    span.possible = false;
    span.islands = 0;
    int island = 0;
    for (uint32_t i = 0; i < span.count; i++) {
        const struct model_version *version = &span.versions[i];
        if (!version->live || !model_matches(&slot->filter, id, version)) {
            span.always = span.present = false;
            continue;
        }
        if (being_deleted(slot, id, version)) {
            span.always = span.present = false;
        }
        int now = model_island(collection, version);
        span.always = span.always && (!span.possible || now == island);
        span.islands += !span.possible || now != island;
        span.possible = true;
        island = now;
    }
    if (span.count > 0 && model_is_loose(collection, id, &span.versions[span.count - 1])) {
        span.always = span.present = false;
    }
    return span;
}

static const char *kind_name(const struct sim_slot *slot) {
    static const char *const names[] = {"get", "scroll", "count", "query", "info", "rank"};
    return names[slot->kind];
}

void sim_describe_point(const struct sim *sim, const struct sim_slot *slot, uint32_t id) {
    const struct model_point *point = &slot->collection->points[id];
    for (uint32_t i = 0; i < point->count; i++) {
        const struct model_version *version = &point->versions[i];
        (void)fprintf(stderr, "  point %u: LSN %llu %s who %d seed %llu\n", id,
                      (unsigned long long)version->lsn, version->live ? "live" : "gone",
                      version->who, (unsigned long long)version->seed);
    }
    (void)fprintf(
        stderr, "  %s of %s from LSN %llu to %llu, filter %d (%d, %d), islands %d, dropped %llu\n",
        kind_name(slot), sim_name(slot->write.name), (unsigned long long)slot->from_lsn,
        (unsigned long long)sim->model.lsn, (int)slot->filter.kind, slot->filter.a, slot->filter.b,
        slot->collection->islands, (unsigned long long)slot->collection->drop_lsn);
}

/* ---- One point of an answer ---- */

static bool values_equal(const struct model_shape *shape, uint32_t which,
                         const struct model_version *version, const float *values, uint32_t dim,
                         uint32_t rows) {
    float raw[MODEL_NUMBERS_MAX] = {0};
    double expect[MODEL_NUMBERS_MAX] = {0};
    const ins_vector_params *params = &shape->vectors[which];
    uint64_t seed = version->vector_seeds[which];
    uint32_t numbers = params->dim * (rows > 0 ? rows : 1);
    if (dim != params->dim || rows != model_rows(shape, which, seed)) {
        return false;
    }
    model_vector(shape, which, seed, raw);
    for (uint32_t at = 0; at < numbers; at += dim) {
        model_store(params, raw + at, expect + at);
    }
    /* Normalised values may be rounded the other way. */
    double slack = params->distance != INS_DISTANCE_COSINE ? 0
                   : params->datatype == INS_FLOAT16       ? 1e-3
                                                           : 1e-5;
    for (uint32_t i = 0; i < numbers; i++) {
        double got = (double)values[i], want = expect[i];
        if (fabs(got - (slack == 0 ? (double)(float)want : want)) > slack) {
            return false;
        }
    }
    return true;
}

/* Exactly the vectors that the version has. */
static bool vectors_equal(const struct model_shape *shape, const struct model_version *version,
                          const ins_point *point) {
    uint32_t named = 0;
    for (uint32_t which = 0; which < shape->vector_count; which++) {
        bool has = (version->vectors >> which & 1) != 0;
        if (shape->vectors[which].name.size == 0) {
            if (has != (point->vector != NULL) ||
                (has &&
                 !values_equal(shape, which, version, point->vector, point->dim, point->rows))) {
                return false;
            }
            continue;
        }
        if (!has) {
            continue;
        }
        const ins_vector *vector = &point->vectors[named++];
        if (named > point->vector_count || vector->name.size != shape->vectors[which].name.size ||
            !values_equal(shape, which, version, vector->values, vector->dim, vector->rows)) {
            return false;
        }
    }
    return named == point->vector_count;
}

static bool payload_equals(const struct model_version *version, const ins_point *point) {
    char expect[MODEL_PAYLOAD_MAX];
    size_t size = model_payload(version, expect, sizeof(expect));
    return point->payload.size == size && memcmp(point->payload.data, expect, size) == 0;
}

/* Returns the model's number of the point and its version. */
static uint32_t check_point(const struct sim *sim, const struct sim_slot *slot,
                            const ins_point *point, const struct model_version **out_version) {
    const struct model_shape *shape = &slot->collection->shape;
    uint32_t id = model_id_number(shape, &point->id);
    if (id == UINT32_MAX) {
        sim_fail(sim, "%s: foreign point %llx-%llx", kind_name(slot),
                 (unsigned long long)point->id.high, (unsigned long long)point->id.low);
    }
    struct sim_span span = sim_span_of(slot, id);
    const struct model_version *version = NULL;
    for (uint32_t i = 0; i < span.count; i++) {
        if (model_is_version(&span.versions[i], point->version) && span.versions[i].live) {
            version = &span.versions[i];
        }
    }
    if (version == NULL) {
        sim_describe_point(sim, slot, id);
        sim_fail(sim, "%s: point %u has version %llu, which was not current then", kind_name(slot),
                 id, (unsigned long long)point->version);
    }
    /* Rankings fetch what they have ranked: it may have changed in between. */
    bool passes =
        model_matches(&slot->filter, id, version) || (slot->kind == READ_RANK && span.possible);
    if (!passes) {
        sim_describe_point(sim, slot, id);
        sim_fail(sim, "%s: point %u does not pass the filter", kind_name(slot), id);
    }
    bool wants_payload = slot->points_request.payload.kind == INS_SELECT_ALL;
    if (wants_payload && !payload_equals(version, point)) {
        sim_describe_point(sim, slot, id);
        sim_fail(sim, "%s: point %u has another payload: %.*s", kind_name(slot), id,
                 (int)point->payload.size, point->payload.data);
    }
    if (slot->points_request.with_vector && !vectors_equal(shape, version, point)) {
        sim_describe_point(sim, slot, id);
        sim_fail(sim, "%s: point %u has another vector", kind_name(slot), id);
    }
    *out_version = version;
    return id;
}

uint32_t sim_check_point(const struct sim *sim, const struct sim_slot *slot,
                         const ins_point *point) {
    const struct model_version *version;
    return check_point(sim, slot, point, &version);
}

/* Marks what the answer holds; a point may come once. */
static void check_points(const struct sim *sim, const struct sim_slot *slot, bool *seen) {
    memset(seen, 0, MODEL_IDS);
    for (size_t i = 0; i < slot->call.points.count; i++) {
        const struct model_version *version;
        uint32_t id = check_point(sim, slot, &slot->call.points.items[i], &version);
        if (seen[id]) {
            sim_fail(sim, "%s: point %u came twice", kind_name(slot), id);
        }
        seen[id] = true;
    }
}

static void missing(const struct sim *sim, const struct sim_slot *slot, uint32_t id) {
    sim_describe_point(sim, slot, id);
    sim_fail(sim, "%s: point %u is missing (%zu came)", kind_name(slot), id,
             slot->call.points.count);
}

/* ---- Kinds of reads ---- */

static void check_get(const struct sim *sim, const struct sim_slot *slot) {
    bool seen[MODEL_IDS];
    check_points(sim, slot, seen);
    size_t at = 0;
    for (uint32_t i = 0; i < slot->id_count; i++) {
        uint32_t id = slot->ids[i];
        if (!seen[id] && sim_span_of(slot, id).always) {
            missing(sim, slot, id);
        }
        if (seen[id]) {
            ins_id expect = model_id(&slot->collection->shape, id);
            const ins_id *got = &slot->call.points.items[at++].id;
            if (memcmp(&expect.high, &got->high, 8) != 0 || expect.low != got->low) {
                sim_fail(sim, "get: points do not come in the order of the request");
            }
        }
    }
    if (at != slot->call.points.count) {
        sim_fail(sim, "get: points came that were not asked for");
    }
}

static int compare_ids(const ins_id *a, const ins_id *b) {
    if (a->is_uuid != b->is_uuid) {
        return a->is_uuid ? 1 : -1;
    }
    if (a->high != b->high) {
        return a->high < b->high ? -1 : 1;
    }
    return (a->low > b->low) - (a->low < b->low);
}

static void check_scroll(const struct sim *sim, const struct sim_slot *slot) {
    const ins_points *page = &slot->call.points;
    bool seen[MODEL_IDS];
    check_points(sim, slot, seen);
    for (size_t i = 1; i < page->count; i++) {
        if (compare_ids(&page->items[i - 1].id, &page->items[i].id) >= 0) {
            sim_fail(sim, "scroll: ids do not rise");
        }
    }
    const ins_points_request *request = &slot->points_request;
    if (page->count > request->limit || (page->has_next && page->count < request->limit)) {
        sim_fail(sim, "scroll: %zu points came, the limit is %u", page->count, request->limit);
    }
    /* Not tenant after tenant, but along the ids: one that moves meanwhile is met. */
    enum model_filter_kind kind = slot->filter.kind;
    bool by_directory = slot->collection->islands && kind != FILTER_WHO && kind != FILTER_WHO_ANY &&
                        kind != FILTER_WHO_AND_K;
    for (uint32_t id = 0; id < slot->collection->shape.id_count; id++) {
        ins_id model = model_id(&slot->collection->shape, id);
        bool before = request->has_start && compare_ids(&model, &request->start) < 0;
        bool behind = page->has_next && compare_ids(&model, &page->next) >= 0;
        struct sim_span span = sim_span_of(slot, id);
        bool wanted = span.always || (by_directory && span.present);
        if (seen[id] ? before || behind : wanted && !before && !behind) {
            missing(sim, slot, id);
        }
    }
}

static void check_count(const struct sim *sim, const struct sim_slot *slot, uint64_t count) {
    uint64_t least = 0, most = 0;
    for (uint32_t id = 0; id < slot->collection->shape.id_count; id++) {
        struct sim_span span = sim_span_of(slot, id);
        least += span.always;
        most += span.islands; /* one that moves may be counted at both places */
    }
    if (count < least || count > most) {
        for (uint32_t id = 0; id < slot->collection->shape.id_count; id++) {
            sim_describe_point(sim, slot, id);
        }
        sim_fail(sim, "%s of %s: %llu points, must be from %llu to %llu", kind_name(slot),
                 sim_name(slot->write.name), (unsigned long long)count, (unsigned long long)least,
                 (unsigned long long)most);
    }
}

static bool smaller_is_nearer(const struct sim_slot *slot) {
    return slot->collection->shape.vectors[slot->which].distance >= INS_DISTANCE_EUCLID;
}

static bool better(const struct sim_slot *slot, double a, double b) {
    return smaller_is_nearer(slot) ? a < b : a > b;
}

static double slack(double score) {
    return 1e-4 * (1 + fabs(score));
}

/* Not the query's own point, and near enough. */
static bool may_hit(const struct sim_slot *slot, uint32_t id, double score) {
    const ins_points_request *request = &slot->points_request;
    if (request->by_id && id == slot->ids[0]) {
        return false;
    }
    double threshold = (double)request->score_threshold;
    return !request->has_score_threshold || !better(slot, threshold, score);
}

/* How many points must stand before `score`, with slack against it. */
static uint32_t certain_before(const struct sim_slot *slot, double score) {
    const struct model_shape *shape = &slot->collection->shape;
    double sign = smaller_is_nearer(slot) ? 1 : -1;
    uint32_t before = 0;
    for (uint32_t id = 0; id < shape->id_count; id++) {
        struct sim_span span = sim_span_of(slot, id);
        bool all = span.always;
        for (uint32_t i = 0; i < span.count && all; i++) {
            double own = model_score(shape, slot->which, slot->vector, slot->vector_rows,
                                     span.versions[i].vector_seeds[slot->which]);
            all = may_hit(slot, id, own + sign * slack(own)) &&
                  better(slot, own + sign * slack(own), score - sign * slack(score));
        }
        before += all;
    }
    return before;
}

/* Each point that moved may have stood in the way of another one, again and again. */
uint32_t sim_moved_points(const struct sim_slot *slot) {
    uint32_t moved = 0;
    for (uint32_t id = 0; id < slot->collection->shape.id_count; id++) {
        moved += sim_span_of(slot, id).islands > 1;
    }
    return moved;
}

static void check_query(const struct sim *sim, const struct sim_slot *slot) {
    const struct model_shape *shape = &slot->collection->shape;
    const ins_points_request *request = &slot->points_request;
    const ins_points *hits = &slot->call.points;
    bool seen[MODEL_IDS];
    check_points(sim, slot, seen);
    if (request->by_id && sim_span_of(slot, slot->ids[0]).count > 1) {
        return; /* the query's own point was written meanwhile: which vector was taken? */
    }
    double last = 0;
    for (size_t i = 0; i < hits->count; i++) {
        const struct model_version *version;
        uint32_t id = check_point(sim, slot, &hits->items[i], &version);
        double expect = model_score(shape, slot->which, slot->vector, slot->vector_rows,
                                    version->vector_seeds[slot->which]);
        double score = (double)hits->items[i].score;
        double sign = smaller_is_nearer(slot) ? -1 : 1;
        if (fabs(score - expect) > slack(expect)) {
            sim_fail(sim, "query: point %u has score %g, should be %g", id, score, expect);
        }
        if (!may_hit(slot, id, expect + sign * slack(expect))) {
            sim_fail(sim, "query: point %u should not be a hit", id);
        }
        if (i > 0 && better(slot, score, last)) {
            sim_fail(sim, "query: scores are not in order");
        }
        last = score;
    }
    /* A full page ends at the last hit's score; else everything that passes must have come. */
    double worst = smaller_is_nearer(slot) ? 1e30 : -1e30;
    bool full = hits->count == request->limit;
    uint32_t before = certain_before(slot, full ? last : worst);
    before -= before < sim_moved_points(slot) ? before : sim_moved_points(slot);
    if (hits->count > request->limit || before > request->offset + hits->count) {
        for (uint32_t id = 0; id < shape->id_count; id++) {
            sim_describe_point(sim, slot, id);
        }
        sim_fail(sim, "query: %zu hits (limit %u, offset %u), %u points should stand before %g",
                 hits->count, request->limit, request->offset, before, last);
    }
}

static void check_text(const struct sim *sim, const char *what, ins_text got, const char *key,
                       uint64_t number) {
    char expect[64];
    int size = snprintf(expect, sizeof(expect), "\"%s\":%llu}", key, (unsigned long long)number);
    if (got.data == NULL || memmem(got.data, got.size, expect, (size_t)size) == NULL) {
        sim_fail(sim, "info: %s is not in the %s %.*s", expect, what, (int)got.size,
                 got.data == NULL ? "" : got.data);
    }
}

/* Settings show what is sequenced, metadata what is durable; a log that failed, before the read or
 * between it and its answer, leaves the former. */
static bool settings_ahead(const struct sim *sim, const struct sim_slot *read) {
    if (read->call.info->writes_stopped.data != NULL || sim->db->writes_stopped) {
        return true;
    }
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *slot = &sim->slots[i];
        if (slot->busy && slot->is_write && slot->write.kind == WRITE_PATCH) {
            return true;
        }
    }
    return false;
}

static void check_patch(const struct sim *sim, const struct sim_slot *slot) {
    const struct model_collection *collection = slot->collection;
    if (collection->patch != 0) {
        check_text(sim, "metadata", slot->call.info->metadata, "patch", collection->patch);
    }
    if (collection->quota != 0 && !settings_ahead(sim, slot)) {
        check_text(sim, "settings", slot->call.info->settings, "stored_bytes",
                   MODEL_QUOTA + collection->quota);
    }
}

static void check_info(const struct sim *sim, const struct sim_slot *slot) {
    const ins_collection_info *info = slot->call.info;
    const struct model_shape *shape = &slot->collection->shape;
    bool same = info->vector_count == shape->vector_count;
    for (uint32_t i = 0; i < shape->vector_count && same; i++) {
        const ins_vector_params *got = &info->vectors[i], *want = &shape->vectors[i];
        same = got->dim == want->dim && got->distance == want->distance &&
               got->datatype == want->datatype && got->multi == want->multi &&
               got->name.size == want->name.size &&
               memcmp(got->name.data, want->name.data, want->name.size) == 0;
    }
    if (!same) {
        sim_fail(sim, "info: another collection's shape");
    }
    if (slot->from_lsn == sim->model.lsn) {
        check_patch(sim, slot);
    }
    if (info->point_count_exact) {
        check_count(sim, slot, info->point_count);
    }
}

/* ---- Statuses ---- */

static bool read_error_allowed(const struct sim *sim, const struct sim_slot *slot) {
    const struct model_collection *collection = slot->collection;
    ins_status status = slot->call.status;
    if (status == INS_NOT_FOUND) {
        return collection == NULL || collection->drop_lsn != 0 ||
               (slot->kind == READ_QUERY && slot->points_request.by_id &&
                !sim_span_of(slot, slot->ids[0]).always);
    }
    if (status == INS_INVALID) {
        bool no_vectors = collection != NULL && collection->shape.vector_count == 0;
        return slot->kind == READ_QUERY && (no_vectors || sim_is_fault(sim, status));
    }
    if (status == INS_TIMEOUT) {
        return slot->call.deadline_ns != 0;
    }
    return sim_is_fault(sim, status);
}

void sim_check_read(struct sim *sim, struct sim_slot *slot) {
    const ins_call *call = &slot->call;
    sim->counts.reads++;
    if (call->status != INS_OK) {
        sim->counts.read_errors++;
        if (!read_error_allowed(sim, slot)) {
            sim_fail(sim, "%s of %s: %d %s", kind_name(slot), sim_name(slot->write.name),
                     (int)call->status, call->error.message);
        }
        return;
    }
    if (slot->collection == NULL) {
        sim_fail(sim, "%s of %s: an answer from a collection that is not there", kind_name(slot),
                 sim_name(slot->write.name));
    }
    sim->counts.inflight_checks += slot->from_lsn < sim->model.lsn;
    switch (slot->kind) {
    case READ_GET:
        check_get(sim, slot);
        break;
    case READ_SCROLL:
        check_scroll(sim, slot);
        break;
    case READ_COUNT:
        check_count(sim, slot, call->count);
        break;
    case READ_QUERY:
        check_query(sim, slot);
        break;
    case READ_INFO:
        check_info(sim, slot);
        break;
    case READ_RANK:
        sim_check_rank(sim, slot);
        break;
    case READ_KINDS:
        break;
    }
    sim_check_view(sim, slot);
}
