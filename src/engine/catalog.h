/* The catalog: collections and tenants by name, and their rows in the system island.
 *
 * Rows are points of island 1 in scope 0, without vectors; the row's number is the key, its payload
 * JSON ("Catalog" in docs/FORMATS.md):
 *   0            {"k":"a","n":next free key}
 *   2            {"k":"e","n":seconds seen,"m":marks}: seen.h
 *   schema key   {"k":"s","c":schema}
 *   scope key    {"k":"c","n":name,"i":common island,"d":directory island or 0,"s":schema key,
 *                 "h":true if points lie under shard keys,"m":metadata, if any}
 *                {"k":"h","s":collection's scope key,"n":shard key, a text or a number,
 *                 "i":common island,"d":directory island, there while the schema forms islands}
 *   island key   {"k":"t","s":scope key,"n":tenant value}
 *   alias key    {"k":"l","s":scope key,"n":alias}
 *   change key   {"k":"o","s":scope key,"v":LSN,"b":bytes}: a change by filter that is under way
 * Keys (schemas, scopes, incarnations) come from one allocator and are never used twice. A schema's
 * row is written before, or with, the first row that names it; its tombstone with the last.
 * Rows of tenants, aliases and shard keys whose scope is gone are garbage until a merge.
 * Visibility: writers see what is sequenced, readers what is durable. */
#ifndef INS_ENGINE_CATALOG_H
#define INS_ENGINE_CATALOG_H

#include "engine/seen.h"
#include "tenant/island.h"

struct catalog {
    struct arena *arena;
    struct islands *islands;
    struct table by_key, by_name, by_shard, schemas, schemas_by_key, aliases, aliases_by_key;
    uint64_t next_key;          /* next to be given out */
    uint64_t reserved_key;      /* keys below it are covered by a row that is sequenced */
    uint64_t pending_reserve;   /* the mark that the write being made will set; 0 = none */
    struct seen seen;           /* for what expires */
    struct change_row *changes; /* recovery: under way when the process ended */
    struct scope *dropped;      /* dropped and not yet durable, or being taken apart */
    struct alias *dropped_aliases;
    struct schema *dead_schemas; /* without references */
    uint64_t tenant_count, collection_count;
    uint64_t hidden_count;        /* of those collections; never more than a few */
    uint64_t garbage_rows;        /* of what went with its collection, since the last freeze; and */
    uint64_t frozen_garbage_rows; /* before it: they are in files when the flush has landed */
};

/* It has islands of tenants: the id directory says in which one an id lies, or ids are within
 * tenants. */
static inline bool scope_has_islands(const struct scope *scope) {
    const struct schema *schema = scope->schema;
    return scope->directory != NULL ||
           (schema != NULL && schema->ids_by_tenant && schema->has_tenant_field);
}

#define CATALOG_KEY_FIRST 16u /* below it: the system's own */
#define CATALOG_KEY_STEP                                                                           \
    32768u /* above INS_BATCH_POINTS_MAX: one request raises the mark at most once */

INS_MUST_USE ins_status catalog_init(struct catalog *catalog, struct arena *arena,
                                     struct islands *islands);
void catalog_fini(struct catalog *catalog);

/* ---- Schemas ---- */

struct schema_draft {                    /* what a schema's text is made of */
    const struct schema_vector *vectors; /* ascending by id */
    uint32_t vector_count, vector_next;
    ins_text settings;
    const struct schema_field *fields;
    uint32_t field_count;
    bool has_tenant_field, tenant_is_uuid;
    ins_text tenant_field;
};

#define VECTOR_IDS_MAX 65535u /* ids are 16 bits; each vector ever added takes one */

/* One vector more, with the next id. INS_INVALID, INS_UNPROCESSABLE: names the field and the limit;
 * the draft is unchanged then. The text of `params` stays borrowed. */
INS_MUST_USE ins_status draft_add_vector(struct schema_draft *draft,
                                         const ins_vector_params *params, struct pool *pool,
                                         ins_error *error);
/* Interns the schema that the draft describes; one reference more. INS_FULL. */
INS_MUST_USE ins_status schema_get(struct catalog *catalog, const struct schema_draft *draft,
                                   struct pool *pool, struct schema **out_schema, ins_error *error);
/* From its text, as a catalog row holds it. INS_CORRUPT when it does not parse. */
INS_MUST_USE ins_status schema_get_text(struct catalog *catalog, struct json_parser *parser,
                                        ins_text text, struct schema **out_schema,
                                        ins_error *error);
