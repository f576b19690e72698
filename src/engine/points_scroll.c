/* Scroll: points in id order.
 *
 * A scope without a tenant field, or with the tenant pinned: from each island the first limit + 1
 * that pass; of all of them the smallest. So are several shard keys. Else along the id directory,
 * which names an island for each id: a page costs what it returns, not a cursor for each of 50,000
 * islands. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/names.h"
#include "engine/points_own.h"

#define SCROLL_STEP 1024u /* points and islands looked at; then others get the lane */
#define SCROLL_ROWS_A_POINT (STEP_ROWS / SCROLL_STEP) /* one point looked at costs as much */
#define SCROLL_LIMIT_MAX 10000u /* points in one page: their table fits one block */

struct points_scroll {
    struct operation operation;
    const ins_points_request *request;
    struct scopes scopes;
    struct schema *schema; /* held */
    struct point_fields fields;
    struct islands_walk walk;
    struct reader reader, directory;
    struct plans plans; /* of the reader */
    const struct filter *filter;
    const struct payload_path *path;
    ins_id from;          /* of the island or the directory: first id not looked at */
    ins_point *points;    /* [wanted of the islands before + wanted of this one] */
    uint32_t wanted;      /* limit + 1: the one more says where the next page begins */
    uint32_t kept, found; /* of earlier islands; of all */
    struct place *places; /* the page being looked at */
    struct directory_entry *entries;
    uint32_t page_count, page_next;
    bool page_last;
    struct island *directory_island; /* of the only scope; NULL: island after island */
    /* An id that may have moved: it is asked for again, by a view of the id directory of its own.
     */
    struct reader finder;
    uint32_t repeats;
    bool moved;
};

#define REPEATS_MAX 16u /* of one id that is written all the time; then it is left out */

static void scroll_close(struct operation *operation) {
    struct points_scroll *self = container_of(operation, struct points_scroll, operation);
    reader_close(&self->reader);
    reader_close(&self->directory);
    reader_close(&self->finder);
    islands_walk_close(&self->walk);
    scopes_close(&self->scopes);
    schema_release(&operation->db->catalog, self->schema);
}

static ins_status scroll_begin(struct points_scroll *self, ins_error *error) {
    struct operation *operation = &self->operation;
    const ins_points_request *request = self->request;
    ins_status status = scopes_open(&self->scopes, operation, request, error);
    if (status != INS_OK) {
        return status;
    }
    if (request->limit == 0 || request->limit > SCROLL_LIMIT_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE, "limit: value %u invalid, must be from 1 to %u",
                        request->limit, SCROLL_LIMIT_MAX);
    }
    self->schema = schema_hold(self->scopes.collection->schema);
    status = point_fields_init(&self->fields, self->schema, request, &operation->pool, error);
    if (status == INS_OK) {
        status = islands_walk_init(&self->walk, operation, &self->scopes, request->filter, error);
    }
    ins_text tenant; /* the next page begins at an id */
    if (status == INS_OK) {
        status = own_check_walk(&self->walk, &tenant, error);
    }
    if (status != INS_OK) {
        return status;
    }
    self->directory_island =
        self->scopes.one != NULL && !self->walk.pinned ? self->scopes.one->directory : NULL;
    self->from = request->has_start ? request->start : id_number(0);
    self->wanted = request->limit + 1;
    self->points = pool_alloc(&operation->pool, 2ul * self->wanted * sizeof(ins_point));
    self->places = pool_alloc(&operation->pool, PAGE_MAX * sizeof(struct place));
    self->entries = pool_alloc(&operation->pool, PAGE_MAX * sizeof(struct directory_entry));
    if (self->points == NULL || self->places == NULL || self->entries == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a page of %u points", request->limit);
    }
    if (self->directory_island == NULL) {
        return INS_OK;
    }
    self->filter = self->walk.whole;
    return reader_open(&self->directory, &operation->db->reading, self->directory_island,
                       operation->db->reading.durable_lsn, &operation->pool, &operation->waiter,
                       error);
}

static uint32_t page_size(const struct points_scroll *self) {
    uint32_t missing = self->wanted - (self->found - self->kept);
    /* A filter throws most away: larger pages then. */
    uint32_t want = self->filter != NULL ? PAGE_MAX : missing + 1;
    return want < PAGE_MAX ? want : PAGE_MAX;
}

