#include "engine/layout_job.h"

#include "base/assert.h"
#include "base/status.h"
#include "engine/graph_job.h"
#include "engine/jobs.h"
#include "engine/work.h"
#include "segment/graphs.h"
#include "segment/row_stream.h"

#define ROW_SLICE 512u  /* rows that are read and coded before others get the lane: some 3 ms, */
#define LIST_SLICE 128u /* and whose neighbours are coded */
#define MEASURED_HITS 10u
#define MEASURED_EFFORT 208u /* of a search for ten that does not say (search_graph.c) */

enum layout_stage { LAYOUT_OPEN, LAYOUT_LINKS, LAYOUT_ROWS, LAYOUT_LISTS, LAYOUT_MEASURE };

struct layout_job {
    ins_task task;
    struct ins_db *db;
    struct island *island; /* pinned, as the file is */
    struct schema *schema; /* held */
    const struct schema_vector *vector;
    struct run run;
    struct layout_key key;
    ins_status status;
    ins_error error;
    _Atomic bool cancelled;
    struct work work; /* background lane, then request lane */
    /* Background lane. */
    enum layout_stage stage;
    struct row_stream *stream;
    struct graph_slots slots;
    uint32_t chunk, rows; /* of the links the next; values read */
    uint32_t count;
    float *values; /* [dim] of a row */
    struct fast_builder *builder;
    struct fast_graph *fast;
    struct fast_measure *measure;
};

/* ---- Background lane ---- */

static ins_status corrupt(struct layout_job *job, const char *what) {
    return ins_fail(&job->error, INS_CORRUPT, "file %llu, extent at %llu: %s",
                    (unsigned long long)job->key.file, (unsigned long long)job->key.offset, what);
}

/* A chunk of a section, verified, in a buffer of its own, which *out_bytes points into. */
static ins_status read_chunk(struct layout_job *job, uint32_t slot, uint32_t chunk,
                             uint8_t **out_buffer, size_t *out_size, struct slice *out_bytes) {
    struct ins_db *db = job->db;
    const struct extent *extent = row_stream_extent(job->stream);
    struct block_key key = extent_chunk(extent, slot, chunk);
    size_t size = key.size + 2 * (size_t)STORE_ALIGN;
    uint8_t *buffer = arena_alloc(db->arena, INS_MEM_JOB, size);
    if (buffer == NULL) {
        return ins_fail(&job->error, INS_FULL, "no memory to read %zu bytes of a graph", size);
    }
    const uint8_t *bytes = NULL;
    ins_status status =
        segment_read_block(db->runtime->store, NULL, &key, buffer, &bytes, &job->error);
    if (status != INS_OK) {
        arena_free(db->arena, INS_MEM_JOB, buffer, size);
        return status;
    }
    *out_buffer = buffer;
    *out_size = size;
    *out_bytes = (struct slice){.data = bytes, .size = key.size};
    return INS_OK;
}

static ins_status begin_builder(struct layout_job *job) {
    struct ins_db *db = job->db;
    struct graph_head head;
    enum row_type type;
    uint8_t *buffer = NULL;
    size_t size = 0;
    struct slice bytes = {0};
    ins_status status = read_chunk(job, job->slots.head, 0, &buffer, &size, &bytes);
    if (status != INS_OK) {
        return status;
    }
    if (graph_head_parse(bytes, job->vector->shape.dim, job->count, &head, &type)) {
        status =
            fast_build_begin(&head, type, db->arena, INS_MEM_CACHE, &job->builder, &job->error);
    } else {
        status = corrupt(job, "the head of a graph contradicts its values");
    }
    arena_free(db->arena, INS_MEM_JOB, buffer, size);
    return status;
}

