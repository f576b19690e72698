/* What an index knows of a filter, for a group of rows at a time.
 *
 * Logic of three values in two sets: rows that pass for sure, and rows that may pass. A condition
 * that no column decides passes nothing for sure and may pass everything; "and", "or" and "not"
 * work on both sets. So whatever the filter is made of, rows outside of the second set need no
 * look, and those in the first one need none at their payload. */
#include <math.h>

#include "base/assert.h"
#include "payload/payload_private.h"

/* ---- Probes -------------------------------------------------------------------------------- */

uint32_t filter_probe_count(const struct filter *filter) {
    return filter->probe_count;
}

static uint32_t domain_bit(enum payload_domain domain) {
    return 1u << domain;
}

static uint32_t domains_of(const struct filter_condition *condition) {
    const struct filter_values *match = &condition->as.match;
    uint32_t domains = 0;
    switch (condition->kind) {
    case FILTER_MATCH:
        domains |= match->texts.count > 0 ? domain_bit(DOMAIN_TEXT) : 0;
        domains |= match->integers.count > 0 ? domain_bit(DOMAIN_INTEGER) : 0;
        domains |= match->match_true || match->match_false ? domain_bit(DOMAIN_BOOL) : 0;
        return domains;
    case FILTER_RANGE:
        return domain_bit(DOMAIN_INTEGER) | domain_bit(DOMAIN_REAL);
    case FILTER_MOMENT:
        return domain_bit(DOMAIN_MOMENT);
    case FILTER_EXCEPT:
        domains |= match->texts.count > 0 ? domain_bit(DOMAIN_TEXT) : 0;
        domains |= match->integers.count > 0 ? domain_bit(DOMAIN_INTEGER) : 0;
        return domains | domain_bit(DOMAIN_FORM);
    case FILTER_COUNT:
    case FILTER_EMPTY:
    case FILTER_NULL:
        return domain_bit(DOMAIN_FORM);
    case FILTER_ELEMENT:
    case FILTER_IDS:
    case FILTER_VECTOR:
    case FILTER_SLICE:
    case FILTER_GROUP:
    case FILTER_NEVER:
        break;
    }
    INS_ASSERT(condition->kind == FILTER_MATCH); /* the others are no probes */
    return 0;
}

static bool has_values(const struct filter_condition *condition) {
    return condition->kind == FILTER_MATCH || condition->kind == FILTER_EXCEPT;
}

static size_t value_count(const struct filter_condition *condition) {
    const struct filter_values *match = &condition->as.match;
    return has_values(condition) ? match->texts.count + match->integers.count : 1;
}

/* What is left beside texts and integers, or bools, no column tells. */
static bool is_mixed(const struct filter_condition *condition) {
    const struct filter_values *match = &condition->as.match;
    return condition->kind == FILTER_EXCEPT &&
           ((match->texts.count > 0 && match->integers.count > 0) || match->match_true ||
            match->match_false);
}

struct probing {
    struct pool *pool;
    size_t value_count; /* of the probes so far */
    struct filter_probe *probes;
};

/* Recurses at most INS_FILTER_DEPTH_MAX levels. False: memory is out. */
static bool collect_list(struct probing *probing, const struct filter_list *list);

static bool collect_group(struct probing *probing, const struct filter_group *group) {
    return collect_list(probing, &group->must) && collect_list(probing, &group->should) &&
           collect_list(probing, &group->must_not) && collect_list(probing, &group->min_should);
}

static bool collect_list(struct probing *probing, const struct filter_list *list) {
    bool good = true;
    for (size_t i = 0; good && i < list->count; i++) {
        const struct filter_condition *condition = &list->items[i];
        if (condition->kind == FILTER_GROUP) {
            good = collect_group(probing, &condition->as.group);
        } else if (condition->probe != PROBE_NONE) {
            struct payload_path path;
            INS_ASSERT(payload_path_parse(condition->key, NULL, &path, NULL) == INS_OK);
            struct filter_probe *probe = &probing->probes[condition->probe];
            *probe = (struct filter_probe){.path = payload_path_text(&path, probing->pool),
                                           .domains = domains_of(condition),
                                           .condition = condition};
            good = probe->path.data != NULL;
            probing->value_count += value_count(condition);
            probe->too_large =
                probing->value_count > FILTER_PROBE_VALUES_MAX || is_mixed(condition);
        }
    }
    return good;
}

