#include "server/queue.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

void queue_init(struct queue *queue, uint32_t places) {
    INS_ASSERT(places != 0 && places <= QUEUE_PLACES_MAX);
    memset(queue, 0, sizeof(*queue));
    queue->places = places;
    for (uint32_t i = 0; i < QUEUE_FLOWS; i++) {
        queue->flows[i].next = i + 1 < QUEUE_FLOWS ? &queue->flows[i + 1] : NULL;
    }
    queue->free_flow = queue->flows;
}

uint32_t queue_line_of(uint64_t scope, bool is_write) {
    uint32_t line = (uint32_t)(hash_u64(scope) % QUEUE_SCOPES);
    return is_write ? QUEUE_SCOPES + line : line;
}

/* ---- Flows ------------------------------------------------------------------------------- */

static void flow_append(struct queue_flow *flow, struct waiting *waiting) {
    waiting->flow = flow;
    waiting->next = NULL;
    waiting->previous = flow->last;
    *(flow->last == NULL ? &flow->first : &flow->last->next) = waiting;
    flow->last = waiting;
    flow->count++;
}

static void flow_remove(struct queue_flow *flow, struct waiting *waiting) {
    INS_ASSERT(flow->count != 0);
    *(waiting->previous == NULL ? &flow->first : &waiting->previous->next) = waiting->next;
    *(waiting->next == NULL ? &flow->last : &waiting->next->previous) = waiting->previous;
    flow->count--;
}

static struct queue_flow **bucket_of(struct queue *queue, uint32_t line, uint64_t tenant) {
    return &queue->buckets[hash_u64(tenant + line) % QUEUE_BUCKETS];
}

/* NULL: nothing of the tenant waits there, or it waits in the line's common flow. */
static struct queue_flow *flow_find(struct queue *queue, uint32_t line, uint64_t tenant) {
    struct queue_flow *flow = *bucket_of(queue, line, tenant);
    while (flow != NULL && (flow->line != line || flow->tenant != tenant)) {
        flow = flow->chain;
    }
    return flow;
}

static struct queue_flow *flow_make(struct queue *queue, uint32_t line, uint64_t tenant) {
    struct queue_flow *flow = queue->free_flow;
    if (tenant == 0 || flow == NULL) {
        return &queue->lines[line].common;
    }
    struct queue_flow **bucket = bucket_of(queue, line, tenant);
    queue->free_flow = flow->next;
    *flow = (struct queue_flow){.tenant = tenant, .line = line, .chain = *bucket};
    *bucket = flow;
    return flow;
}

static void flow_free(struct queue *queue, struct queue_flow *flow) {
    if (flow == &queue->lines[flow->line].common) {
        return;
    }
    struct queue_flow **at = bucket_of(queue, flow->line, flow->tenant);
    while (*at != flow) {
        at = &(*at)->chain;
    }
    *at = flow->chain;
    flow->next = queue->free_flow;
    queue->free_flow = flow;
}

/* Behind all others of the ring. */
static void ring_enter(struct queue_flow **ring, struct queue_flow *flow) {
    if (*ring == NULL) {
        flow->previous = flow->next = flow;
        *ring = flow;
        return;
    }
    flow->next = *ring;
    flow->previous = (*ring)->previous;
    flow->previous->next = flow;
    flow->next->previous = flow;
}

static void ring_leave(struct queue_flow **ring, struct queue_flow *flow) {
    flow->previous->next = flow->next;
    flow->next->previous = flow->previous;
    if (*ring == flow) {
        *ring = flow->next == flow ? NULL : flow->next;
    }
    flow->next = NULL;
}

/* It had its turn, or has nothing waiting: it goes behind the others. */
static void flow_grows_old(struct queue_line *line, struct queue_flow *flow) {
    ring_leave(&line->fresh, flow);
    flow->is_fresh = false;
    ring_enter(&line->turn, flow);
}

/* Flows without anything that waits are forgotten when their turn would come, and not before: else
 * they would be fresh again too soon. */
static void line_settle(struct queue *queue, struct queue_line *line) {
    while (line->turn != NULL && line->turn->count == 0) {
        struct queue_flow *flow = line->turn;
        ring_leave(&line->turn, flow);
        line->longest = line->longest == flow ? NULL : line->longest;
        flow_free(queue, flow);
    }
}

static struct queue_flow *next_flow(const struct queue_line *line) {
    return line->fresh != NULL ? line->fresh : line->turn;
}

