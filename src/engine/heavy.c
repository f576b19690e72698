#include "engine/heavy.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tenant/island.h"

/* The one with the least, free ones first. Counts only grow: whoever still has what was the least
 * has it now, and only when nobody has are all of them compared. */
static uint32_t slot_with_least(struct heavy *heavy, enum ins_heavy_resource resource) {
    const struct heavy_slot *slots = heavy->slots[resource];
    uint32_t at = heavy->hand[resource];
    for (uint32_t i = 0; i < HEAVY_SLOTS; i++) {
        at = at + 1 < HEAVY_SLOTS ? at + 1 : 0;
        if (slots[at].count <= heavy->least[resource]) {
            heavy->hand[resource] = at;
            return at;
        }
    }
    for (uint32_t i = 0; i < HEAVY_SLOTS; i++) {
        at = slots[i].count < slots[at].count ? i : at;
    }
    heavy->least[resource] = slots[at].count;
    heavy->hand[resource] = at;
    return at;
}

/* The slot of the key, or that which it gets. */
static uint32_t slot_for(struct heavy *heavy, enum ins_heavy_resource resource, uint64_t key) {
    const uint64_t *keys = heavy->keys[resource];
    for (uint32_t i = 0; i < HEAVY_SLOTS; i++) {
        if (keys[i] == key) {
            return i;
        }
    }
    return slot_with_least(heavy, resource);
}

void heavy_charge(struct heavy *heavy, enum ins_heavy_resource resource, uint64_t key,
                  uint64_t amount) {
    heavy->totals[resource] += amount;
    if (amount == 0 || key == 0) {
        return;
    }
    uint32_t at = slot_for(heavy, resource, key);
    struct heavy_slot *slot = &heavy->slots[resource][at];
    if (heavy->keys[resource][at] != key) {
        heavy->keys[resource][at] = key;
        slot->error_most = slot->count;
    }
    slot->count += amount;
}

void heavy_charge_read(struct heavy *heavy, const ins_explain *explain, uint64_t key) {
    uint64_t busy_ns = explain->stage_ns[INS_STAGE_RANK] + explain->stage_ns[INS_STAGE_FETCH];
    heavy_charge(heavy, INS_HEAVY_TIME, key, busy_ns);
    heavy_charge(heavy, INS_HEAVY_ROWS, key, explain->total.scanned + explain->total.walked);
    heavy_charge(heavy, INS_HEAVY_COLD, key, explain->cold_bytes);
    heavy_charge(heavy, INS_HEAVY_READS, key, 1);
}

/* ---- Listing ---- */

struct ranked {
    uint64_t key;
    struct heavy_slot slot;
};

static int order(const void *left, const void *right) {
    const struct ranked *a = left, *b = right;
    return (a->slot.count < b->slot.count) - (a->slot.count > b->slot.count);
}

static void copy_name(char *out, ins_text name) {
    size_t size = name.size < INS_HEAVY_NAME_MAX ? name.size : INS_HEAVY_NAME_MAX;
    if (size > 0) {
        memcpy(out, name.data, size);
    }
    out[size] = '\0';
}

/* False when the island is gone, or the system's own. */
static bool name_of(const struct islands *islands, uint64_t key, ins_heavy *out) {
    const struct island *island = islands_find(islands, key);
    if (island == NULL || island->scope->key == 0) {
        return false;
    }
    const struct scope *scope = island->scope;
    const struct scope *collection = scope->collection != NULL ? scope->collection : scope;
    copy_name(out->collection, scope_name(collection));
    copy_name(out->shard, scope->collection != NULL ? scope_name(scope) : (ins_text){0});
    copy_name(out->tenant, island_is_tenant(island) ? island_name(island) : (ins_text){0});
    out->common = !island_is_tenant(island);
    return true;
}

void heavy_list(const struct heavy *heavy, const struct islands *islands, ins_heaviest *out) {
    for (enum ins_heavy_resource resource = 0; resource < INS_HEAVY_RESOURCES; resource++) {
        struct ranked ranked[HEAVY_SLOTS];
        uint32_t count = 0;
        for (uint32_t i = 0; i < HEAVY_SLOTS; i++) {
            ranked[i] = (struct ranked){heavy->keys[resource][i], heavy->slots[resource][i]};
        }
        qsort(ranked, HEAVY_SLOTS, sizeof(ranked[0]), order);
        for (uint32_t i = 0; i < HEAVY_SLOTS && count < INS_HEAVY_SHOWN; i++) {
            ins_heavy *item = &out->items[resource][count];
            if (ranked[i].key != 0 && name_of(islands, ranked[i].key, item)) {
                item->count = ranked[i].slot.count;
                item->error_most = ranked[i].slot.error_most;
                count++;
            }
        }
        out->counts[resource] = count;
        out->totals[resource] = heavy->totals[resource];
    }
}