ins_status filter_probes(const struct filter *filter, struct pool *pool,
                         struct filter_probe **out_probes, ins_error *error) {
    struct probing probing = {
        .pool = pool,
        .probes = pool_alloc_zero(pool, (filter->probe_count + 1) * sizeof(struct filter_probe))};
    if (probing.probes == NULL || !collect_group(&probing, &filter->root)) {
        return payload_no_memory(error, "the plan of a filter");
    }
    *out_probes = probing.probes;
    return INS_OK;
}

static bool next_of_range(const struct filter_range *range, enum payload_domain domain, size_t *at,
                          uint64_t *out_low, uint64_t *out_high) {
    bool real = domain == DOMAIN_REAL;
    bool empty =
        real ? range->real_low > range->real_high : range->integer_low > range->integer_high;
    if (*at > 0 || empty) {
        return false;
    }
    *at = 1;
    *out_low = real ? payload_key_real(range->real_low) : payload_key_integer(range->integer_low);
    *out_high =
        real ? payload_key_real(range->real_high) : payload_key_integer(range->integer_high);
    return true;
}

/* The one interval of forms that the condition looks for. */
static bool next_of_forms(const struct filter_condition *condition, size_t *at, uint64_t *out_low,
                          uint64_t *out_high) {
    const struct filter_range *range = &condition->as.range;
    bool counts = condition->kind == FILTER_COUNT;
    if (*at > 0 ||
        (counts && (range->integer_high < 0 || range->integer_low > range->integer_high))) {
        return false;
    }
    *at = 1;
    if (counts) {
        uint64_t low = range->integer_low < 0 ? 0 : (uint64_t)range->integer_low;
        *out_low = FORM_COUNT + low;
        *out_high = FORM_COUNT + (uint64_t)range->integer_high;
        return true;
    }
    const struct filter_values *match = &condition->as.match;
    bool except = condition->kind == FILTER_EXCEPT;
    *out_low = condition->kind == FILTER_EMPTY  ? FORM_EMPTY
               : condition->kind == FILTER_NULL ? FORM_NULL
               : match->integers.count > 0      ? FORM_NOT_INTEGER
                                                : FORM_NOT_TEXT;
    /* Other than nothing at all is whatever is no text or no integer: everything but null. */
    bool all = except && match->integers.count == 0 && match->texts.count == 0;
    *out_high = all ? FORM_NOT_INTEGER : *out_low;
    return true;
}

/* Between the integers that are left out, which ascend: number *at lies before the integer *at. */
static bool next_of_gaps(const struct filter_values *match, size_t *at, uint64_t *out_low,
                         uint64_t *out_high) {
    for (; *at <= match->integers.count; (*at)++) {
        uint64_t low = 0, high = UINT64_MAX;
        if (*at > 0) {
            const int64_t *before = value_set_at(&match->integers, *at - 1);
            low = payload_key_integer(*before);
            if (low == UINT64_MAX) {
                continue;
            }
            low++;
        }
        if (*at < match->integers.count) {
            const int64_t *behind = value_set_at(&match->integers, *at);
            high = payload_key_integer(*behind);
            if (high == 0) {
                continue;
            }
            high--;
        }
        if (low <= high) {
            *out_low = low;
            *out_high = high;
            (*at)++;
            return true;
        }
    }
    return false;
}

