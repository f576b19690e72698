/* Islands, scopes, schemas and files: the resident tables of the database.
 *
 * An island is one tenant's points in a scope: 128 bytes, its name, and 32 bytes a run. A scope is
 * a collection, or a shard key of one. Names live here and in the catalog rows only. Threads: the
 * request lane owns everything here. */
#ifndef INS_TENANT_ISLAND_H
#define INS_TENANT_ISLAND_H

#include "segment/segment.h"
#include "tenant/memtable.h"
#include "tenant/schema.h"

enum island_flags {
    ISLAND_COMMON = 1,
    ISLAND_DIRECTORY = 2, /* the scope's id directory */
    ISLAND_DROPPED = 4,   /* unlinked; freed with its last pin */
    ISLAND_MERGING = 8,   /* stands in the merge queue or is being merged */
    ISLAND_PLACED = 16,   /* recovery: runs still stand with their intervals */
    ISLAND_DROPPING = 32, /* its drop is sequenced: gone for writers, there for readers */
    ISLAND_UNLINKED = 64, /* out of its scope's list */
    ISLAND_READ = 128,    /* a search found more than a few runs since the last merge */
};

struct island {
    struct table_node node;      /* by incarnation */
    struct table_node name_node; /* by (scope, tenant value); unused for common and directory */
    struct scope *scope;
    struct island *scope_next, *scope_previous;
    uint64_t incarnation;
    struct run *runs;          /* [run_capacity], oldest first */
    struct island_mem *mem[2]; /* of the active and the frozen generation, by slot */
    struct island *merge_next, *graph_next;
    char *name;
    uint16_t name_size;
    uint8_t run_count, run_capacity;
    uint8_t flags;
    uint8_t merge_reason; /* why it stands in the merge queue */
    uint8_t runs_held;    /* so many of the oldest runs a graph is made of: merges leave them */
    bool graph_queued : 1;
    bool graph_asked : 1; /* queued, and searched meanwhile */
    bool renaming : 1;    /* one of islands->renames is its: writers see the name in there */
    bool old_names : 1;   /* some of islands->old_names are its */
    uint32_t pins;
    uint32_t dead_most; /* at most so many rows and tombstones of its runs count for nothing */
};
_Static_assert(sizeof(struct island) <= 128, "law 1: an island costs little while it is idle");

struct alias;
struct move;

struct scope {
    struct table_node node;      /* by key */
    struct table_node name_node; /* by collection name */
    uint64_t key;                /* catalog key, never reused; 0 is the system scope */
    struct schema *schema;
    struct island *common;
    struct island *directory; /* NULL without a tenant field */
    struct island *islands;   /* all, the common one and the directory included */
    uint64_t create_lsn;      /* readers see the scope from here on */
    uint64_t drop_lsn;        /* 0, or: readers stop to see it; writers already have */
    struct scope *dropped_next;
    struct alias *aliases; /* engine/catalog.h: other names of the collection */
    /* Shard keys: scopes of their own, with the collection's schema. */
    struct scope *collection;       /* of a shard key's scope; NULL: it is a collection's own */
    struct scope *keys, *keys_last; /* of a collection: its shard keys, oldest first */
    struct scope *key_next, *key_previous;
    uint64_t directory_key; /* of a shard key's scope: the incarnation of its id directory */
    char *name;             /* of a number: its digits */
    uint32_t island_count;
    uint32_t dropping;    /* islands with ISLAND_DROPPING */
    uint32_t alias_count; /* those that are not dropped */
    uint32_t pins;
    uint32_t key_count; /* shard keys that are not dropped */
    uint16_t name_size;
    uint32_t changes;  /* of its schema or metadata, since the start */
    bool has_metadata; /* kept in the catalog row only */
    bool sharded;      /* a collection whose points lie under shard keys */
    bool is_number;    /* of a shard key */
    bool unlinked;
    bool moved;        /* dropped, and another scope has its name and its points */
    bool move_failed;  /* not tried again before the next start */
    struct move *move; /* engine/move.h: its points are being copied; NULL: they are not */
};

static inline ins_text island_name(const struct island *island) {
    return (ins_text){.data = island->name, .size = island->name_size};
}

