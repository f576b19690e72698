/* What the files of payload/ share: trees of paths, sorted sets of values, compiled filters. */
#ifndef INS_PAYLOAD_PAYLOAD_PRIVATE_H
#define INS_PAYLOAD_PAYLOAD_PRIVATE_H

#include "base/json_text.h"
#include "payload/payload.h"

/* "No memory for ..." as INS_EXHAUSTED. */
ins_status payload_no_memory(ins_error *error, const char *what);

/* ---- Path trees: many paths looked up in one walk over a payload -------------------------- */

#define PATH_FIELD_NONE UINT32_MAX

struct path_node {
    ins_text key;
    struct path_node *children, *next; /* next: among the parent's children */
    struct path_node **table;          /* [table_size]; NULL while children are few */
    uint32_t child_count, table_size;  /* table_size: a power of two, >= 2 * child_count */
    uint32_t field;                    /* number of the path that ends here, or PATH_FIELD_NONE */
};

/* The node at the end of `path` below `root`, made where absent; keys are borrowed. NULL when
 * memory is out. */
struct path_node *path_tree_add(struct path_node *root, const struct payload_path *path,
                                struct pool *pool);
/* The child that a member's raw key names, or NULL. Cost: about one comparison. */
const struct path_node *path_tree_child(const struct path_node *node, ins_text raw_key,
                                        bool escaped);

/* ---- Sorted sets --------------------------------------------------------------------------- */

/* A set of any size in sorted blocks, since no allocation is above INS_BLOCK_BYTES_MAX. */
#define VALUE_SET_BLOCK_ITEMS 32768u

typedef int (*value_order)(const void *left, const void *right);

struct value_set {
    uint8_t **blocks; /* each of VALUE_SET_BLOCK_ITEMS items but the last */
    size_t count, item_size;
};

/* Room for `capacity` items, none added. False when memory is out. */
bool value_set_init(struct value_set *set, struct pool *pool, size_t capacity, size_t item_size);
void value_set_add(struct value_set *set, const void *item); /* within the capacity */
void value_set_sort(struct value_set *set, value_order order);
/* `order(key, item)` must agree with the one that sorted. */
bool value_set_has(const struct value_set *set, const void *key, value_order order);

/* By bytes, then by size. */
int text_order(const void *left, const void *right);

/* ---- Compiled filters ---------------------------------------------------------------------- */

enum filter_kind { FILTER_MATCH, FILTER_RANGE, FILTER_IDS, FILTER_GROUP };

struct filter_values {
    struct value_set texts, integers; /* of ins_text, of int64_t */
    bool match_true, match_false;
};

struct filter_range {
    bool has_gt, has_gte, has_lt, has_lte;
    double gt, gte, lt, lte;
};

/* Conditions of one list stand with the cheap ones (ids, tenants) first. */
struct filter_list {
    const struct filter_condition *items;
    size_t count, cheap_count;
};

struct filter_group {
    struct filter_list must, should, must_not;
};

struct filter_condition {
    enum filter_kind kind;
    uint32_t field; /* FILTER_MATCH, FILTER_RANGE */
    bool is_tenant; /* looks at the row's tenant when it has one */
    union {
        struct filter_values match;
        struct filter_range range;
        struct value_set ids; /* of ins_id */
        struct filter_group group;
    } as;
};

struct filter {
    struct filter_group root;
    struct path_node paths; /* every field that a condition names */
    uint32_t field_count;
    bool needs_payload;
    ins_text *values; /* [field_count]; of the row being matched */
};

/* Depth, number of conditions, and what each must have. */
INS_MUST_USE ins_status filter_validate(const ins_filter *source, ins_error *error);
/* True when the condition is a match on the tenant field. Keys were validated. */
bool filter_is_pin(const ins_condition *condition, const struct payload_path *tenant_path);
/* filter_compile without validation; `without_pins` leaves out the matches on the tenant field
 * that filter_pins took. NULL in *out_filter when nothing is left then. */
INS_MUST_USE ins_status filter_build(struct pool *pool, const ins_filter *source,
                                     const struct payload_path *tenant_path, bool without_pins,
                                     struct filter **out_filter, ins_error *error);

#endif
