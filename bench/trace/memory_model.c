#include "memory_model.h"

#include <stdlib.h>

#define SMALL_SHIFT 12
#define HUGE_SHIFT 21
#define FIRST_WAYS 4u
#define FIRST_SETS 16u
#define SECOND_WAYS 12u
#define SECOND_SETS 128u
#define COPIES_AT 56 /* copies of range r begin at (r + 1) << COPIES_AT: no program is there */
#define HUGE_MARK (1ull << 63)

struct entry {
    uint64_t page; /* its number + 1, with HUGE_MARK for one of 2 MiB; 0: none */
    uint64_t used;
};

struct tlb {
    struct entry first[FIRST_SETS][FIRST_WAYS];
    struct entry second[SECOND_SETS][SECOND_WAYS];
    uint64_t now;
};

struct seen { /* a set of numbers, emptied by counting on */
    uint64_t *keys;
    uint32_t *rounds;
    uint32_t capacity, count; /* capacity: a power of two */
};

struct range {
    uint64_t begin, end;
};

struct model {
    struct tlb tlbs[MODEL_ARRANGEMENTS];
    struct range ranges[MODEL_KINDS][MODEL_RANGES_MAX];
    uint32_t range_counts[MODEL_KINDS];
    uint64_t index_bytes, index_size, copy;
    uint32_t round;
    bool in_query;
    struct seen lines, index_lines, pages;
    struct model_counts counts;
};

/* ---- Distinct numbers ---- */

static bool seen_make(struct seen *seen) {
    seen->capacity = 2 * MODEL_LINES_MAX;
    seen->keys = calloc(seen->capacity, sizeof(*seen->keys));
    seen->rounds = calloc(seen->capacity, sizeof(*seen->rounds));
    return seen->keys != NULL && seen->rounds != NULL;
}

static void seen_free(struct seen *seen) {
    free(seen->keys);
    free(seen->rounds);
}

/* True when there is no room for it. */
static bool seen_put(struct seen *seen, uint32_t round, uint64_t key) {
    uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 40) & (seen->capacity - 1);
    while (seen->rounds[at] == round && seen->keys[at] != key) {
        at = (at + 1) & (seen->capacity - 1);
    }
    if (seen->rounds[at] == round) {
        return false;
    }
    if (seen->count == MODEL_LINES_MAX) {
        return true;
    }
    seen->keys[at] = key;
    seen->rounds[at] = round;
    seen->count++;
    return false;
}

/* ---- TLB ---- */

/* Whether the page was in the set; now it is, as the newest. */
static bool look_up(struct entry *set, uint32_t ways, uint64_t page, uint64_t now) {
    struct entry *oldest = set;
    for (uint32_t way = 0; way < ways; way++) {
        if (set[way].page == page) {
            set[way].used = now;
            return true;
        }
        if (set[way].used < oldest->used) {
            oldest = &set[way];
        }
    }
    *oldest = (struct entry){.page = page, .used = now};
    return false;
}

static void translate(struct model *model, enum model_pages pages, uint64_t address, bool huge) {
    struct tlb *tlb = &model->tlbs[pages];
    uint64_t number = address >> (huge ? HUGE_SHIFT : SMALL_SHIFT);
    uint64_t page = (number + 1) | (huge ? HUGE_MARK : 0);
    tlb->now++;
    if (look_up(tlb->first[number % FIRST_SETS], FIRST_WAYS, page, tlb->now)) {
        return;
    }
    bool second = look_up(tlb->second[number % SECOND_SETS], SECOND_WAYS, page, tlb->now);
    if (model->in_query) {
        model->counts.first_misses[pages]++;
        model->counts.walks[pages] += !second;
    }
}

/* ---- Addresses ---- */

static uint32_t range_of(const struct model *model, enum model_kind kind, uint64_t address) {
    for (uint32_t i = 0; i < model->range_counts[kind]; i++) {
        const struct range *range = &model->ranges[kind][i];
        if (address >= range->begin && address < range->end) {
            return i;
        }
    }
    return MODEL_RANGES_MAX;
}

