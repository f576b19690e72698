/* Payload values and filters, on JSON text.
 *
 * Stored form ("payload encoding 1"): compact JSON text as received, numbers verbatim, UTF-8
 * checked, the last of duplicate keys wins (at the place of the first), without the tenant field,
 * which is put back as the last key of its object when read.
 * Paths: "a" or "a.b" (keys with dots are quoted: "\"a.b\".c"); "a[]" is every element of an array,
 * "a[3]" the fourth.
 * Threads: a parser, a pool and a compiled filter belong to one thread at a time. No global state.
 * Memory: when a pool has none left, INS_EXHAUSTED. */
#ifndef INS_PAYLOAD_PAYLOAD_H
#define INS_PAYLOAD_PAYLOAD_H

#include "base/json.h"
#include "mem/mem.h"

#define PAYLOAD_PATH_PARTS_MAX 16

enum payload_part { PART_KEY, PART_INDEX, PART_ALL };

struct payload_path {
    ins_text parts[PAYLOAD_PATH_PARTS_MAX]; /* borrowed or pool copies; an index as its digits */
    uint8_t kinds[PAYLOAD_PATH_PARTS_MAX];  /* enum payload_part; the first is a key */
    uint32_t part_count, key_count;         /* key_count: keys before the first place in an array */
};

/* INS_INVALID for an empty or malformed path. Copies into pool when `pool` is not NULL, else
 * borrows `text`. */
INS_MUST_USE ins_status payload_path_parse(ins_text text, struct pool *pool,
                                           struct payload_path *out_path, ins_error *error);
/* And INS_UNSUPPORTED for places in arrays. */
INS_MUST_USE ins_status payload_path_parse_keys(ins_text text, struct pool *pool,
                                                struct payload_path *out_path, ins_error *error);
bool payload_path_equal(const struct payload_path *left, const struct payload_path *right);

/* What a write needs of a payload. */
struct payload_stored {
    ins_text text;   /* stored form, in the pool; size 0 when the payload was absent, null or {} */
    bool has_tenant; /* tenant_path was given and its field is one string of at most 255 bytes */
    ins_text tenant; /* decoded, in the pool */
};

/* Validates `payload` (an object or null; at most INS_PAYLOAD_BYTES_MAX, depth INS_JSON_DEPTH_MAX)
 * and makes its stored form. tenant_path NULL: no field is taken out. uuid_tenant: values that are
 * UUIDs are taken in canonical form (lower-case, hyphenated) and other strings count as no tenant.
 * When the tenant field is not a single string it stays in the text and has_tenant is false. */
INS_MUST_USE ins_status payload_store(struct json_parser *parser, struct pool *pool,
                                      ins_text payload, const struct payload_path *tenant_path,
                                      bool uuid_tenant, struct payload_stored *out,
                                      ins_error *error);
/* The member that payload_restore_member() puts back: of one key, into the pool. Size 0 when the
 * path has more parts, the key cannot be looked for quickly, or memory is out. */
ins_text payload_tenant_member(struct pool *pool, const struct payload_path *tenant_path,
                               ins_text tenant);
/* payload_restore() for such a member: `key` is the path's only part. *out_text is set, with NULL
 * data when memory is out. False: payload_restore() must look closer. */
bool payload_restore_member(struct pool *pool, ins_text text, ins_text key, ins_text member,
                            ins_text *out_text);
/* Puts the tenant field back as last key of its object (objects on the way are made when absent).
 * `text` is a stored form and may be empty ("{}" is meant). Something that stands at the path
 * already stays as it is. NULL data when memory is out. */
ins_text payload_restore(struct pool *pool, ins_text text, const struct payload_path *tenant_path,
                         ins_text tenant);
/* The part of a payload (compact, with its tenant field restored) that a selector asks for; include
 * and exclude take paths, and a key that is no path names nothing. INS_SELECT_NONE gives size 0,
 * an empty text "{}". NULL data when memory is out. */
ins_text payload_select(struct pool *pool, ins_text text, const ins_selector *selector);

/* A change of payloads, made once and applied to many. `object`: the members to set, in stored form
 * (payload_store without a tenant path); `path` (borrowed, NULL: the payload itself): the object
 * that takes them. */
struct payload_patch;
INS_MUST_USE ins_status payload_patch_create(struct pool *pool, ins_text object,
                                             const struct payload_path *path,
                                             struct payload_patch **out, ins_error *error);
