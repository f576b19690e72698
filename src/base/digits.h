/* Whole numbers as decimal text: every hit of an answer has two, so this is no place for printf. */
#ifndef INS_BASE_DIGITS_H
#define INS_BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIGITS_TEXT_MAX 20 /* of the largest number of 64 bits */

extern const char digits_pairs[201]; /* "00" to "99" */

/* Writes the number's digits so that they end before `end`; returns where they begin. */
static inline char *digits_before(uint64_t number, char *end) {
    while (number >= 100) {
        end -= 2;
        memcpy(end, digits_pairs + 2 * (number % 100), 2);
        number /= 100;
    }
    if (number >= 10) {
        end -= 2;
        memcpy(end, digits_pairs + 2 * number, 2);
        return end;
    }
    *--end = (char)('0' + number);
    return end;
}

/* Into out[DIGITS_TEXT_MAX]; returns behind the last digit. */
static inline char *digits_put(uint64_t number, char *out) {
    char text[DIGITS_TEXT_MAX];
    char *begin = digits_before(number, text + sizeof(text));
    size_t size = (size_t)(text + sizeof(text) - begin);
    memcpy(out, begin, size);
    return out + size;
}

#endif
