/* What base/json_simdjson.cc does with numbers, by the C library: simdjson is for the host alone.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"

#define NUMBER_MAX 400u /* longer ones are refused */

/* A terminated copy; false when it is empty, too long, or begins as no JSON number does. */
static bool copy_number(ins_text number, char out[static NUMBER_MAX]) {
    if (number.size == 0 || number.size >= NUMBER_MAX) {
        return false;
    }
    memcpy(out, number.data, number.size);
    out[number.size] = '\0';
    return strchr("-0123456789", out[0]) != NULL;
}

bool json_text_integer(ins_text number, int64_t *out) {
    char text[NUMBER_MAX], *end;
    errno = 0;
    if (!copy_number(number, text)) {
        return false;
    }
    *out = strtoll(text, &end, 10);
    return *end == '\0' && errno == 0;
}

bool json_text_unsigned(ins_text number, uint64_t *out) {
    char text[NUMBER_MAX], *end;
    errno = 0;
    if (!copy_number(number, text) || text[0] == '-') {
        return false;
    }
    *out = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0;
}

bool json_text_number(ins_text number, double *out) {
    char text[NUMBER_MAX], *end;
    if (!copy_number(number, text)) {
        return false;
    }
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}