void schema_release(struct catalog *catalog, struct schema *schema); /* takes NULL */
/* Frees those that nobody holds. No operation may be under way: a read borrows the path of the
 * tenant field from each island's schema of the moment, and waits with it. */
void schemas_bury(struct catalog *catalog);
/* The schema has a row under this key now: the catalog holds a reference for good. */
void schema_set_key(struct catalog *catalog, struct schema *schema, uint64_t key);
/* Its row is gone; takes back that reference. */
void schema_forget_key(struct catalog *catalog, struct schema *schema);
/* A collection has it now; a record that says so is sequenced, or replayed. */
void schema_use(struct schema *schema);
/* A collection has it no more. A writer who ends its row lets the key go as well; a recovery does
 * that when it meets the tombstone. */
void schema_disuse(struct schema *schema);
/* Its only collection goes: the record has the tombstone of its row. */
static inline bool schema_row_ends(const struct schema *schema) {
    return schema->users == 1 && schema->key != 0;
}

/* ---- Scopes ---- */

/* A collection whose name begins with this, which no name of a user's can, is a move's
 * (engine/move.h): it is found only by its very own name, in memory as well, and listed nowhere. */
#define SCOPE_HIDDEN '<'
static inline bool scope_is_hidden(const struct scope *scope) {
    return scope->name_size > 0 && scope->name[0] == SCOPE_HIDDEN;
}

/* The scope of that name as a reader at `durable_lsn` sees it. */
struct scope *catalog_find(const struct catalog *catalog, ins_text name, uint64_t durable_lsn);
/* As a writer sees it. */
struct scope *catalog_find_newest(const struct catalog *catalog, ins_text name);
struct scope *catalog_find_key(const struct catalog *catalog, uint64_t key);
static inline bool scope_readable(const struct scope *scope, uint64_t durable_lsn) {
    return scope->create_lsn <= durable_lsn &&
           (scope->drop_lsn == 0 || scope->drop_lsn > durable_lsn);
}

/* Takes over one reference of `schema`. NULL when the catalog's share is used up. */
struct scope *scope_create(struct catalog *catalog, uint64_t key, ins_text name,
                           struct schema *schema);
/* `memory` [name.size] of the catalog's share, becomes the scope's; the old name's is freed. */
void scope_rename(struct catalog *catalog, struct scope *scope, ins_text name, char *memory);
/* A collection that forms islands has an id directory, and so has each of its shard keys: all that
 * lack one get it. `directory`: the collection's own. False when the catalog's share is used up. */
bool scope_make_directories(struct catalog *catalog, struct scope *scope, uint64_t directory);
/* Takes all of them away. */
void scope_undo_directories(struct catalog *catalog, struct scope *scope);
/* Gives a collection and all its shard keys another schema; takes over the reference. */
void scope_set_schema(struct catalog *catalog, struct scope *scope, struct schema *schema);

/* ---- Shard keys ----
 *
 * A shard key is a scope of its own within a collection: point ids are unique in it, it has its own
 * common island, id directory and tenants. It is found through its collection only, so it goes when
 * that is dropped, without rows of its own for that. */

/* The common island included; catalog key + 1 and + 2 are the incarnations of its common island and
 * its id directory. NULL when the catalog's share is used up. */
struct scope *shard_create(struct catalog *catalog, struct scope *collection, uint64_t key,
                           const ins_shard_key *name);
/* UINT64_MAX: as a writer sees it. NULL when there is none. */
struct scope *shard_find(const struct catalog *catalog, const struct scope *collection,
                         const ins_shard_key *name, uint64_t durable_lsn);
#define SHARD_KEY_SHOWN (INS_NAME_BYTES_MAX + 3)
/* For messages, as Qdrant shows it: a text in quotes. */
const char *shard_key_text(const ins_shard_key *name, char out[static SHARD_KEY_SHOWN]);
/* For catalog.c alone. */
void shard_unlink(struct catalog *catalog, struct scope *shard); /* out of the table */
void shard_leave(struct scope *shard);                           /* out of its collection's list */

/* Writers stop to see it at once; readers at `lsn`. */
void scope_drop(struct catalog *catalog, struct scope *scope, uint64_t lsn);
/* Takes dropped scopes whose drop is durable out of the tables and frees up to `islands_max` of
 * their islands; true when there is more to do. */
