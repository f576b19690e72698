/* Checks answers while measuring: a fast wrong answer is no figure, a foreign one fails the run.
 *
 * A hit must be a point of the tenant that was asked (its id says whose it is, and where ids
 * collide its score does), its score must be that of a version which the server may hold, and the
 * scores must not rise. What a server may hold while writes are under way: a write counts from the
 * moment at which it was sent, and must be seen by requests that began after its acknowledgement.
 */
#ifndef INS_BENCH_SUITE_ANSWERS_H
#define INS_BENCH_SUITE_ANSWERS_H

#include "base/json.h"
#include "wire.h"

#define RECENT_WRITES (1u << 16)

struct recent_write { /* of one point */
    uint32_t tenant, i;
    uint16_t before;  /* as in tenant.versions */
    uint64_t request; /* points of one request have the same */
    uint64_t done_ns; /* acknowledged; HTTP_NEVER = under way, or lost */
};

struct answers {
    const struct wire *wire;
    struct json_parser *parser;
    struct recent_write *recent; /* [RECENT_WRITES], the oldest is overwritten */
    uint64_t recent_count;
    uint64_t checked, hits; /* answers, and hits in them */
    uint64_t foreign, wrong, stale;
    char first[200]; /* of those */
};

bool answers_open(struct answers *answers, const struct wire *wire);
void answers_close(struct answers *answers); /* takes a zeroed one */

/* A point is being overwritten, made or deleted: remembers what was there. Returns its number. */
uint64_t answers_write_begin(struct answers *answers, uint64_t request, uint32_t tenant, uint32_t i,
                             uint16_t before);
void answers_write_end(struct answers *answers, uint64_t number);

struct hits {
    uint32_t count;
    uint32_t first_i; /* of the first hit */
    float first_score;
};

/* An answer of wire_query to `query`, which began at start_ns. False: counted as wrong. */
bool answers_check(struct answers *answers, const struct wire_query *query,
                   const struct http_answer *answer, struct hits *out_hits);

/* The hits' points and scores, without a check but that they are the tenant's; returns their
 * number, UINT32_MAX when the answer makes no sense. */
uint32_t answers_read(struct answers *answers, uint32_t tenant, const struct http_answer *answer,
                      uint32_t *out_i, uint32_t capacity);

/* result.points of an answer, or `result` itself where that is an array. */
bool answers_points(struct answers *answers, const struct http_answer *answer,
                    struct json_value *out_points);
bool answers_id(struct json_value point, ins_id *out_id);

/* How many checks failed, and the verdict as figures. */
void answers_report(const struct answers *answers, struct report *report);

#endif
