#include "tenant/island.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"

/* ---- Files ---- */

void files_init(struct files *files, struct arena *arena) {
    *files = (struct files){.arena = arena};
}

void files_fini(struct files *files) {
    for (uint32_t i = 0; i < FILES_PIECES_MAX && files->pieces[i] != NULL; i++) {
        arena_free(files->arena, INS_MEM_CATALOG, files->pieces[i],
                   FILES_PIECE * sizeof(struct file_slot));
    }
    *files = (struct files){0};
}

static bool files_find_free(struct files *files, uint32_t *out_slot) {
    for (uint32_t slot = 0; slot < files->slot_count; slot++) {
        if (!files_at(files, slot)->used) {
            *out_slot = slot;
            return true;
        }
    }
    if (files->slot_count == INS_FILES_MAX) {
        return false;
    }
    if (files->slot_count % FILES_PIECE == 0) {
        struct file_slot *piece =
            arena_alloc_zero(files->arena, INS_MEM_CATALOG, FILES_PIECE * sizeof(struct file_slot));
        if (piece == NULL) {
            return false;
        }
        files->pieces[files->slot_count / FILES_PIECE] = piece;
    }
    *out_slot = files->slot_count++;
    return true;
}

ins_status files_add(struct files *files, const struct segment_info *info, uint32_t *out_slot,
                     ins_error *error) {
    uint32_t slot;
    if (!files_find_free(files, &slot)) {
        return ins_fail(error, INS_FULL, "%u segment files are in use, the limit is %u",
                        files->used_count, INS_FILES_MAX);
    }
    *files_at(files, slot) = (struct file_slot){.info = *info, .used = true};
    files->used_count++;
    files->bytes += info->size_bytes;
    *out_slot = slot;
    return INS_OK;
}

void files_free(struct files *files, uint32_t slot) {
    struct file_slot *file = files_at(files, slot);
    INS_ASSERT(file->used);
    INS_ASSERT(file->runs == 0);
    INS_ASSERT(file->pins == 0);
    INS_ASSERT(file->live_bytes == 0);
    file->used = false;
    files->used_count--;
    files->bytes -= file->info.size_bytes;
}

void files_unpin(struct files *files, uint32_t slot) {
    struct file_slot *file = files_at(files, slot);
    INS_ASSERT(file->pins > 0);
    file->pins--;
    if (file->pins == 0 && file->runs == 0) {
        files->garbage = true;
    }
}

static void files_add_run(struct files *files, const struct run *run) {
    struct file_slot *file = files_at(files, run->file_slot);
    files->named_bytes += file->runs == 0 ? file->info.size_bytes : 0;
    file->runs++;
    file->live_bytes += run_bytes(run);
    files->live_bytes += run_bytes(run);
}

static void files_drop_run(struct files *files, const struct run *run) {
    struct file_slot *file = files_at(files, run->file_slot);
    INS_ASSERT(file->runs > 0);
    INS_ASSERT(file->live_bytes >= run_bytes(run));
    file->runs--;
    file->live_bytes -= run_bytes(run);
    files->live_bytes -= run_bytes(run);
    files->named_bytes -= file->runs == 0 ? file->info.size_bytes : 0;
    if (file->runs == 0 && file->pins == 0) {
        files->garbage = true;
    }
    files->dropped_runs = true;
}

/* ---- Islands ---- */

ins_shard_key scope_shard_key(const struct scope *scope) {
    ins_shard_key key = {0};
    if (!scope->is_number) {
        key.text = scope_name(scope);
        return key;
    }
    for (uint16_t i = 0; i < scope->name_size; i++) {
        key.number = 10 * key.number + (uint64_t)(scope->name[i] - '0');
    }
    return key;
}

#define island_of_node(pointer)                                                                    \
    ((struct island *)(void *)(pointer)) /* node is the first member                               \
                                          */
#define island_of_name(pointer)                                                                    \
    ((struct island *)(void *)((char *)(pointer)-offsetof(struct island, name_node)))

