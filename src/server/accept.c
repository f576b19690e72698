/* Accept-Encoding: a list of codings with weights (RFC 9110, 12.5.3). Of all codings this server
 * has one, gzip, so the question is only whether it is allowed. */
#include <string.h>
#include <strings.h>

#include "server/head.h"

static const char *skip_space(const char *at, const char *end) {
    while (at != end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    return at;
}

/* Whether the parameters of one coding give it the weight 0: "q=0", "q=0.000". */
static bool weight_is_zero(const char *at, const char *end) {
    at = skip_space(at, end);
    if (end - at < 3 || (*at | 0x20) != 'q' || at[1] != '=' || at[2] != '0') {
        return false;
    }
    for (at += 3; at != end && *at != ' ' && *at != '\t' && *at != ';'; at++) {
        if (*at != '.' && *at != '0') {
            return false;
        }
    }
    return true;
}

static bool name_is(const char *at, size_t size, const char *name) {
    return size == strlen(name) && strncasecmp(at, name, size) == 0;
}

bool accepts_gzip(ins_text value) {
    const char *at = value.data;
    const char *end = value.data + value.size;
    bool any = false;
    while (at != end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma == NULL ? end : comma;
        const char *name = skip_space(at, stop);
        const char *semicolon = memchr(name, ';', (size_t)(stop - name));
        const char *name_end = semicolon == NULL ? stop : semicolon;
        bool allowed = semicolon == NULL || !weight_is_zero(semicolon + 1, stop);
        while (name_end != name && (name_end[-1] == ' ' || name_end[-1] == '\t')) {
            name_end--;
        }
        size_t size = (size_t)(name_end - name);
        if (name_is(name, size, "gzip") || name_is(name, size, "x-gzip")) {
            return allowed; /* what is said of gzip itself goes before what is said of all */
        }
        any |= allowed && name_is(name, size, "*");
        at = comma == NULL ? end : comma + 1;
    }
    return any;
}
