/* The neighbours of a row in a graph: GRAPH_DEGREE rows in 3 bytes each, the least first. */
#ifndef INS_INDEX_LINKS_H
#define INS_INDEX_LINKS_H

#include <stdint.h>
#include <string.h>

#define GRAPH_DEGREE 32u
#define LINKS_BYTES (GRAPH_DEGREE * 3u)
#define LINK_NONE 0xffffffu /* behind the last one; no row has this number */

/* Four links are three words; lists are as long as whole vectors of them. */
static inline void links_load(const void *list, uint32_t out[static GRAPH_DEGREE]) {
    uint32_t words[LINKS_BYTES / 4];
    memcpy(words, list, sizeof(words));
    for (uint32_t i = 0; i < GRAPH_DEGREE / 4; i++) {
        uint32_t a = words[3 * i], b = words[3 * i + 1], c = words[3 * i + 2];
        out[4 * i] = a & LINK_NONE;
        out[4 * i + 1] = (a >> 24 | b << 8) & LINK_NONE;
        out[4 * i + 2] = (b >> 16 | c << 16) & LINK_NONE;
        out[4 * i + 3] = c >> 8;
    }
}

static inline void links_store(void *list, const uint32_t *rows, uint32_t count) {
    uint32_t words[LINKS_BYTES / 4], ids[GRAPH_DEGREE];
    for (uint32_t i = 0; i < GRAPH_DEGREE; i++) {
        ids[i] = i < count ? rows[i] : LINK_NONE;
    }
    for (uint32_t i = 0; i < GRAPH_DEGREE / 4; i++) {
        uint32_t a = ids[4 * i], b = ids[4 * i + 1], c = ids[4 * i + 2], d = ids[4 * i + 3];
        words[3 * i] = a | b << 24;
        words[3 * i + 1] = b >> 8 | c << 16;
        words[3 * i + 2] = c >> 16 | d << 8;
    }
    memcpy(list, words, sizeof(words));
}

#endif
