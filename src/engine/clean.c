#include "engine/clean.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/directory_view.h"
#include "engine/flush.h"
#include "engine/jobs.h"
#include "segment/extent_copy.h"

#define CLEAN_FILES_MAX 8u /* of one job: their remains become one file */
#define CLEAN_SHARE 2u     /* copies at most a generation's bytes over that: half a flush's work */
#define CLEAN_FILE_PERCENT 90u   /* a file of which more lives is worth no copy but for erasure */
#define CLEAN_EXTENTS_MAX 32768u /* listed in one job: 3 MiB */
#define CLEAN_SLICE 2000u        /* of them looked up in one step: some 200 us */

struct clean_item {
    struct run_entry entry;
    uint32_t victim, index; /* in the victim's directory */
    struct run copied;
};

struct victim {
    uint32_t slot;
    struct segment_info info;
    uint32_t begin, end; /* directory entries of this job; the next job goes on at `end` */
    bool whole;          /* there are none behind `end` */
};

struct clean {
    ins_task task;
    struct ins_db *db;
    struct pool pool;
    struct victim victims[CLEAN_FILES_MAX];
    uint32_t victim_count;
    struct clean_item **items; /* [CLEAN_EXTENTS_MAX] */
    uint32_t item_count;
    uint32_t looked_up, kept; /* the request lane's look over the items */
    uint64_t kept_bytes;
    uint32_t entry_index;     /* while a directory is read */
    uint32_t reading;         /* the victim whose directory it is */
    struct segment_info info; /* file 0: nothing lived */
    bool landing;             /* the manifest may name the file */
    ins_status status;
    ins_error error;
};

static void clean_end(struct clean *clean) {
    struct ins_db *db = clean->db;
    if (clean->status != INS_OK &&
        (clean->landing || !jobs_put_off(db, clean->status, &clean->error))) {
        jobs_failed(db, "cleaning files", &clean->error);
    }
    for (uint32_t i = 0; i < clean->victim_count; i++) {
        files_at(&db->files, clean->victims[i].slot)->cleaning = false;
        files_unpin(&db->files, clean->victims[i].slot);
    }
    pool_fini(&clean->pool);
    db->clean = NULL;
    db->clean_turn = false;
    arena_free(db->arena, INS_MEM_JOB, clean, sizeof(*clean));
    jobs_kick(db);
}

/* The run that the item's extent is; NULL: it is garbage. */
static struct run *live_run(const struct clean *clean, const struct clean_item *item,
                            struct island **out_island) {
    struct island *island = islands_find(&clean->db->islands, item->entry.incarnation);
    uint32_t slot = clean->victims[item->victim].slot;
    for (uint32_t i = 0; island != NULL && i < island->run_count; i++) {
        struct run *run = &island->runs[i];
        if (run->file_slot == slot && run->offset_64 == item->entry.run.offset_64 &&
            run->size_64 == item->entry.run.size_64) {
            *out_island = island;
            return run;
        }
    }
    return NULL;
}

/* ---- Landing (request lane) ---- */

static void note_progress(struct clean *clean) {
    for (uint32_t i = 0; i < clean->victim_count; i++) {
        struct victim *victim = &clean->victims[i];
        struct file_slot *file = files_at(&clean->db->files, victim->slot);
        file->clean_next = victim->whole ? 0 : victim->end;
    }
    clean->db->files.dropped_runs = true; /* look again */
}

static ins_status land(struct clean *clean) {
    struct ins_db *db = clean->db;
    uint32_t slot;
    if (clean->info.file == 0) {
        return INS_OK;
    }
    directory_views_close(db);
    ins_status status = files_add(&db->files, &clean->info, &slot, &clean->error);
    for (uint32_t i = 0; i < clean->kept && status == INS_OK; i++) {
        struct clean_item *item = clean->items[i];
        struct island *island;
        struct run *run = live_run(clean, item, &island);
        files_at(&db->files, slot)->extent_bytes += run_bytes(&item->copied);
        if (run != NULL) {
            item->copied.file_slot = slot;
            item->copied.flags |= run->flags & RUN_NOTED;
            island_replace_runs(&db->islands, island, (uint32_t)(run - island->runs), 1,
                                &item->copied);
        }
    }
    db->clean_count++;
    db->clean_bytes += clean->info.size_bytes;
    db->files.garbage = true;
    return status;
}