/* Qdrant's set_payload: a member replaces the one of its key, null removes it; what stands on the
 * way to the path's object and is none becomes one. `text`: a whole payload in stored form, its
 * tenant field restored; may be empty. *out is in the pool. INS_TOO_LARGE above
 * INS_PAYLOAD_BYTES_MAX. */
INS_MUST_USE ins_status payload_merge(struct pool *pool, ins_text text,
                                      const struct payload_patch *patch, ins_text *out,
                                      ins_error *error);
/* The payload without what the paths name; a path that leads nowhere removes nothing. */
#define PAYLOAD_REMOVE_PATHS_MAX 256u /* each member of an object is compared with all of them */
INS_MUST_USE ins_status payload_remove(struct pool *pool, ins_text text,
                                       const struct payload_path *paths, size_t path_count,
                                       ins_text *out, ins_error *error);

/* A moment as microseconds since 1970 in UTC, finer digits cut: RFC 3339, also with a space for the
 * T, without seconds, offset (UTC) or time of day; hours of an offset may stand alone; white space
 * in front, a space before the offset and "UTC" for it are taken, since Qdrant takes them. Years 0
 * to 9999. False: no such text. */
bool payload_moment_parse(ins_text text, int64_t *out_micros);

/* Each value that stands at the path, as its text; of an array that stands there its elements. The
 * walk ends when `visit` says false. `payload` is a stored form. */
void payload_values(ins_text payload, const struct payload_path *path,
                    bool (*visit)(void *context, ins_text value), void *context);

/* Filters: compiled once an operation, matched per row. Semantics are Qdrant's, see ins_condition:
 * a condition on an array holds when any element does; integers match only integers, keywords only
 * strings, bools only bools; a range takes numbers, or strings that are moments. */
struct filter;

/* Copies what it needs into the pool. INS_INVALID / INS_UNSUPPORTED name the condition.
 * tenant_path (may be NULL): conditions on it look at the row's `tenant`, not its text. */
INS_MUST_USE ins_status filter_compile(struct pool *pool, const ins_filter *source,
                                       const struct payload_path *tenant_path,
                                       struct filter **out_filter, ins_error *error);

/* Tenant values that a must condition (match value or any) on tenant_path pins, at the top level or
 * in the must of a filter nested there. *out_pinned false: hits may be anywhere; *out_residual is
 * the whole filter (NULL when it takes everything), the rest is untouched. True:
 * *out_values[*out_count] in the pool, sorted by bytes, without duplicates; several such conditions
 * are intersected. The count is 0 when the conditions name no island (integers, bools, texts over
 * INS_TENANT_BYTES_MAX, no UUID where uuid_tenant): then only the common island can hold hits.
 * *out_residual: the filter without the pinning conditions, for rows of those islands; NULL when
 * nothing is left to check. (Rows of the common island are matched with the whole filter.) */
INS_MUST_USE ins_status filter_pins(struct pool *pool, const ins_filter *source,
                                    const struct payload_path *tenant_path, bool uuid_tenant,
                                    bool *out_pinned, ins_text **out_values, size_t *out_count,
                                    struct filter **out_residual, ins_error *error);

struct filter_row {
    ins_id id;
    ins_text payload; /* stored form; may be empty */
    bool has_tenant;
    ins_text tenant;
    const ins_text *vectors; /* [vector_count] names of the vectors that the row has */
    uint32_t vector_count;
};

/* `parser` is not used (may be NULL): the text is walked, once a row at most but for arrays, and
 * not at all when ids and tenants decide. On text that is not a stored form the answer is
 * unspecified. A row that takes more than INS_FILTER_ROW_BYTES_MAX bytes of walking passes nothing:
 * filter_take_work() tells. */
bool filter_match(const struct filter *filter, struct json_parser *parser,
                  const struct filter_row *row);
/* Bytes walked since the last call: what the matches cost. */
uint64_t filter_take_work(const struct filter *filter);
/* True when rows must be read for their payload to decide: a condition names a payload field, the
 * tenant field included (in the common island it is in the payload). */
bool filter_needs_payload(const struct filter *filter);
/* True when a condition is on the row's id: else the row need not have it. */
bool filter_needs_id(const struct filter *filter);
/* True when a condition asks which vectors a row has. */
bool filter_needs_vectors(const struct filter *filter);

#endif
