/* When flushed rows of an island were written: a table beside the islands, 32 bytes for each that
 * was noted. Without memory for one it is remembered that some lack: they count as written then. */
#include "base/hash.h"
#include "tenant/island.h"

struct written {
    struct table_node node; /* by incarnation */
    uint64_t incarnation, seconds;
};

static struct written *find(const struct islands *islands, uint64_t incarnation) {
    uint64_t hash = hash_u64(incarnation);
    if (islands->written.count == 0) {
        return NULL;
    }
    for (struct table_node *node = table_first(&islands->written, hash); node != NULL;
         node = node->next) {
        struct written *written = (struct written *)(void *)node; /* its first member */
        if (written->incarnation == incarnation) {
            return written;
        }
    }
    return NULL;
}

static struct written *add(struct islands *islands, uint64_t incarnation) {
    struct table *table = &islands->written;
    if (table->arena == NULL && table_init(table, islands->arena, INS_MEM_CATALOG) != INS_OK) {
        return NULL;
    }
    struct written *written = arena_alloc(islands->arena, INS_MEM_CATALOG, sizeof(*written));
    if (written != NULL) {
        *written = (struct written){.incarnation = incarnation};
        written->node.hash = hash_u64(incarnation);
        table_insert(table, &written->node);
    }
    return written;
}

void island_note_written(struct islands *islands, const struct island *island, uint64_t seconds) {
    struct written *written = find(islands, island->incarnation);
    if (written == NULL) {
        written = add(islands, island->incarnation);
    }
    uint64_t *at = written == NULL ? &islands->written_lost : &written->seconds;
    *at = seconds > *at ? seconds : *at;
}

uint64_t island_written(const struct islands *islands, const struct island *island) {
    const struct written *written = find(islands, island->incarnation);
    return written == NULL ? islands->written_lost : written->seconds;
}

void island_forget_written(struct islands *islands, const struct island *island) {
    struct written *written = find(islands, island->incarnation);
    if (written != NULL) {
        table_remove(&islands->written, &written->node);
        arena_free(islands->arena, INS_MEM_CATALOG, written, sizeof(*written));
    }
}
