/* Size classes, and how many slots of each fill a slab.
 *
 * Classes are 16 apart up to 128 and then four a doubling, so a slot is at most 15 bytes or 25 %
 * larger than what was asked for. A slab is the smallest number of units that its slots fill to
 * 15/16. */
#include "base/assert.h"
#include "mem/mem_private.h"

#define STEP_BYTES 16u
#define LINEAR_MAX 128u /* 2^LINEAR_SHIFT */
#define LINEAR_SHIFT 7u
#define LINEAR_COUNT (LINEAR_MAX / STEP_BYTES)

_Static_assert(LINEAR_COUNT + 4 * (21 - LINEAR_SHIFT) == ARENA_CLASS_COUNT, "classes end at 2 MiB");
_Static_assert(INS_BLOCK_BYTES_MAX == 1u << 21, "the last class is the largest block");

uint32_t arena_class_index(size_t size) {
    INS_ASSERT(size >= 1);
    INS_ASSERT(size <= INS_BLOCK_BYTES_MAX);
    uint32_t last = (uint32_t)size - 1;
    if (last < LINEAR_MAX) {
        return last / STEP_BYTES;
    }
    uint32_t power = 31u - (uint32_t)__builtin_clz(last);
    uint32_t quarter = (last >> (power - 2)) & 3u;
    return LINEAR_COUNT + (power - LINEAR_SHIFT) * 4 + quarter;
}

static uint32_t class_bytes(uint32_t class_index) {
    if (class_index < LINEAR_COUNT) {
        return (class_index + 1) * STEP_BYTES;
    }
    uint32_t power = LINEAR_SHIFT + (class_index - LINEAR_COUNT) / 4;
    uint32_t quarter = (class_index - LINEAR_COUNT) % 4;
    return (5u + quarter) << (power - 2);
}

size_t arena_class_size(size_t size) {
    return class_bytes(arena_class_index(size));
}

static struct arena_class class_make(uint32_t slot_bytes) {
    for (uint32_t unit_count = 1; unit_count <= ARENA_PAGE_UNITS; unit_count++) {
        uint32_t bytes = unit_count * ARENA_UNIT_BYTES;
        uint32_t slot_count = bytes / slot_bytes;
        uint32_t tail = bytes - slot_count * slot_bytes;
        if (slot_count != 0 && tail <= bytes / 16) {
            return (struct arena_class){slot_bytes, slot_count, unit_count};
        }
    }
    INS_ASSERT(false); /* a page holds one slot of the largest class exactly */
    return (struct arena_class){0};
}

void arena_classes_init(struct arena_class classes[static ARENA_CLASS_COUNT]) {
    for (uint32_t i = 0; i < ARENA_CLASS_COUNT; i++) {
        classes[i] = class_make(class_bytes(i));
        INS_ASSERT(classes[i].slot_count <= UINT16_MAX);
        INS_ASSERT(classes[i].unit_count <= ARENA_PAGE_UNITS);
    }
}
