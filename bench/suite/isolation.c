/* `isolation`: tries to reach another tenant's points by name, filter and id. Beside every other
 * workload each answer is checked for foreign points (answers.c); this one asks on purpose.
 *
 * Forged names must find nothing. Writing an id of another tenant moves the point where a
 * collection has one id (style key: gone there, present here), and makes a second point elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define ANSWER_MAX (64u << 10)

struct isolation {
    struct suite *suite;
    struct report *report;
    uint32_t a, b; /* two tenants whose ids are of the same kind */
    char *request, *answer;
    uint32_t tried, reached;
};

/* ---- Asking ---- */

/* Hits of a request; UINT32_MAX when it is refused. */
static uint32_t hits_of(struct isolation *isolation, size_t size) {
    struct http_answer answer = {.body = isolation->answer};
    struct json_value points;
    answer.status =
        wire_ask(&isolation->suite->wire, isolation->request, size, isolation->answer, ANSWER_MAX);
    answer.body_size = strlen(isolation->answer);
    if (answer.status != 200 || !answers_points(&isolation->suite->answers, &answer, &points)) {
        return UINT32_MAX;
    }
    return (uint32_t)json_count(points);
}

/* A try that must not find anything. */
static void must_be_empty(struct isolation *isolation, const char *what, uint32_t hits) {
    isolation->tried++;
    if (hits != 0 && hits != UINT32_MAX) {
        isolation->reached++;
        (void)bench_fail("isolation: %s: %u points", what, hits);
    }
}

static uint64_t count_of(struct isolation *isolation, uint32_t tenant) {
    uint64_t count = UINT64_MAX;
    size_t size = wire_count(&isolation->suite->wire, tenant, NULL, isolation->request);
    if (wire_ask(&isolation->suite->wire, isolation->request, size, isolation->answer,
                 ANSWER_MAX) != 200 ||
        !json_find_u64(isolation->answer, NULL, "count", &count)) {
        (void)bench_fail("isolation: no count: %.200s", isolation->answer);
    }
    return count;
}

/* ---- Forged names ---- */

struct forged {
    char json[1024], path[1024];
};

static void forge(struct forged *forged, const char *json, const char *path) {
    (void)snprintf(forged->json, sizeof(forged->json), "%s", json);
    (void)snprintf(forged->path, sizeof(forged->path), "%s", path);
}

static void try_name(struct isolation *isolation, const char *what, const struct forged *forged) {
    struct suite *suite = isolation->suite;
    float vector[BENCH_DIM];
    bool in_path = suite->world.style == BENCH_STYLE_COLLECTION;
    struct wire_query query = {.tenant = isolation->a,
                               .name = in_path ? forged->path : forged->json,
                               .vector = vector,
                               .limit = 10};
    world_query(&suite->world, isolation->a, 1ull << 58, false, vector);
    size_t size = wire_query(&suite->wire, &query, isolation->request);
    must_be_empty(isolation, what, hits_of(isolation, size));
}