/* A tenant's island (not common, not directory): its rows' tenant field was taken out. */
static inline bool island_is_tenant(const struct island *island) {
    return (island->flags & (ISLAND_COMMON | ISLAND_DIRECTORY)) == 0;
}

static inline ins_text scope_name(const struct scope *scope) {
    return (ins_text){.data = scope->name, .size = scope->name_size};
}

/* Of a shard key's scope; a text is the scope's own. */
ins_shard_key scope_shard_key(const struct scope *scope);

/* Writers do not see it any more: itself or its collection was dropped. */
static inline bool scope_dropped(const struct scope *scope) {
    return scope->drop_lsn != 0 || (scope->collection != NULL && scope->collection->drop_lsn != 0);
}

/* ---- Files ---- */

struct file_slot {
    struct segment_info info;
    uint32_t runs;         /* that name it */
    uint32_t pins;         /* views that may still read it */
    uint64_t extent_bytes; /* of all its extents and their directory entries, and */
    uint64_t live_bytes;   /* of those that runs name */
    uint32_t clean_next;   /* directory entry from which on cleaning goes on */
    bool used;
    bool removing; /* handed to the background lane for removal */
    bool cleaning; /* its live extents are being copied */
};

#define FILES_PIECE 128u
#define FILES_PIECES_MAX (INS_FILES_MAX / FILES_PIECE)

struct files {
    struct arena *arena;
    struct file_slot *pieces[FILES_PIECES_MAX];
    uint32_t slot_count; /* slots ever used */
    uint32_t used_count;
    uint64_t bytes;       /* of all slots in use, */
    uint64_t named_bytes; /* of those that runs name: the others go by themselves, */
    uint64_t live_bytes;  /* and of what runs name in them */
    bool garbage;         /* some slot may have fallen to no runs and no pins */
    bool dropped_runs;    /* since cleaning last looked for files to clean */
};

void files_init(struct files *files, struct arena *arena);
void files_fini(struct files *files);
static inline struct file_slot *files_at(const struct files *files, uint32_t slot) {
    return &files->pieces[slot / FILES_PIECE][slot % FILES_PIECE];
}
/* INS_FULL at INS_FILES_MAX. */
INS_MUST_USE ins_status files_add(struct files *files, const struct segment_info *info,
                                  uint32_t *out_slot, ins_error *error);
void files_free(struct files *files, uint32_t slot);
void files_unpin(struct files *files, uint32_t slot);
/* What a run's extent takes in its file: its bytes and its directory entry. */
static inline uint64_t run_bytes(const struct run *run) {
    return run->size_64 * 64ull + SEGMENT_ENTRY_BYTES;
}

/* ---- Islands ---- */

struct islands {
    struct arena *arena;
    struct files *files;
    struct table by_incarnation;
    struct table by_name;
    uint64_t run_count;
    uint64_t runs_gone;       /* rises when a run may have been replaced, or has gone */
    uint64_t tenants_changed; /* rises when a name may be found otherwise than before; never 0 */
    /* When islands that can expire were last written to, of what is flushed (island_written.c). */
    struct table written;
    uint64_t written_lost;         /* of those for which there was no memory: no later than this */
    struct island_rename *renames; /* sequenced and not durable (island_rename.c), and */
    struct island_rename *old_names; /* those that went, while views of the island borrow them */
    uint32_t rename_count, old_name_count;
};

INS_MUST_USE ins_status islands_init(struct islands *islands, struct arena *arena,
                                     struct files *files);
void islands_fini(struct islands *islands); /* the islands must be gone */

/* NULL when the catalog's share is used up. `name` is copied; size 0 with data NULL for none. */
struct island *island_create(struct islands *islands, struct scope *scope, uint64_t incarnation,
                             ins_text name, uint8_t flags);
struct island *islands_find(const struct islands *islands, uint64_t incarnation);
/* As readers see it: while a tenant is being dropped, its old island. */
struct island *islands_find_tenant(const struct islands *islands, const struct scope *scope,
                                   ins_text tenant);
/* As writers see it: its new one, or NULL. */
struct island *islands_find_newest(const struct islands *islands, const struct scope *scope,
                                   ins_text tenant);
/* What that begins with, asked for in steps, each when the one before has had time: the bucket, the
 * first island there, its name. */
void islands_prefetch_bucket(const struct islands *islands, const struct scope *scope,
                             ins_text tenant);