ins_status islands_init(struct islands *islands, struct arena *arena, struct files *files) {
    *islands = (struct islands){.arena = arena, .files = files, .tenants_changed = 1};
    if (table_init(&islands->by_incarnation, arena, INS_MEM_CATALOG) != INS_OK ||
        table_init(&islands->by_name, arena, INS_MEM_CATALOG) != INS_OK) {
        islands_fini(islands);
        return INS_FULL;
    }
    return INS_OK;
}

void islands_fini(struct islands *islands) {
    if (islands->by_incarnation.arena != NULL) {
        INS_ASSERT(islands->by_incarnation.count == 0);
        table_fini(&islands->by_incarnation);
    }
    if (islands->by_name.arena != NULL) {
        table_fini(&islands->by_name);
    }
    if (islands->written.arena != NULL) {
        table_fini(&islands->written);
    }
}

struct island *island_create(struct islands *islands, struct scope *scope, uint64_t incarnation,
                             ins_text name, uint8_t flags) {
    INS_ASSERT(name.size <= INS_TENANT_BYTES_MAX);
    struct island *island = arena_alloc_zero(islands->arena, INS_MEM_CATALOG, sizeof(*island));
    if (island == NULL) {
        return NULL;
    }
    if (name.size > 0) {
        island->name = arena_alloc(islands->arena, INS_MEM_CATALOG, name.size);
        if (island->name == NULL) {
            arena_free(islands->arena, INS_MEM_CATALOG, island, sizeof(*island));
            return NULL;
        }
        memcpy(island->name, name.data, name.size);
    }
    island->name_size = (uint16_t)name.size;
    island->scope = scope;
    island->incarnation = incarnation;
    island->flags = flags;
    island->node.hash = hash_u64(incarnation);
    table_insert(&islands->by_incarnation, &island->node);
    if (island_is_tenant(island)) {
        island->name_node.hash = island_name_hash(scope, name);
        table_insert(&islands->by_name, &island->name_node);
    }
    islands->tenants_changed++;
    island->scope_next = scope->islands;
    if (scope->islands != NULL) {
        scope->islands->scope_previous = island;
    }
    scope->islands = island;
    scope->island_count++;
    return island;
}

struct island *islands_find(const struct islands *islands, uint64_t incarnation) {
    uint64_t hash = hash_u64(incarnation);
    for (struct table_node *node = table_first(&islands->by_incarnation, hash); node != NULL;
         node = node->next) {
        if (island_of_node(node)->incarnation == incarnation) {
            return island_of_node(node);
        }
    }
    return NULL;
}

enum name_state { NAME_DROPPING, NAME_LEAVING, NAME_STAYS };

static enum name_state name_state_of(const struct island *island) {
    bool dropping = (island->flags & ISLAND_DROPPING) != 0;
    return dropping ? NAME_DROPPING : island->renaming ? NAME_LEAVING : NAME_STAYS;
}

static struct island *find_tenant(const struct islands *islands, const struct scope *scope,
                                  ins_text tenant, enum name_state state) {
    uint64_t hash = island_name_hash(scope, tenant);
    for (struct table_node *node = table_first(&islands->by_name, hash); node != NULL;
         node = node->next) {
        struct island *island = island_of_name(node);
        if (node->hash == hash && island->scope == scope && island->name_size == tenant.size &&
            name_state_of(island) == state &&
            (tenant.size == 0 || memcmp(island->name, tenant.data, tenant.size) == 0)) {
            return island;
        }
    }
    return NULL;
}

struct island *islands_find_tenant(const struct islands *islands, const struct scope *scope,
                                   ins_text tenant) {
    struct island *island =
        scope->dropping > 0 ? find_tenant(islands, scope, tenant, NAME_DROPPING) : NULL;
    if (island == NULL && islands->rename_count > 0) {
        island = find_tenant(islands, scope, tenant, NAME_LEAVING);
    }
    return island != NULL ? island : find_tenant(islands, scope, tenant, NAME_STAYS);
}