/* ---- Places ------------------------------------------------------------------------------ */

void queue_leave(struct queue *queue, struct waiting *waiting) {
    struct queue_flow *flow = waiting->flow;
    flow_remove(flow, waiting);
    if (flow == &queue->lost) {
        return;
    }
    struct queue_line *line = &queue->lines[waiting->line];
    if (flow->count == 0 && flow->is_fresh) {
        flow_grows_old(line, flow);
    }
    line_settle(queue, line);
    line->count--;
    queue->count--;
    if (line->count == 0) {
        queue->filled[waiting->line / 64] &= ~(1ull << waiting->line % 64);
    }
}

static void enter(struct queue *queue, struct waiting *waiting, uint64_t tenant) {
    struct queue_line *line = &queue->lines[waiting->line];
    if (line->count == 0) {
        line->filled_ns = waiting->since_ns;
        /* Time that it did not use is not saved up. */
        line->served_ns = line->served_ns > queue->served_ns ? line->served_ns : queue->served_ns;
        queue->filled[waiting->line / 64] |= 1ull << waiting->line % 64;
    }
    struct queue_flow *flow = flow_find(queue, waiting->line, tenant);
    flow = flow == NULL ? flow_make(queue, waiting->line, tenant) : flow;
    if (flow->next == NULL) {
        flow->line = waiting->line;
        flow->is_fresh = true;
        ring_enter(&line->fresh, flow);
    }
    flow_append(flow, waiting);
    if (line->longest == NULL || flow->count > line->longest->count) {
        line->longest = flow;
    }
    line->count++;
    queue->count++;
}

static struct queue_line *longest_line(struct queue *queue) {
    uint32_t longest = 0;
    for (uint32_t i = 1; i < QUEUE_LINES; i++) {
        longest = queue->lines[i].count > queue->lines[longest].count ? i : longest;
    }
    return &queue->lines[longest];
}

static uint32_t count_of(struct queue *queue, uint32_t line, uint64_t tenant) {
    const struct queue_flow *flow = flow_find(queue, line, tenant);
    return flow != NULL ? flow->count : tenant != 0 ? 0 : queue->lines[line].common.count;
}

/* Who gives up a place to one of `tenant` in `line`: of a longer line, else of the own one, if it
 * is of a tenant that has more. NULL: nobody. */
static struct waiting *loser_to(struct queue *queue, uint32_t line, uint64_t tenant) {
    const struct queue_line *own = &queue->lines[line], *longest = longest_line(queue);
    bool is_longer = longest->count > own->count + 1;
    longest = is_longer ? longest : own;
    const struct queue_flow *most = longest->longest;
    most = most == NULL || most->count == 0 ? next_flow(longest) : most;
    bool gives = is_longer || (most != NULL && most->count > count_of(queue, line, tenant) + 1);
    return gives ? most->last : NULL;
}

bool queue_put(struct queue *queue, struct waiting *waiting, uint32_t line, uint64_t tenant,
               uint64_t since_ns) {
    INS_ASSERT(line < QUEUE_LINES);
    waiting->line = line;
    waiting->since_ns = since_ns;
    if (queue->count == queue->places) {
        struct waiting *loser = loser_to(queue, line, tenant);
        if (loser == NULL) {
            return false;
        }
        queue_leave(queue, loser);
        flow_append(&queue->lost, loser);
    }
    enter(queue, waiting, tenant);
    return true;
}

/* ---- Turns ------------------------------------------------------------------------------- */

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
    return line == QUEUE_LINES ? NULL : next_flow(&queue->lines[line])->first;
}

static void give_turn(struct queue_line *line, struct queue_flow *flow) {
    if (flow->is_fresh) {
        flow_grows_old(line, flow);
    } else {
        line->turn = flow->next;
    }
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
    struct queue_flow *flow = next_flow(&queue->lines[line]);
    waiting = flow->first;
    *out_verdict = is_late(queue, waiting, now_ns) ? QUEUE_LATE : QUEUE_SERVE;
    queue->served_ns = queue->lines[line].served_ns;
    if (*out_verdict == QUEUE_SERVE) { /* a tenant whose requests are late would else get nothing */
        give_turn(&queue->lines[line], flow);
    }
    queue_leave(queue, waiting);
    return waiting;
}

void queue_charge(struct queue *queue, uint32_t line, uint64_t took_ns) {
    INS_ASSERT(line < QUEUE_LINES);
    queue->lines[line].served_ns += took_ns;
}
