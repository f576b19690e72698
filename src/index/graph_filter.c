#include "index/graph_filter.h"

#include "base/assert.h"

#define STEP_COST 40u /* rows that are picked in the time of one place of a walk */
#define RARE_PARTS                                                                                 \
    25u              /* two links lead to some thousand rows: where one in so many passes, or      \
                        fewer, to too few; the walk is wider by the square of that */
#define FAR_TIMES 6u /* as many places where what passes lies apart from the query */
/* As many times as a walk so wide the scan may cost that is taken for it: it finds what the walk
 * still misses (decision 0039). */
#define SCAN_TIMES 2u

/* Places of a walk among the rows that pass; UINT32_MAX: too many. */
static uint64_t places_for(const struct graph_filter_ask *ask) {
    double rare = (double)ask->rows / ((double)RARE_PARTS * (double)ask->passing);
    double places = rare > 1 ? (double)ask->effort * rare * rare : (double)ask->effort;
    return places < (double)UINT32_MAX ? (uint64_t)places : UINT32_MAX;
}

struct graph_filter_plan graph_filter_plan(const struct graph_filter_ask *ask) {
    INS_ASSERT(ask->passing > 0);
    INS_ASSERT(ask->passing <= ask->rows);
    struct graph_filter_plan plan = {.walk = false};
    uint64_t places = places_for(ask), far = places * FAR_TIMES;
    uint64_t other = ask->scan_cost < ask->passing ? ask->scan_cost : ask->passing;
    bool dear = places * STEP_COST >= other && !ask->always;
    if (ask->passing <= ask->effort || places > ask->effort_max || dear) {
        return plan;
    }
    plan.walk = true;
    plan.effort = (uint32_t)places;
    plan.effort_far = (uint32_t)(far < ask->effort_max ? far : ask->effort_max);
    plan.scan_far = other <= SCAN_TIMES * STEP_COST * (uint64_t)plan.effort_far &&
                    !(ask->always && ask->scan_cost == GRAPH_FILTER_NO_SCAN);
    return plan;
}
