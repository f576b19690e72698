/* One row of a ranking: its score or value, offered to the heap, its groups or its values. */
#include <string.h>

#include "base/id.h"
#include "base/json_text.h"
#include "base/json_write.h"
#include "base/status.h"
#include "engine/points_rank.h"

#define WORK_A_ROW 128u /* numbers of a row in a step's budget */

/* ---- Values ---- */

/* Room for `size` bytes that the next call takes again. */
static char *scratch(struct points_rank *self, size_t size) {
    if (size > self->scratch_size) {
        self->scratch = pool_alloc(&self->operation.pool, 2 * size);
        self->scratch_size = self->scratch == NULL ? 0 : 2 * size;
        self->no_memory = self->scratch == NULL;
    }
    return self->scratch;
}

/* A UUID's other spellings are the same value. False: it is none, or there is no memory. */
static bool canonical_uuid(struct points_rank *self, ins_text *text) {
    ins_id uuid;
    if (!id_parse_uuid(text->data, text->size, &uuid)) {
        return false;
    }
    char *canonical = scratch(self, ID_TEXT_MAX);
    if (canonical == NULL) {
        return false;
    }
    *text = (ins_text){canonical, id_format(&uuid, canonical)};
    return true;
}

/* A text of JSON as a value until the next call; what is no text, integer or bool is none. */
static bool value_of(struct points_rank *self, ins_text text, ins_value *out) {
    *out = (ins_value){.kind = INS_VALUE_BOOL};
    switch (text.data[0]) {
    case 't':
    case 'f':
        out->boolean = text.data[0] == 't';
        return true;
    case '"':
        out->kind = INS_VALUE_TEXT;
        out->text = json_text_unquote(text);
        if (out->text.size > 0 && memchr(out->text.data, '\\', out->text.size) != NULL) {
            char *decoded = scratch(self, text.size);
            if (decoded == NULL) {
                return false;
            }
            out->text = (ins_text){decoded, json_text_decode(text, decoded)};
        }
        return true;
    case 'n':
    case '{':
    case '[':
        return false;
    default:
        out->kind = INS_VALUE_INTEGER;
        return json_text_integer(text, &out->integer);
    }
}

static bool count_value(void *context, ins_text text) {
    struct points_rank *self = context;
    ins_value value;
    if (!value_of(self, text, &value) ||
        (self->uuid_key && (value.kind != INS_VALUE_TEXT || !canonical_uuid(self, &value.text)))) {
        return !self->no_memory;
    }
    struct tally_value *entry = tally_get(&self->tally, &value);
    self->no_memory = entry == NULL;
    if (entry != NULL && entry->last_point != self->points) {
        entry->last_point = self->points;
        entry->count++;
    }
    return entry != NULL;
}

/* One value that can be no group keeps the whole point out, as in Qdrant. */
static bool check_group(void *context, ins_text text) {
    struct points_rank *self = context;
    int64_t unused;
    char first = text.data[0];
    bool number = first == '-' || (first >= '0' && first <= '9');
    self->group_refused = !(first == '"' || (number && json_text_integer(text, &unused)));
    return !self->group_refused;
}

static bool join_group(void *context, ins_text text) {
    struct points_rank *self = context;
    ins_value value;
    struct tally_value *entry = NULL;
    if (value_of(self, text, &value)) {
        entry = tally_get(&self->tally, &value);
    }
    self->no_memory = entry == NULL;
    if (entry != NULL && entry->last_point != self->points) {
        entry->last_point = self->points;
        entry->heap.capacity = self->request->group_size;
        self->no_memory = !rank_offer(&entry->heap, self->order, &self->hit, &self->operation.pool);
    }
    return !self->no_memory;
}

/* ---- Orders ---- */

static int compare_numbers(const ins_number *left, const ins_number *right) {
    const struct rank_hit a = {.order = *left}, b = {.order = *right};
    return rank_compare(RANK_ASCENDING, &a, &b);
}

static bool number_of(ins_text text, ins_number *out) {
    char decoded[64];
    *out = (ins_number){0};
    if (text.data[0] == '"') {
        ins_text raw = json_text_unquote(text);
        if (text.size > sizeof(decoded)) {
            return false; /* no moment is as long */
        }
        if (raw.size > 0 && memchr(raw.data, '\\', raw.size) != NULL) {
            raw = (ins_text){decoded, json_text_decode(text, decoded)};
        }
        return payload_moment_parse(raw, &out->integer);
    }
    if (text.data[0] != '-' && (text.data[0] < '0' || text.data[0] > '9')) {
        return false;
    }
    if (json_text_integer(text, &out->integer)) {
        return true;
    }
    out->is_real = true;
    return json_text_number(text, &out->real);
}

static void offer(struct points_rank *self);

/* A point comes once for each of its values. */
static bool order_value(void *context, ins_text text) {
    struct points_rank *self = context;
    const ins_rank_request *request = self->request;
    if (!number_of(text, &self->hit.order)) {
        return true;
    }
    int from = request->has_start ? compare_numbers(&self->hit.order, &request->start) : 0;
    if (request->descending ? from <= 0 : from >= 0) {
        offer(self);
    }
    return !self->no_memory;
}

/* ---- One row ---- */

static void *no_room(void *context, void *old, size_t old_capacity, size_t new_capacity) {
    (void)context;
    (void)old;
    (void)old_capacity;
    (void)new_capacity;
    return NULL;
}

