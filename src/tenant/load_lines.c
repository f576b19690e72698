#include "tenant/load_lines.h"

#include "base/assert.h"
#include "tenant/cache_private.h"

void load_lines_init(struct load_lines *lines) {
    *lines = (struct load_lines){0};
    lines->fresh.tail = &lines->fresh.first;
    lines->old.tail = &lines->old.first;
    for (uint32_t i = 0; i < LOAD_LINES; i++) {
        lines->lines[i].tail = &lines->lines[i].first;
    }
}

static void push(struct load_queue *queue, struct load_line *line) {
    line->next = NULL;
    *queue->tail = line;
    queue->tail = &line->next;
}

static struct load_line *pop(struct load_queue *queue) {
    struct load_line *line = queue->first;
    queue->first = line->next;
    if (queue->first == NULL) {
        queue->tail = &queue->first;
    }
    return line;
}

void load_lines_add(struct load_lines *lines, struct block *block, uint64_t who, uint64_t now_ns) {
    struct load_line *line = &lines->lines[who % LOAD_LINES];
    if (line->first == NULL) { /* it is in no queue, and has no turn */
        push(&lines->fresh, line);
    }
    block->newer = NULL;
    block->used_at = now_ns;
    *line->tail = block;
    line->tail = &block->newer;
    lines->count++;
}

/* Fresh lines and old ones in turns. */
static bool next_turn(struct load_lines *lines) {
    bool fresh = lines->fresh.first != NULL && (!lines->fresh_had || lines->old.first == NULL);
    struct load_queue *queue = fresh ? &lines->fresh : &lines->old;
    if (queue->first == NULL) {
        return false;
    }
    lines->fresh_had = fresh;
    lines->turn = pop(queue);
    lines->turn->left = LOAD_TURN_BYTES;
    return true;
}

struct block *load_lines_take(struct load_lines *lines, uint64_t room) {
    if (lines->turn == NULL && !next_turn(lines)) {
        return NULL;
    }
    struct load_line *line = lines->turn;
    struct block *block = line->first;
    uint64_t bytes = load_pages_bytes(block);
    if (bytes > room) {
        return NULL;
    }
    line->first = block->newer;
    block->newer = NULL;
    lines->count--;
    line->left -= (int64_t)(bytes + LOAD_READ_BYTES);
    if (line->first == NULL) {
        line->tail = &line->first;
        lines->turn = NULL;
    } else if (line->left <= 0) {
        push(&lines->old, line);
        lines->turn = NULL;
    }
    return block;
}

uint64_t load_lines_since(const struct load_lines *lines, uint64_t who) {
    const struct block *block = lines->lines[who % LOAD_LINES].first;
    return block == NULL ? UINT64_MAX : block->used_at;
}