void islands_prefetch_island(const struct islands *islands, const struct scope *scope,
                             ins_text tenant);
void islands_prefetch_name(const struct islands *islands, const struct scope *scope,
                           ins_text tenant);
/* The same by incarnation. */
static inline struct island *islands_find_undropped(const struct islands *islands,
                                                    uint64_t incarnation);

/* ---- Another name for a tenant's island (island_rename.c) ---- */

#define ISLAND_RENAMES_MAX 256u    /* writers look through them while they are under way */
#define ISLAND_OLD_NAMES_MAX 1024u /* each waits for a view that began before it went */

struct island_rename {
    struct island_rename *next;
    struct island *island;
    char *name; /* the next one; in old_names: the one before */
    uint16_t size;
};

/* Memory for it; nothing is changed. `name` is copied. INS_FULL; INS_EXHAUSTED: as many are under
 * way as may be, or one of this island. */
INS_MUST_USE ins_status island_rename_make(struct islands *islands, struct island *island,
                                           ins_text name, struct island_rename **out,
                                           ins_error *error);
/* One that was not begun; takes NULL. */
void island_rename_free(struct islands *islands, struct island_rename *rename);
/* From here on writers see the new name, and from its landing on readers. */
void island_rename_begin(struct islands *islands, struct island_rename *rename);
/* It may be gone by then. */
void island_rename_land(struct islands *islands, uint64_t incarnation);
/* As writers see it: until the landing the next one. */
ins_text island_newest_name(const struct islands *islands, const struct island *island);
/* Between these two files. The hash of name_node: */
uint64_t island_name_hash(const struct scope *scope, ins_text tenant);
/* The island that a writer means by a name that is on its way, or NULL. Frees
 * names that no view of the island borrows any more, and all names of an island that goes. */
struct island *island_rename_find(const struct islands *islands, const struct scope *scope,
                                  ins_text tenant);
void island_rename_unborrow(struct islands *islands, struct island *island);
void island_rename_forget(struct islands *islands, struct island *island);

/* ---- When it was last written to, in seconds of the engine's own (island_written.c) ----
 *
 * Kept of the islands for which somebody asks that; no other pays for it. */

void island_note_written(struct islands *islands, const struct island *island, uint64_t seconds);
/* 0: it was never noted. */
uint64_t island_written(const struct islands *islands, const struct island *island);
/* The island goes. */
void island_forget_written(struct islands *islands, const struct island *island);

/* Takes it out of every table; its files lose its runs; freed with the last pin. */
void island_drop(struct islands *islands, struct island *island);
/* The same for one island of a scope that stays: while it is pinned it stands in the scope's list,
 * so that a walk that stands on it finds the next one. */
void island_retire(struct islands *islands, struct island *island);
static inline void island_pin(struct island *island) {
    island->pins++;
}
void island_unpin(struct islands *islands, struct island *island);

static inline struct island *islands_find_undropped(const struct islands *islands,
                                                    uint64_t incarnation) {
    struct island *island = incarnation == 0 ? NULL : islands_find(islands, incarnation);
    return island == NULL || (island->flags & ISLAND_DROPPING) != 0 ? NULL : island;
}

/* Room for one more run, before a landing that must not fail. INS_FULL when the share is used up.
 */
INS_MUST_USE ins_status island_reserve_run(struct islands *islands, struct island *island);
/* Adds a run as the newest. The file's count of runs rises. Reserve first. */
void island_add_run(struct islands *islands, struct island *island, const struct run *run);
/* Replaces runs [first, first + count), counted from the oldest, by one. */
void island_replace_runs(struct islands *islands, struct island *island, uint32_t first,
                         uint32_t count, const struct run *run);
/* Rows and tombstones of all runs. */
uint64_t island_row_count(const struct island *island);
/* What dead_most can be at most when nothing is known: every row of a newer run may kill an older
 * one, and a tombstone is dead itself. */
uint32_t island_dead_bound(const struct island *island);
/* Before a flushed run is added: what it may have killed. */
void island_note_flushed(struct island *island, const struct run *run);
/* So many more rows of its runs may count for nothing. */
void island_note_dead(struct island *island, uint64_t rows);
/* Asserts that every file's counts are those of the run lists. For tests: walks everything. */
void islands_check(const struct islands *islands);

#endif
