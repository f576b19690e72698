#include "answers.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"

#define SCORE_ERROR 2e-3 /* six digits are sent; servers may keep halves */

bool answers_open(struct answers *answers, const struct wire *wire) {
    *answers = (struct answers){.wire = wire};
    answers->parser = json_parser_create(HTTP_ANSWER_MAX, 32);
    answers->recent = calloc(RECENT_WRITES, sizeof(*answers->recent));
    if (answers->parser == NULL || answers->recent == NULL) {
        (void)bench_fail("no memory for answers");
        answers_close(answers);
        return false;
    }
    return true;
}

void answers_close(struct answers *answers) {
    json_parser_destroy(answers->parser);
    free(answers->recent);
    *answers = (struct answers){0};
}

static bool complain(struct answers *answers, uint64_t *counter, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool complain(struct answers *answers, uint64_t *counter, const char *format, ...) {
    if (answers->foreign + answers->wrong + answers->stale == 0) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(answers->first, sizeof(answers->first), format, arguments);
        va_end(arguments);
        (void)bench_fail("wrong answer: %s", answers->first);
    }
    (*counter)++;
    return false;
}

/* ---- Writes under way ---- */

uint64_t answers_write_begin(struct answers *answers, uint64_t request, uint32_t tenant, uint32_t i,
                             uint16_t before) {
    uint64_t number = answers->recent_count++;
    answers->recent[number % RECENT_WRITES] = (struct recent_write){
        .tenant = tenant, .i = i, .before = before, .request = request, .done_ns = HTTP_NEVER};
    return number;
}

void answers_write_end(struct answers *answers, uint64_t number) {
    if (answers->recent_count - number <= RECENT_WRITES) {
        answers->recent[number % RECENT_WRITES].done_ns = bench_now_ns();
    }
}

/* Whether a request that began at start_ns may still see point i with a score of `score`. */
static bool was_so_lately(struct answers *answers, const struct wire_query *query, uint32_t i,
                          uint64_t start_ns, float score, float *vector) {
    uint64_t count = answers->recent_count < RECENT_WRITES ? answers->recent_count : RECENT_WRITES;
    for (uint64_t n = 0; n < count; n++) {
        const struct recent_write *write = &answers->recent[n];
        if (write->tenant != query->tenant || write->i != i || write->done_ns < start_ns ||
            (write->before & VERSION_GONE) != 0) {
            continue;
        }
        world_vector(answers->wire->world, query->tenant, i, write->before & VERSION_MASK, vector);
        if (fabs((double)(vectors_dot(query->vector, vector) - score)) <= SCORE_ERROR) {
            return true;
        }
    }
    return false;
}

/* ---- Parsing ---- */

bool answers_points(struct answers *answers, const struct http_answer *answer,
                    struct json_value *out_points) {
    struct json_value root, result;
    if (answer->body_size == 0 ||
        json_parse(answers->parser, answer->body, answer->body_size, &root, NULL) != INS_OK ||
        json_type_of(root) != JSON_OBJECT || !json_get(root, "result", &result)) {
        return false;
    }
    if (json_type_of(result) == JSON_OBJECT && !json_get(result, "points", &result)) {
        return false;
    }
    *out_points = result;
    return json_type_of(result) == JSON_ARRAY;
}

bool answers_id(struct json_value point, ins_id *out_id) {
    struct json_value id;
    if (json_type_of(point) != JSON_OBJECT || !json_get(point, "id", &id)) {
        return false;
    }
    if (json_type_of(id) == JSON_STRING) {
        ins_text text = json_string(id);
        return id_parse_uuid(text.data, text.size, out_id);
    }
    if (json_type_of(id) != JSON_INTEGER && json_type_of(id) != JSON_UNSIGNED) {
        return false;
    }
    *out_id = (ins_id){.low = json_unsigned(id)};
    return true;
}

/* ---- Checks ---- */

