/* Islands that wait for graphs: those that searches have asked for meanwhile before the others,
 * each in the order of their coming. Request lane only. */
#ifndef INS_ENGINE_GRAPH_QUEUE_H
#define INS_ENGINE_GRAPH_QUEUE_H

#include "tenant/island.h"

struct graph_queue {
    struct island *first, *last; /* by graph_next */
    uint32_t count;
};

/* Runs for whose jobs the cache lent no memory. */
#define GRAPH_DENIED_MAX 256u /* they are the largest there are: few */
struct denied_run {
    uint64_t incarnation; /* of its island */
    uint32_t slot, offset;
};
struct graph_denied {
    struct denied_run runs[GRAPH_DENIED_MAX];
    uint32_t count;
    uint64_t helps; /* bytes of the cache's share from which on all may be tried again */
};

#define GRAPH_QUEUE_LOOK 1024u /* islands that are looked at for one that is asked for */

/* It is not queued. */
void graph_queue_add(struct graph_queue *queue, struct island *island);
/* A search scans rows of the island that are to have a graph. */
static inline void graph_queue_ask(struct island *island) {
    if (island->graph_queued) {
        island->graph_asked = true;
    }
}
/* NULL: it is empty. */
struct island *graph_queue_take(struct graph_queue *queue);

#endif