static ins_status take(struct points_scroll *self, const struct place *place,
                       const struct payload_path *path, ins_error *error) {
    bool match, sure;
    struct trace *trace = self->operation.waiter.trace;
    if (self->filter != NULL) {
        trace_turn(trace, INS_STAGE_RANK);
    }
    trace_place(trace, TRACE_ALL_PLACES, INS_LOOK_IDS, NULL, reader_row_bound(&self->reader));
    ins_status status = plans_ask(&self->plans, place, &match, &sure, error);
    if (status == INS_OK && match && !sure) {
        status = place_matches(&self->reader, place, self->filter, path, self->operation.db->parser,
                               &match, error);
    }
    TRACE_COUNT(trace, scanned, status == INS_OK);
    if (status == INS_OK && !match) {
        reader_trim(&self->reader, place);
    }
    if (status == INS_OK && match) {
        trace_turn(trace, INS_STAGE_FETCH);
        status = point_take(&self->reader, place, path, &self->fields, &self->operation.pool,
                            &self->points[self->found], error);
        self->found += status == INS_OK;
    }
    return status;
}

/* ---- Island after island ---- */

static ins_status island_page(struct points_scroll *self, ins_error *error) {
    uint32_t capacity = page_size(self);
    ins_status status = reader_load(&self->reader, error);
    if (status == INS_OK) {
        status = page_points(&self->reader, &self->from, self->places, capacity, &self->page_count,
                             error);
    }
    if (status != INS_OK) {
        return status;
    }
    self->page_next = 0;
    self->page_last = self->page_count < capacity;
    if (self->page_count > 0) {
        ins_id last = reader_id(&self->reader, &self->places[self->page_count - 1]);
        self->page_last |= !id_after(&last, &self->from);
    }
    return INS_OK;
}

static int order_points(const void *left, const void *right) {
    const ins_point *a = left, *b = right;
    int order = id_compare(&a->id, &b->id);
    return order != 0 ? order : (a->version < b->version) - (a->version > b->version);
}

/* Of this island's points and those before, the smallest `wanted` stay. */
static void keep_smallest(struct points_scroll *self) {
    if (self->kept > 0 || self->found > self->wanted) {
        qsort(self->points, self->found, sizeof(ins_point), order_points);
        uint32_t distinct = 0;
        for (uint32_t i = 0; i < self->found && distinct < self->wanted; i++) {
            if (distinct == 0 || !id_equal(&self->points[i].id, &self->points[distinct - 1].id)) {
                self->points[distinct++] = self->points[i];
            }
        }
        self->found = distinct;
    }
    self->kept = self->found;
}

static ins_status view_island(struct points_scroll *self, struct island *island,
                              const struct payload_path *path, ins_error *error) {
    struct operation *operation = &self->operation;
    ins_status status = reader_open(&self->reader, &operation->db->reading, island,
                                    operation->db->reading.durable_lsn, &operation->pool,
                                    &operation->waiter, error);
    plans_begin(&self->plans, &self->reader, self->filter, path);
    return status;
}

/* *out_end: no island is left. */
static ins_status island_open(struct points_scroll *self, bool *out_end, ins_error *error) {
    if (islands_walk_lost(&self->walk)) {
        return names_absent(self->request->collection, error);
    }
    struct island *island = islands_walk_next(&self->walk, &self->filter, &self->path);
    *out_end = island == NULL;
    self->from = self->request->has_start ? self->request->start : id_number(0);
    self->page_count = 0;
    self->page_next = 0;
    self->page_last = false;
    return island == NULL ? INS_OK : view_island(self, island, self->path, error);
}

