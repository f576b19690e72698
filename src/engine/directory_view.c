#include "engine/directory_view.h"

/* Pinned blocks of filters and entries that a view may keep between two look-ups: a share of the
 * cache that reads can do without. */
#define KEPT_SHARE 64u

struct directory_view {
    struct reader reader;
};

static struct directory_view *view_of(const struct ins_db *db, const struct scope *scope) {
    for (uint32_t i = 0; i < DIRECTORY_VIEWS; i++) {
        struct directory_view *view = db->directory_views[i];
        if (view != NULL && view->reader.open && view->reader.island == scope->directory) {
            return view;
        }
    }
    return NULL;
}

/* False when the active memtable got its first row of this directory after the view was opened. */
static bool is_current(const struct ins_db *db, const struct directory_view *view) {
    const struct read_context *reading = &db->reading;
    return view->reader.mem[0] == view->reader.island->mem[reading->active_slot];
}

static ins_status view_open(struct ins_db *db, const struct scope *scope,
                            struct directory_view **out_view, ins_error *error) {
    struct directory_view *view = view_of(db, scope);
    if (view == NULL) {
        struct directory_view **place =
            &db->directory_views[db->directory_view_next++ % DIRECTORY_VIEWS];
        if (*place == NULL) {
            *place = arena_alloc_zero(db->arena, INS_MEM_QUERY, sizeof(*view));
        }
        view = *place;
        if (view == NULL) {
            return INS_AGAIN;
        }
    }
    struct pool like;
    pool_init(&like, db->arena, INS_MEM_QUERY, db->operation_bytes_max);
    reader_close(&view->reader);
    *out_view = view;
    return reader_open(&view->reader, &db->reading, scope->directory, UINT64_MAX, &like, NULL,
                       error);
}

static void trim(struct ins_db *db, struct reader *reader) {
    static const enum section_kind kinds[] = {SECTION_FILTER, SECTION_DIRECTORY};
    struct arena_usage usage;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < reader->run_count; i++) {
        for (int k = 0; k < 2; k++) {
            bytes += (uint64_t)reader->runs[i].sections[kinds[k]].pinned *
                     reader->runs[i].extent.sections[kinds[k]].chunk_bytes;
        }
    }
    arena_get_usage(db->arena, &usage);
    if (bytes <= usage.purpose_limit[INS_MEM_CACHE] / KEPT_SHARE) {
        return;
    }
    for (uint32_t i = 0; i < reader->run_count; i++) {
        for (int k = 0; k < 2; k++) {
            reader_release_chunks(reader, i, kinds[k], UINT32_MAX);
        }
    }
}

void directory_view_prefetch(const struct ins_db *db, const struct scope *scope, const ins_id *id) {
    const struct directory_view *view = view_of(db, scope);
    if (view != NULL) {
        directory_prefetch(&view->reader, id);
    }
}

ins_status directory_view_find(struct ins_db *db, const struct scope *scope, const ins_id *id,
                               uint64_t *out_incarnation, ins_error *error) {
    struct directory_view *view = view_of(db, scope);
    if (view == NULL || !is_current(db, view)) {
        ins_status status = view_open(db, scope, &view, error);
        if (status != INS_OK) {
            return status;
        }
    }
    ins_status status = directory_find(&view->reader, id, out_incarnation, error);
    if (++db->directory_finds % DIRECTORY_TRIM_EVERY == 0) {
        trim(db, &view->reader);
    }
    return status;
}

void directory_views_close(struct ins_db *db) {
    for (uint32_t i = 0; i < DIRECTORY_VIEWS; i++) {
        if (db->directory_views[i] != NULL) {
            reader_close(&db->directory_views[i]->reader);
        }
    }
}

void directory_views_free(struct ins_db *db) {
    directory_views_close(db);
    for (uint32_t i = 0; i < DIRECTORY_VIEWS; i++) {
        if (db->directory_views[i] != NULL) {
            arena_free(db->arena, INS_MEM_QUERY, db->directory_views[i],
                       sizeof(struct directory_view));
            db->directory_views[i] = NULL;
        }
    }
}
