#include "engine/graph_job.h"

#include <math.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/directory_view.h"
#include "engine/field_columns.h"
#include "engine/heritage.h"
#include "engine/jobs.h"
#include "engine/merge_private.h"
#include "engine/work.h"
#include "segment/graphs.h"

#define READ_SLICE 4096u /* rows that are read before others get the lane: some 2 ms */
#define BUILD_SLICE 32u  /* insertions: some 3 ms */
#define HALF_LEAST 1e-3f /* rows whose largest number lies between these lose little as halves */
#define HALF_MOST 3e4f

enum graph_stage { GRAPH_OPEN, GRAPH_MEASURE, GRAPH_LOAD, GRAPH_INHERIT, GRAPH_BUILD, GRAPH_WRITE };

struct graph_job {
    ins_task task;
    struct ins_db *db;
    struct merge_item item; /* its only window is the run */
    struct run run;
    enum graph_wish wish;
    bool tenant; /* of the island */
    uint64_t lent;
    ins_status status;
    ins_error error;
    bool failed; /* of writing: for good */
    _Atomic bool cancelled;
    struct work work; /* background lane, then request lane */
    /* Background lane. */
    enum graph_stage stage;
    bool late; /* the run lacks field indexes of the schema */
    struct read_ahead ahead;
    struct merge_rows rows;
    uint32_t vector; /* of rows.shapes, whose graph is made */
    float *values;   /* [dim] of a row */
    float most;      /* largest absolute value of the vector's rows */
    uint32_t count, loaded;
    struct heritage heritage;
    struct graph_builder *builder;
    uint32_t inherited; /* graphs that began with an elder's links */
    struct graph *built[INS_VECTORS_MAX];
    struct extent_graph graphs[INS_VECTORS_MAX]; /* the same for the writer */
    uint32_t graph_count;
    struct segment_info info;
};

/* ---- Background lane: reading ---- */

static const struct schema_vector *vector_of(const struct graph_job *job) {
    return schema_vector_of(job->item.schema, job->rows.shapes[job->vector].id);
}

static struct graph_options options_of(const struct schema_vector *vector, float most) {
    struct graph_options options = {.dim = vector->shape.dim,
                                    .metric =
                                        vector->distance == INS_DISTANCE_DOT ? INDEX_DOT : INDEX_L2,
                                    .type = ROW_F16,
                                    .build_effort = vector->graph.effort};
    if (vector->shape.datatype == INS_UINT8 && vector->distance != INS_DISTANCE_COSINE) {
        options.type = ROW_U8;
    } else if (most < HALF_LEAST || most > HALF_MOST) {
        options.type = ROW_F32;
    }
    return options;
}

/* Values whose size nobody knows before they are read. */
static bool is_measured(const struct schema_vector *vector) {
    return vector->shape.datatype == INS_FLOAT32 && vector->distance != INS_DISTANCE_COSINE;
}

void graph_load_row(const struct schema_vector *vector, const void *stored, float *out) {
    vector_load(&vector->shape, stored, out);
    if (vector->distance == INS_DISTANCE_COSINE && vector->shape.datatype == INS_UINT8) {
        kernel_normalize_f32(out, vector->shape.dim, out);
    }
}

static void take_row(struct graph_job *job, const struct schema_vector *vector,
                     const struct extent_row *row) {
    graph_load_row(vector, row->vector, job->values);
    if (job->stage == GRAPH_LOAD) {
        graph_build_add(job->builder, job->values);
        heritage_row(&job->heritage, &row->id, row->vector, job->loaded++);
        return;
    }
    for (uint32_t i = 0; i < vector->shape.dim; i++) {
        float value = fabsf(job->values[i]);
        job->most = value > job->most ? value : job->most;
    }
}

