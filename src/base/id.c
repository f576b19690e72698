#include "base/id.h"

#include <stdio.h>
#include <string.h>

size_t id_format(const ins_id *id, char out[static ID_TEXT_MAX]) {
    int length;
    if (id->is_uuid) {
        length =
            snprintf(out, ID_TEXT_MAX, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(id->high >> 32),
                     (unsigned)((id->high >> 16) & 0xffff), (unsigned)(id->high & 0xffff),
                     (unsigned)(id->low >> 48), (unsigned long long)(id->low & 0xffffffffffffull));
    } else {
        length = snprintf(out, ID_TEXT_MAX, "%llu", (unsigned long long)id->low);
    }
    return (size_t)length;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool id_parse_uuid(const char *text, size_t size, ins_id *out) {
    static const char urn[] = "urn:uuid:";
    if (size == 45 && memcmp(text, urn, sizeof(urn) - 1) == 0) {
        text += sizeof(urn) - 1;
        size -= sizeof(urn) - 1;
    } else if (size == 38 && text[0] == '{' && text[37] == '}') {
        text += 1;
        size -= 2;
    }
    if (size != 36 && size != 32) {
        return false;
    }
    uint64_t words[2] = {0, 0};
    size_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        bool hyphen_place = size == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        if (hyphen_place) {
            if (text[i] != '-') {
                return false;
            }
            continue;
        }
        int digit = hex_digit(text[i]);
        if (digit < 0) {
            return false;
        }
        words[digits / 16] = words[digits / 16] << 4 | (uint64_t)digit;
        digits++;
    }
    *out = (ins_id){.high = words[0], .low = words[1], .is_uuid = true};
    return true;
}
