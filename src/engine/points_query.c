/* Search: locate the query's own point when it is named by id, then island after island. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/graph_job.h"
#include "engine/merge_queue.h"
#include "engine/names.h"
#include "engine/points_own.h"

#define STEP_BYTES (4u << 20) /* of vectors that one step reads */
#define REPEATS_MAX 3u        /* of a search that points moved under */

struct points_query {
    struct operation operation;
    const ins_points_request *request;
    struct scopes scopes;
    struct scope_cursor locating; /* where the query's point is looked for */
    struct islands_walk walk;
    ins_text tenant; /* where ids are within tenants: of the filter */
    struct reader reader, directory;
    struct search search;
    ins_points_request wide; /* asks for more hits than the request */
    struct schema *schema;   /* held */
    const struct schema_vector *vector;
    struct point_fields fields;
    void *query; /* [query_rows], each as vector_query() makes it */
    uint32_t query_rows;
    uint64_t located_lsn; /* at which the id directory named the island of the query's point */
    uint32_t repeats;
    enum { QUERY_BEGIN, QUERY_LOCATE, QUERY_VECTOR, QUERY_ISLAND, QUERY_SCAN } stage;
};

static void query_close(struct operation *operation) {
    struct points_query *self = container_of(operation, struct points_query, operation);
    reader_close(&self->reader);
    reader_close(&self->directory);
    islands_walk_close(&self->walk);
    scope_cursor_close(&self->locating);
    scopes_close(&self->scopes);
    schema_release(&operation->db->catalog, self->schema);
}

/* Room for the query, of that shape, as stored ones are. */
static ins_status query_alloc(struct points_query *self, const struct vector_shape *shape,
                              ins_error *error) {
    self->query = pool_alloc_aligned(&self->operation.pool, vector_query_bytes(shape), 64);
    self->query_rows = vector_row_count(&self->vector->shape, shape->dim);
    return self->query != NULL
               ? INS_OK
               : ins_fail(error, INS_FULL, "no memory for a query vector of %u dimensions",
                          shape->dim);
}

static ins_status take_query_vector(struct points_query *self, ins_error *error) {
    const ins_points_request *request = self->request;
    struct vector_shape shape = self->vector->shape;
    uint32_t dim = shape.dim;
    size_t at;
    ins_status status =
        vector_check_dim(self->vector, request->dim, request->rows, &shape.dim, error);
    if (status != INS_OK) {
        return status;
    }
    if (!kernel_all_finite_f32(request->vector, shape.dim, &at)) {
        return ins_fail(error, INS_INVALID, "Vector value error: query[%zu] is not finite", at);
    }
    if (!vector_fits(&shape, self->vector->distance, request->vector, &at)) {
        return ins_fail(error, INS_INVALID,
                        "Vector value error: query[%zu] is %g, beyond the range of float16", at,
                        (double)request->vector[at]);
    }
    status = query_alloc(self, &shape, error);
    for (uint32_t i = 0; status == INS_OK && i < self->query_rows; i++) {
        vector_query(&self->vector->shape, self->vector->distance,
                     request->vector + (size_t)i * dim,
                     (uint8_t *)self->query + (size_t)i * vector_query_bytes(&self->vector->shape));
    }
    return status;
}

static ins_status find_vector(struct points_query *self, ins_error *error) {
    const ins_points_request *request = self->request;
    ins_text name = request->vector_name;
    self->vector = schema_vector_named(self->schema, name);
    if (self->vector == NULL) {
        return ins_fail(error, INS_INVALID, "Not existing vector name error: %.*s", (int)name.size,
                        name.size == 0 ? "" : name.data);
    }
    return point_fields_init(&self->fields, self->schema, request, &self->operation.pool, error);
}

static ins_status query_begin(struct points_query *self, ins_error *error) {
    const ins_points_request *request = self->request;
    struct operation *operation = &self->operation;
    ins_status status = scopes_open(&self->scopes, operation, request, error);
    if (status != INS_OK) {
        return status;
    }
    self->schema = schema_hold(self->scopes.collection->schema);
    self->wide = *request;
    status = find_vector(self, error);
    if (status != INS_OK) {
        return status;
    }
    if (request->limit == 0 || request->limit > INS_LIMIT_MAX || request->offset > INS_LIMIT_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "limit: %u, offset: %u; limit must be from 1 to %u, offset to %u",
                        request->limit, request->offset, INS_LIMIT_MAX, INS_LIMIT_MAX);
    }
    status = request->by_id ? INS_OK : take_query_vector(self, error);
    self->stage = request->by_id ? QUERY_LOCATE : QUERY_ISLAND;
    if (status == INS_OK) {
        status = islands_walk_init(&self->walk, operation, &self->scopes, request->filter, error);
    }
    return status == INS_OK ? own_check_walk(&self->walk, &self->tenant, error) : status;
}