/* Values at a path of the row. The tenant field is not in the payload of its islands. */
static void row_values(struct points_rank *self, const struct payload_path *path,
                       bool (*visit)(void *context, ins_text value)) {
    const struct payload_path *tenant = self->over.sweep.tenant_path;
    if (tenant == NULL || !payload_path_equal(tenant, path)) {
        payload_values(self->payload, path, visit, self);
        return;
    }
    struct json_writer writer;
    char text[6 * INS_TENANT_BYTES_MAX + 8];
    json_write_init(&writer, sizeof(text), NULL, no_room);
    writer.data = text;
    writer.capacity = sizeof(text);
    json_write_text(&writer, self->over.reader.tenant);
    (void)visit(self, (ins_text){writer.data, writer.size});
}

static void offer(struct points_rank *self) {
    const ins_points_request *points = &self->request->points;
    if (points->has_score_threshold && self->vector != NULL &&
        !score_passes(&self->scorer, score_shown(&self->scorer, self->hit.score),
                      points->score_threshold)) {
        return;
    }
    if (self->request->group_size == 0) {
        self->no_memory = !rank_offer(&self->heap, self->order, &self->hit, &self->operation.pool);
        return;
    }
    self->group_refused = false;
    row_values(self, &self->group_key, check_group);
    if (!self->group_refused) {
        row_values(self, &self->group_key, join_group);
    }
}

static bool is_example(const struct points_rank *self, const ins_id *id) {
    for (size_t i = 0; i < self->id_count; i++) {
        if (id_equal(&self->ids[i], id)) {
            return true;
        }
    }
    return false;
}

static double random_score(struct points_rank *self) {
    /* SplitMix64 */
    uint64_t x = self->random += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return (double)((x ^ (x >> 31)) >> 11) * 0x1p-53;
}

/* What the row needs is asked for before anything is offered: a row that waits comes again. */
static ins_status bring(struct points_rank *self, struct vector_ref *out_vector, ins_error *error) {
    const ins_rank_request *request = self->request;
    ins_status status = INS_OK, second = INS_OK;
    if (self->vector != NULL) {
        status = reader_vector(&self->over.reader, self->over.sweep.place, &self->vector->shape,
                               out_vector, error);
    }
    bool payload = request->group_size > 0 || request->kind == INS_RANK_ORDER ||
                   request->kind == INS_RANK_FACET;
    if (payload && (status == INS_OK || status == INS_AGAIN)) {
        second = reader_payload(&self->over.reader, self->over.sweep.place, &self->payload, error);
    }
    return second != INS_OK ? second : status;
}

static ins_status score_stored(struct points_rank *self, const struct vector_ref *stored,
                               ins_error *error) {
    uint32_t dim = stored->shape.dim, rows = vector_row_count(&self->vector->shape, dim);
    if (self->scorer.rows * dim > SCORE_WORK_MAX) {
        char text[ID_TEXT_MAX];
        (void)id_format(&self->hit.id, text);
        return ins_fail(error, INS_INVALID,
                        "point %s: %u rows of its multivector are compared with %llu rows of "
                        "examples; rows of both times %u numbers must be %llu at most",
                        text, rows, (unsigned long long)self->scorer.rows, self->vector->shape.dim,
                        (unsigned long long)SCORE_WORK_MAX);
    }
    if (dim > self->row_room) {
        uint32_t room = dim > 2 * self->row_room ? dim : 2 * self->row_room;
        room = room < INS_MULTI_NUMBERS_MAX || dim > INS_MULTI_NUMBERS_MAX ? room
                                                                           : INS_MULTI_NUMBERS_MAX;
        self->row = pool_alloc_aligned(&self->operation.pool, room * sizeof(float), 64);
        self->row_room = self->row == NULL ? 0 : room;
    }
    if (self->row == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a multivector of %u numbers", dim);
    }
    vector_load(&stored->shape, stored->data, self->row);
    score_direct(self->vector, self->row, rows);
    self->hit.score = score_row(&self->scorer, &(struct score_vector){self->row, rows});
    self->over.sweep.match_cost +=
        self->vector->shape.multi != 0 ? self->scorer.rows * dim / WORK_A_ROW : 0;
    return INS_OK;
}

static ins_status score(struct points_rank *self, const struct vector_ref *stored,
                        ins_error *error) {
    if (self->vector != NULL) {
        ins_status status = score_stored(self, stored, error);
        if (status != INS_OK) {
            return status;
        }
    } else if (self->request->kind == INS_RANK_SAMPLE) {
        self->hit.score = random_score(self);
    }
    switch (self->request->kind) {
    case INS_RANK_FACET:
        row_values(self, &self->key, count_value);
        break;
    case INS_RANK_ORDER:
        row_values(self, &self->key, order_value);
        break;
    case INS_RANK_NEAREST:
    case INS_RANK_AVERAGE:
    case INS_RANK_BEST:
    case INS_RANK_SUM:
    case INS_RANK_DISCOVER:
    case INS_RANK_CONTEXT:
    case INS_RANK_SAMPLE:
    case INS_RANK_ID:
        offer(self);
        break;
    }
    return self->no_memory ? ins_fail(error, INS_FULL,
                                      "no memory for all values or groups: %u so far; a filter or "
                                      "a smaller group_size would help",
                                      self->tally.count)
                           : INS_OK;
}

ins_status rank_row(void *context, const ins_id *id, ins_error *error) {
    struct points_rank *self = context;
    struct vector_ref stored = {.data = NULL};
    if (is_example(self, id)) {
        return INS_OK;
    }
    ins_status status = bring(self, &stored, error);
    if (status != INS_OK || (self->vector != NULL && stored.data == NULL)) {
        return status;
    }
    self->points++;
    self->hit = (struct rank_hit){.id = *id, .scope = self->over.walk.scope->key};
    return score(self, &stored, error);
}
