/* Moments from text: RFC 3339 and what Qdrant takes besides.
 *
 * Path: date, time of day, fraction, offset, one after the other; whatever is left over is wrong.
 * Every part but the date may be absent; without an offset it is UTC. */
#include <string.h>

#include "base/assert.h"
#include "payload/payload_private.h"

#define MICROS 1000000

struct moment_scan {
    const char *at, *end;
};

static bool take_char(struct moment_scan *scan, char wanted) {
    bool there = scan->at < scan->end && *scan->at == wanted;
    scan->at += there;
    return there;
}

static bool is_digit(const struct moment_scan *scan) {
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

/* A number of `least` to `most` digits, within [low, high]. */
static bool take_number(struct moment_scan *scan, int least, int most, int low, int high,
                        int *out) {
    int number = 0;
    int digits = 0;
    for (; digits < most && is_digit(scan); digits++) {
        number = number * 10 + (*scan->at++ - '0');
    }
    *out = number;
    return digits >= least && number >= low && number <= high;
}

static int days_of_month(int year, int month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* Days from 1970-01-01. Counts in years that begin in March, so that the leap day ends a year. */
static int64_t days_of_date(int year, int month, int day) {
    int64_t march_year = month > 2 ? year : year - 1;
    int64_t era = (march_year >= 0 ? march_year : march_year - 399) / 400;
    int64_t year_of_era = march_year - era * 400;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static bool take_date(struct moment_scan *scan, int64_t *out_days) {
    int year;
    int month;
    int day;
    if (!take_number(scan, 4, 4, 0, 9999, &year) || !take_char(scan, '-') ||
        !take_number(scan, 1, 2, 1, 12, &month) || !take_char(scan, '-') ||
        !take_number(scan, 1, 2, 1, days_of_month(year, month), &day)) {
        return false;
    }
    *out_days = days_of_date(year, month, day);
    return true;
}

/* Behind the point; digits beyond the sixth are passed over. */
static bool take_fraction(struct moment_scan *scan, int64_t *out_micros) {
    int64_t weight = MICROS / 10;
    bool any = is_digit(scan);
    for (; is_digit(scan); scan->at++) {
        *out_micros += weight * (*scan->at - '0');
        weight /= 10;
    }
    return any;
}

/* Second 60 is a leap second: it counts as the first of the next minute. */
static bool take_time(struct moment_scan *scan, int64_t *out_micros, bool *out_seconds) {
    int hour;
    int minute;
    int second = 0;
    *out_micros = 0;
    if (!take_number(scan, 1, 2, 0, 23, &hour) || !take_char(scan, ':') ||
        !take_number(scan, 1, 2, 0, 59, &minute)) {
        return false;
    }
    *out_seconds = take_char(scan, ':');
    if (*out_seconds && !take_number(scan, 1, 2, 0, 60, &second)) {
        return false;
    }
    if (*out_seconds && take_char(scan, '.') && !take_fraction(scan, out_micros)) {
        return false;
    }
    *out_micros += (int64_t)MICROS * (hour * 3600 + minute * 60 + second);
    return true;
}

/* "Z", "+02", "+0200", "+02:00", " UTC"; nothing is UTC. */
static bool take_offset(struct moment_scan *scan, int64_t *out_seconds) {
    *out_seconds = 0;
    if (scan->at == scan->end) {
        return true;
    }
    bool space = take_char(scan, ' ');
    if (space && scan->end - scan->at == 3 && memcmp(scan->at, "UTC", 3) == 0) {
        scan->at = scan->end;
        return true;
    }
    if (take_char(scan, 'Z') || take_char(scan, 'z')) {
        return true;
    }
    bool west = take_char(scan, '-');
    int hours;
    int minutes = 0;
    if ((!west && !take_char(scan, '+')) || !take_number(scan, 2, 2, 0, 23, &hours)) {
        return false;
    }
    bool colon = take_char(scan, ':');
    if ((colon || scan->at < scan->end) && !take_number(scan, 2, 2, 0, 59, &minutes)) {
        return false;
    }
    *out_seconds = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

bool payload_moment_parse(ins_text text, int64_t *out_micros) {
    INS_ASSERT(out_micros != NULL);

    struct moment_scan scan = {text.data, text.data + text.size};
    int64_t days;
    int64_t micros = 0;
    int64_t offset = 0;
    while (scan.at < scan.end && (*scan.at == ' ' || (*scan.at >= '\t' && *scan.at <= '\r'))) {
        scan.at++;
    }
    if (!take_date(&scan, &days)) {
        return false;
    }
    if (scan.at < scan.end) {
        bool seconds = false;
        bool separated = take_char(&scan, 'T') || take_char(&scan, 't') || take_char(&scan, ' ');
        if (!separated || !take_time(&scan, &micros, &seconds) ||
            (seconds && !take_offset(&scan, &offset)) || scan.at != scan.end) {
            return false;
        }
    }
    *out_micros = (days * 86400 - offset) * MICROS + micros;
    return true;
}
