#include "engine/graph_queue.h"

#include "base/assert.h"

void graph_queue_add(struct graph_queue *queue, struct island *island) {
    INS_ASSERT(!island->graph_queued);
    island->graph_queued = true;
    island->graph_asked = false;
    island->graph_next = NULL;
    *(queue->last != NULL ? &queue->last->graph_next : &queue->first) = island;
    queue->last = island;
    queue->count++;
}

/* The one before the first that is asked for; NULL: the first is taken, whoever it is. */
static struct island *before_asked(const struct graph_queue *queue) {
    struct island *before = NULL, *island = queue->first;
    for (uint32_t i = 0; i < GRAPH_QUEUE_LOOK && island != NULL; i++) {
        if (island->graph_asked) {
            return before;
        }
        before = island;
        island = island->graph_next;
    }
    return NULL;
}

struct island *graph_queue_take(struct graph_queue *queue) {
    struct island *before = before_asked(queue);
    struct island *island = before != NULL ? before->graph_next : queue->first;
    if (island == NULL) {
        return NULL;
    }
    *(before != NULL ? &before->graph_next : &queue->first) = island->graph_next;
    queue->last = queue->last == island ? before : queue->last;
    queue->count--;
    island->graph_next = NULL;
    island->graph_queued = island->graph_asked = false;
    return island;
}