/* Of the pass over the vector's rows the next slice. */
static ins_status read_slice(struct graph_job *job, bool *out_end) {
    const struct schema_vector *vector = vector_of(job);
    ins_status status = INS_OK;
    *out_end = false;
    for (uint32_t i = 0; i < READ_SLICE && status == INS_OK && !*out_end; i++) {
        struct extent_row row;
        status = merge_rows_next(&job->rows, &row, out_end, &job->error);
        if (status == INS_OK && !*out_end && !row.tombstone && row.vector != NULL) {
            take_row(job, vector, &row);
        }
    }
    return status;
}

static ins_status begin_pass(struct graph_job *job, enum graph_stage stage) {
    job->stage = stage;
    return merge_rows_rewind(&job->rows, EXTENT_NEED_VECTOR, job->vector, &job->error);
}

static void free_values(struct graph_job *job, const struct schema_vector *vector) {
    arena_free(job->db->arena, INS_MEM_GRAPH, job->values, vector->shape.dim * sizeof(float));
    job->values = NULL;
}

/* ---- Background lane: one vector after the other ---- */

static ins_status open_rows(struct graph_job *job) {
    const struct merge_item *item = &job->item;
    ins_status status = merge_rows_open(&job->rows, item, item->window, &job->error);
    job->rows.keep_tombstones = true; /* the run stays what it is */
    return status;
}

static void open_heritage(struct graph_job *job) {
    heritage_open(&job->heritage, job->db->runtime->store, job->db->arena, job->item.incarnation,
                  job->rows.shapes, job->rows.shape_count);
}

/* Rows of the run that have the vector. */
static uint32_t count_of(const struct graph_job *job, const struct schema_vector *vector) {
    struct extent_vector values;
    const struct extent *extent = row_stream_extent(job->rows.inputs[0].stream);
    return extent_vector(extent, vector->shape.id, &values) ? values.count : 0;
}

/* Finds the next vector that is to have a graph, from job->vector on. */
static ins_status begin_vector(struct graph_job *job) {
    struct ins_db *db = job->db;
    for (; job->vector < job->rows.shape_count; job->vector++) {
        const struct schema_vector *vector = vector_of(job);
        job->count = count_of(job, vector);
        if (!graph_is_due(db, job->tenant, vector, job->count)) {
            continue;
        }
        job->most = 1;
        job->values = arena_alloc(db->arena, INS_MEM_GRAPH, vector->shape.dim * sizeof(float));
        if (job->values == NULL) {
            return ins_fail(&job->error, INS_FULL, "no memory for a row of %u numbers",
                            vector->shape.dim);
        }
        if (is_measured(vector)) {
            job->most = 0;
            return begin_pass(job, GRAPH_MEASURE);
        }
        job->stage = GRAPH_MEASURE;
        return INS_OK;
    }
    job->stage = GRAPH_WRITE;
    merge_rows_close(&job->rows);
    heritage_close(&job->heritage);
    return INS_OK;
}

static ins_status begin_load(struct graph_job *job) {
    struct graph_options options = options_of(vector_of(job), job->most);
    options.seed = job->item.incarnation * 0x9e3779b97f4a7c15ull + job->rows.version_high;
    ins_status status = graph_build_begin(&options, job->count, job->db->arena, INS_MEM_GRAPH,
                                          &job->builder, &job->error);
    if (status != INS_OK) {
        return status;
    }
    heritage_begin(&job->heritage, job->rows.shapes, job->vector, &options);
    job->loaded = 0;
    return begin_pass(job, GRAPH_LOAD);
}

static void end_inheriting(struct graph_job *job) {
    struct graph_elder *elder = heritage_take(&job->heritage);
    if (elder != NULL) {
        job->inherited += graph_elder_worth(elder, job->count);
        graph_build_elder(job->builder, elder);
    }
    job->stage = GRAPH_BUILD;
}

static ins_status end_vector(struct graph_job *job) {
    struct graph *graph = graph_build_take(job->builder);
    job->builder = NULL;
    graph_drop_rows(graph);
    job->built[job->graph_count] = graph;
    job->graphs[job->graph_count++] = (struct extent_graph){.vector = job->vector, .graph = graph};
    free_values(job, vector_of(job));
    job->vector++;
    return begin_vector(job);
}