bool probe_next_keys(const struct filter_probe *probe, enum payload_domain domain, size_t *at,
                     uint64_t *out_low, uint64_t *out_high) {
    const struct filter_condition *condition = probe->condition;
    const struct filter_values *match = &condition->as.match;
    if (domain == DOMAIN_FORM) {
        return next_of_forms(condition, at, out_low, out_high);
    }
    if (condition->kind == FILTER_EXCEPT) {
        return domain == DOMAIN_INTEGER && next_of_gaps(match, at, out_low, out_high);
    }
    if (condition->kind != FILTER_MATCH) {
        return next_of_range(&condition->as.range, domain, at, out_low, out_high);
    }
    if (domain == DOMAIN_BOOL) {
        *at += *at == 0 && !match->match_false;
        bool more = *at < 2 && (*at == 0 || match->match_true);
        *out_low = *out_high = *at;
        (*at)++;
        return more;
    }
    if (domain != DOMAIN_INTEGER || *at == match->integers.count) {
        return false;
    }
    const int64_t *integer = value_set_at(&match->integers, *at);
    *out_low = *out_high = payload_key_integer(*integer);
    (*at)++;
    return true;
}

bool probe_next_text(const struct filter_probe *probe, size_t *at, ins_text *out_text) {
    const struct filter_condition *condition = probe->condition;
    if (condition->kind != FILTER_MATCH || *at == condition->as.match.texts.count) {
        return false;
    }
    const ins_text *text = value_set_at(&condition->as.match.texts, *at);
    *out_text = *text;
    (*at)++;
    return true;
}

bool probe_is_except(const struct filter_probe *probe) {
    const struct filter_condition *condition = probe->condition;
    return condition->kind == FILTER_EXCEPT;
}

bool probe_has_text(const struct filter_probe *probe, ins_text text) {
    const struct filter_condition *condition = probe->condition;
    return value_set_has(&condition->as.match.texts, &text, text_order);
}

/* ---- Sets ---------------------------------------------------------------------------------- */

struct joining {
    const struct filter_row *row;
    uint32_t word_count; /* of the sets that rows of the group take */
    struct row_bits all;
    filter_lookup lookup;
    void *context;
    ins_error *error;
};

static void set_all(const struct joining *joining, struct row_bits *bits) {
    for (uint32_t i = 0; i < joining->word_count; i++) {
        bits->words[i] = joining->all.words[i];
    }
}

static void set_none(const struct joining *joining, struct row_bits *bits) {
    for (uint32_t i = 0; i < joining->word_count; i++) {
        bits->words[i] = 0;
    }
}

static void verdict_and(const struct joining *joining, struct row_verdict *left,
                        const struct row_verdict *right) {
    for (uint32_t i = 0; i < joining->word_count; i++) {
        left->sure.words[i] &= right->sure.words[i];
        left->maybe.words[i] &= right->maybe.words[i];
    }
}

static void verdict_or(const struct joining *joining, struct row_verdict *left,
                       const struct row_verdict *right) {
    for (uint32_t i = 0; i < joining->word_count; i++) {
        left->sure.words[i] |= right->sure.words[i];
        left->maybe.words[i] |= right->maybe.words[i];
    }
}

/* left and not right. */
static void verdict_and_not(const struct joining *joining, struct row_verdict *left,
                            const struct row_verdict *right) {
    for (uint32_t i = 0; i < joining->word_count; i++) {
        left->sure.words[i] &= ~right->maybe.words[i];
        left->maybe.words[i] &= ~right->sure.words[i];
    }
}

static void verdict_unknown(const struct joining *joining, struct row_verdict *out) {
    set_none(joining, &out->sure);
    set_all(joining, &out->maybe);
}

static void verdict_constant(const struct joining *joining, bool holds, struct row_verdict *out) {
    if (holds) {
        set_all(joining, &out->sure);
        set_all(joining, &out->maybe);
    } else {
        set_none(joining, &out->sure);
        set_none(joining, &out->maybe);
    }
}

static bool nothing_left(const struct joining *joining, const struct row_verdict *verdict) {
    uint64_t any = 0;
    for (uint32_t i = 0; i < joining->word_count; i++) {
        any |= verdict->maybe.words[i];
    }
    return any == 0;
}

/* ---- Conditions ---------------------------------------------------------------------------- */