struct island *islands_find_newest(const struct islands *islands, const struct scope *scope,
                                   ins_text tenant) {
    struct island *island =
        islands->rename_count > 0 ? island_rename_find(islands, scope, tenant) : NULL;
    return island != NULL ? island : find_tenant(islands, scope, tenant, NAME_STAYS);
}

void islands_prefetch_bucket(const struct islands *islands, const struct scope *scope,
                             ins_text tenant) {
    table_prefetch(&islands->by_name, island_name_hash(scope, tenant));
}

static void prefetch_both_lines(const struct table_node *node) {
    const struct island *island = island_of_name(node);
    __builtin_prefetch(island);
    __builtin_prefetch(&island->mem);
}

void islands_prefetch_island(const struct islands *islands, const struct scope *scope,
                             ins_text tenant) {
    const struct table_node *node = table_first(&islands->by_name, island_name_hash(scope, tenant));
    if (node != NULL) {
        prefetch_both_lines(node);
    }
}

/* Or, when the first is another's, for the second island. */
void islands_prefetch_name(const struct islands *islands, const struct scope *scope,
                           ins_text tenant) {
    uint64_t hash = island_name_hash(scope, tenant);
    const struct table_node *node = table_first(&islands->by_name, hash);
    if (node != NULL && node->hash == hash) {
        const struct island *island = island_of_name(node);
        __builtin_prefetch(island->name);
    } else if (node != NULL && node->next != NULL) {
        prefetch_both_lines(node->next);
    }
}

static void island_free(struct islands *islands, struct island *island) {
    island_rename_forget(islands, island);
    island_forget_written(islands, island);
    if (island->run_capacity > 0) {
        arena_free(islands->arena, INS_MEM_CATALOG, island->runs,
                   island->run_capacity * sizeof(struct run));
    }
    if (island->name_size > 0) {
        arena_free(islands->arena, INS_MEM_CATALOG, island->name, island->name_size);
    }
    arena_free(islands->arena, INS_MEM_CATALOG, island, sizeof(*island));
}

/* Out of the tables, without runs and rows. */
static void bury(struct islands *islands, struct island *island) {
    island->flags |= ISLAND_DROPPED;
    islands->tenants_changed++;
    table_remove(&islands->by_incarnation, &island->node);
    if (island_is_tenant(island)) {
        table_remove(&islands->by_name, &island->name_node);
    }
    if ((island->flags & ISLAND_DROPPING) != 0) {
        island->scope->dropping--;
    }
    for (uint32_t i = 0; i < island->run_count; i++) {
        files_drop_run(islands->files, &island->runs[i]);
    }
    islands->run_count -= island->run_count;
    island->run_count = 0;
    for (int slot = 0; slot < 2; slot++) {
        if (island->mem[slot] != NULL) {
            island->mem[slot]->island = NULL;
            island->mem[slot] = NULL;
        }
    }
}

static void unlink_island(struct island *island) {
    struct scope *scope = island->scope;
    *(island->scope_previous != NULL ? &island->scope_previous->scope_next : &scope->islands) =
        island->scope_next;
    if (island->scope_next != NULL) {
        island->scope_next->scope_previous = island->scope_previous;
    }
    scope->island_count--;
    island->flags |= ISLAND_UNLINKED;
}

void island_drop(struct islands *islands, struct island *island) {
    islands->runs_gone++;
    INS_ASSERT((island->flags & ISLAND_UNLINKED) == 0);
    if ((island->flags & ISLAND_DROPPED) == 0) {
        bury(islands, island);
    }
    unlink_island(island);
    if (island->pins == 0) {
        island_free(islands, island);
    }
}

void island_retire(struct islands *islands, struct island *island) {
    islands->runs_gone++;
    INS_ASSERT((island->flags & ISLAND_DROPPED) == 0);
    bury(islands, island);
    if (island->pins == 0) {
        unlink_island(island);
        island_free(islands, island);
    }
}