/* ---- Background lane: writing ---- */

static ins_status write_run(struct graph_job *job, struct segment_writer *writer,
                            struct field_columns *columns) {
    struct merge_item *item = &job->item;
    ins_status status = open_rows(job);
    if (status != INS_OK) {
        return status;
    }
    struct extent_source source = merge_rows_source(&job->rows, columns);
    source.graphs = job->graphs;
    source.graph_count = job->graph_count;
    return segment_writer_extent(writer, &source, &item->merged, &job->error);
}

static ins_status write_file(struct graph_job *job) {
    struct ins_db *db = job->db;
    struct segment_writer *writer;
    struct field_columns columns;
    uint8_t random_id[16];
    uint64_t file = manifest_next_file(db, random_id);
    ins_status status =
        segment_writer_begin(db->runtime->store, db->arena, file, random_id, &writer, &job->error);
    if (status != INS_OK) {
        return status;
    }
    field_columns_init(&columns, db->arena);
    status = write_run(job, writer, &columns);
    merge_rows_close(&job->rows);
    field_columns_fini(&columns);
    if (status != INS_OK) {
        segment_writer_abort(writer);
        return status;
    }
    status = segment_writer_commit(writer, &job->info, &job->error);
    if (status == INS_OK) {
        status = manifest_land(db, &job->info, NULL, 0, 0, 0, &job->error);
        job->failed = status != INS_OK; /* it may name the file or not */
    }
    return status;
}

/* Of a look: nothing more is to be done. */
static ins_status look(struct graph_job *job) {
    const struct extent *extent = row_stream_extent(job->rows.inputs[0].stream);
    struct ins_db *db = job->db;
    struct field_columns columns;
    field_columns_init(&columns, db->arena);
    field_columns_of(&columns, job->item.schema);
    ins_status status = extent_lacks_columns(db->runtime->store, db->arena, extent, columns.tables,
                                             columns.table_count, &job->late, &job->error);
    field_columns_fini(&columns);
    return status;
}

static void free_graphs(struct graph_job *job) {
    for (uint32_t i = 0; i < job->graph_count; i++) {
        graph_free(job->built[i]);
    }
    job->graph_count = 0;
}

/* ---- Landing (request lane) ---- */

static ins_status land(struct graph_job *job) {
    struct ins_db *db = job->db;
    struct merge_item *item = &job->item;
    uint32_t slot, at = elders_find_run(item->island, &job->run);
    directory_views_close(db);
    ins_status status = files_add(&db->files, &job->info, &slot, &job->error);
    if (status != INS_OK) {
        return status;
    }
    files_at(&db->files, slot)->extent_bytes += run_bytes(&item->merged);
    if (at != UINT32_MAX) {
        item->merged.file_slot = slot;
        if (item->schema == item->island->scope->schema) {
            item->merged.flags |= RUN_INDEXED;
        }
        island_replace_runs(&db->islands, item->island, at, 1, &item->merged);
        db->graphs.built += (item->merged.flags & RUN_GRAPH) != 0;
        db->graphs.renewed += job->wish == GRAPH_RENEW;
        db->graphs.inherited += job->inherited;
    }
    db->files.garbage = true;
    return INS_OK;
}

/* The run stays as it is: what is known of it. A merge makes another run, which is tried. */
static void note_outcome(struct graph_job *job, struct run *run) {
    struct ins_db *db = job->db;
    if (job->wish == GRAPH_LOOK && job->status == INS_OK) {
        run->flags |= job->late ? RUN_LATE : RUN_INDEXED;
        return;
    }
    run->flags |= job->wish == GRAPH_MAKE ? RUN_NO_GRAPH : RUN_NO_RENEW;
    db->graphs.refused += job->status != INS_OK;
}

