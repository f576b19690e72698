/* Blocks that wait to be read, in lines by who asked: one tenant's thousand pages do not stand
 * before another's nine.
 *
 * Deficit round robin (Shreedhar, Varghese, "Efficient Fair Queuing Using Deficit Round Robin",
 * SIGCOMM 1995) over a fixed number of lines, chosen by hash (McKenney, "Stochastic Fairness
 * Queueing", INFOCOM 1990). A line that was empty has its first turn before those that wait longer
 * (after FQ-CoDel, RFC 8290), every second turn at most, so that neither kind starves. All steps
 * are O(1); nothing is allocated. Threads: the request lane. */
#ifndef INS_TENANT_LOAD_LINES_H
#define INS_TENANT_LOAD_LINES_H

#include <stdbool.h>
#include <stdint.h>

struct block;

#define LOAD_LINES 1024u /* 32 KiB; two tenants share one by chance */
/* Of a turn: bytes, and what each read takes in the time of so many bytes. A chunk is one turn, and
 * so are a dozen pages, with which a small tenant's search ends. */
#define LOAD_TURN_BYTES (512u << 10)
#define LOAD_READ_BYTES (32u << 10)

struct load_line {
    struct block *first, **tail; /* by `newer` */
    struct load_line *next;      /* in `fresh` or `old` */
    int64_t left;                /* bytes of its turn */
};

struct load_queue {
    struct load_line *first, **tail;
};

struct load_lines {
    struct load_line lines[LOAD_LINES];
    struct load_queue fresh, old;
    struct load_line *turn; /* in no queue; NULL: nobody's */
    bool fresh_had;         /* the turn is, or was, of `fresh` */
    uint32_t count;         /* blocks */
};

void load_lines_init(struct load_lines *lines);
/* `who`: any hash of who asked first; `now_ns`: is kept in block->used_at. */
void load_lines_add(struct load_lines *lines, struct block *block, uint64_t who, uint64_t now_ns);
/* The next block to be read, when its whole pages are at most `room` bytes. NULL: they are more,
 * and it is next later on; or nobody waits. */
struct block *load_lines_take(struct load_lines *lines, uint64_t room);
/* Since when the first one of this line waits; UINT64_MAX: none does. */
uint64_t load_lines_since(const struct load_lines *lines, uint64_t who);

#endif
