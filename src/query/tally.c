#include "query/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/id.h"

#define BUCKETS_FIRST 256u
#define BUCKETS_MAX 131072u /* their table fits one block; beyond it chains grow */
#define HEAP_FIRST 4u

/* ---- Hits ---- */

static int number_compare(const ins_number *left, const ins_number *right) {
    if (!left->is_real && !right->is_real) {
        return (left->integer > right->integer) - (left->integer < right->integer);
    }
    double a = left->is_real ? left->real : (double)left->integer;
    double b = right->is_real ? right->real : (double)right->integer;
    return (a > b) - (a < b);
}

int rank_compare(enum rank_order order, const struct rank_hit *left, const struct rank_hit *right) {
    int by = order == RANK_SCORE ? (left->score < right->score) - (left->score > right->score)
                                 : number_compare(&left->order, &right->order);
    by = order == RANK_DESCENDING ? -by : by;
    return by != 0 ? by : id_compare(&left->id, &right->id);
}

static void sift_up(struct rank_heap *heap, enum rank_order order, uint32_t at) {
    while (at > 0 && rank_compare(order, &heap->hits[at], &heap->hits[(at - 1) / 2]) > 0) {
        struct rank_hit hit = heap->hits[at];
        heap->hits[at] = heap->hits[(at - 1) / 2];
        heap->hits[(at - 1) / 2] = hit;
        at = (at - 1) / 2;
    }
}

static void sift_down(struct rank_heap *heap, enum rank_order order) {
    for (uint32_t at = 0, child; (child = 2 * at + 1) < heap->count; at = child) {
        bool right = child + 1 < heap->count &&
                     rank_compare(order, &heap->hits[child + 1], &heap->hits[child]) > 0;
        child += right;
        if (rank_compare(order, &heap->hits[child], &heap->hits[at]) <= 0) {
            return;
        }
        struct rank_hit hit = heap->hits[at];
        heap->hits[at] = heap->hits[child];
        heap->hits[child] = hit;
    }
}

static bool heap_grow(struct rank_heap *heap, struct pool *pool) {
    uint32_t room = heap->room == 0 ? HEAP_FIRST : 2 * heap->room;
    room = room < heap->capacity ? room : heap->capacity;
    struct rank_hit *hits = pool_alloc(pool, room * sizeof(*hits));
    if (hits == NULL) {
        return false;
    }
    if (heap->count > 0) {
        memcpy(hits, heap->hits, heap->count * sizeof(*hits));
    }
    heap->hits = hits;
    heap->room = room;
    return true;
}

bool rank_offer(struct rank_heap *heap, enum rank_order order, const struct rank_hit *hit,
                struct pool *pool) {
    if (heap->count == heap->capacity) {
        if (heap->count > 0 && rank_compare(order, hit, &heap->hits[0]) < 0) {
            heap->hits[0] = *hit;
            sift_down(heap, order);
        }
        return true;
    }
    if (heap->count == heap->room && !heap_grow(heap, pool)) {
        return false;
    }
    heap->hits[heap->count] = *hit;
    sift_up(heap, order, heap->count++);
    return true;
}

static int order_score(const void *left, const void *right) {
    return rank_compare(RANK_SCORE, left, right);
}

static int order_ascending(const void *left, const void *right) {
    return rank_compare(RANK_ASCENDING, left, right);
}

static int order_descending(const void *left, const void *right) {
    return rank_compare(RANK_DESCENDING, left, right);
}

/* By id, the best one first. */
static int order_id(const void *left, const void *right) {
    const struct rank_hit *a = left, *b = right;
    int by = id_compare(&a->id, &b->id);
    return by != 0 ? by : rank_compare(RANK_SCORE, left, right);
}

/* Of neighbours that are the same one stays. */
static void drop_repeated(struct rank_heap *heap, bool with_value) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < heap->count; i++) {
        const struct rank_hit *last = kept > 0 ? &heap->hits[kept - 1] : NULL;
        bool same = last != NULL && id_equal(&last->id, &heap->hits[i].id) &&
                    (!with_value || number_compare(&last->order, &heap->hits[i].order) == 0);
        if (!same) {
            heap->hits[kept++] = heap->hits[i];
        }
    }
    heap->count = kept;
}

