/* Numbers from a seed: splitmix64. The same seed gives the same numbers on every machine. */
#ifndef INS_SIM_RANDOM_H
#define INS_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

static inline uint64_t sim_next(struct sim_random *random) {
    random->state += 0x9e3779b97f4a7c15ull;
    return sim_mix(random->state);
}

/* Below `bound`, which is not 0. */
static inline uint32_t sim_below(struct sim_random *random, uint32_t bound) {
    return (uint32_t)((sim_next(random) >> 32) % bound);
}

/* True once in `of` times on average. */
static inline bool sim_once_in(struct sim_random *random, uint32_t of) {
    return sim_below(random, of) == 0;
}

#endif