static bool check_hit(struct answers *answers, const struct wire_query *query,
                      const struct http_answer *answer, struct json_value point, uint32_t *out_i,
                      float *out_score) {
    struct world *world = answers->wire->world;
    const struct tenant *tenant = &world->tenants[query->tenant];
    struct json_value score;
    float vector[BENCH_DIM];
    ins_id id;
    if (!answers_id(point, &id) || !json_get(point, "score", &score) || !json_is_number(score)) {
        return complain(answers, &answers->wrong, "a hit without id or score");
    }
    if (!point_of_id(world->seed, world->style, query->tenant, id, out_i)) {
        return complain(answers, &answers->foreign, "an id that is not of tenant %s",
                        world->names[query->tenant]);
    }
    *out_score = (float)json_number(score);
    if (*out_i >= tenant->count) {
        return complain(answers, &answers->foreign, "a point that tenant %s never had",
                        world->names[query->tenant]);
    }
    uint16_t version = tenant_version(tenant, *out_i);
    bool gone = !tenant_has(tenant, *out_i);
    if (!gone) {
        world_vector(world, query->tenant, *out_i, version, vector);
        if (fabs((double)(vectors_dot(query->vector, vector) - *out_score)) <= SCORE_ERROR) {
            return true;
        }
    }
    if (was_so_lately(answers, query, *out_i, answer->start_ns, *out_score, vector)) {
        return true;
    }
    return complain(answers, &answers->stale, "point %u of tenant %s: %s", *out_i,
                    world->names[query->tenant],
                    gone ? "is deleted" : "the score is of another vector");
}

bool answers_check(struct answers *answers, const struct wire_query *query,
                   const struct http_answer *answer, struct hits *out_hits) {
    struct json_value points, point;
    float before = INFINITY, score = 0.0F;
    *out_hits = (struct hits){0};
    answers->checked++;
    if (!answers_points(answers, answer, &points)) {
        return complain(answers, &answers->wrong, "not the answer of a query: %.100s",
                        answer->body_size == 0 ? "" : answer->body);
    }
    struct json_iterator at = json_begin(points);
    while (json_next(&at, &point)) {
        uint32_t i = 0;
        if (!check_hit(answers, query, answer, point, &i, &score)) {
            return false;
        }
        if (score > before + 1e-6F || out_hits->count == query->limit) {
            return complain(answers, &answers->wrong, "hits out of order, or too many");
        }
        if (out_hits->count++ == 0) {
            out_hits->first_i = i;
            out_hits->first_score = score;
        }
        before = score;
    }
    answers->hits += out_hits->count;
    return true;
}

uint32_t answers_read(struct answers *answers, uint32_t tenant, const struct http_answer *answer,
                      uint32_t *out_i, uint32_t capacity) {
    const struct world *world = answers->wire->world;
    struct json_value points, point;
    uint32_t count = 0;
    ins_id id;
    answers->checked++;
    if (!answers_points(answers, answer, &points)) {
        (void)complain(answers, &answers->wrong, "not the answer of a query");
        return UINT32_MAX;
    }
    struct json_iterator at = json_begin(points);
    while (count < capacity && json_next(&at, &point)) {
        if (!answers_id(point, &id) ||
            !point_of_id(world->seed, world->style, tenant, id, &out_i[count])) {
            (void)complain(answers, &answers->foreign, "an id that is not of tenant %s",
                           world->names[tenant]);
            return UINT32_MAX;
        }
        count++;
    }
    answers->hits += count;
    return count;
}

void answers_report(const struct answers *answers, struct report *report) {
    report_number(report, "answers_checked", "answers checked", (double)answers->checked);
    report_number(report, "hits_checked", "hits checked: whose, which version, score",
                  (double)answers->hits);
    report_number(report, "foreign", "isolation: hits of another tenant", (double)answers->foreign);
    report_target(report, "0", answers->foreign == 0);
    report_number(report, "stale", "hits of an older version, or deleted", (double)answers->stale);
    report_target(report, "0", answers->stale == 0);
    report_number(report, "wrong", "answers that make no sense", (double)answers->wrong);
    report_target(report, "0", answers->wrong == 0);
}