static void clean_landed(ins_task *task) {
    struct clean *clean = container_of(task, struct clean, task);
    if (clean->status == INS_OK) {
        clean->status = land(clean);
    }
    if (clean->status == INS_OK) {
        note_progress(clean);
    }
    clean_end(clean);
}

/* ---- Copying (background lane) ---- */

static int order_items(const void *left, const void *right) {
    const struct run_entry *a = &(*(struct clean_item *const *)left)->entry;
    const struct run_entry *b = &(*(struct clean_item *const *)right)->entry;
    if (a->scope != b->scope) {
        return a->scope < b->scope ? -1 : 1;
    }
    if (a->incarnation != b->incarnation) {
        return a->incarnation < b->incarnation ? -1 : 1;
    }
    return (a->version_high > b->version_high) - (a->version_high < b->version_high);
}

static void yield(void *context) {
    flush_yield(context);
}

static ins_status copy_items(struct clean *clean, struct extent_copy *copy,
                             struct segment_writer *writer, ins_error *error) {
    for (uint32_t i = 0; i < clean->kept; i++) {
        struct clean_item *item = clean->items[i];
        clean->db->room.other_done = (uint32_t)(1000ull * i / clean->kept);
        yield(clean->db);
        ins_status status =
            extent_copy(copy, writer, &item->entry, clean->victims[item->victim].info.file,
                        &item->copied, error);
        if (status != INS_OK) {
            segment_writer_abort(writer);
            return status;
        }
    }
    return segment_writer_commit(writer, &clean->info, error);
}

static ins_status write_file(struct clean *clean, ins_error *error) {
    struct ins_db *db = clean->db;
    uint8_t random_id[16];
    struct read_ahead ahead;
    struct extent_copy copy;
    struct segment_writer *writer;
    read_ahead_init(&ahead, db->runtime->store, db->arena);
    ins_status status = extent_copy_init(&copy, db->runtime->store, db->arena, &ahead, error);
    copy.between = yield;
    copy.context = db;
    if (status == INS_OK) {
        uint64_t file = manifest_next_file(db, random_id);
        status =
            segment_writer_begin(db->runtime->store, db->arena, file, random_id, &writer, error);
    }
    if (status == INS_OK) {
        status = copy_items(clean, &copy, writer, error);
    }
    extent_copy_fini(&copy);
    read_ahead_fini(&ahead);
    clean->landing = status == INS_OK;
    return status == INS_OK ? manifest_land(db, &clean->info, NULL, 0, 0, 0, error) : status;
}

static void copy_run(ins_task *task) {
    struct clean *clean = container_of(task, struct clean, task);
    qsort(clean->items, clean->kept, sizeof(*clean->items), order_items);
    clean->status = write_file(clean, &clean->error);
    clean->task.run = clean_landed;
    db_run(clean->db, INS_LANE_REQUEST, &clean->task);
}

/* ---- What lives (request lane) ---- */

/* The rest of what was listed is for the next job: victims end there. */
static void cut_list(struct clean *clean, const struct clean_item *first_left) {
    struct victim *victim = &clean->victims[first_left->victim];
    victim->end = first_left->index;
    victim->whole = false;
    for (uint32_t i = first_left->victim + 1; i < clean->victim_count; i++) {
        clean->victims[i].end = clean->victims[i].begin;
        clean->victims[i].whole = false;
    }
    clean->item_count = clean->looked_up;
}

static void look_up(ins_task *task) {
    struct clean *clean = container_of(task, struct clean, task);
    struct ins_db *db = clean->db;
    uint32_t stop = clean->looked_up + CLEAN_SLICE;
    for (; clean->looked_up < clean->item_count && clean->looked_up < stop; clean->looked_up++) {
        struct clean_item *item = clean->items[clean->looked_up];
        struct island *island;
        if (live_run(clean, item, &island) == NULL) {
            continue;
        }
        if (clean->kept_bytes >= db->generation_bytes / CLEAN_SHARE) {
            cut_list(clean, item);
            break;
        }
        clean->kept_bytes += run_bytes(&item->entry.run);
        clean->items[clean->kept++] = item;
    }
    if (clean->status != INS_OK || (clean->looked_up >= clean->item_count && clean->kept == 0)) {
        clean_landed(task);
        return;
    }
    if (clean->looked_up < clean->item_count) {
        db_run(db, INS_LANE_REQUEST, task);
        return;
    }
    clean->task.run = copy_run;
    db_run(db, INS_LANE_BACKGROUND, task);
}

/* ---- Listing (background lane) ---- */

