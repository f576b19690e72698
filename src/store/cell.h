/* The format of a cell: two slots, written in turn, so that a torn write never costs the older
 * copy.
 *
 * Path: a swap encodes the header for version n and writes it with the data into slot n % 2; a load
 * verifies both slots and takes the higher version.
 * Format: docs/FORMATS.md "Cells". */
#ifndef INS_STORE_CELL_H
#define INS_STORE_CELL_H

#include "store/store.h"

#define CELL_HEADER_BYTES 4096u /* 64 in use, the rest zero: data begins on a page */
#define CELL_SLOT_BYTES (STORE_CELL_BYTES_MAX + CELL_HEADER_BYTES)
#define CELL_SLOTS 2u

enum cell_slot_state {
    CELL_EMPTY,  /* all zero: never written */
    CELL_WHOLE,  /* verified */
    CELL_DAMAGED /* neither: torn at a power cut, or damaged */
};

/* The header of version `version` with `data`; all of `out` is set. */
void cell_header_encode(uint64_t version, const void *data, size_t size,
                        uint8_t out[static CELL_HEADER_BYTES]);
/* Slot number `slot`, `image_size` bytes of it from its start on; what lies behind them in the slot
 * is zero. CELL_WHOLE: *out_version and *out_size are set, the data begins at CELL_HEADER_BYTES. */
enum cell_slot_state cell_slot_verify(uint32_t slot, const uint8_t *image, size_t image_size,
                                      uint64_t *out_version, size_t *out_size);

static inline uint32_t cell_slot_of(uint64_t version) {
    return (uint32_t)(version % CELL_SLOTS);
}

/* What a load found in both slots. */
struct cell_choice {
    uint64_t version; /* 0: not there */
    size_t size;
    uint32_t slot;
    enum cell_slot_state state[CELL_SLOTS];
};
/* Adds what slot `slot` holds; true when its data are now the newest known. */
bool cell_choice_add(struct cell_choice *choice, uint32_t slot, const uint8_t *image,
                     size_t image_size);
/* For a cell that exists: sets *out_damage (may be NULL) as cell_load promises; INS_CORRUPT when no
 * slot is whole. */
ins_status cell_choice_end(const struct cell_choice *choice, const char *name,
                           ins_error *out_damage, ins_error *error);

/* True when all `size` bytes are zero. */
bool bytes_are_zero(const uint8_t *data, size_t size);

#endif
