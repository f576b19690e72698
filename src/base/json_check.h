/* Finds what is wrong with a JSON text: the slow second pass behind json_parse's messages. */
#ifndef INS_BASE_JSON_CHECK_H
#define INS_BASE_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_DEPTH_LIMIT 1024 /* of any parser; the checker keeps one bit a level */

struct json_fault {
    size_t offset, line, column; /* line and column from 1; a column is a byte */
    char reason[96];
};

/* False, and the first fault, when `text` is not one JSON value. `depth_max` <= JSON_DEPTH_LIMIT.
 * Agrees with json_parse on every text. Cost: some ns a byte; no allocation. */
bool json_check(const char *text, size_t size, uint32_t depth_max, struct json_fault *out_fault);

#ifdef __cplusplus
}
#endif
#endif