static ins_status scroll_islands(struct points_scroll *self, ins_error *error) {
    for (uint32_t looked = 0; looked < SCROLL_STEP; looked++) {
        ins_status status = INS_OK;
        bool end = false;
        if (!self->reader.open) {
            status = island_open(self, &end, error);
            if (status != INS_OK || end) {
                return status;
            }
        }
        while (self->page_next < self->page_count && self->found - self->kept < self->wanted) {
            if (looked >= SCROLL_STEP) {
                return INS_AGAIN;
            }
            status = take(self, &self->places[self->page_next], self->path, error);
            if (status != INS_OK) {
                return status;
            }
            self->page_next++;
            looked += 1 + (uint32_t)(filter_rows_worth(&self->reader) / SCROLL_ROWS_A_POINT);
        }
        if (self->found - self->kept == self->wanted || self->page_last) {
            keep_smallest(self);
            reader_close(&self->reader);
            continue;
        }
        status = island_page(self, error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_AGAIN;
}

/* ---- Along the id directory ---- */

/* The reader stands on the island, with what it needs at hand. */
static ins_status open_island(struct points_scroll *self, struct island *island, ins_error *error) {
    ins_status status = INS_OK;
    if (!self->reader.open || self->reader.island != island) {
        reader_close(&self->reader);
        status = view_island(self, island, tenant_path_of(island), error);
    }
    return status == INS_OK ? reader_load(&self->reader, error) : status;
}

/* The id was not where the page of the id directory said, and the island was looked at under
 * another LSN: it may have moved in between. Asked again until one LSN answers both. */
static ins_status take_moved(struct points_scroll *self, const ins_id *id, ins_error *error) {
    struct operation *operation = &self->operation;
    uint64_t incarnation;
    struct place place;
    ins_status status = INS_OK;
    if (!self->finder.open) {
        reader_close(&self->reader);
        status = reader_open(&self->finder, &operation->db->reading, self->directory_island,
                             operation->db->reading.durable_lsn, &operation->pool,
                             &operation->waiter, error);
    }
    if (status == INS_OK) {
        status = directory_find(&self->finder, id, &incarnation, error);
    }
    if (status != INS_OK) {
        return status;
    }
    struct island *island =
        incarnation == 0 ? NULL : islands_find(&operation->db->islands, incarnation);
    if (island != NULL) {
        status = open_island(self, island, error);
    }
    if (status != INS_OK) {
        return status;
    }
    bool found = island != NULL && reader_find(&self->reader, id, &place);
    if (found) {
        status = take(self, &place, tenant_path_of(island), error);
    } else if (incarnation != 0 &&
               self->finder.lsn !=
                   (island != NULL ? self->reader.lsn : operation->db->reading.durable_lsn) &&
               ++self->repeats < REPEATS_MAX) {
        reader_close(&self->finder);
        return INS_AGAIN;
    }
    if (status == INS_OK) {
        reader_close(&self->finder);
        self->repeats = 0;
        self->moved = false;
    }
    return status;
}

static ins_status take_entry(struct points_scroll *self, const struct directory_entry *entry,
                             ins_error *error) {
    struct island *island = islands_find(&self->operation.db->islands, entry->incarnation);
    struct place place;
    if (self->moved) {
        return take_moved(self, &entry->id, error);
    }
    if (island == NULL) { /* gone as a whole, after points of it may have moved */
        self->moved = self->directory.lsn != self->operation.db->reading.durable_lsn;
        return self->moved ? take_moved(self, &entry->id, error) : INS_OK;
    }
    ins_status status = open_island(self, island, error);
    if (status != INS_OK) {
        return status;
    }
    if (reader_find(&self->reader, &entry->id, &place)) {
        return take(self, &place, tenant_path_of(island), error);
    }
    self->moved = self->directory.lsn != self->reader.lsn;
    return self->moved ? take_moved(self, &entry->id, error) : INS_OK;
}

static ins_status scroll_directory(struct points_scroll *self, ins_error *error) {
    for (uint32_t looked = 0; self->found < self->wanted; looked++) {
        if (looked >= SCROLL_STEP) {
            return INS_AGAIN;
        }
        if (self->page_next == self->page_count) {
            if (self->page_last) {
                return INS_OK;
            }
            uint32_t capacity = page_size(self);
            ins_status status = directory_page(&self->directory, &self->from, self->entries,
                                               capacity, &self->page_count, error);
            if (status != INS_OK) {
                self->page_count = self->page_next = 0;
                return status;
            }
            self->page_next = 0;
            self->page_last = self->page_count < capacity ||
                              !id_after(&self->entries[self->page_count - 1].id, &self->from);
            continue;
        }
        if (islands_walk_lost(&self->walk)) {
            return names_absent(self->request->collection, error);
        }
        ins_status status = take_entry(self, &self->entries[self->page_next], error);
        if (status != INS_OK) {
            return status;
        }
        self->page_next++;
        looked += (uint32_t)(filter_rows_worth(&self->reader) / SCROLL_ROWS_A_POINT);
    }
    return INS_OK;
}

static ins_status scroll_step(struct operation *operation, ins_error *error) {
    struct points_scroll *self = container_of(operation, struct points_scroll, operation);
    ins_status status = self->schema == NULL ? scroll_begin(self, error) : INS_OK;
    if (status == INS_OK) {
        status = self->directory_island != NULL ? scroll_directory(self, error)
                                                : scroll_islands(self, error);
    }
    if (status != INS_OK) {
        return status;
    }
    bool more = self->found == self->wanted;
    operation->call->points = (ins_points){
        .items = self->points, .count = more ? self->wanted - 1 : self->found, .has_next = more};
    if (more) {
        operation->call->points.next = self->points[self->wanted - 1].id;
    }
    return INS_OK;
}

void ins_points_scroll(ins_db *db, const void *points_request, ins_call *call) {
    struct points_scroll *self =
        operation_create(db, call, sizeof(*self), scroll_step, scroll_close, true);
    if (self != NULL) {
        self->request = points_request;
        operation_run(&self->operation);
    }
}
