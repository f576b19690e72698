#include "index/graph_filter.h"

#include <math.h>

#include "base/assert.h"

#define STEP_COST 40u /* rows that are picked in the time of one place of a walk */
#define RARE_PARTS                                                                                 \
    25u              /* two links lead to some thousand rows: where one in so many passes, or      \
                        fewer, to too few; the walk is wider by the square of that */
#define FAR_TIMES 6u /* as many places where what passes lies apart from the query */
/* As many times as a walk so wide the scan may cost that is taken for it: it finds what the walk
 * still misses (decision 0039). */
#define SCAN_TIMES 2u

#define FAR_ODDS 5.0f /* chance has it once in e^FAR_ODDS, for each of the distances looked at */

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

uint32_t graph_filter_starts(const uint64_t *passing, uint32_t rows, uint32_t *out) {
    uint32_t words = rows / 64 + (rows % 64 != 0), count = 0;
    for (uint32_t part = 0; part < GRAPH_FILTER_STARTS; part++) {
        uint32_t at = (uint32_t)((uint64_t)part * words / GRAPH_FILTER_STARTS);
        uint32_t end = (uint32_t)(((uint64_t)part + 1) * words / GRAPH_FILTER_STARTS);
        while (at < end && passing[at] == 0) {
            at++;
        }
        if (at < end) {
            out[count++] = 64 * at + (uint32_t)__builtin_ctzll(passing[at]);
        }
    }
    return count;
}

/* Of the rows drawn that pass `met` are nearer than a distance within which, by the sample, `due`
 * of them would be. The chance of so few is at most e^-(due - met + met * ln(met / due)):
 * Chernoff's bound for a Poisson distribution. */
static bool too_few(float met, float due) {
    return due > met && due - met + (met > 0 ? met * logf(met / due) : 0) > FAR_ODDS;
}

/* One distance tells where all that passes lies far off, several where but most of it does. */
bool graph_filter_far(const float *sample, uint32_t sample_count, const float *nearest,
                      uint32_t nearest_count, uint32_t drawn) {
    bool far = false;
    for (uint32_t met = 0; met < nearest_count && !far; met = 2 * met + 1) {
        uint32_t nearer = 0;
        for (uint32_t i = 0; i < sample_count; i++) {
            nearer += sample[i] < nearest[met];
        }
        far = too_few((float)met, (float)nearer * (float)(drawn + 1) / (float)sample_count);
    }
    return far;
}
