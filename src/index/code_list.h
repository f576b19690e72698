/* 1-bit codes of a row's neighbours, as they lie from the row: 32 of them are looked up together.
 *
 * A neighbour keeps the signs of what leads to it, rotated; how far that is, and how well its signs
 * keep the direction, are its factors. They are made so that the query needs no preparation for
 * each row: it comes as it lies from the centre of all rows. Source: Gou, Gao, Xu, Long,
 * "SymphonyQG" (SIGMOD 2025); codes: Gao, Long, "RaBitQ" (SIGMOD 2024); look-up of 32 at once:
 * Andre, Kermarrec, Le Scouarnec, "Cache locality is not enough" (VLDB 2015). Layout:
 * kernel/codes.h. Threads: any. */
#ifndef INS_INDEX_CODE_LIST_H
#define INS_INDEX_CODE_LIST_H

#include <stdbool.h>

#include "kernel/kernel.h"

/* The neighbours `to` of `from`, all rotated, from the same centre, [padded]; count <=
 * CODE_LIST_ROWS. kernels->code_list then gives |to - query|^2 - |from - query|^2, about; with
 * `dot` <from, query> - <to, query>. The rows behind `count` get any number. */
void code_list_encode(const float *from, const float *const *to, uint32_t count, uint32_t padded,
                      bool dot, uint8_t *list);
/* `rotated` [padded], from the centre; `table` [padded / 4][16] is filled and kept. */
void code_list_query_make(const float *rotated, uint32_t padded, uint8_t *table,
                          struct code_list_query *out);

#endif
