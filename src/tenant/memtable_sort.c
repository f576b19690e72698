#include "tenant/memtable_sort.h"

#include "base/assert.h"
#include "base/id.h"

#define SORT_LEVELS 40
#define DIGIT_VALUES 256u
#define WRITE_AHEAD 8u

void row_order_init(struct row_order *order, struct arena *arena) {
    *order = (struct row_order){.arena = arena, .capacity = ROW_KEYS_MAX};
    order->keys = arena_alloc(arena, INS_MEM_JOB, ROW_KEYS_BYTES);
    order->spare = arena_alloc(arena, INS_MEM_JOB, ROW_KEYS_BYTES);
    if (order->keys == NULL || order->spare == NULL) {
        row_order_fini(order);
        order->keys = order->few[0];
        order->spare = order->few[1];
        order->capacity = ROW_KEYS_FEW;
    }
}

void row_order_fini(struct row_order *order) {
    if (order->capacity == ROW_KEYS_MAX) {
        arena_free(order->arena, INS_MEM_JOB, order->keys, ROW_KEYS_BYTES);
        arena_free(order->arena, INS_MEM_JOB, order->spare, ROW_KEYS_BYTES);
    }
    order->keys = order->spare = NULL;
    order->capacity = order->row_count = 0;
}

/* ---- Keys beside each other ---------------------------------------------------------------- */

static struct memrow *row_of(const struct row_key *key) {
    return (struct memrow *)(key->row & ~(uintptr_t)1);
}

static bool key_after(const struct row_key *left, const struct row_key *right) {
    if ((left->row & 1) != (right->row & 1)) {
        return (left->row & 1) != 0;
    }
    return left->high != right->high ? left->high > right->high : left->low > right->low;
}

static void sort_few(struct row_key *keys, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        struct row_key key = keys[i];
        uint32_t at = i;
        for (; at > 0 && key_after(&keys[at - 1], &key); at--) {
            keys[at] = keys[at - 1];
        }
        keys[at] = key;
    }
}

/* Digits 0 to 7 are the low word's bytes, 8 to 15 the high word's, 16 says number or UUID. */
static inline uint32_t digit_of(const struct row_key *key, uint32_t digit) {
    if (digit == 16) {
        return key->row & 1;
    }
    return (uint8_t)((digit < 8 ? key->low : key->high) >> 8 * (digit % 8));
}

static void scatter(const struct row_key *from, struct row_key *to, uint32_t count,
                    uint32_t digit) {
    uint32_t places[DIGIT_VALUES] = {0};
    for (uint32_t i = 0; i < count; i++) {
        places[digit_of(&from[i], digit)]++;
    }
    uint32_t place = 0;
    for (uint32_t i = 0; i < DIGIT_VALUES; i++) {
        uint32_t size = places[i];
        places[i] = place;
        place += size;
    }
    for (uint32_t i = 0; i < count; i++) {
        to[places[digit_of(&from[i], digit)]++] = from[i];
    }
}

/* Sorts keys[count]; the result lies in keys or in spare. */
static struct row_key *sort_keys(struct row_key *keys, struct row_key *spare, uint32_t count) {
    if (count <= ROW_KEYS_FEW) {
        sort_few(keys, count);
        return keys;
    }
    struct row_key differ = {0};
    for (uint32_t i = 1; i < count; i++) {
        differ.low |= keys[i].low ^ keys[0].low;
        differ.high |= keys[i].high ^ keys[0].high;
        differ.row |= keys[i].row ^ keys[0].row;
    }
    for (uint32_t digit = 0; digit <= 16; digit++) {
        if (digit_of(&differ, digit) != 0) {
            scatter(keys, spare, count, digit);
            struct row_key *sorted = spare;
            spare = keys;
            keys = sorted;
        }
    }
    return keys;
}

/* Sorts and links what was collected. */
static struct memrow *link_keys(struct row_order *order, uint32_t count,
                                struct row_key **out_sorted) {
    struct row_key *keys = sort_keys(order->keys, order->spare, count);
    for (uint32_t i = 0; i < count; i++) {
        if (i + WRITE_AHEAD < count) {
            __builtin_prefetch(&row_of(&keys[i + WRITE_AHEAD])->sort_next, 1);
        }
        row_of(&keys[i])->sort_next = i + 1 < count ? row_of(&keys[i + 1]) : NULL;
    }
    *out_sorted = keys;
    return row_of(&keys[0]);
}

/* ---- Lists ---------------------------------------------------------------------------------- */

static int row_before(const struct memrow *left, const struct memrow *right) {
    ins_id a = memrow_id(left), b = memrow_id(right);
    return id_compare(&a, &b);
}

