#include "server/queue.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

#define LINE_LOST QUEUE_LINES

void queue_init(struct queue *queue, uint32_t places) {
    INS_ASSERT(places != 0 && places <= QUEUE_PLACES_MAX);
    memset(queue, 0, sizeof(*queue));
    queue->places = places;
}

uint32_t queue_line_of(uint64_t scope, bool is_write) {
    uint32_t line = (uint32_t)(hash_u64(scope) % QUEUE_SCOPES);
    return is_write ? QUEUE_SCOPES + line : line;
}

static void line_append(struct queue_line *line, struct waiting *waiting) {
    waiting->next = NULL;
    waiting->previous = line->last;
    *(line->last == NULL ? &line->first : &line->last->next) = waiting;
    line->last = waiting;
    line->count++;
}

static void line_remove(struct queue_line *line, struct waiting *waiting) {
    *(waiting->previous == NULL ? &line->first : &waiting->previous->next) = waiting->next;
    *(waiting->next == NULL ? &line->last : &waiting->next->previous) = waiting->previous;
    INS_ASSERT(line->count != 0);
    line->count--;
}

void queue_leave(struct queue *queue, struct waiting *waiting) {
    if (waiting->line == LINE_LOST) {
        line_remove(&queue->lost, waiting);
        return;
    }
    struct queue_line *line = &queue->lines[waiting->line];
    line_remove(line, waiting);
    queue->count--;
    if (line->count == 0) {
        queue->filled[waiting->line / 64] &= ~(1ull << waiting->line % 64);
    }
}

static void enter(struct queue *queue, struct waiting *waiting) {
    struct queue_line *line = &queue->lines[waiting->line];
    if (line->count == 0) {
        line->filled_ns = waiting->since_ns;
        /* Time that it did not use is not saved up. */
        line->served_ns = line->served_ns > queue->served_ns ? line->served_ns : queue->served_ns;
        queue->filled[waiting->line / 64] |= 1ull << waiting->line % 64;
    }
    line_append(line, waiting);
    queue->count++;
}

static uint32_t longest_line(const struct queue *queue) {
    uint32_t longest = 0;
    for (uint32_t i = 1; i < QUEUE_LINES; i++) {
        longest = queue->lines[i].count > queue->lines[longest].count ? i : longest;
    }
    return longest;
}

bool queue_put(struct queue *queue, struct waiting *waiting, uint32_t line, uint64_t since_ns) {
    INS_ASSERT(line < QUEUE_LINES);
    waiting->line = line;
    waiting->since_ns = since_ns;
    if (queue->count == queue->places) {
        struct queue_line *longest = &queue->lines[longest_line(queue)];
        if (longest->count <= queue->lines[line].count + 1) {
            return false;
        }
        struct waiting *loser = longest->last;
        queue_leave(queue, loser);
        loser->line = LINE_LOST;
        line_append(&queue->lost, loser);
    }
    enter(queue, waiting);
    return true;
}

/* The line that has had least time; QUEUE_LINES: all are empty. */
static uint32_t next_line(const struct queue *queue) {
    uint32_t next = QUEUE_LINES;
    for (uint32_t word = 0; word < QUEUE_LINES / 64; word++) {
        for (uint64_t left = queue->filled[word]; left != 0; left &= left - 1) {
            uint32_t line = word * 64 + (uint32_t)__builtin_ctzll(left);
            if (next == QUEUE_LINES ||
                queue->lines[line].served_ns < queue->lines[next].served_ns) {
                next = line;
            }
        }
    }
    return next;
}

static bool is_late(const struct queue *queue, const struct waiting *waiting, uint64_t now_ns) {
    if (queue->count <= QUEUE_FEW) {
        return false;
    }
    bool is_write = waiting->line >= QUEUE_SCOPES;
    uint64_t burst_ns = is_write ? QUEUE_WRITE_BURST_NS : QUEUE_READ_BURST_NS;
    uint64_t standing_ns = is_write ? QUEUE_WRITE_STANDING_NS : QUEUE_READ_STANDING_NS;
    uint64_t filled_ns = now_ns - queue->lines[waiting->line].filled_ns;
    return now_ns - waiting->since_ns > (filled_ns > burst_ns ? standing_ns : burst_ns);
}

const struct waiting *queue_next(const struct queue *queue) {
    uint32_t line = queue->lost.first == NULL ? next_line(queue) : QUEUE_LINES;
    return line == QUEUE_LINES ? NULL : queue->lines[line].first;
}

struct waiting *queue_take(struct queue *queue, uint64_t now_ns, enum queue_verdict *out_verdict) {
    struct waiting *waiting = queue->lost.first;
    if (waiting != NULL) {
        *out_verdict = QUEUE_LOST;
        queue_leave(queue, waiting);
        return waiting;
    }
    uint32_t line = next_line(queue);
    if (line == QUEUE_LINES) {
        return NULL;
    }
    waiting = queue->lines[line].first;
    *out_verdict = is_late(queue, waiting, now_ns) ? QUEUE_LATE : QUEUE_SERVE;
    queue->served_ns = queue->lines[line].served_ns;
    queue_leave(queue, waiting);
    return waiting;
}

void queue_charge(struct queue *queue, uint32_t line, uint64_t took_ns) {
    INS_ASSERT(line < QUEUE_LINES);
    queue->lines[line].served_ns += took_ns;
}
