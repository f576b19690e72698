/* Bounds of ranges, worked out once when a filter is compiled.
 *
 * A bound may be an integer or a number with a fraction, and so may a value. Both kinds of values
 * get closed intervals of their own, so that comparing is two comparisons and exact: no 64-bit
 * integer goes through a double. */
#include <math.h>

#include "base/assert.h"
#include "base/status.h"
#include "payload/payload_private.h"

static const struct filter_range range_empty = {
    .integer_low = INT64_MAX, .integer_high = INT64_MIN, .real_low = 1, .real_high = 0};

/* Orders an integer against a double, exactly. `number` is not NaN. */
static int integer_compare(int64_t integer, double number) {
    if (number >= 0x1p63) {
        return -1;
    }
    if (number < -0x1p63) {
        return 1;
    }
    int64_t whole = (int64_t)number; /* towards zero */
    if (integer != whole) {
        return integer < whole ? -1 : 1;
    }
    double rest = number - (double)whole;
    return (rest < 0) - (rest > 0);
}

/* The smallest integer above (or at, when `equal`) the bound. False when there is none. */
static bool integer_from(const ins_bound *bound, bool equal, int64_t *out) {
    if (bound->kind == INS_BOUND_INTEGER) {
        *out = equal || bound->integer == INT64_MAX ? bound->integer : bound->integer + 1;
        return equal || bound->integer < INT64_MAX;
    }
    double whole = equal ? ceil(bound->number) : floor(bound->number);
    if (whole >= 0x1p63) {
        return false;
    }
    *out = whole < -0x1p63 ? INT64_MIN : (int64_t)whole + !equal;
    return true;
}

static bool integer_to(const ins_bound *bound, bool equal, int64_t *out) {
    if (bound->kind == INS_BOUND_INTEGER) {
        *out = equal || bound->integer == INT64_MIN ? bound->integer : bound->integer - 1;
        return equal || bound->integer > INT64_MIN;
    }
    double whole = equal ? floor(bound->number) : ceil(bound->number);
    if (whole < -0x1p63 || (!equal && whole == -0x1p63)) {
        return false;
    }
    *out = whole >= 0x1p63 ? INT64_MAX : (int64_t)whole - !equal;
    return true;
}

/* The smallest double above (or at) the bound. */
static double real_from(const ins_bound *bound, bool equal) {
    double number = bound->kind == INS_BOUND_INTEGER ? (double)bound->integer : bound->number;
    int order = bound->kind == INS_BOUND_INTEGER ? integer_compare(bound->integer, number) : 0;
    bool inside = order < 0 || (equal && order == 0); /* the bound lies below, or at */
    return inside ? number : nextafter(number, (double)INFINITY);
}

static double real_to(const ins_bound *bound, bool equal) {
    double number = bound->kind == INS_BOUND_INTEGER ? (double)bound->integer : bound->number;
    int order = bound->kind == INS_BOUND_INTEGER ? integer_compare(bound->integer, number) : 0;
    bool inside = order > 0 || (equal && order == 0);
    return inside ? number : nextafter(number, -(double)INFINITY);
}

static void raise_low(struct filter_range *range, const ins_bound *bound, bool equal) {
    int64_t integer;
    if (bound->kind == INS_BOUND_NONE) {
        return;
    }
    if (bound->kind == INS_BOUND_NUMBER && isnan(bound->number)) {
        *range = range_empty;
        return;
    }
    if (!integer_from(bound, equal, &integer)) {
        range->integer_low = INT64_MAX;
        range->integer_high = INT64_MIN;
    } else if (integer > range->integer_low) {
        range->integer_low = integer;
    }
    double real = real_from(bound, equal);
    range->real_low = real > range->real_low ? real : range->real_low;
}

static void lower_high(struct filter_range *range, const ins_bound *bound, bool equal) {
    int64_t integer;
    if (bound->kind == INS_BOUND_NONE) {
        return;
    }
    if (bound->kind == INS_BOUND_NUMBER && isnan(bound->number)) {
        *range = range_empty;
        return;
    }
    if (!integer_to(bound, equal, &integer)) {
        range->integer_low = INT64_MAX;
        range->integer_high = INT64_MIN;
    } else if (integer < range->integer_high) {
        range->integer_high = integer;
    }
    double real = real_to(bound, equal);
    range->real_high = real < range->real_high ? real : range->real_high;
}

/* A moment as the integer that its microseconds are. */
static ins_status moment_of(const ins_bound *bound, const char *name, ins_bound *out,
                            ins_error *error) {
    *out = (ins_bound){.kind = INS_BOUND_NONE};
    if (bound->kind == INS_BOUND_NONE) {
        return INS_OK;
    }
    if (bound->kind != INS_BOUND_DATETIME || bound->datetime.data == NULL) {
        return ins_fail(error, INS_INVALID,
                        "filter: range.%s: numbers and datetimes are mixed in one range", name);
    }
    if (!payload_moment_parse(bound->datetime, &out->integer)) {
        int shown = bound->datetime.size > 64 ? 64 : (int)bound->datetime.size;
        return ins_fail(error, INS_INVALID,
                        "filter: range.%s: \"%.*s\" is not an RFC 3339 datetime", name, shown,
                        bound->datetime.data);
    }
    out->kind = INS_BOUND_INTEGER;
    return INS_OK;
}

enum { GT, GTE, LT, LTE, BOUND_COUNT };

static void range_of(const ins_bound bounds[BOUND_COUNT], struct filter_range *out) {
    *out = (struct filter_range){.integer_low = INT64_MIN,
                                 .integer_high = INT64_MAX,
                                 .real_low = -(double)INFINITY,
                                 .real_high = (double)INFINITY};
    struct filter_range range = *out;
    lower_high(&range, &bounds[LT], false);
    lower_high(&range, &bounds[LTE], true);
    raise_low(&range, &bounds[GT], false);
    raise_low(&range, &bounds[GTE], true);
    *out = range;
}

ins_status filter_range_build(const ins_condition *source, bool *out_moments,
                              struct filter_range *out, ins_error *error) {
    static const char *const names[BOUND_COUNT] = {"gt", "gte", "lt", "lte"};
    ins_bound bounds[BOUND_COUNT] = {source->gt, source->gte, source->lt, source->lte};
    bool moments = false;
    for (int i = 0; i < BOUND_COUNT; i++) {
        moments = moments || bounds[i].kind == INS_BOUND_DATETIME;
    }
    for (int i = 0; moments && i < BOUND_COUNT; i++) {
        ins_bound moment;
        ins_status status = moment_of(&bounds[i], names[i], &moment, error);
        if (status != INS_OK) {
            return status;
        }
        bounds[i] = moment;
    }
    range_of(bounds, out);
    *out_moments = moments;
    return INS_OK;
}
