/* Pieces of a request's target: percent-decoding, UTF-8, and the query parameters that every
 * operation of Qdrant may carry. */
#include <string.h>

#include "api/api_private.h"

static int hex_value(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Length of the UTF-8 sequence that begins with `lead`; 0 when none does. Bounds of the second byte
 * exclude overlong forms, surrogates and code points above U+10FFFF. */
static size_t utf8_sequence(uint8_t lead, uint8_t *out_low, uint8_t *out_high) {
    *out_low = 0x80;
    *out_high = 0xbf;
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        return 2;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        *out_low = lead == 0xe0 ? 0xa0 : 0x80;
        *out_high = lead == 0xed ? 0x9f : 0xbf;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        *out_low = lead == 0xf0 ? 0x90 : 0x80;
        *out_high = lead == 0xf4 ? 0x8f : 0xbf;
        return 4;
    }
    return 0;
}

bool utf8_valid(const char *text, size_t size) {
    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t at = 0; at < size;) {
        uint8_t low = 0, high = 0;
        size_t length = utf8_sequence(bytes[at], &low, &high);
        if (length == 0 || length > size - at) {
            return false;
        }
        for (size_t i = 1; i < length; i++) {
            if (bytes[at + i] < low || bytes[at + i] > high) {
                return false;
            }
            low = 0x80;
            high = 0xbf;
        }
        at += length;
    }
    return true;
}

ins_status percent_decode(ins_text raw, bool plus_is_space, char *out, size_t *out_size,
                          ins_error *error) {
    size_t size = 0;
    for (size_t at = 0; at < raw.size; at++) {
        char byte = raw.data[at];
        if (byte == '%') {
            int high = at + 2 < raw.size ? hex_value(raw.data[at + 1]) : -1;
            int low = at + 2 < raw.size ? hex_value(raw.data[at + 2]) : -1;
            if (high < 0 || low < 0) {
                return ins_fail(error, INS_INVALID,
                                "Bad request: `%.*s` has a %% that two hex digits do not follow",
                                (int)(raw.size < 100 ? raw.size : 100), raw.data);
            }
            byte = (char)(high * 16 + low);
            at += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        if (byte == '\0') {
            return ins_fail(error, INS_INVALID, "Bad request: %%00 in the path or the query");
        }
        out[size++] = byte;
    }
    if (!utf8_valid(out, size)) {
        return ins_fail(error, INS_INVALID, "Bad request: `%.*s` is not UTF-8 when decoded",
                        (int)(raw.size < 100 ? raw.size : 100), raw.data);
    }
    *out_size = size;
    return INS_OK;
}

static bool text_is(ins_text text, const char *expected) {
    return text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0;
}

static bool text_is_any(ins_text text, const char *const expected[], size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (text_is(text, expected[i])) {
            return true;
        }
    }
    return false;
}

#define QUERY_ERROR "Deserialize error in query parameters: "

static ins_status query_bool(const char *name, ins_text value, bool *out, ins_error *error) {
    if (!text_is(value, "true") && !text_is(value, "false")) {
        return ins_fail(error, INS_INVALID, QUERY_ERROR "%s: `%.*s` is neither true nor false",
                        name, (int)value.size, value.data);
    }
    *out = text_is(value, "true");
    return INS_OK;
}

bool url_number(ins_text text, uint64_t *out) {
    uint64_t value = 0;
    if (text.size == 0 || text.size > 18) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = value;
    return true;
}

/* Insula's own: which tenant of a name is meant. */
static ins_status query_incarnation(ins_text value, struct query_params *params, ins_error *error) {
    if (!url_number(value, &params->incarnation) || params->incarnation == 0) {
        return ins_fail(error, INS_INVALID,
                        QUERY_ERROR "incarnation: `%.*s` is not a number above 0", (int)value.size,
                        value.data);
    }
    return INS_OK;
}

static ins_status query_timeout(ins_text value, struct query_params *params, ins_error *error) {
    uint64_t seconds = 0;
    if (!url_number(value, &seconds)) {
        return ins_fail(error, INS_INVALID,
                        QUERY_ERROR "timeout: `%.*s` is not a number of seconds", (int)value.size,
                        value.data);
    }
    if (seconds == 0) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in query parameters: "
                        "[timeout: value 0 invalid, must be 1 or larger]");
    }
    params->has_timeout = true;
    params->timeout_s = (uint32_t)(seconds < TIMEOUT_S_MAX ? seconds : TIMEOUT_S_MAX);
    return INS_OK;
}

static ins_status query_word(const char *name, ins_text value, const char *const words[],
                             size_t word_count, bool number_too, ins_error *error) {
    uint64_t number = 0;
    if (text_is_any(value, words, word_count) ||
        (number_too && url_number(value, &number) && number != 0)) {
        return INS_OK;
    }
    return ins_fail(error, INS_INVALID, QUERY_ERROR "%s: `%.*s` is not one of %s, %s, %s%s", name,
                    (int)value.size, value.data, words[0], words[1], words[2],
                    number_too ? " or a number above 0" : "");
}

static ins_status query_param(ins_text name, ins_text value, struct query_params *params,
                              ins_error *error) {
    static const char *const orderings[] = {"weak", "medium", "strong"};
    static const char *const consistencies[] = {"majority", "quorum", "all"};
    if (text_is(name, "wait")) {
        return query_bool("wait", value, &params->wait, error);
    }
    if (text_is(name, "merge")) {
        return query_bool("merge", value, &params->merge, error);
    }
    if (text_is(name, "part")) {
        return query_bool("part", value, &params->part, error);
    }
    if (text_is(name, "timeout")) {
        return query_timeout(value, params, error);
    }
    if (text_is(name, "incarnation")) {
        return query_incarnation(value, params, error);
    }
    if (text_is(name, "with")) {
        params->has_with = true;
        return INS_OK;
    }
    if (text_is(name, "ordering")) { /* one node: every order is the strong one */
        return query_word("ordering", value, orderings, 3, false, error);
    }
    if (text_is(name, "consistency")) {
        return query_word("consistency", value, consistencies, 3, true, error);
    }
    return INS_OK;
}

#define QUERY_PIECE_MAX 64u /* a name or a value that matters is far shorter */

ins_status query_params_parse(ins_text query, struct query_params *out_params, ins_error *error) {
    struct query_params params = {0};
    const char *at = query.data;
    const char *end = query.data + query.size;
    while (at != end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        const char *equal = memchr(at, '=', (size_t)(stop - at));
        const char *name_end = equal == NULL ? stop : equal;
        ins_text name = {at, (size_t)(name_end - at)};
        ins_text raw = {equal == NULL ? stop : equal + 1, 0};
        raw.size = (size_t)(stop - raw.data);
        char decoded[QUERY_PIECE_MAX] = "";
        ins_text value = raw;
        if (text_is(name, "tenant")) {
            params.tenant = raw; /* longer than what the others may be */
        } else if (raw.size <= sizeof(decoded)) {
            ins_status status = percent_decode(raw, true, decoded, &value.size, error);
            if (status != INS_OK) {
                return status;
            }
            value.data = decoded;
        } else {
            value.size = QUERY_PIECE_MAX; /* too long to be right; named in its first bytes */
        }
        ins_status status = query_param(name, value, &params, error);
        if (status != INS_OK) {
            return status;
        }
        at = stop == end ? end : stop + 1;
    }
    *out_params = params;
    return INS_OK;
}
