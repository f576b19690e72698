#include "engine/elders.h"

#include "base/assert.h"
#include "engine/graph_job.h"
#include "engine/merge_private.h"

static bool same_place(const struct run *a, const struct run *b) {
    return a->file_slot == b->file_slot && a->offset_64 == b->offset_64;
}

uint32_t elders_find_run(const struct island *island, const struct run *run) {
    if ((island->flags & ISLAND_DROPPED) != 0) {
        return UINT32_MAX;
    }
    for (uint32_t i = 0; i < island->run_count; i++) {
        if (same_place(&island->runs[i], run)) {
            return i;
        }
    }
    return UINT32_MAX;
}

static const struct elder_entry *entry_of(const struct elders *elders, const struct island *island,
                                          const struct run *heir) {
    for (uint32_t i = 0; i < elders->count; i++) {
        const struct elder_entry *entry = &elders->entries[i];
        if (entry->island == island && same_place(&entry->heir, heir)) {
            return entry;
        }
    }
    return NULL;
}

static void drop(struct ins_db *db, uint32_t at) {
    struct elders *elders = &db->elders;
    struct elder_entry gone = elders->entries[at];
    elders->count--;
    for (uint32_t i = at; i < elders->count; i++) {
        elders->entries[i] = elders->entries[i + 1];
    }
    files_unpin(&db->files, gone.elder.file_slot);
    island_unpin(&db->islands, gone.island);
}

void elders_drop_all(struct ins_db *db) {
    while (db->elders.count > 0) {
        drop(db, db->elders.count - 1);
    }
}

static bool gets_graph(const struct ins_db *db, const struct island *island,
                       const struct run *run) {
    enum graph_wish wish = graph_wish_of(db, island, run);
    return wish == GRAPH_MAKE || wish == GRAPH_RENEW;
}

static bool waits(const struct ins_db *db, const struct elder_entry *entry) {
    uint32_t at = elders_find_run(entry->island, &entry->heir);
    return at != UINT32_MAX && gets_graph(db, entry->island, &entry->island->runs[at]);
}

void elders_sweep(struct ins_db *db) {
    for (uint32_t i = db->elders.count; i > 0; i--) {
        if (!waits(db, &db->elders.entries[i - 1])) {
            drop(db, i - 1);
        }
    }
}

const struct run *elders_of(const struct ins_db *db, const struct island *island,
                            const struct run *run) {
    const struct elder_entry *entry = entry_of(&db->elders, island, run);
    if (entry != NULL) {
        return &entry->elder;
    }
    return (run->flags & (RUN_GRAPH | RUN_DAMAGED)) == RUN_GRAPH ? run : NULL;
}

void elders_note(struct ins_db *db, const struct merge_item *item) {
    const struct run *best = NULL;
    for (uint32_t i = item->window.first; i < item->window.first + item->window.count; i++) {
        const struct run *elder = elders_of(db, item->island, &item->runs[i]);
        if (elder != NULL && (best == NULL || elder->rows > best->rows)) {
            best = elder;
        }
    }
    if (best == NULL || !gets_graph(db, item->island, &item->merged)) {
        return;
    }
    struct elder_entry entry = {.island = item->island, .heir = item->merged, .elder = *best};
    files_at(&db->files, entry.elder.file_slot)->pins++;
    island_pin(entry.island);
    if (db->elders.count == ELDERS_MAX) {
        drop(db, 0);
    }
    db->elders.entries[db->elders.count++] = entry;
}
