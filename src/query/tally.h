/* Values and what belongs to each: counts of points (facets), or the best points (groups). */
#ifndef INS_QUERY_TALLY_H
#define INS_QUERY_TALLY_H

#include "insula.h"
#include "mem/mem.h"

#define TALLY_VALUES_MAX 200000u /* their list fits one block */

struct rank_hit {
    double score;     /* larger is better */
    ins_number order; /* INS_RANK_ORDER; real and integer compare by value */
    ins_id id;
    uint64_t scope; /* key of the scope in which the point lies */
};

/* How hits are sorted: by value ascending or descending, or by score; ties by id. */
enum rank_order { RANK_SCORE, RANK_ASCENDING, RANK_DESCENDING };
/* Negative: `left` comes first. */
int rank_compare(enum rank_order order, const struct rank_hit *left, const struct rank_hit *right);

/* The best `capacity` hits, as a heap whose top is the worst of them. */
struct rank_heap {
    struct rank_hit *hits;
    uint32_t count, room, capacity; /* of `room` memory is there */
};
/* False when the pool is used up. A hit that equals one in the heap may be in it twice. */
bool rank_offer(struct rank_heap *heap, enum rank_order order, const struct rank_hit *hit,
                struct pool *pool);
/* Best first, of equal ids (ORDER: and values) one. The heap takes no more offers. */
void rank_sort(struct rank_heap *heap, enum rank_order order);

struct tally_value {
    struct tally_value *next; /* in its bucket */
    uint64_t hash;
    ins_value value;     /* its text in the pool */
    uint64_t count;      /* points */
    uint64_t last_point; /* number of the last one: one with a value twice counts once */
    struct rank_heap heap;
};

struct tally {
    struct pool *pool;
    struct tally_value **buckets; /* [bucket_count], a power of two */
    uint32_t bucket_count, count;
};

bool tally_init(struct tally *tally, struct pool *pool);
/* The value's entry, made when it is new. NULL when memory is out. */
struct tally_value *tally_get(struct tally *tally, const ins_value *value);
/* All of them in an array in the pool; NULL when memory is out. */
struct tally_value **tally_list(const struct tally *tally);
/* Bools before integers before texts, each ascending. */
int value_compare(const ins_value *left, const ins_value *right);

#endif