static ins_status open_run(struct layout_job *job) {
    struct ins_db *db = job->db;
    const struct vector_shape *shape = &job->vector->shape;
    struct extent_vector vector;
    ins_status status =
        row_stream_open(db->runtime->store, db->arena, NULL, &job->run, job->key.file,
                        job->island->incarnation, shape, 1, &job->stream, &job->error);
    if (status != INS_OK) {
        return status;
    }
    const struct extent *extent = row_stream_extent(job->stream);
    if (!extent_vector(extent, shape->id, &vector) ||
        !extent_graph(extent, shape->id, &job->slots)) {
        return corrupt(job, "its graph is gone");
    }
    job->count = vector.count;
    job->values = arena_alloc(db->arena, INS_MEM_JOB, shape->dim * sizeof(float));
    if (job->values == NULL) {
        return ins_fail(&job->error, INS_FULL, "no memory for a row of %u numbers", shape->dim);
    }
    job->stage = LAYOUT_LINKS;
    return begin_builder(job);
}

static ins_status links_slice(struct layout_job *job) {
    const struct extent *extent = row_stream_extent(job->stream);
    struct section section = extent_slot_section(extent, job->slots.links);
    uint8_t *buffer = NULL;
    size_t size = 0;
    struct slice bytes = {0};
    ins_status status = read_chunk(job, job->slots.links, job->chunk++, &buffer, &size, &bytes);
    if (status != INS_OK) {
        return status;
    }
    fast_build_links(job->builder, bytes.data, (uint32_t)(bytes.size / LINKS_BYTES));
    arena_free(job->db->arena, INS_MEM_JOB, buffer, size);
    if (job->chunk == section.chunk_count) {
        job->stage = LAYOUT_ROWS;
        row_stream_rewind(job->stream, EXTENT_NEED_VECTOR, 0);
    }
    return INS_OK;
}

static ins_status rows_slice(struct layout_job *job) {
    ins_status status = INS_OK;
    bool end = false;
    for (uint32_t i = 0; i < ROW_SLICE && status == INS_OK && !end; i++) {
        struct extent_row row;
        status = row_stream_next(job->stream, &row, &end, &job->error);
        if (status != INS_OK || end || row.tombstone || row.vector == NULL) {
            continue;
        }
        if (job->rows == job->count) {
            return corrupt(job, "more values than rows of the graph");
        }
        graph_load_row(job->vector, row.vector, job->values);
        fast_build_row(job->builder, job->values);
        job->rows++;
    }
    if (status == INS_OK && end) {
        job->stage = LAYOUT_LISTS;
        status =
            job->rows == job->count ? INS_OK : corrupt(job, "fewer values than rows of the graph");
    }
    return status;
}

static ins_status lists_slice(struct layout_job *job) {
    if (!fast_build_step(job->builder, LIST_SLICE)) {
        return INS_OK;
    }
    job->fast = fast_build_take(job->builder);
    job->builder = NULL;
    job->stage = LAYOUT_MEASURE;
    return fast_measure_begin(job->fast, MEASURED_HITS, MEASURED_EFFORT, &job->measure,
                              &job->error);
}

static ins_status slice(struct layout_job *job, bool *out_done) {
    switch (job->stage) {
    case LAYOUT_OPEN:
        return open_run(job);
    case LAYOUT_LINKS:
        return links_slice(job);
    case LAYOUT_ROWS:
        return rows_slice(job);
    case LAYOUT_LISTS:
        return lists_slice(job);
    case LAYOUT_MEASURE:
        *out_done = fast_measure_step(job->measure);
        return INS_OK;
    }
    return INS_OK;
}

static void job_landed(ins_task *task);

static void job_run(ins_task *task) {
    struct layout_job *job = container_of(task, struct layout_job, task);
    struct ins_db *db = job->db;
    bool done = job->cancelled;
    if (!done) {
        work_begin(db, &job->work);
        job->status = slice(job, &done);
        work_end(db, &job->work);
    }
    if (!done && job->status == INS_OK) {
        db_run(db, INS_LANE_BACKGROUND, task);
        return;
    }
    fast_measure_free(job->measure);
    fast_build_free(job->builder);
    row_stream_close(job->stream);
    arena_free(db->arena, INS_MEM_JOB, job->values, job->vector->shape.dim * sizeof(float));
    job->task.run = job_landed;
    db_run(db, INS_LANE_REQUEST, &job->task);
}