static bool is_in(const struct model *model, enum model_kind kind, uint64_t address) {
    return range_of(model, kind, address) != MODEL_RANGES_MAX;
}

/* Where it lies in this query's copy; the offset in a page of any size stays. */
static uint64_t address_in_copy(const struct model *model, uint32_t index, uint64_t address) {
    const struct range *range = &model->ranges[MODEL_INDEX][index];
    uint64_t huge = 1ull << HUGE_SHIFT, base = range->begin & ~(huge - 1);
    uint64_t stride = (range->end - base + huge - 1) & ~(huge - 1);
    return ((uint64_t)(index + 1) << COPIES_AT) + model->copy * stride + (address - base);
}

static bool touch(struct model *model, uint64_t line) {
    uint64_t address = line << MODEL_LINE_SHIFT;
    bool huge = is_in(model, MODEL_HUGE, address);
    uint32_t index = range_of(model, MODEL_INDEX, address);
    bool in_index = index != MODEL_RANGES_MAX && !is_in(model, MODEL_SCRATCH, address);
    if (in_index) {
        address = address_in_copy(model, index, address);
    }
    translate(model, MODEL_SMALL_PAGES, address, false);
    translate(model, MODEL_HUGE_PAGES, address, huge);
    if (!model->in_query) {
        return true;
    }
    bool full = seen_put(&model->lines, model->round, address >> MODEL_LINE_SHIFT);
    full = seen_put(&model->pages, model->round, address >> SMALL_SHIFT) || full;
    return !(in_index &&
             seen_put(&model->index_lines, model->round, address >> MODEL_LINE_SHIFT)) &&
           !full;
}

/* ---- The outside ---- */

struct model *model_make(void) {
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL) {
        return NULL;
    }
    bool lines = seen_make(&model->lines), index_lines = seen_make(&model->index_lines);
    if (!seen_make(&model->pages) || !lines || !index_lines) {
        model_free(model);
        return NULL;
    }
    return model;
}

void model_free(struct model *model) {
    if (model != NULL) {
        seen_free(&model->lines);
        seen_free(&model->index_lines);
        seen_free(&model->pages);
        free(model);
    }
}

bool model_range(struct model *model, enum model_kind kind, uint64_t begin, uint64_t end) {
    if (model->range_counts[kind] == MODEL_RANGES_MAX || begin >= end) {
        return false;
    }
    model->ranges[kind][model->range_counts[kind]++] = (struct range){begin, end};
    model->index_bytes += kind == MODEL_INDEX ? end - begin : 0;
    return true;
}

void model_size(struct model *model, uint64_t bytes) {
    model->index_size = bytes;
}

uint64_t model_copies(const struct model *model) {
    uint64_t bytes = model->index_size != 0 ? model->index_size : model->index_bytes;
    return bytes == 0 ? 1 : (MODEL_WORKING_SET + bytes - 1) / bytes;
}

void model_begin(struct model *model) {
    model->in_query = true;
    model->round++;
    model->lines.count = model->index_lines.count = model->pages.count = 0;
    model->copy = (model->copy + 1) % model_copies(model);
}

bool model_access(struct model *model, uint64_t address, uint64_t size) {
    uint64_t last = (address + (size == 0 ? 0 : size - 1)) >> MODEL_LINE_SHIFT;
    model->counts.accesses += model->in_query;
    for (uint64_t line = address >> MODEL_LINE_SHIFT; line <= last; line++) {
        if (!touch(model, line)) {
            return false;
        }
    }
    return true;
}

void model_end(struct model *model) {
    if (model->in_query) {
        model->in_query = false;
        model->counts.queries++;
        model->counts.lines += model->lines.count;
        model->counts.index_lines += model->index_lines.count;
        model->counts.pages += model->pages.count;
    }
}

struct model_counts model_counts(const struct model *model) {
    return model->counts;
}