static void try_names(struct isolation *isolation) {
    const char *name = isolation->suite->world.names[isolation->a];
    struct forged forged;
    char text[1024], long_name[400];
    forge(&forged, "", "");
    try_name(isolation, "an empty name", &forged);
    memset(long_name, 't', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    forge(&forged, long_name, long_name);
    try_name(isolation, "an overlong name", &forged);
    (void)snprintf(text, sizeof(text), "%%74%s", name + 1);
    forge(&forged, text, "%2574"); /* encoded twice in a path: once would be the name itself */
    try_name(isolation, "a percent-encoded name", &forged);
    (void)snprintf(text, sizeof(text), "T%s", name + 1);
    forge(&forged, text, text);
    try_name(isolation, "a name in another case", &forged);
    (void)snprintf(text, sizeof(text), "%s ", name);
    (void)snprintf(long_name, sizeof(long_name), "%s%%20", name);
    forge(&forged, text, long_name);
    try_name(isolation, "a name and a space", &forged);
    (void)snprintf(text, sizeof(text), "%s\\u0000", name);
    (void)snprintf(long_name, sizeof(long_name), "%s%%00", name);
    forge(&forged, text, long_name);
    try_name(isolation, "a name and a zero byte", &forged);
    (void)snprintf(text, sizeof(text), "%.8s", name);
    forge(&forged, text, text);
    try_name(isolation, "the beginning of a name", &forged);
    (void)snprintf(text, sizeof(text), "%s\\u0301", name);
    (void)snprintf(long_name, sizeof(long_name), "%s%%CC%%81", name);
    forge(&forged, text, long_name);
    try_name(isolation, "a name with an accent", &forged);
    (void)snprintf(text, sizeof(text), "%s/../%s", name, name);
    (void)snprintf(long_name, sizeof(long_name), "nobody%%2F..%%2F%s", name);
    forge(&forged, text, long_name);
    try_name(isolation, "a name with a path", &forged);
}

/* ---- Filters that name another tenant (style key) ---- */

static void try_filter(struct isolation *isolation, const char *what, const char *filter) {
    struct suite *suite = isolation->suite;
    float vector[BENCH_DIM];
    world_query(&suite->world, isolation->b, 1ull << 58, false, vector);
    size_t size = wire_query_filter(&suite->wire, filter, vector, 10, isolation->request);
    must_be_empty(isolation, what, hits_of(isolation, size));
}

#define TENANT_IS "{\"key\":\"tenant\",\"match\":{\"value\":\"%s\"}}"

static void try_filters(struct isolation *isolation) {
    const char *a = isolation->suite->world.names[isolation->a];
    const char *b = isolation->suite->world.names[isolation->b];
    char text[600], id[48];
    (void)snprintf(text, sizeof(text), "{\"must\":[" TENANT_IS "," TENANT_IS "]}", a, b);
    try_filter(isolation, "must be of two tenants", text);
    (void)snprintf(text, sizeof(text), "{\"must\":[" TENANT_IS "],\"should\":[" TENANT_IS "]}", a,
                   b);
    try_filter(isolation, "must be of one, should be of another", text);
    (void)snprintf(text, sizeof(text), "{\"must\":[" TENANT_IS "],\"must_not\":[" TENANT_IS "]}", a,
                   a);
    try_filter(isolation, "must and must not be of one", text);
    (void)snprintf(text, sizeof(text), "{\"must\":[{\"must\":[" TENANT_IS "]}," TENANT_IS "]}", b,
                   a);
    try_filter(isolation, "of one, nested of another", text);
    size_t id_size = points_id_text(world_id(&isolation->suite->world, isolation->b, 0), id);
    (void)snprintf(text, sizeof(text), "{\"must\":[" TENANT_IS ",{\"has_id\":[%.*s]}]}", a,
                   (int)id_size, id);
    try_filter(isolation, "an id of another tenant", text);
}

/* ---- Ids of another tenant ---- */

/* Point 0 of tenant b as one of tenant a, then back. */
static bool write_as(struct isolation *isolation, const char *name) {
    struct wire *wire = &isolation->suite->wire;
    const struct tenant *tenant = &isolation->suite->world.tenants[isolation->b];
    struct wire_point point = {.i = 0, .version = tenant_version(tenant, 0)};
    uint64_t bytes = 0;
    size_t size = wire_upsert(wire, isolation->b, name, &point, 1, isolation->request, &bytes);
    int status = wire_ask(wire, isolation->request, size, isolation->answer, ANSWER_MAX);
    if (status != 200) {
        (void)bench_fail("isolation: writing a point: %d %.200s", status, isolation->answer);
    }
    return status == 200;
}

static void report_counts(struct isolation *isolation, const char *key, const char *label,
                          bool right) {
    isolation->tried++;
    report_text(isolation->report, key, label, right ? "yes" : "no");
    report_target(isolation->report, "yes", right);
}

static bool try_steal(struct isolation *isolation) {
    bool key = isolation->suite->world.style == BENCH_STYLE_KEY;
    const char *name = isolation->suite->world.names[isolation->a];
    uint64_t a = count_of(isolation, isolation->a), b = count_of(isolation, isolation->b);
    if (!write_as(isolation, name)) {
        return false;
    }
    uint64_t a_then = count_of(isolation, isolation->a), b_then = count_of(isolation, isolation->b);
    if (key) {
        report_counts(isolation, "steal_moves",
                      "writing another tenant's id moves the point: one more here, one less there",
                      a_then == a + 1 && b_then + 1 == b);
        if (!write_as(isolation, NULL)) {
            return false;
        }
        report_counts(isolation, "steal_back", "and back",
                      count_of(isolation, isolation->a) == a &&
                          count_of(isolation, isolation->b) == b);
        return true;
    }
    /* Its own scope: b keeps its point; a's point of the same id was overwritten, or made. */
    report_counts(isolation, "steal_apart", "the same id in two tenants is two points",
                  b_then == b && a_then >= a);
    return true;
}

/* The two tenants of numbers as ids with most points, so that in their own scopes ids collide. */
static bool choose(struct isolation *isolation) {
    const struct world *world = &isolation->suite->world;
    uint32_t found = 0;
    for (uint32_t t = 0; t < world->tenant_count && found < 2; t += 2) {
        if (tenant_has(&world->tenants[t], 0)) {
            *(found == 0 ? &isolation->a : &isolation->b) = t;
            found++;
        }
    }
    if (found < 2) {
        (void)bench_fail("isolation: no two tenants have their first point");
    }
    return found == 2;
}

/* In a scope of its own a's point was overwritten by b's: gives it back its own vector. */
static bool restore(struct isolation *isolation) {
    uint32_t b = isolation->b;
    isolation->b = isolation->a;
    bool good = isolation->suite->world.style == BENCH_STYLE_KEY || write_as(isolation, NULL);
    isolation->b = b;
    return good;
}

static bool measure(struct isolation *isolation) {
    struct report *report = isolation->report;
    if (!choose(isolation)) {
        return false;
    }
    try_names(isolation);
    if (isolation->suite->world.style == BENCH_STYLE_KEY) {
        try_filters(isolation);
    }
    if (!try_steal(isolation) || !restore(isolation)) {
        return false;
    }
    report_number(report, "tried", "ways tried", (double)isolation->tried);
    report_number(report, "foreign", "isolation: ways that reached another tenant",
                  (double)isolation->reached);
    report_target(report, "0", isolation->reached == 0);
    return true;
}

bool workload_isolation(struct suite *suite, struct report *report) {
    struct isolation isolation = {.suite = suite,
                                  .report = report,
                                  .request = malloc(HTTP_REQUEST_MAX),
                                  .answer = calloc(1, ANSWER_MAX)};
    bool good = isolation.request != NULL && isolation.answer != NULL && measure(&isolation);
    free(isolation.request);
    free(isolation.answer);
    return good;
}
