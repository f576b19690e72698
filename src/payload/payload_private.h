/* What the files of payload/ share: trees of paths, sorted sets of values, compiled filters. */
#ifndef INS_PAYLOAD_PAYLOAD_PRIVATE_H
#define INS_PAYLOAD_PAYLOAD_PRIVATE_H

#include "base/json_text.h"
#include "payload/fields.h"

/* "No memory for ..." as INS_EXHAUSTED. */
ins_status payload_no_memory(ins_error *error, const char *what);

/* ---- Path trees (path_tree.c): many paths looked up in one walk over a payload
 * -------------------------- */

#define PATH_FIELD_NONE UINT32_MAX

struct path_node {
    ins_text key;
    struct path_node *children, *next; /* next: among the parent's children */
    struct path_node *elements;        /* "[]": of every element of an array that stands here */
    struct path_node **table;          /* [table_size]; NULL while children are few */
    uint32_t child_count, table_size;  /* table_size: a power of two, >= 2 * child_count */
    uint32_t field;                    /* number of the path that ends here, or PATH_FIELD_NONE */
    bool findable;                     /* json_text_can_find(key) */
};

/* The node at the end of the first `part_count` parts of `path` below `root`, made where absent;
 * keys are borrowed. An index is a node that no text leads to. NULL when memory is out. */
struct path_node *path_tree_add(struct path_node *root, const struct payload_path *path,
                                uint32_t part_count, struct pool *pool);
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

/* Item number `index`; in order of values inside a block only. */
const void *value_set_at(const struct value_set *set, size_t index);

/* By bytes, then by size. */
int text_order(const void *left, const void *right);

/* ---- Compiled filters ---------------------------------------------------------------------- */

enum filter_kind {
    FILTER_MATCH,
    FILTER_EXCEPT,
    FILTER_RANGE,
    FILTER_MOMENT, /* a range of moments */
    FILTER_COUNT,
    FILTER_EMPTY,
    FILTER_NULL,
    FILTER_ELEMENT, /* a filter on the elements of an array */
    FILTER_IDS,
    FILTER_VECTOR,
    FILTER_SLICE,
    FILTER_GROUP,
    FILTER_NEVER, /* what no element of an array can pass: ids, vectors, slices */
};

struct filter_values {
    struct value_set texts, integers; /* of ins_text, of int64_t */
    bool match_true, match_false;
};

/* Both ends belong to it; empty when the low one is above the high one. Integers are compared as
 * integers, numbers with a fraction as doubles: what a bound of the other kind means was worked out
 * when compiling. */
struct filter_range {
    int64_t integer_low, integer_high; /* also of moments and counts */
    double real_low, real_high;
};

/* Conditions of one list stand with the cheap ones (ids, tenants) first. */
struct filter_list {
    const struct filter_condition *items;
    size_t count, cheap_count;
};

struct filter_group {
    struct filter_list must, should, must_not, min_should;
    size_t min_count; /* 0: there is no min_should */
};

/* The fields that conditions name in one object: the payload, or an element of an array. */
struct filter_scope {
    struct path_node paths;
    uint32_t field_count;
    ins_text *values; /* [field_count]; of the object being matched */
};

struct filter_element { /* a filter on its own, over elements */
    struct filter_scope scope;
    struct filter_group group;
};

/* A place in an array, or a key behind one. */
struct filter_step {
    enum payload_part kind;
    ins_text key;
    uint64_t index;
};

/* Where the values of a path are. */
struct filter_field {
    uint32_t field;                  /* in the scope */
    uint32_t step_count;             /* from the field's value on */
    const struct filter_step *steps; /* [step_count] */
};

#define PROBE_NONE UINT32_MAX

struct filter_condition {
    enum filter_kind kind;
    bool is_tenant;         /* looks at the row's tenant when it has one */
    uint32_t probe;         /* its number among those that columns can decide, or PROBE_NONE */
    struct filter_field at; /* conditions on fields only */
    ins_text key;           /* the path as it was given; of probes */
    union {
        struct filter_values match; /* also EXCEPT */
        struct filter_range range;  /* also MOMENT, COUNT */
        struct value_set ids;       /* of ins_id */
        ins_text vector;
        struct {
            uint32_t index, total;
        } slice;
        struct filter_group group;
        struct filter_element *element;
    } as;
};

struct filter {
    struct filter_group root;
    struct filter_scope scope;
    bool needs_payload, needs_vectors, needs_id;
    uint32_t probe_count;
    uint64_t *work; /* bytes walked since filter_take_work() */
};

/* Adds a path to the scope. */
INS_MUST_USE ins_status filter_field_build(struct filter_scope *scope,
                                           const struct payload_path *path, struct pool *pool,
                                           struct filter_field *out, ins_error *error);
/* Makes room for the values, when all fields are there. */
INS_MUST_USE ins_status filter_scope_finish(struct filter_scope *scope, struct pool *pool,
                                            ins_error *error);
/* Values of all fields; size 0 where there is none. */
void filter_scope_collect(const struct filter_scope *scope, ins_text object);
/* Everything that the steps select in a value, until `visit` says true. */
bool filter_steps_visit(const struct filter_step *steps, uint32_t count, ins_text value,
                        bool (*visit)(void *context, ins_text value), void *context);

/* What must be true of a condition whatever it is compiled into: INS_INVALID and INS_UNSUPPORTED
 * with the list and the place in it. */
INS_MUST_USE ins_status condition_validate(const ins_condition *condition, const char *list,
                                           size_t index, ins_error *error);
INS_MUST_USE ins_status filter_validate_counts(const ins_filter *source, uint32_t depth,
                                               size_t *count, ins_error *error);
/* INS_INVALID when a bound is no moment, or bounds of moments and numbers are mixed. */
INS_MUST_USE ins_status filter_range_build(const ins_condition *source, bool *out_moments,
                                           struct filter_range *out, ins_error *error);

/* Pins of a filter while it is being built without them. */
struct filter_pinning {
    bool uuid_tenant;
    bool pinned, too_many, no_memory;
    ins_text *values; /* sorted, each once */
    size_t count;
};
void filter_pin_add(struct filter_pinning *pinning, struct pool *pool,
                    const ins_condition *condition);
/* `pinning` not NULL: matches on the tenant field that every hit must pass go there instead of into
 * the filter. NULL in *out_filter when nothing is left then. */
INS_MUST_USE ins_status filter_build(struct pool *pool, const ins_filter *source,
                                     const struct payload_path *tenant_path,
                                     struct filter_pinning *pinning, struct filter **out_filter,
                                     ins_error *error);

/* A condition on one value of its field (filter_value.c); not for FILTER_ELEMENT. */
bool filter_value_holds(const struct filter_condition *condition, ins_text value);
/* The same of the tenant's value, which is a text without JSON around it. */
bool filter_tenant_holds(const struct filter_condition *condition, ins_text tenant);
/* Of SipHash-2-4 with key 0 over an id as Qdrant writes it (siphash.c). */
uint32_t id_slice(const ins_id *id, uint32_t total);

#endif