void rank_sort(struct rank_heap *heap, enum rank_order order) {
    if (heap->count == 0) {
        return;
    }
    if (order == RANK_SCORE) {
        /* A point that moved while it was looked for may be there with two scores. */
        qsort(heap->hits, heap->count, sizeof(*heap->hits), order_id);
        drop_repeated(heap, false);
    }
    qsort(heap->hits, heap->count, sizeof(*heap->hits),
          order == RANK_SCORE       ? order_score
          : order == RANK_ASCENDING ? order_ascending
                                    : order_descending);
    drop_repeated(heap, true);
}

/* ---- Values ---- */

int value_compare(const ins_value *left, const ins_value *right) {
    static const uint8_t ranks[] = {
        [INS_VALUE_TEXT] = 2, [INS_VALUE_INTEGER] = 1, [INS_VALUE_BOOL] = 0};
    if (left->kind != right->kind) {
        return ranks[left->kind] - ranks[right->kind];
    }
    if (left->kind == INS_VALUE_INTEGER) {
        return (left->integer > right->integer) - (left->integer < right->integer);
    }
    if (left->kind == INS_VALUE_BOOL) {
        return left->boolean - right->boolean;
    }
    size_t shared = left->text.size < right->text.size ? left->text.size : right->text.size;
    int by = shared == 0 ? 0 : memcmp(left->text.data, right->text.data, shared);
    return by != 0 ? by
                   : (left->text.size > right->text.size) - (left->text.size < right->text.size);
}

static uint64_t value_hash(const ins_value *value) {
    if (value->kind == INS_VALUE_TEXT) {
        return hash64(value->text.data, value->text.size);
    }
    return value->kind == INS_VALUE_BOOL ? hash_u64(value->boolean)
                                         : hash_u64((uint64_t)value->integer ^ 0x5a5a5a5a00000000u);
}

bool tally_init(struct tally *tally, struct pool *pool) {
    *tally = (struct tally){.pool = pool, .bucket_count = BUCKETS_FIRST};
    tally->buckets = pool_alloc_zero(pool, BUCKETS_FIRST * sizeof(*tally->buckets));
    return tally->buckets != NULL;
}

/* The old table stays in the pool: at most a third of the new one. */
static void tally_grow(struct tally *tally) {
    uint32_t wanted = 4 * tally->bucket_count;
    if (tally->count < tally->bucket_count || wanted > BUCKETS_MAX) {
        return;
    }
    struct tally_value **buckets = pool_alloc_zero(tally->pool, wanted * sizeof(*buckets));
    for (uint32_t i = 0; buckets != NULL && i < tally->bucket_count; i++) {
        for (struct tally_value *value = tally->buckets[i], *next; value != NULL; value = next) {
            next = value->next;
            value->next = buckets[value->hash & (wanted - 1)];
            buckets[value->hash & (wanted - 1)] = value;
        }
    }
    if (buckets != NULL) {
        tally->buckets = buckets;
        tally->bucket_count = wanted;
    }
}

struct tally_value *tally_get(struct tally *tally, const ins_value *value) {
    uint64_t hash = value_hash(value);
    struct tally_value *entry = tally->buckets[hash & (tally->bucket_count - 1)];
    for (; entry != NULL; entry = entry->next) {
        if (entry->hash == hash && value_compare(&entry->value, value) == 0) {
            return entry;
        }
    }
    entry = tally->count < TALLY_VALUES_MAX ? pool_alloc_zero(tally->pool, sizeof(*entry)) : NULL;
    if (entry == NULL) {
        return NULL;
    }
    entry->hash = hash;
    entry->value = *value;
    if (value->kind == INS_VALUE_TEXT) {
        entry->value.text.data = pool_copy(tally->pool, value->text.data, value->text.size);
        if (entry->value.text.data == NULL) {
            return NULL;
        }
    }
    tally_grow(tally);
    entry->next = tally->buckets[hash & (tally->bucket_count - 1)];
    tally->buckets[hash & (tally->bucket_count - 1)] = entry;
    tally->count++;
    return entry;
}

struct tally_value **tally_list(const struct tally *tally) {
    struct tally_value **list = pool_alloc(tally->pool, (tally->count + 1) * sizeof(*list));
    uint32_t count = 0;
    for (uint32_t i = 0; list != NULL && i < tally->bucket_count; i++) {
        for (struct tally_value *value = tally->buckets[i]; value != NULL; value = value->next) {
            list[count++] = value;
        }
    }
    return list;
}