static ins_status list_entry(void *context, const struct run_entry *entry, ins_error *error) {
    struct clean *clean = context;
    struct victim *victim = &clean->victims[clean->reading];
    uint32_t index = clean->entry_index++;
    if (index < victim->begin) {
        return INS_OK;
    }
    if (clean->item_count == CLEAN_EXTENTS_MAX) {
        victim->whole = false;
        return INS_OK;
    }
    struct clean_item *item = pool_alloc(&clean->pool, sizeof(*item));
    if (item == NULL) {
        return ins_fail(error, INS_FULL, "no memory to list the extents of a file");
    }
    *item = (struct clean_item){.entry = *entry, .victim = clean->reading, .index = index};
    clean->items[clean->item_count++] = item;
    victim->end = index + 1;
    return INS_OK;
}

static void list_run(ins_task *task) {
    struct clean *clean = container_of(task, struct clean, task);
    struct ins_db *db = clean->db;
    for (uint32_t i = 0; i < clean->victim_count && clean->status == INS_OK; i++) {
        struct victim *victim = &clean->victims[i];
        clean->reading = i;
        clean->entry_index = 0;
        victim->end = victim->begin;
        victim->whole = true;
        clean->status = segment_read_directory(db->runtime->store, db->arena, &victim->info,
                                               list_entry, clean, &clean->error);
    }
    clean->task.run = look_up;
    db_run(db, INS_LANE_REQUEST, &clean->task);
}

/* ---- Choosing (request lane) ---- */

/* Most dead bytes for each one that is copied. */
static bool emptier(const struct file_slot *a, const struct file_slot *b) {
    double left = (double)a->live_bytes / (double)a->extent_bytes;
    return left * (double)b->extent_bytes < (double)b->live_bytes;
}

static bool due(const struct ins_db *db, const struct file_slot *file) {
    bool erase = db->clean_total == CLEAN_TOTAL_ERASE;
    if (erase && file->info.file > db->tidy.last_file) {
        return false; /* so that a pass ends although there are writes */
    }
    /* Without runs it is removed as it is. */
    return file->used && !file->removing && !file->cleaning && file->runs > 0 &&
           100 * file->live_bytes < (erase ? 100 : CLEAN_FILE_PERCENT) * file->extent_bytes;
}

static void choose(struct clean *clean) {
    struct ins_db *db = clean->db;
    uint64_t bytes = 0;
    while (clean->victim_count < CLEAN_FILES_MAX && bytes < db->generation_bytes / CLEAN_SHARE) {
        uint32_t best = UINT32_MAX;
        for (uint32_t slot = 0; slot < db->files.slot_count; slot++) {
            const struct file_slot *file = files_at(&db->files, slot);
            if (due(db, file) &&
                (best == UINT32_MAX || emptier(file, files_at(&db->files, best)))) {
                best = slot;
            }
        }
        if (best == UINT32_MAX) {
            return;
        }
        struct file_slot *file = files_at(&db->files, best);
        file->cleaning = true;
        file->pins++;
        bytes += file->live_bytes;
        clean->victims[clean->victim_count++] =
            (struct victim){.slot = best, .info = file->info, .begin = file->clean_next};
    }
}

/* While there are writes files empty by themselves: it pays to wait, as far as the disk allows. */
static bool wanted(struct ins_db *db) {
    bool much = 100 * db->files.named_bytes > db->clean_total * db->files.live_bytes;
    db->files.dropped_runs = db->files.dropped_runs && much;
    return db->files.dropped_runs && !db->writes_stopped;
}

bool clean_begin(struct ins_db *db) {
    if (!wanted(db)) {
        return false;
    }
    struct clean *clean = arena_alloc_zero(db->arena, INS_MEM_JOB, sizeof(*clean));
    if (clean == NULL) {
        return false;
    }
    clean->db = db;
    pool_init(&clean->pool, db->arena, INS_MEM_JOB, 8u << 20);
    clean->items = pool_alloc(&clean->pool, CLEAN_EXTENTS_MAX * sizeof(*clean->items));
    if (clean->items != NULL) {
        choose(clean);
        db->files.dropped_runs = clean->victim_count > 0;
    }
    if (clean->victim_count == 0) {
        pool_fini(&clean->pool);
        arena_free(db->arena, INS_MEM_JOB, clean, sizeof(*clean));
        return false;
    }
    db->clean = clean;
    clean->task.run = list_run;
    db_run(db, INS_LANE_BACKGROUND, &clean->task);
    return true;
}