/* ---- Landing (request lane) ---- */

/* Of the island's runs the key's; UINT32_MAX: it is gone. */
static uint32_t find_run(const struct ins_db *db, const struct island *island,
                         const struct layout_key *key) {
    if ((island->flags & ISLAND_DROPPED) != 0) {
        return UINT32_MAX;
    }
    for (uint32_t i = 0; i < island->run_count; i++) {
        const struct run *run = &island->runs[i];
        if (run->offset_64 * 64ull == key->offset &&
            files_at(&db->files, run->file_slot)->info.file == key->file) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void land(struct layout_job *job) {
    struct cache *cache = job->db->cache;
    enum layout_wish wish = job->vector->graph.layout;
    bool there = find_run(job->db, job->island, &job->key) != UINT32_MAX;
    if (there && job->status == INS_OK && !job->cancelled) {
        if (layouts_useful(job->fast, wish)) {
            job->status = layouts_add(cache, &job->key, wish, job->island->incarnation, job->fast,
                                      &job->error);
            return;
        }
        layouts_note_useless(cache, &job->key);
    } else {
        layouts_note_failed(cache, &job->key);
    }
    fast_graph_free(job->fast);
}

static void job_landed(ins_task *task) {
    struct layout_job *job = container_of(task, struct layout_job, task);
    struct ins_db *db = job->db;
    work_charge(db, &job->work, job->island, 1, 1, 0);
    land(job);
    files_unpin(&db->files, job->run.file_slot);
    schema_release(&db->catalog, job->schema);
    db->layout_job = NULL;
    island_unpin(&db->islands, job->island);
    arena_free(db->arena, INS_MEM_JOB, job, sizeof(*job));
    jobs_kick(db);
}

/* ---- Beginning (request lane) ---- */

static bool may_begin(const struct ins_db *db) {
    return db->layout_job == NULL && !db->stopping && !db->tidy.erasing;
}

void layout_wanted(void *context, struct island *island, const struct layout_key *key) {
    struct ins_db *db = context;
    uint32_t at = may_begin(db) ? find_run(db, island, key) : UINT32_MAX;
    struct schema *schema = island->scope->schema;
    const struct schema_vector *vector =
        at == UINT32_MAX ? NULL : schema_vector_of(schema, key->vector);
    if (vector == NULL) {
        return;
    }
    enum row_type type = vector->shape.datatype == INS_UINT8 ? ROW_U8 : ROW_REST;
    uint64_t bytes = fast_build_bytes(vector->shape.dim, type, island->runs[at].rows);
    if (!layouts_make_room(db->cache, key, vector->graph.layout, bytes)) {
        return;
    }
    struct layout_job *job = arena_alloc_zero(db->arena, INS_MEM_JOB, sizeof(*job));
    if (job == NULL) {
        return;
    }
    job->db = db;
    job->island = island;
    job->schema = schema_hold(schema);
    job->vector = vector;
    job->run = island->runs[at];
    job->key = *key;
    island_pin(island);
    files_at(&db->files, job->run.file_slot)->pins++;
    job->task.run = job_run;
    db->layout_job = job;
    db_run(db, INS_LANE_BACKGROUND, &job->task);
}

static bool run_is_gone(void *context, uint64_t incarnation, const struct layout_key *key) {
    const struct ins_db *db = context;
    const struct island *island = islands_find(&db->islands, incarnation);
    return island == NULL || find_run(db, island, key) == UINT32_MAX;
}

void layout_job_kick(struct ins_db *db) {
    if (db->layout_job != NULL && (db->stopping || db->tidy.erasing)) {
        db->layout_job->cancelled = true;
    }
    if (db->layouts_looked != db->islands.runs_gone) {
        db->layouts_looked = db->islands.runs_gone;
        layouts_forget(db->cache, run_is_gone, db);
    }
}