static ins_status join_group(const struct joining *joining, const struct filter_group *group,
                             struct row_verdict *out);

static ins_status join_condition(const struct joining *joining,
                                 const struct filter_condition *condition,
                                 struct row_verdict *out) {
    bool known = false;
    if (condition->kind == FILTER_GROUP) {
        return join_group(joining, &condition->as.group, out);
    }
    if (condition->kind == FILTER_NEVER) {
        verdict_constant(joining, false, out);
        return INS_OK;
    }
    if (condition->is_tenant && joining->row->has_tenant) {
        verdict_constant(joining, filter_tenant_holds(condition, joining->row->tenant), out);
        return INS_OK;
    }
    if (condition->probe != PROBE_NONE) {
        set_none(joining, &out->sure);
        set_none(joining, &out->maybe);
        ins_status status =
            joining->lookup(joining->context, condition->probe, out, &known, joining->error);
        if (status != INS_OK) {
            return status;
        }
    }
    if (!known) {
        verdict_unknown(joining, out);
    }
    return INS_OK;
}

static ins_status join_any(const struct joining *joining, const struct filter_list *list,
                           struct row_verdict *out) {
    ins_status status = INS_OK;
    verdict_constant(joining, false, out);
    for (size_t i = 0; status == INS_OK && i < list->count; i++) {
        struct row_verdict one;
        status = join_condition(joining, &list->items[i], &one);
        if (status == INS_OK) {
            verdict_or(joining, out, &one);
        }
    }
    return status;
}

/* Of min_should: one is "or"; of more it is known only that there must be one at all. */
static ins_status join_some(const struct joining *joining, const struct filter_group *group,
                            struct row_verdict *out) {
    ins_status status = join_any(joining, &group->min_should, out);
    if (status == INS_OK && group->min_count > 1) {
        set_none(joining, &out->sure);
    }
    return status;
}

/* Recurses at most INS_FILTER_DEPTH_MAX levels, each with 2 KiB of sets. */
static ins_status join_group(const struct joining *joining, const struct filter_group *group,
                             struct row_verdict *out) {
    struct row_verdict one = {.sure = {{0}}};
    ins_status status = INS_OK;
    verdict_constant(joining, true, out);
    for (size_t i = 0; status == INS_OK && i < group->must.count; i++) {
        status = join_condition(joining, &group->must.items[i], &one);
        if (status == INS_OK) {
            verdict_and(joining, out, &one);
        }
        if (status == INS_OK && nothing_left(joining, out)) {
            return INS_OK;
        }
    }
    if (status == INS_OK && group->should.count > 0) {
        status = join_any(joining, &group->should, &one);
        if (status == INS_OK) {
            verdict_and(joining, out, &one);
        }
    }
    for (size_t i = 0; status == INS_OK && i < group->must_not.count; i++) {
        status = join_condition(joining, &group->must_not.items[i], &one);
        if (status == INS_OK) {
            verdict_and_not(joining, out, &one);
        }
    }
    if (status == INS_OK && group->min_count > 0) {
        status = join_some(joining, group, &one);
        if (status == INS_OK) {
            verdict_and(joining, out, &one);
        }
    }
    return status;
}

ins_status filter_rows(const struct filter *filter, const struct filter_row *row,
                       uint32_t row_count, filter_lookup lookup, void *context,
                       struct row_verdict *out, ins_error *error) {
    INS_ASSERT(row_count > 0);
    INS_ASSERT(row_count <= ROW_GROUP);
    struct joining joining = {.row = row,
                              .word_count = (row_count + 63) / 64,
                              .lookup = lookup,
                              .context = context,
                              .error = error};
    for (uint32_t i = 0; i < joining.word_count; i++) {
        uint32_t left = row_count - i * 64;
        joining.all.words[i] = left >= 64 ? UINT64_MAX : (1ull << left) - 1;
    }
    *out = (struct row_verdict){.sure = {{0}}};
    return join_group(&joining, &filter->root, out);
}
