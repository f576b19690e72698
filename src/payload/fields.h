/* Values of payload fields as an index holds them, and what an index can say of a filter.
 *
 * A column is one field (a path) in one domain. Writing: payload_columns_visit gives the values of
 * a payload for all columns in one walk. Reading: filter_probes names the conditions that columns
 * can decide, filter_rows joins what they say of a group of rows into two sets: rows that pass for
 * sure, and rows that may pass and must be looked at. Values mean what they mean to filter_match:
 * all that a path selects, the elements of arrays. */
#ifndef INS_PAYLOAD_FIELDS_H
#define INS_PAYLOAD_FIELDS_H

#include <string.h>

#include "payload/payload.h"

/* A group of rows is looked at in one go; its sets are 512 bytes. */
#define ROW_GROUP 4096u
#define ROW_GROUP_WORDS (ROW_GROUP / 64u)

/* Domains are disjoint but for texts that are moments as well. Numbers are two domains, so that
 * integers are compared as such: a range asks both. */
enum payload_domain {
    DOMAIN_TEXT = 1,
    DOMAIN_INTEGER = 2,
    DOMAIN_REAL = 3, /* every other number */
    DOMAIN_MOMENT = 4,
    DOMAIN_BOOL = 5,
    DOMAIN_FORM = 6, /* what the values are, whichever they are: enum payload_form */
};
#define DOMAIN_LAST DOMAIN_FORM

/* Keys of DOMAIN_FORM. A payload has as many of them as are true of what the path selects. */
enum payload_form {
    FORM_EMPTY = 1,       /* nothing but null and [], or nothing at all */
    FORM_NULL = 2,        /* a null, as value or as element */
    FORM_NOT_TEXT = 3,    /* a value or element that is neither null nor a text, */
    FORM_NOT_INTEGER = 4, /* and one that is neither null nor an integer of 64 bits */
    FORM_COUNT = 16,      /* + n: n values stand there; + 0 when nothing is selected */
};

struct payload_column {
    ins_text path; /* as payload_path_text writes it */
    enum payload_domain domain;
};

/* Keys are ordered as the values are: integers and moments with the sign bit turned, reals by their
 * bits, bools 0 and 1. */
uint64_t payload_key_integer(int64_t value);
uint64_t payload_key_real(double value);

/* The one way to write a path: keys without quotes where they need none. In the pool; NULL data
 * when memory is out. */
ins_text payload_path_text(const struct payload_path *path, struct pool *pool);

#define PAYLOAD_COLUMN_VALUES_MAX 256u /* of one payload in one column; more are not given */
#define PAYLOAD_COLUMN_TEXT_MAX 255u   /* bytes; longer texts are not given */

struct payload_value {
    uint32_t column;
    bool unknown;  /* there are values that are not given; comes once, with nothing else */
    uint64_t key;  /* every domain but texts */
    ins_text text; /* decoded; lives during the call */
};

struct payload_columns; /* compiled; one thread at a time */

/* Copies what it needs. INS_INVALID when a path is none. */
INS_MUST_USE ins_status payload_columns_create(struct pool *pool,
                                               const struct payload_column *columns, uint32_t count,
                                               struct payload_columns **out, ins_error *error);
uint32_t payload_columns_count(const struct payload_columns *columns);
const struct payload_column *payload_columns_at(const struct payload_columns *columns,
                                                uint32_t index);
/* Every value of a stored payload that belongs to a column; equal ones may come again. */
void payload_columns_visit(const struct payload_columns *columns, ins_text payload,
                           void (*take)(void *context, const struct payload_value *value),
                           void *context);

/* ---- Filters -------------------------------------------------------------------------------- */

#define FILTER_PROBE_VALUES_MAX                                                                    \
    4096u /* of all conditions of a filter: a group has as many rows                               \
           */

/* A condition that columns of its path can decide: all of those whose domains it names. */
struct filter_probe {
    ins_text path;
    uint32_t domains; /* bit 1 << domain */
    bool too_large;   /* looking for so many values is more work than looking at the rows */
    const void *condition;
};

static inline bool probe_asks(const struct filter_probe *probe, enum payload_domain domain) {
    return (probe->domains >> domain & 1u) != 0;
}

/* Number of probes of a filter; 0: no index can help. */
uint32_t filter_probe_count(const struct filter *filter);
/* All of them, in the pool. INS_EXHAUSTED. */
INS_MUST_USE ins_status filter_probes(const struct filter *filter, struct pool *pool,
                                      struct filter_probe **out_probes, ins_error *error);
/* What a probe looks for in one domain, one closed interval of keys after the other (texts: one
 * text after the other). *at begins with 0. False: no more. */
bool probe_next_keys(const struct filter_probe *probe, enum payload_domain domain, size_t *at,
                     uint64_t *out_low, uint64_t *out_high);
bool probe_next_text(const struct filter_probe *probe, size_t *at, ins_text *out_text);
/* True: it looks for all texts but those that probe_has_text knows, and probe_next_text has none.
 */
bool probe_is_except(const struct filter_probe *probe);
bool probe_has_text(const struct filter_probe *probe, ins_text text);

struct row_bits {
    uint64_t words[ROW_GROUP_WORDS];
};
static inline void row_bits_set(struct row_bits *bits, uint32_t row) {
    bits->words[row / 64] |= 1ull << row % 64;
}
static inline bool row_bits_has(const struct row_bits *bits, uint32_t row) {
    return (bits->words[row / 64] >> row % 64 & 1) != 0;
}

struct row_verdict { /* sure is a part of maybe */
    struct row_bits sure, maybe;
};

/* What an index knows of a group. *out_known false: nothing. Else the verdict, which comes zeroed,
 * is filled. INS_AGAIN and errors end filter_rows. */
typedef ins_status (*filter_lookup)(void *context, uint32_t probe, struct row_verdict *out,
                                    bool *out_known, ins_error *error);

/* Rows 0 .. row_count of a group that pass. `row` says the tenant of all of them, nothing else. */
INS_MUST_USE ins_status filter_rows(const struct filter *filter, const struct filter_row *row,
                                    uint32_t row_count, filter_lookup lookup, void *context,
                                    struct row_verdict *out, ins_error *error);

#endif
