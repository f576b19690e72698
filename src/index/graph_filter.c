#include "index/graph_filter.h"

#include <math.h>

#include "base/assert.h"
#include "index/code1.h"

/* Nanoseconds, as measured with AVX-512 in warm caches; what decides is how they compare. */
#define NS_BEGIN 6000u      /* of a walk: the query, the sample, rows that pass */
#define NS_BEGIN_SCAN 4000u /* the query alone */
#define NS_PLACE 400u       /* of a place that a walk keeps in view, and of each dimension */
#define NS_PLACE_DIM 2.0
#define NS_FAR_PLACE 410u /* the same of a wide walk, whose places share what they look at */
#define NS_FAR_PLACE_DIM 0.25
#define NS_CODE 0.45 /* of a row whose codes are scanned */
#define NS_CODE_DIM 0.0017
#define NS_PICK 4.0 /* of a row that is compared */
#define NS_PICK_BYTE 0.027
#define RANKED_PARTS 120u /* of the rows that pass, about one in so many is ranked by a scan */

#define RARE_PARTS                                                                                 \
    25u /* two links lead to some thousand rows: where one in so many passes, or                   \
           fewer, to too few; the walk is wider by the square of that */
/* Two links in a step lead to fewer of the near rows than one does without a filter. */
#define NEAR_TIMES 1.25
#define FAR_TIMES 6u /* as many places where what passes lies apart from the query */
/* As many times as a walk so wide the scan may cost that is taken for it: it finds what the walk
 * still misses (decisions 0039, 0051). */
#define SCAN_TIMES 1.25

/* A scan in place of a walk is as sure as that is asked to be: by rows for each place. */
#define ROWS_ROUGH 180u
#define ROWS_ROUGHER 700u

#define FAR_ODDS 5.0f /* chance has it once in e^FAR_ODDS, for each of the distances looked at */

static double ns_pick(const struct graph_filter_ask *ask) {
    return NS_PICK + NS_PICK_BYTE * ask->row_bytes;
}

static double ns_code(const struct graph_filter_ask *ask) {
    return NS_CODE + NS_CODE_DIM * ask->dim;
}

/* Of whichever of scan and picking is cheaper. */
static double ns_look_at_all(const struct graph_filter_ask *ask) {
    double pick = ns_pick(ask) * (double)ask->passing;
    double scan = NS_BEGIN_SCAN + ns_code(ask) * (double)ask->rows + pick / RANKED_PARTS;
    return ask->codes && scan < pick ? scan : pick;
}

static double ns_walk(const struct graph_filter_ask *ask, double places) {
    return NS_BEGIN + places * (NS_PLACE + NS_PLACE_DIM * ask->dim);
}

static double ns_far_walk(const struct graph_filter_ask *ask, double places) {
    return NS_BEGIN + places * (NS_FAR_PLACE + NS_FAR_PLACE_DIM * ask->dim);
}

static float certainty_for(const struct graph_filter_ask *ask) {
    uint64_t rows = ask->effort > 0 ? ask->rows / ask->effort : ask->rows;
    return rows < ROWS_ROUGH ? CODE1_SURE : rows < ROWS_ROUGHER ? CODE1_ROUGH : CODE1_ROUGHER;
}

/* Places of a walk among the rows that pass. */
static double places_for(const struct graph_filter_ask *ask) {
    double rare = (double)ask->rows / ((double)RARE_PARTS * (double)ask->passing);
    return rare > 1 ? ask->effort * rare * rare : ask->effort;
}

struct graph_filter_plan graph_filter_plan(const struct graph_filter_ask *ask) {
    INS_ASSERT(ask->passing > 0);
    INS_ASSERT(ask->passing <= ask->rows);
    struct graph_filter_plan plan = {.walk = false, .certainty = certainty_for(ask)};
    double places = places_for(ask), other = ns_look_at_all(ask);
    double near = ceil(places * NEAR_TIMES);
    bool dear = ns_walk(ask, near) >= other && !ask->always;
    if (ask->passing <= ask->effort || near > ask->effort_max || dear) {
        return plan;
    }
    double far = places * FAR_TIMES < ask->effort_max ? places * FAR_TIMES : ask->effort_max;
    plan.walk = true;
    plan.effort = (uint32_t)near;
    plan.effort_far = (uint32_t)far;
    plan.scan_far = other <= SCAN_TIMES * ns_far_walk(ask, far) && (ask->codes || !ask->always);
    return plan;
}

bool graph_filter_picks(uint32_t dim, uint32_t row_bytes, uint64_t rows, uint64_t passing) {
    const struct graph_filter_ask ask = {.dim = dim, .row_bytes = row_bytes};
    return ns_pick(&ask) * (double)passing <= ns_code(&ask) * (double)rows;
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