static void job_landed(ins_task *task) {
    struct graph_job *job = container_of(task, struct graph_job, task);
    struct ins_db *db = job->db;
    struct island *island = job->item.island;
    uint32_t at = elders_find_run(island, &job->run);
    bool written = job->status == INS_OK && job->info.file != 0;
    work_charge(db, &job->work, island, 1, 1, written ? run_bytes(&job->item.merged) : 0);
    if (written) {
        job->status = land(job);
        job->failed = job->status != INS_OK;
    } else if (at != UINT32_MAX && !job->cancelled) {
        note_outcome(job, &island->runs[at]);
    }
    if (job->failed) {
        jobs_failed(db, "writing a graph", &job->error);
    }
    cache_take_back(db->cache, job->lent);
    files_unpin(&db->files, job->run.file_slot);
    if (job->heritage.run.size_64 != 0) {
        files_unpin(&db->files, job->heritage.run.file_slot);
    }
    schema_release(&db->catalog, job->item.schema);
    island->runs_held = 0;
    db->graph_job = NULL;
    graph_want_denied(db);
    merge_want(db, island, MERGE_NONE); /* what it would not look at before */
    tidy_want(db);
    graph_want(db, island);
    island_unpin(&db->islands, island);
    arena_free(db->arena, INS_MEM_JOB, job, sizeof(*job));
    jobs_kick(db);
}

/* ---- Background lane: slices ---- */

/* *out_done: nothing is left to do. */
static ins_status job_slice(struct graph_job *job, bool *out_done) {
    ins_status status = INS_OK;
    bool end = false;
    switch (job->stage) {
    case GRAPH_OPEN:
        status = open_rows(job);
        if (status != INS_OK) {
            return status;
        }
        if (job->wish != GRAPH_LOOK) {
            open_heritage(job);
            return begin_vector(job);
        }
        *out_done = true;
        return look(job);
    case GRAPH_MEASURE:
        if (is_measured(vector_of(job))) {
            status = read_slice(job, &end);
        } else {
            end = true;
        }
        return status == INS_OK && end ? begin_load(job) : status;
    case GRAPH_LOAD:
        status = read_slice(job, &end);
        job->stage = end ? GRAPH_INHERIT : GRAPH_LOAD;
        return status;
    case GRAPH_INHERIT:
        if (heritage_links(&job->heritage, READ_SLICE)) {
            end_inheriting(job);
        }
        return INS_OK;
    case GRAPH_BUILD:
        return graph_build_step(job->builder, BUILD_SLICE) ? end_vector(job) : INS_OK;
    case GRAPH_WRITE:
        *out_done = true;
        return job->graph_count > 0 || job->wish == GRAPH_RENEW ? write_file(job) : INS_OK;
    }
    return status;
}

static void job_run(ins_task *task) {
    struct graph_job *job = container_of(task, struct graph_job, task);
    struct ins_db *db = job->db;
    bool done = job->cancelled;
    if (!done) {
        work_begin(db, &job->work);
        job->status = job_slice(job, &done);
        work_end(db, &job->work);
    }
    if (!done && job->status == INS_OK) {
        db_run(db, INS_LANE_BACKGROUND, task);
        return;
    }
    if (job->values != NULL) {
        free_values(job, vector_of(job));
    }
    merge_rows_close(&job->rows);
    heritage_close(&job->heritage);
    graph_build_free(job->builder);
    free_graphs(job);
    read_ahead_fini(&job->ahead);
    job->task.run = job_landed;
    db_run(db, INS_LANE_REQUEST, &job->task);
}

/* ---- Beginning (request lane) ---- */

