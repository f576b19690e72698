#include "few.h"

#include <stdlib.h>
#include <unistd.h>

#define SETTLE_S_MAX 1200.0
#define RETRY_S 0.005
#define TRIES 2000u /* ten seconds of "not now" */

/* The world's tenants are in order of size, so a class is a span of them. */
uint32_t few_choose(const struct world *world, uint32_t *out_stand_ins,
                    uint32_t out_tenants[SIZE_CLASSES]) {
    uint32_t count = 0, from = 0;
    while (from < world->tenant_count) {
        uint32_t class = size_class(world->tenants[from].size), end = from;
        while (end < world->tenant_count && size_class(world->tenants[end].size) == class) {
            end++;
        }
        uint32_t median = from + (end - from) / 2;
        INS_ASSERT(count < SIZE_CLASSES);
        out_tenants[count++] = median;
        for (; from < end; from++) {
            out_stand_ins[from] = median;
        }
    }
    return count;
}

double few_points_asked(const struct world *world, const uint32_t *stand_ins) {
    double points = 0.0;
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        uint32_t asked = stand_ins == NULL ? t : stand_ins[t];
        points += world->tenants[t].share * (double)world->tenants[asked].size;
    }
    return points; /* the shares' sum is 1 */
}

/* ---- Points ---- */

static bool ask(const struct few *few, const char *what, const char *request, size_t size) {
    int status = 429;
    for (uint32_t tries = 0; (status == 429 || status == 503) && tries < TRIES; tries++) {
        bench_sleep(tries == 0 ? 0.0 : RETRY_S);
        status = wire_ask(&few->wire, request, size, NULL, 0);
    }
    if (status != 200) {
        (void)bench_fail("the server of few tenants: %s: %d", what, status);
    }
    return status == 200;
}

static bool put_tenant(struct few *few, uint32_t index) {
    static char request[HTTP_REQUEST_MAX];
    const struct world *world = few->wire.world;
    const struct tenant *tenant = &world->tenants[index];
    struct wire_point points[WIRE_BATCH_MAX];
    uint32_t count = 0;
    size_t size = wire_make_tenant(&few->wire, world->names[index], request);
    if (size > 0 && !ask(few, "a tenant", request, size)) {
        return false;
    }
    for (uint32_t i = 0; i < tenant->count; i++) {
        uint64_t bytes = 0;
        if (tenant_has(tenant, i)) {
            points[count++] = (struct wire_point){.i = i, .version = tenant_version(tenant, i)};
        }
        if (count == 0 || (count < WIRE_BATCH_MAX && i + 1 < tenant->count)) {
            continue;
        }
        size = wire_upsert(&few->wire, index, NULL, points, count, request, &bytes);
        if (!ask(few, "points", request, size)) {
            return false;
        }
        few->points += count;
        count = 0;
    }
    return true;
}

static bool put_all(struct few *few) {
    bool good = wire_make(&few->wire);
    for (uint32_t i = 0; good && i < few->count; i++) {
        good = put_tenant(few, few->tenants[i]);
    }
    if (good && !target_settle(&few->target, SETTLE_S_MAX)) {
        (void)fprintf(stderr, "the server of few tenants did not settle, or cannot tell\n");
    }
    return good;
}

/* ---- Open, close ---- */

bool few_open(struct few *few, struct suite *suite) {
    *few = (struct few){.wire = {.world = &suite->world, .target = &few->target}};
    suite_path(suite, "few", few->data);
    few->stand_ins = calloc(suite->world.tenant_count, sizeof(*few->stand_ins));
    if (few->stand_ins == NULL) {
        (void)bench_fail("no memory for %u tenants", suite->world.tenant_count);
        return false;
    }
    few->count = few_choose(&suite->world, few->stand_ins, few->tenants);
    if (access(few->data, F_OK) == 0 && !directory_remove(few->data)) { /* of a run cut off */
        (void)bench_fail("cannot remove %s", few->data);
        return false;
    }
    return target_open(&few->target, suite->options, few->data) && put_all(few);
}

void few_close(struct few *few) {
    target_close(&few->target);
    if (few->data[0] != '\0') {
        (void)directory_remove(few->data);
    }
    free(few->stand_ins);
    *few = (struct few){0};
}
