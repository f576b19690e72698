/* Reads back what was written: acknowledged writes are all there, lost ones whole or not at all. */
#include <stdlib.h>
#include <string.h>

#include "writer.h"

struct verify {
    const struct wire *wire;
    struct answers *answers;
    struct recent_write *writes; /* the last one of each point, by tenant */
    uint32_t count;
    uint16_t *found; /* [count]: as in tenant.versions */
    char *request, *answer;
    struct verified verified;
};

/* ---- Which points ---- */

static int order_writes(const void *left, const void *right) {
    const struct recent_write *a = left, *b = right;
    if (a->tenant != b->tenant) {
        return a->tenant < b->tenant ? -1 : 1;
    }
    if (a->i != b->i) {
        return a->i < b->i ? -1 : 1;
    }
    return a->request < b->request ? 1 : a->request > b->request ? -1 : 0; /* the last first */
}

static bool collect(struct verify *verify, uint64_t from) {
    const struct answers *answers = verify->answers;
    uint64_t kept = answers->recent_count - from;
    kept = kept < RECENT_WRITES ? kept : RECENT_WRITES;
    verify->writes = calloc(kept + 1, sizeof(*verify->writes));
    verify->found = calloc(kept + 1, sizeof(*verify->found));
    if (verify->writes == NULL || verify->found == NULL) {
        return false;
    }
    for (uint64_t n = answers->recent_count - kept; n < answers->recent_count; n++) {
        verify->writes[n - (answers->recent_count - kept)] = answers->recent[n % RECENT_WRITES];
    }
    qsort(verify->writes, kept, sizeof(*verify->writes), order_writes);
    for (uint64_t n = 0; n < kept; n++) {
        const struct recent_write *write = &verify->writes[n];
        const struct recent_write *last = verify->count == 0 ? NULL : write - 1;
        if (last == NULL || write->tenant != last->tenant || write->i != last->i) {
            verify->writes[verify->count++] = *write;
        }
    }
    return true;
}

/* ---- Asking ---- */

static bool read_points(struct verify *verify, uint32_t from, uint32_t count) {
    const struct world *world = verify->wire->world;
    struct http_answer answer = {.status = 200, .body = verify->answer};
    struct json_value points, point, payload, version;
    answer.body_size = strlen(verify->answer);
    if (!answers_points(verify->answers, &answer, &points)) {
        return false;
    }
    for (uint32_t n = from; n < from + count; n++) {
        verify->found[n] = VERSION_GONE;
    }
    struct json_iterator at = json_begin(points);
    while (json_next(&at, &point)) {
        ins_id id;
        uint32_t i, n = from;
        if (!answers_id(point, &id) ||
            !point_of_id(world->seed, world->style, verify->writes[from].tenant, id, &i) ||
            !json_get(point, "payload", &payload) || json_type_of(payload) != JSON_OBJECT ||
            !json_get(payload, "v", &version) || json_type_of(version) != JSON_INTEGER) {
            return false;
        }
        while (n < from + count && verify->writes[n].i != i) {
            n++;
        }
        if (n == from + count) {
            return false;
        }
        verify->found[n] = (uint16_t)(json_unsigned(version) & VERSION_MASK);
    }
    return true;
}

static bool ask(struct verify *verify, uint32_t from, uint32_t count) {
    struct wire_point points[WIRE_BATCH_MAX];
    uint32_t tenant = verify->writes[from].tenant;
    for (uint32_t n = 0; n < count; n++) {
        points[n] = (struct wire_point){.i = verify->writes[from + n].i};
    }
    size_t size = wire_retrieve(verify->wire, tenant, points, count, verify->request);
    int status = wire_ask(verify->wire, verify->request, size, verify->answer, HTTP_REQUEST_MAX);
    if (status != 200 || !read_points(verify, from, count)) {
        (void)bench_fail("points of tenant %s by id: %d %.200s", verify->wire->world->names[tenant],
                         status, verify->answer);
        return false;
    }
    return true;
}

static bool ask_all(struct verify *verify) {
    for (uint32_t from = 0; from < verify->count;) {
        uint32_t count = 1;
        while (count < WIRE_BATCH_MAX && from + count < verify->count &&
               verify->writes[from + count].tenant == verify->writes[from].tenant) {
            count++;
        }
        if (!ask(verify, from, count)) {
            return false;
        }
        from += count;
    }
    return true;
}

/* ---- Judging ---- */

static bool same(uint16_t left, uint16_t right) {
    bool both_gone = (left & right & VERSION_GONE) != 0;
    return both_gone || ((left ^ right) & (VERSION_GONE | VERSION_MASK)) == 0;
}

/* Of requests whose answer was lost: is all of one stored, or nothing? Few: at most one a
 * connection, so a quadratic look is short. */
static void judge_lost(struct verify *verify, uint32_t n) {
    const struct recent_write *write = &verify->writes[n];
    const struct world *world = verify->wire->world;
    uint32_t stored = 0, missing = 0;
    for (uint32_t m = 0; m < verify->count; m++) {
        const struct recent_write *other = &verify->writes[m];
        if (other->request == write->request) {
            uint16_t after = world->tenants[other->tenant].versions[other->i];
            bool is_after = same(verify->found[m], after);
            stored += is_after;
            missing += !is_after && same(verify->found[m], other->before);
            verify->verified.lost += !is_after && !same(verify->found[m], other->before);
        }
    }
    verify->verified.halves += stored > 0 && missing > 0;
}

static void judge(struct verify *verify) {
    struct world *world = verify->wire->world;
    for (uint32_t n = 0; n < verify->count; n++) {
        const struct recent_write *write = &verify->writes[n];
        uint16_t wanted = world->tenants[write->tenant].versions[write->i];
        verify->verified.points++;
        if ((wanted & VERSION_BUSY) != 0) {
            judge_lost(verify, n);
        } else if (!same(verify->found[n], wanted)) {
            bool extra = (wanted & VERSION_GONE) != 0;
            verify->verified.lost += !extra;
            verify->verified.extra += extra;
        }
    }
    for (uint32_t n = 0; n < verify->count; n++) { /* the model follows what is stored */
        const struct recent_write *write = &verify->writes[n];
        uint16_t *version = &world->tenants[write->tenant].versions[write->i];
        if ((*version & VERSION_BUSY) != 0) {
            *version = verify->found[n];
        }
    }
}

bool verify_writes(const struct wire *wire, struct answers *answers, uint64_t from,
                   struct verified *out_verified) {
    struct verify verify = {.wire = wire,
                            .answers = answers,
                            .request = malloc(HTTP_REQUEST_MAX),
                            .answer = malloc(HTTP_REQUEST_MAX)};
    bool good = verify.request != NULL && verify.answer != NULL && collect(&verify, from) &&
                ask_all(&verify);
    if (good) {
        judge(&verify);
        *out_verified = verify.verified;
    }
    free(verify.writes);
    free(verify.found);
    free(verify.request);
    free(verify.answer);
    return good;
}

void verify_report(const struct verified *verified, struct report *report) {
    report_number(report, "verified", "points read back after it", (double)verified->points);
    report_number(report, "lost", "acknowledged writes that are lost", (double)verified->lost);
    report_target(report, "0", verified->lost == 0);
    report_number(report, "extra", "deleted points that are there", (double)verified->extra);
    report_target(report, "0", verified->extra == 0);
    report_number(report, "halves", "requests of which a part is stored", (double)verified->halves);
    report_target(report, "0", verified->halves == 0);
}