/* What building takes at most, were all vectors' graphs in memory at once. */
static uint64_t bytes_wanted(const struct ins_db *db, const struct island *island,
                             const struct run *run) {
    const struct schema *schema = island->scope->schema;
    const struct run *elder = elders_of(db, island, run);
    uint64_t bytes = 1 * INS_MIB + (elder == NULL ? 0 : graph_elder_bytes(elder->rows));
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        const struct schema_vector *vector = &schema->vectors[i];
        if (graph_is_due(db, island_is_tenant(island), vector, run->rows)) {
            struct graph_options options = options_of(vector, is_measured(vector) ? 0 : 1);
            bytes += graph_build_bytes(&options, run->rows);
        }
    }
    return bytes + bytes / 16; /* tables of blocks, and what the last block of each wastes */
}

static void job_start(struct ins_db *db, struct island *island, uint32_t at, uint64_t lent) {
    struct graph_job *job = arena_alloc_zero(db->arena, INS_MEM_JOB, sizeof(*job));
    if (job == NULL) {
        cache_take_back(db->cache, lent);
        island_unpin(&db->islands, island);
        return;
    }
    job->db = db;
    job->lent = lent;
    struct merge_item *item = &job->item;
    item->island = island;
    item->scope = island->scope->key;
    item->incarnation = island->incarnation;
    item->schema = schema_hold(island->scope->schema);
    job->run = island->runs[at];
    job->wish = graph_wish_of(db, island, &job->run);
    job->tenant = island_is_tenant(island);
    item->window = (struct merge_window){.first = at, .count = 1};
    item->runs[at] = job->run;
    struct file_slot *file = files_at(&db->files, job->run.file_slot);
    item->files[at] = file->info.file;
    file->pins++;
    const struct run *elder = elders_of(db, island, &job->run);
    if (elder != NULL && job->wish != GRAPH_LOOK) {
        struct file_slot *kept = files_at(&db->files, elder->file_slot);
        job->heritage.run = *elder;
        job->heritage.file = kept->info.file;
        kept->pins++;
    }
    island->runs_held = (uint8_t)(at + 1);
    read_ahead_init(&job->ahead, db->runtime->store, db->arena);
    job->rows = (struct merge_rows){.db = db, .ahead = &job->ahead};
    job->task.run = job_run;
    db->graph_job = job;
    db_run(db, INS_LANE_BACKGROUND, &job->task);
}

/* True when a job began; else the island is let go, unless it must wait for its merge. */
static bool try_island(struct ins_db *db, struct island *island) {
    uint32_t at = (island->flags & ISLAND_DROPPED) != 0 ? UINT32_MAX : graph_choose_run(db, island);
    if (at == UINT32_MAX || at + 1 > INS_RUNS_MERGE || (island->flags & ISLAND_MERGING) != 0) {
        /* A merge under way, or one that many runs will bring, looks at it again. */
        island_unpin(&db->islands, island);
        return false;
    }
    enum graph_wish wish = graph_wish_of(db, island, &island->runs[at]);
    uint64_t bytes = wish == GRAPH_LOOK ? 0 : bytes_wanted(db, island, &island->runs[at]);
    if (!cache_lend(db->cache, bytes)) {
        island->runs[at].flags |= wish == GRAPH_MAKE ? RUN_NO_GRAPH : RUN_NO_RENEW;
        db->graphs.refused++;
        graph_note_denied(db, island, &island->runs[at], bytes);
        graph_want(db, island);
        island_unpin(&db->islands, island);
        return false;
    }
    job_start(db, island, at, bytes);
    return db->graph_job != NULL;
}

void graph_job_cancel(struct ins_db *db) {
    if (db->graph_job != NULL) {
        db->graph_job->cancelled = true;
    }
}

void graph_job_kick(struct ins_db *db) {
    bool stop = db->stopping || db->writes_stopped || db->tidy.erasing;
    elders_sweep(db);
    if (stop) {
        graph_job_cancel(db);
        elders_drop_all(db);
    }
    while (db->graph_job == NULL && !stop && db_schemas_durable(db) &&
           db->graph_queue.first != NULL) {
        if (try_island(db, graph_queue_take(&db->graph_queue))) {
            return;
        }
    }
}
