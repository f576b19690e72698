/* The aggressor of `noisy`: one tenant that takes what it can, from a process of its own, so that
 * making its requests does not make the victims' generator late.
 *
 * Path: aggressor_open forks it and waits until its requests are made; aggressor_begin lets it go
 * until a time; aggressor_end waits for it and tells what became of its requests; more turns may
 * follow. It takes no notice of Retry-After: who is refused asks again at once, as the worst
 * client does. */
#ifndef INS_BENCH_SUITE_AGGRESSOR_H
#define INS_BENCH_SUITE_AGGRESSOR_H

#include "wire.h"

enum aggressor_kind {
    AGGRESSOR_QUERIES,  /* 500 searches/s, a hundred times a victim's rate */
    AGGRESSOR_UPSERTS,  /* 100,000 points, again and again, at full speed */
    AGGRESSOR_FILTERED, /* 50/s: the best 1,000 of the 1 % that a filter lets through */
    AGGRESSOR_CREATE,   /* a new tenant: 300,000 points at full speed, then their index */
    AGGRESSOR_SLOW,     /* 200 clients that send a byte of a head every second */
    AGGRESSOR_KINDS
};

const char *aggressor_text(enum aggressor_kind kind);
bool aggressor_writes(enum aggressor_kind kind);

struct aggressor_counts { /* of one turn */
    bool ready;           /* it is made, or the turn could be run */
    double seconds;
    uint64_t answered, refused, told, failed; /* requests; told: refused with Retry-After */
    uint64_t points;                          /* acknowledged */
    int first_status;                         /* of the first that failed */
};

struct aggressor {
    enum aggressor_kind kind;
    uint32_t tenant; /* of the world: whom it is */
    pid_t process;   /* 0 = does not run */
    int fd;          /* to it */
};

/* Whose searches it sends: the largest tenant's; its writes: those of a tenant of `churn`, which is
 * made here. False: said on the standard error. */
bool aggressor_open(struct aggressor *aggressor, const struct wire *wire, enum aggressor_kind kind);
void aggressor_close(struct aggressor *aggressor); /* takes a zeroed one */
bool aggressor_begin(const struct aggressor *aggressor, uint64_t end_ns);
bool aggressor_end(const struct aggressor *aggressor, struct aggressor_counts *out_counts);

/* Removes what it wrote. */
bool aggressor_clean(const struct aggressor *aggressor, const struct wire *wire);

#endif
