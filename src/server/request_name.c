#include "server/request_name.h"

#include <string.h>

#include "base/hash.h"

#define MADE_SIZE 16u

static bool id_is_plain(ins_text id) {
    for (size_t i = 0; i < id.size; i++) {
        if (id.data[i] <= ' ' || id.data[i] > '~' || id.data[i] == '"' || id.data[i] == '\\') {
            return false;
        }
    }
    return id.size > 0 && id.size <= REQUEST_ID_MAX;
}

static bool is_lower_hex(char digit) {
    return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
}

/* 00-TRACE-PARENT-FLAGS in lower-case hex of 32, 16 and 2 digits; zeros are no trace. */
static bool traceparent_is_valid(ins_text text) {
    bool trace = false, parent = false;
    if (text.size != TRACEPARENT_SIZE) {
        return false;
    }
    for (size_t i = 0; i < TRACEPARENT_SIZE; i++) {
        bool dash = i == 2 || i == 35 || i == 52;
        char digit = text.data[i];
        if (dash ? digit != '-' : !is_lower_hex(digit)) {
            return false;
        }
        trace |= i > 2 && i < 35 && digit != '0';
        parent |= i > 35 && i < 52 && digit != '0';
    }
    return trace && parent && memcmp(text.data, "ff", 2) != 0;
}

static void make_id(struct request_names *names, struct request_name *out) {
    static const char digits[] = "0123456789abcdef";
    uint64_t number = hash_u64(names->next++); /* one to one */
    for (size_t i = 0; i < MADE_SIZE; i++) {
        out->id[i] = digits[number >> (60 - 4 * i) & 15];
    }
    out->size = MADE_SIZE;
}

void request_name_set(struct request_names *names, ins_text id, ins_text traceparent,
                      struct request_name *out) {
    if (id_is_plain(id)) {
        memcpy(out->id, id.data, id.size);
        out->size = (uint8_t)id.size;
    } else {
        make_id(names, out);
    }
    out->id[out->size] = '\0';
    out->traced = traceparent_is_valid(traceparent);
    if (out->traced) {
        memcpy(out->traceparent, traceparent.data, TRACEPARENT_SIZE);
    }
}