void island_unpin(struct islands *islands, struct island *island) {
    INS_ASSERT(island->pins > 0);
    island->pins--;
    if (island->pins > 0) {
        return;
    }
    if ((island->flags & ISLAND_DROPPED) == 0) {
        island_rename_unborrow(islands, island);
        return;
    }
    if ((island->flags & ISLAND_UNLINKED) == 0) {
        unlink_island(island);
    }
    island_free(islands, island);
}

ins_status island_reserve_run(struct islands *islands, struct island *island) {
    if (island->run_count < island->run_capacity) {
        return INS_OK;
    }
    /* One, two, four, ...: most tenants have a run or two, and each unused slot costs all of them.
     */
    uint8_t capacity = (uint8_t)(island->run_capacity == 0 ? 1 : 2 * island->run_capacity);
    INS_ASSERT(capacity <= 2 * INS_RUNS_MAX);
    struct run *runs = arena_alloc(islands->arena, INS_MEM_CATALOG, capacity * sizeof(struct run));
    if (runs == NULL) {
        return INS_FULL;
    }
    if (island->run_count > 0) {
        memcpy(runs, island->runs, island->run_count * sizeof(struct run));
    }
    if (island->run_capacity > 0) {
        arena_free(islands->arena, INS_MEM_CATALOG, island->runs,
                   island->run_capacity * sizeof(struct run));
    }
    island->runs = runs;
    island->run_capacity = capacity;
    return INS_OK;
}

void island_add_run(struct islands *islands, struct island *island, const struct run *run) {
    INS_ASSERT(island->run_count < island->run_capacity);
    island->runs[island->run_count++] = *run;
    files_add_run(islands->files, run);
    islands->run_count++;
}

void island_replace_runs(struct islands *islands, struct island *island, uint32_t first,
                         uint32_t count, const struct run *run) {
    islands->runs_gone++;
    INS_ASSERT(count >= 1);
    INS_ASSERT(first <= island->run_count);
    INS_ASSERT(count <= island->run_count - first);
    files_add_run(islands->files, run);
    for (uint32_t i = 0; i < count; i++) {
        files_drop_run(islands->files, &island->runs[first + i]);
    }
    memmove(&island->runs[first + 1], &island->runs[first + count],
            (island->run_count - first - count) * sizeof(struct run));
    island->runs[first] = *run;
    islands->run_count -= count - 1;
    island->run_count = (uint8_t)(island->run_count - count + 1);
}

uint64_t island_row_count(const struct island *island) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < island->run_count; i++) {
        count += (uint64_t)island->runs[i].rows + island->runs[i].tombstones;
    }
    return count;
}

uint32_t island_dead_bound(const struct island *island) {
    uint64_t dead = 0;
    for (uint32_t i = 0; i < island->run_count; i++) {
        dead += (i > 0 ? island->runs[i].rows : 0u) + 2ull * island->runs[i].tombstones;
    }
    uint64_t all = island_row_count(island);
    dead = dead < all ? dead : all;
    return dead < UINT32_MAX ? (uint32_t)dead : UINT32_MAX;
}

void island_note_flushed(struct island *island, const struct run *run) {
    uint64_t dead = (uint64_t)island->dead_most + 2ull * run->tombstones;
    dead += island->run_count > 0 ? run->rows : 0;
    uint64_t all = island_row_count(island) + run->rows + run->tombstones;
    dead = dead < all ? dead : all;
    island->dead_most = dead < UINT32_MAX ? (uint32_t)dead : UINT32_MAX;
}

void island_note_dead(struct island *island, uint64_t rows) {
    uint64_t all = island_row_count(island), dead = island->dead_most + rows;
    dead = dead < all ? dead : all;
    island->dead_most = dead < UINT32_MAX ? (uint32_t)dead : UINT32_MAX;
}