bool catalog_reap(struct catalog *catalog, uint64_t durable_lsn, uint32_t islands_max);
/* Frees a scope that nobody has seen (its creation failed), islands included. */
void scope_undo(struct catalog *catalog, struct scope *scope);

/* ---- Aliases ---- */

/* Another name of a collection. It never changes: a name that is given to another collection is
 * dropped and made again, so that readers at an older LSN still see where it led. Names of aliases
 * and collections are disjoint. */
struct alias {
    struct table_node node;     /* by name */
    struct table_node key_node; /* by key */
    uint64_t key;               /* of its catalog row */
    struct scope *scope;
    struct alias *scope_next, *dropped_next;
    uint64_t create_lsn, drop_lsn; /* as a scope's */
    uint16_t name_size;
    char name[];
};

static inline ins_text alias_name(const struct alias *alias) {
    return (ins_text){.data = alias->name, .size = alias->name_size};
}
static inline bool alias_readable(const struct alias *alias, uint64_t durable_lsn) {
    return alias->create_lsn <= durable_lsn &&
           (alias->drop_lsn == 0 || alias->drop_lsn > durable_lsn);
}

/* Readable at `durable_lsn`; UINT64_MAX: as a writer sees it. NULL when there is none. */
struct alias *alias_find(const struct catalog *catalog, ins_text name, uint64_t durable_lsn);
/* Not linked yet. NULL when the catalog's share is used up. */
struct alias *alias_create(struct catalog *catalog, struct scope *scope, uint64_t key,
                           ins_text name);
void alias_link(struct catalog *catalog, struct alias *alias, uint64_t lsn);
void alias_free(struct catalog *catalog, struct alias *alias); /* one that is not linked */
void alias_drop(struct catalog *catalog, struct alias *alias, uint64_t lsn);
/* Frees those whose drop is durable. */
void aliases_reap(struct catalog *catalog, uint64_t durable_lsn);
/* Unlinks and frees every alias of a scope that goes at once. */
void aliases_undo(struct catalog *catalog, struct scope *scope);
struct alias *alias_find_key(const struct catalog *catalog, uint64_t key);

/* ---- Changes by filter, of many records ---- */

struct change_row {
    struct change_row *next;
    uint64_t key, scope_key;
    uint64_t lsn;  /* what it may change was sequenced up to here */
    uint32_t size; /* of the change as change_decode takes it */
    uint8_t bytes[];
};

/* Payload of its row. */
ins_text catalog_row_change(struct pool *pool, uint64_t scope_key, uint64_t lsn,
                            const uint8_t *bytes, size_t size);
INS_MUST_USE ins_status change_apply(struct catalog *catalog, uint64_t key, struct json_value root,
                                     ins_error *error);
void change_forget(struct catalog *catalog, uint64_t key);
void changes_forget(struct catalog *catalog); /* all */

/* ---- Rows ---- */

/* Payloads of catalog rows, in the pool. NULL data when memory is out. */
ins_text catalog_row_allocator(struct pool *pool, uint64_t next_key);
ins_text catalog_row_schema(struct pool *pool, const struct schema *schema);
ins_text catalog_row_scope(struct pool *pool, const struct scope *scope, ins_text name,
                           uint64_t schema_key, uint64_t directory, ins_text metadata);
ins_text catalog_row_shard(struct pool *pool, const struct scope *shard);
ins_text catalog_row_tenant(struct pool *pool, uint64_t scope_key, ins_text tenant);
ins_text catalog_row_alias(struct pool *pool, uint64_t scope_key, ins_text name);

/* Applies one row at recovery (`deleted`: a tombstone). A row follows those that it names: an
 * island's its scope's, a scope's its schema's. INS_CORRUPT when a row makes no sense. */
INS_MUST_USE ins_status catalog_apply(struct catalog *catalog, struct json_parser *parser,
                                      uint64_t key, ins_text payload, bool deleted,
                                      ins_error *error);
enum catalog_row_kind {
    CATALOG_ROW_OTHER, /* the allocator's */
    CATALOG_ROW_SCHEMA,
    CATALOG_ROW_SCOPE,
    CATALOG_ROW_SHARD, /* these name a scope: */
    CATALOG_ROW_TENANT,
    CATALOG_ROW_ALIAS,
};

/* *out_scope: the scope that it names. */
enum catalog_row_kind catalog_row_kind(ins_text payload, uint64_t *out_scope);
/* Metadata of a scope's row payload; absent: data NULL. */
ins_text catalog_row_metadata(ins_text payload);

#endif