static ins_status not_found(const ins_id *id, ins_error *error) {
    char text[ID_TEXT_MAX];
    (void)id_format(id, text);
    return ins_fail(error, INS_NOT_FOUND, "No point with id %s found", text);
}

static ins_status lacks_vector(const struct points_query *self, ins_error *error) {
    char text[ID_TEXT_MAX];
    ins_text name = self->vector->name;
    (void)id_format(&self->request->query_id, text);
    return ins_fail(error, INS_NOT_FOUND, "Point %s does not have a vector named `%.*s`", text,
                    (int)name.size, name.size == 0 ? "" : name.data);
}

/* The next scope in which the query's point may be. */
static ins_status next_locate_scope(struct points_query *self, ins_error *error) {
    struct scope *scope =
        scope_cursor_next(&self->locating, &self->scopes, self->operation.db->reading.durable_lsn);
    return scope != NULL ? INS_OK : not_found(&self->request->query_id, error);
}

static ins_status query_locate(struct points_query *self, ins_error *error) {
    struct operation *operation = &self->operation;
    uint64_t lsn = operation->db->reading.durable_lsn;
    struct island *island = NULL;
    ins_status status = INS_OK;
    while (status == INS_OK && island == NULL) {
        if (islands_walk_lost(&self->walk)) {
            return names_absent(self->request->collection, error);
        }
        if (self->locating.current == NULL) {
            status = next_locate_scope(self, error);
        }
        INS_ASSERT(status != INS_OK || self->locating.current != NULL);
        if (status == INS_OK && !self->locating.current->unlinked) {
            status = locate(operation, self->locating.current, self->tenant, &self->directory, lsn,
                            &self->request->query_id, &island, error);
        }
        if (status == INS_OK) {
            self->located_lsn = self->directory.open ? self->directory.lsn : lsn;
            reader_close(&self->directory);
        }
        if (status == INS_OK && island == NULL) {
            status = next_locate_scope(self, error);
        }
    }
    if (status != INS_OK) {
        return status;
    }
    self->stage = QUERY_VECTOR;
    return reader_open(&self->reader, &operation->db->reading, island, lsn, &operation->pool,
                       &operation->waiter, error);
}

static ins_status query_vector(struct points_query *self, ins_error *error) {
    struct place place;
    struct vector_ref stored;
    ins_status status = reader_load(&self->reader, error);
    if (status != INS_OK) {
        return status;
    }
    if (!reader_find(&self->reader, &self->request->query_id, &place)) {
        /* It may have moved in between: again, with one view of directory and island. Else it is in
         * another scope, or nowhere. */
        bool again = self->located_lsn < self->reader.lsn;
        reader_close(&self->reader);
        self->stage = QUERY_LOCATE;
        status = again ? INS_OK : next_locate_scope(self, error);
        return status == INS_OK ? INS_AGAIN : status;
    }
    status = reader_vector(&self->reader, &place, &self->vector->shape, &stored, error);
    if (status == INS_OK && stored.data == NULL) {
        return lacks_vector(self, error);
    }
    if (status == INS_OK) {
        status = query_alloc(self, &stored.shape, error);
    }
    if (status == INS_OK) {
        vector_query_stored(&stored.shape, stored.data, self->query);
        reader_close(&self->reader);
        scope_cursor_close(&self->locating);
        self->stage = QUERY_ISLAND;
    }
    return status;
}

static ins_status search_begin(struct points_query *self, uint64_t row_bound, ins_error *error) {
    return search_init(&self->search, &self->wide, self->vector, self->query, self->query_rows,
                       &self->fields, row_bound,
                       self->request->by_id ? &self->request->query_id : NULL,
                       &self->operation.pool, self->operation.db->parser, error);
}

/* An id may be in several shard keys, and counts once: the search is made again for more hits,
 * twice as many each time, until enough differ or all came. */
static bool widen(struct points_query *self) {
    uint64_t wanted = 2ull * self->wide.limit + 2ull * self->wide.offset;
    if (self->scopes.one != NULL ||
        (wanted + 1) * sizeof(struct search_hit) >= INS_BLOCK_BYTES_MAX - 64) {
        return false;
    }
    self->wide.limit = (uint32_t)wanted - self->wide.offset;
    return true;
}

