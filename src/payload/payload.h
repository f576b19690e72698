/* Payload values and filters, on JSON text.
 *
 * Stored form ("payload encoding 1"): compact JSON text as received, numbers verbatim, UTF-8
 * checked, the last of duplicate keys wins (at the place of the first), without the tenant field,
 * which is put back as the last key of its object when read.
 * Paths: "a" or "a.b" (keys with dots are quoted: "\"a.b\".c"); [] and array positions: not yet, INS_UNSUPPORTED.
 * Threads: a scratch belongs to one thread. No global state. */
#ifndef INS_PAYLOAD_PAYLOAD_H
#define INS_PAYLOAD_PAYLOAD_H

#include "base/json.h"
#include "mem/mem.h"

#define PAYLOAD_PATH_PARTS_MAX 8

struct payload_path {
    ins_text parts[PAYLOAD_PATH_PARTS_MAX]; /* borrowed or pool copies */
    uint32_t part_count;
};

/* INS_INVALID for an empty or malformed path, INS_UNSUPPORTED for "[...]" parts. Copies into pool when `pool` is not NULL, else
 * borrows `text`. */
INS_MUST_USE ins_status payload_path_parse(ins_text text, struct pool *pool,
                                           struct payload_path *out_path, ins_error *error);
bool payload_path_equal(const struct payload_path *left, const struct payload_path *right);

/* What a write needs of a payload. */
struct payload_stored {
    ins_text text;    /* stored form, in the pool; size 0 when the payload was absent, null or {} */
    bool has_tenant;  /* tenant_path was given and its field is one string of at most 255 bytes */
    ins_text tenant;  /* decoded, in the pool */
};

/* Validates `payload` (an object or null; at most INS_PAYLOAD_BYTES_MAX, depth INS_JSON_DEPTH_MAX) and makes its stored form.
 * tenant_path NULL: no field is taken out. uuid_tenant: values that are UUIDs are taken in canonical
 * form (lower-case, hyphenated) and other strings count as no tenant.
 * When the tenant field is not a single string it stays in the text and has_tenant is false. */
INS_MUST_USE ins_status payload_store(struct json_parser *parser, struct pool *pool, ins_text payload,
                                      const struct payload_path *tenant_path, bool uuid_tenant,
                                      struct payload_stored *out, ins_error *error);
/* Puts the tenant field back as last key of its object (objects on the way are made when absent). text may be empty
 * ("{}" is meant). NULL data when memory is out. */
ins_text payload_restore(struct pool *pool, ins_text text, const struct payload_path *tenant_path,
                         ins_text tenant);
/* The part of a payload (with its tenant field restored) that a selector asks for; include and exclude take paths.
 * NULL data when memory is out. */
ins_text payload_select(struct pool *pool, ins_text text, const ins_selector *selector);

/* Filters: compiled once an operation, matched per row. Semantics are Qdrant's: a condition on an
 * array field holds when any element does; a missing field matches nothing; integers match only
 * integers, keywords only strings, bools only bools; a range takes numbers. */
struct filter;

/* Copies what it needs into the pool. INS_INVALID / INS_UNSUPPORTED name the condition.
 * tenant_path (may be NULL): conditions on it look at the row's `tenant`, not its text. */
INS_MUST_USE ins_status filter_compile(struct pool *pool, const ins_filter *source,
                                       const struct payload_path *tenant_path,
                                       struct filter **out_filter, ins_error *error);

/* Tenant values that a top-level must condition (match value or any, texts) on tenant_path pins.
 * False: not pinned. True: *out_values[*out_count] in the pool, without duplicates; several such conditions are intersected (count may be 0).
 * *out_residual: the filter without the pinning conditions for rows of those islands, NULL when
 * nothing is left to check. */
INS_MUST_USE ins_status filter_pins(struct pool *pool, const ins_filter *source,
                                    const struct payload_path *tenant_path, bool uuid_tenant,
                                    bool *out_pinned, ins_text **out_values, size_t *out_count,
                                    struct filter **out_residual, ins_error *error);

struct filter_row {
    ins_id id;
    ins_text payload; /* stored form; may be empty */
    bool has_tenant;
    ins_text tenant;
};

/* `parser`: scratch for payloads; not used when the filter looks at ids and tenants only. False also for a
 * payload that does not parse (it was checked when stored). */
bool filter_match(const struct filter *filter, struct json_parser *parser,
                  const struct filter_row *row);
/* True when rows must be read for their payload to decide. */
bool filter_needs_payload(const struct filter *filter);

#endif