static struct memrow *merge_rows(struct memrow *left, struct memrow *right) {
    struct memrow *head = NULL, **tail = &head;
    while (left != NULL && right != NULL) {
        struct memrow **least = row_before(left, right) <= 0 ? &left : &right;
        *tail = *least;
        tail = &(*least)->sort_next;
        *least = (*least)->sort_next;
    }
    *tail = left != NULL ? left : right;
    return head;
}

/* Lists of 1, 2, 4 ... pieces, merged when two of one length are there. */
static void levels_add(struct memrow *levels[static SORT_LEVELS], struct memrow *carry) {
    int level = 0;
    for (; levels[level] != NULL; level++) {
        carry = merge_rows(levels[level], carry);
        levels[level] = NULL;
    }
    levels[level] = carry;
}

/* ---- An island ------------------------------------------------------------------------------ */

static bool is_written(const struct island_mem *mem, const struct memrow *row) {
    bool superseded = row->newer != NULL;
    bool needless = row->kind == MEMROW_TOMBSTONE && mem->oldest;
    return !superseded && !needless;
}

bool island_mem_has_rows(const struct island_mem *mem) {
    const struct memrow *row = mem->first;
    while (row != NULL && !is_written(mem, row)) {
        row = row->island_next;
    }
    return row != NULL;
}

/* `keys` are all of the island's; the rows take their place, which is larger. */
static void rows_of_keys(struct row_order *order, struct row_key *keys, uint32_t count) {
    order->rows = (uintptr_t *)(void *)keys;
    for (uint32_t i = 0; i < count; i++) {
        order->rows[i] = keys[i].row & ~(uintptr_t)1;
    }
    order->row_count = count;
}

static void rows_of_list(struct row_order *order, const struct memrow *row) {
    uint32_t capacity = order->capacity * (uint32_t)(sizeof(struct row_key) / sizeof(uintptr_t));
    order->rows = (uintptr_t *)(void *)order->spare;
    for (order->row_count = 0; row != NULL && order->row_count < capacity; row = row->sort_next) {
        order->rows[order->row_count++] = (uintptr_t)row;
    }
}

void island_mem_sort(struct island_mem *mem, struct row_order *order) {
    struct memrow *levels[SORT_LEVELS] = {NULL};
    struct row_key *keys = order->keys;
    uint32_t count = 0;
    bool one_piece = true;
    for (struct memrow *row = mem->first; row != NULL; row = row->island_next) {
        if (!is_written(mem, row)) {
            continue;
        }
        if (count == order->capacity) {
            levels_add(levels, link_keys(order, count, &keys));
            one_piece = false;
            count = 0;
        }
        INS_ASSERT(((uintptr_t)row & 1) == 0);
        order->keys[count++] =
            (struct row_key){row->id_high, row->id_low, (uintptr_t)row | row->id_is_uuid};
    }
    struct memrow *all = count == 0 ? NULL : link_keys(order, count, &keys);
    for (int level = 0; level < SORT_LEVELS && !one_piece; level++) {
        all = merge_rows(levels[level], all);
    }
    mem->sorted = all;
    if (one_piece) {
        rows_of_keys(order, keys, count);
    } else {
        rows_of_list(order, all);
    }
}

/* ---- Islands -------------------------------------------------------------------------------- */

static bool island_before(const struct island_mem *left, const struct island_mem *right) {
    if (left->scope != right->scope) {
        return left->scope < right->scope;
    }
    return left->incarnation < right->incarnation;
}

static struct island_mem *merge_islands(struct island_mem *left, struct island_mem *right) {
    struct island_mem *head = NULL, **tail = &head;
    while (left != NULL && right != NULL) {
        struct island_mem **least = island_before(right, left) ? &right : &left;
        *tail = *least;
        tail = &(*least)->next;
        *least = (*least)->next;
    }
    *tail = left != NULL ? left : right;
    return head;
}

void generation_sort(struct generation *generation) {
    INS_ASSERT(generation->frozen);
    struct island_mem *levels[SORT_LEVELS] = {NULL};
    struct island_mem *mem = generation->islands;
    while (mem != NULL) {
        struct island_mem *next = mem->next;
        mem->next = NULL;
        struct island_mem *carry = mem;
        int level = 0;
        for (; levels[level] != NULL; level++) {
            carry = merge_islands(levels[level], carry);
            levels[level] = NULL;
        }
        levels[level] = carry;
        mem = next;
    }
    generation->islands = NULL;
    for (int level = 0; level < SORT_LEVELS; level++) {
        generation->islands = merge_islands(levels[level], generation->islands);
    }
}
