/* Arguments: sizes, ports, and how to say that one is wrong. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"

int cli_usage(const char *command, const char *format, ...) {
    va_list arguments;
    (void)fprintf(stderr, "insula %s: ", command);
    va_start(arguments, format);
    /* NOLINTNEXTLINE: clang 14 misses va_start */
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "\nTry: insula help %s\n", command);
    return CLI_USAGE;
}

static bool parse_digits(const char *text, uint64_t *out_number, const char **out_rest) {
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number)) {
            return false;
        }
    }
    *out_number = number;
    *out_rest = at;
    return at != text;
}

bool cli_parse_bytes(const char *text, uint64_t *out_bytes) {
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"", 0},     {"B", 0},   {"K", 10},   {"KB", 10}, {"KiB", 10},
                 {"M", 20},   {"MB", 20}, {"MiB", 20}, {"G", 30},  {"GB", 30},
                 {"GiB", 30}, {"T", 40},  {"TiB", 40}};
    uint64_t number = 0;
    const char *rest = NULL;
    if (!parse_digits(text, &number, &rest)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(rest, units[i].unit) == 0) {
            *out_bytes = number << units[i].shift;
            return number <= (uint64_t)INT64_MAX >> units[i].shift;
        }
    }
    return false;
}

bool cli_parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out_number) {
    uint64_t number = 0;
    const char *rest = NULL;
    if (!parse_digits(text, &number, &rest) || *rest != '\0' || number < min || number > max) {
        return false;
    }
    *out_number = (uint32_t)number;
    return true;
}

bool cli_parse_port(const char *text, uint16_t *out_port) {
    uint64_t number = 0;
    const char *rest = NULL;
    if (!parse_digits(text, &number, &rest) || *rest != '\0' || number > UINT16_MAX) {
        return false;
    }
    *out_port = (uint16_t)number;
    return true;
}

const char *cli_format_bytes(uint64_t bytes, char out[static 32]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024.0 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024.0;
        unit++;
    }
    (void)snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

bool cli_is_loopback(const char *host) {
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
