/* Another name for a tenant's island: its incarnation, rows and runs stay what they are.
 *
 * Path: the record with the island's new row of the catalog is sequenced: from then on writers find
 * the island by its new name only, and one who writes under the old name makes another tenant;
 * readers find it by the old name still, since the record may yet be lost. When it is durable the
 * names change places (landing). Views that began before borrow the old text: it stays as long as
 * the island is pinned. */
#include "tenant/island.h"

#include <string.h>

#include "base/hash.h"
#include "base/status.h"

uint64_t island_name_hash(const struct scope *scope, ins_text tenant) {
    return hash64_seed(tenant.data, tenant.size, scope->key);
}

static bool name_is(const struct island_rename *rename, ins_text name) {
    return rename->size == name.size &&
           (name.size == 0 || memcmp(rename->name, name.data, name.size) == 0);
}

ins_status island_rename_make(struct islands *islands, struct island *island, ins_text name,
                              struct island_rename **out, ins_error *error) {
    if (islands->rename_count == ISLAND_RENAMES_MAX || island->renaming ||
        islands->old_name_count >= ISLAND_OLD_NAMES_MAX) {
        return ins_fail_retry(
            error, INS_EXHAUSTED, 1,
            "too many renames are under way: %u, the limit is %u, and one of each "
            "tenant; try again",
            islands->rename_count, ISLAND_RENAMES_MAX);
    }
    struct island_rename *rename =
        arena_alloc_zero(islands->arena, INS_MEM_CATALOG, sizeof(*rename));
    if (rename != NULL && name.size > 0) {
        rename->name = arena_alloc(islands->arena, INS_MEM_CATALOG, name.size);
    }
    if (rename == NULL || (name.size > 0 && rename->name == NULL)) {
        island_rename_free(islands, rename);
        return ins_fail(error, INS_FULL,
                        "no room for a tenant's name in the catalog's share of the "
                        "memory budget");
    }
    if (name.size > 0) {
        memcpy(rename->name, name.data, name.size);
    }
    rename->size = (uint16_t)name.size;
    rename->island = island;
    *out = rename;
    return INS_OK;
}

void island_rename_free(struct islands *islands, struct island_rename *rename) {
    if (rename == NULL) {
        return;
    }
    if (rename->name != NULL) {
        arena_free(islands->arena, INS_MEM_CATALOG, rename->name, rename->size);
    }
    arena_free(islands->arena, INS_MEM_CATALOG, rename, sizeof(*rename));
}

void island_rename_begin(struct islands *islands, struct island_rename *rename) {
    rename->island->renaming = true;
    rename->next = islands->renames;
    islands->renames = rename;
    islands->rename_count++;
    islands->tenants_changed++;
}

static struct island_rename **link_of(struct islands *islands, uint64_t incarnation) {
    struct island_rename **link = &islands->renames;
    while (*link != NULL && (*link)->island->incarnation != incarnation) {
        link = &(*link)->next;
    }
    return link;
}

/* Keeps the name that the island had for those who borrow it. */
static void change_places(struct islands *islands, struct island_rename *rename) {
    struct island *island = rename->island;
    char *name = island->name;
    uint16_t size = island->name_size;
    bool linked = (island->flags & ISLAND_DROPPED) == 0;
    if (linked) {
        table_remove(&islands->by_name, &island->name_node);
    }
    island->name = rename->name;
    island->name_size = rename->size;
    rename->name = name;
    rename->size = size;
    if (linked) {
        island->name_node.hash = island_name_hash(island->scope, island_name(island));
        table_insert(&islands->by_name, &island->name_node);
    }
}

void island_rename_land(struct islands *islands, uint64_t incarnation) {
    struct island_rename **link = link_of(islands, incarnation);
    struct island_rename *rename = *link;
    if (rename == NULL) {
        return;
    }
    *link = rename->next;
    islands->rename_count--;
    rename->island->renaming = false;
    islands->tenants_changed++;
    change_places(islands, rename);
    if (rename->island->pins == 0) {
        island_rename_free(islands, rename);
        return;
    }
    rename->island->old_names = true;
    rename->next = islands->old_names;
    islands->old_names = rename;
    islands->old_name_count++;
}

ins_text island_newest_name(const struct islands *islands, const struct island *island) {
    if (!island->renaming) {
        return island_name(island);
    }
    const struct island_rename *rename = islands->renames;
    while (rename->island != island) {
        rename = rename->next;
    }
    return (ins_text){.data = rename->name, .size = rename->size};
}

struct island *island_rename_find(const struct islands *islands, const struct scope *scope,
                                  ins_text tenant) {
    for (const struct island_rename *rename = islands->renames; rename != NULL;
         rename = rename->next) {
        uint8_t gone = ISLAND_DROPPING | ISLAND_DROPPED;
        if (rename->island->scope == scope && (rename->island->flags & gone) == 0 &&
            name_is(rename, tenant)) {
            return rename->island;
        }
    }
    return NULL;
}

static uint32_t forget_all(struct islands *islands, struct island_rename **link,
                           const struct island *island) {
    uint32_t count = 0;
    while (*link != NULL) {
        struct island_rename *rename = *link;
        if (rename->island != island) {
            link = &rename->next;
            continue;
        }
        *link = rename->next;
        island_rename_free(islands, rename);
        count++;
    }
    return count;
}

void island_rename_unborrow(struct islands *islands, struct island *island) {
    if (island->old_names) {
        islands->old_name_count -= forget_all(islands, &islands->old_names, island);
        island->old_names = false;
    }
}

void island_rename_forget(struct islands *islands, struct island *island) {
    island_rename_unborrow(islands, island);
    if (island->renaming) {
        islands->rename_count -= forget_all(islands, &islands->renames, island);
        island->renaming = false;
    }
}
