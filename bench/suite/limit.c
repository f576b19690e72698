#include "limit.h"

#include "base/assert.h"

struct limit limit_of(double first_rate) {
    INS_ASSERT(first_rate > 0.0);
    return (struct limit){.rate = first_rate};
}

bool limit_is_found(const struct limit *limit) {
    bool doubles = limit->high <= 0.0; /* and leaves steps for the halvings */
    return doubles ? limit->steps + LIMIT_HALVINGS >= LIMIT_STEPS_MAX
                   : limit->halvings >= LIMIT_HALVINGS;
}

void limit_tell(struct limit *limit, bool too_much) {
    INS_ASSERT(!limit_is_found(limit));
    if (too_much && !limit->again) {
        limit->again = true;
        return;
    }
    limit->again = false;
    limit->steps++;
    limit->halvings += limit->high > 0.0;
    *(too_much ? &limit->high : &limit->low) = limit->rate;
    limit->rate = limit->high > 0.0 ? (limit->low + limit->high) / 2.0 : limit->rate * 2.0;
}