/* The answer; or the search once more, INS_AGAIN. */
static ins_status finish(struct points_query *self, ins_error *error) {
    uint32_t limit = self->request->limit;
    struct operation *operation = &self->operation;
    ins_points *points = &operation->call->points;
    ins_status status = search_finish(&self->search, points, error);
    if (status != INS_OK) {
        return status;
    }
    bool enough = !self->search.short_of_hits || points->count >= limit;
    points->count = points->count < limit ? points->count : limit;
    if (enough || (!widen(self) && self->repeats++ == REPEATS_MAX)) {
        return INS_OK;
    }
    self->search = (struct search){0};
    islands_walk_close(&self->walk);
    status = islands_walk_init(&self->walk, operation, &self->scopes, self->request->filter, error);
    return status == INS_OK ? INS_AGAIN : status;
}

/* *out_end: there is no other island, the answer is made. */
static ins_status query_island(struct points_query *self, bool *out_end, ins_error *error) {
    struct operation *operation = &self->operation;
    const struct filter *filter;
    const struct payload_path *path;
    if (islands_walk_lost(&self->walk)) {
        return names_absent(self->request->collection, error);
    }
    struct island *island = islands_walk_next(&self->walk, &filter, &path);
    ins_status status = INS_OK;
    *out_end = island == NULL;
    if (island != NULL) {
        status = reader_open(&self->reader, &operation->db->reading, island,
                             operation->db->reading.durable_lsn, &operation->pool,
                             &operation->waiter, error);
    }
    if (status == INS_OK && self->search.pool == NULL) {
        uint64_t bound = island == NULL ? 0 : UINT64_MAX;
        if (island != NULL && islands_walk_single(&self->walk)) {
            bound = reader_row_bound(&self->reader);
            self->walk.common_done = true; /* rows that come there now would not fit the bound */
        }
        status = search_begin(self, bound, error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (island == NULL) {
        return finish(self, error);
    }
    graph_queue_ask(island);
    self->search.graph_bytes_due =
        graph_bytes_due(operation->db, island_is_tenant(island), self->vector);
    self->search.graph_always = operation->db->options.graph_bytes_min != 0;
    self->search.codes_always = operation->db->options.scan_bytes_min != 0;
    search_begin_island(&self->search, &self->reader, filter, path);
    self->stage = QUERY_SCAN;
    return INS_OK;
}

/* Of large vectors fewer, so that a step takes as long. */
static uint64_t step_rows(const struct points_query *self) {
    uint64_t bytes = vector_bytes(&self->vector->shape);
    INS_ASSERT(bytes != 0);
    uint64_t rows = STEP_BYTES / bytes;
    return rows < STEP_ROWS ? rows : STEP_ROWS;
}

static ins_status query_step(struct operation *operation, ins_error *error) {
    struct points_query *self = container_of(operation, struct points_query, operation);
    ins_status status = INS_OK;
    uint64_t islands = 0;
    if (self->stage == QUERY_BEGIN) {
        status = query_begin(self, error);
        if (status == INS_OK && account_must_queue(operation)) {
            return INS_AGAIN;
        }
    }
    if (status == INS_OK && self->stage == QUERY_LOCATE) {
        status = query_locate(self, error);
    }
    if (status == INS_OK && self->stage == QUERY_VECTOR) {
        status = query_vector(self, error);
    }
    while (status == INS_OK) {
        bool done = false;
        if (self->stage == QUERY_ISLAND) {
            status = query_island(self, &done, error);
            if (status != INS_OK || done) {
                return status;
            }
        }
        uint64_t before = self->search.rows_scanned;
        status = search_step(&self->search, step_rows(self), &done, error);
        uint64_t rows = self->search.rows_scanned - before;
        account_charge_scan(operation, rows, rows * vector_bytes(&self->vector->shape));
        if (status != INS_OK) {
            return status;
        }
        if (done) {
            merge_note_search(operation->db, self->reader.island);
            reader_close(&self->reader);
            self->stage = QUERY_ISLAND;
        }
        islands += 64 + self->search.rows_scanned - before;
        if (islands >= step_rows(self)) {
            return INS_AGAIN; /* let others pass */
        }
    }
    return status;
}

void ins_points_query(ins_db *db, const void *points_request, ins_call *call) {
    struct points_query *self =
        operation_create(db, call, sizeof(*self), query_step, query_close, true);
    if (self != NULL) {
        self->request = points_request;
        operation_run(&self->operation);
    }
}
