#include "truth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define QUERIES_EACH 10u
#define DISTANCE_ERROR 1e-5 /* six digits are sent */

/* ---- Exact ---- */

static void offer(struct truth *truth, float score) {
    uint32_t kept = truth->matching < TRUTH_K ? truth->matching : TRUTH_K;
    truth->matching++;
    if (kept == TRUTH_K && score <= truth->scores[TRUTH_K - 1]) {
        return;
    }
    uint32_t at = kept < TRUTH_K ? kept : TRUTH_K - 1;
    for (; at > 0 && truth->scores[at - 1] < score; at--) {
        truth->scores[at] = truth->scores[at - 1];
    }
    truth->scores[at] = score;
}

static bool holds(const struct truth *truth, const struct fields *fields) {
    for (uint32_t i = 0; i < truth->query.condition_count; i++) {
        if (!condition_holds(&truth->query.conditions[i], fields)) {
            return false;
        }
    }
    return true;
}

void truth_compute(struct world *world, uint32_t tenant, struct truth *truths, uint32_t count) {
    const struct tenant *points = &world->tenants[tenant];
    bool filtered = false;
    for (uint32_t n = 0; n < count; n++) {
        truths[n].matching = 0;
        filtered = filtered || truths[n].query.condition_count > 0;
    }
    for (uint32_t i = 0; i < points->count; i++) {
        float vector[BENCH_DIM];
        struct fields fields = {0};
        if (!tenant_has(points, i)) {
            continue;
        }
        world_vector(world, tenant, i, tenant_version(points, i), vector);
        if (filtered) {
            world_fields(world, tenant, i, tenant_version(points, i), &fields);
        }
        for (uint32_t n = 0; n < count; n++) {
            if (!filtered || holds(&truths[n], &fields)) {
                offer(&truths[n], vectors_dot(truths[n].vector, vector));
            }
        }
    }
}

/* ---- The server's ---- */

static double recall_of(const struct world *world, const struct truth *truth, const uint32_t *found,
                        uint32_t count) {
    uint32_t wanted = truth->matching < TRUTH_K ? truth->matching : TRUTH_K, right = 0;
    double limit = 1.0 - (double)truth->scores[wanted - 1];
    limit = limit * (1.0 + DISTANCE_ERROR) + DISTANCE_ERROR;
    uint32_t tenant = truth->query.tenant;
    for (uint32_t n = 0; n < count && n < wanted; n++) {
        float vector[BENCH_DIM];
        struct fields fields;
        uint16_t version = world->tenants[tenant].versions[found[n]];
        /* Making a vector only fills the memory of nearest rows. */
        struct world *maker = (struct world *)(uintptr_t)world;
        world_vector(maker, tenant, found[n], version & VERSION_MASK, vector);
        world_fields(maker, tenant, found[n], version & VERSION_MASK, &fields);
        right += (version & VERSION_GONE) == 0 && holds(truth, &fields) &&
                 1.0 - (double)vectors_dot(truth->vector, vector) <= limit;
    }
    return (double)right / (double)wanted;
}

struct asked {
    int status;
    uint64_t latency_ns;
    struct suite *suite;
    const struct truth *truth;
    uint32_t found[TRUTH_K], count;
    size_t size;
    bool sent;
};

static char request[HTTP_REQUEST_MAX]; /* one thread */

static size_t next_query(void *context, uint32_t connection, char *out) {
    struct asked *asked = context;
    (void)connection;
    if (asked->sent) {
        return 0;
    }
    asked->sent = true;
    memcpy(out, request, asked->size);
    return asked->size;
}

static void query_done(void *context, uint32_t connection, const struct http_answer *answer) {
    struct asked *asked = context;
    (void)connection;
    asked->status = answer->status;
    asked->latency_ns = answer->latency_ns;
    if (answer->status == 200) {
        asked->count = answers_read(&asked->suite->answers, asked->truth->query.tenant, answer,
                                    asked->found, TRUTH_K);
    }
}

bool truth_ask(struct suite *suite, struct truth *truth, struct latency *latency) {
    struct asked asked = {.suite = suite, .truth = truth};
    struct http_load *load = calloc(1, sizeof(*load));
    if (load == NULL) {
        return false;
    }
    truth->query.limit = TRUTH_K;
    truth->query.vector = truth->vector;
    asked.size = wire_query(&suite->wire, &truth->query, request);
    *load = (struct http_load){.server = &suite->target.server,
                               .connections = 1,
                               .context = &asked,
                               .next = next_query,
                               .done = query_done};
    bool good = http_load_run(load) && asked.status == 200 && asked.count != UINT32_MAX;
    if (!good) {
        (void)bench_fail("query of tenant %s: %d %s", suite->world.names[truth->query.tenant],
                         asked.status, load->first_body);
    } else {
        latency_add(latency, asked.latency_ns);
        truth->recall = truth->matching == 0
                            ? asked.count == 0 ? 1.0 : 0.0
                            : recall_of(&suite->world, truth, asked.found, asked.count);
    }
    free(load);
    return good;
}

/* ---- By size class ---- */

static bool ask_tenant(struct suite *suite, uint32_t tenant, struct latency *latency,
                       double *out_sum) {
    struct truth truths[QUERIES_EACH] = {0};
    for (uint32_t n = 0; n < QUERIES_EACH; n++) {
        truths[n].query.tenant = tenant;
        world_query(&suite->world, tenant, (1ull << 60) + n, false, truths[n].vector);
    }
    truth_compute(&suite->world, tenant, truths, QUERIES_EACH);
    for (uint32_t n = 0; n < QUERIES_EACH; n++) {
        if (!truth_ask(suite, &truths[n], latency)) {
            return false;
        }
        *out_sum += truths[n].recall;
    }
    return true;
}

/* Tenants lie in order of size: a class is a span. */
static void class_span(const struct world *world, uint32_t class, uint32_t *out_from,
                       uint32_t *out_count) {
    *out_from = *out_count = 0;
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        if (size_class(world->tenants[t].size) == class) {
            *out_from = *out_count == 0 ? t : *out_from;
            (*out_count)++;
        }
    }
}

static bool ask_class(struct suite *suite, uint32_t class, uint32_t share, const char *prefix,
                      struct report *report, double *out_recall) {
    uint32_t from, count;
    char key[56], label[96];
    double sum = 0.0;
    class_span(&suite->world, class, &from, &count);
    uint32_t asked = count < share ? count : share;
    *out_recall = 1.0;
    if (asked == 0) {
        return true;
    }
    struct latency *latency = calloc(1, sizeof(*latency));
    bool good = latency != NULL;
    struct random random = random_of(suite->world.seed, BENCH_TRUTH, class, 0);
    for (uint32_t n = 0; good && n < asked; n++) { /* one of each equal part of the span */
        uint32_t low = (uint32_t)((uint64_t)count * n / asked);
        uint32_t high = (uint32_t)((uint64_t)count * (n + 1) / asked);
        uint32_t tenant = from + low + (uint32_t)(random_next(&random) % (high - low));
        good = ask_tenant(suite, tenant, latency, &sum);
    }
    if (good) {
        *out_recall = sum / (double)(asked * QUERIES_EACH);
        (void)snprintf(key, sizeof(key), "%srecall_size%u", prefix, class);
        (void)snprintf(label, sizeof(label), "recall@10, tenants of %s points (%u asked)",
                       size_class_text(class), asked);
        report_number(report, key, label, *out_recall);
    }
    free(latency);
    return good;
}

bool truth_classes(struct suite *suite, uint32_t tenants, const char *prefix, struct report *report,
                   double *out_worst) {
    uint32_t share = (tenants + SIZE_CLASSES - 1) / SIZE_CLASSES;
    *out_worst = 1.0;
    for (uint32_t class = 0; class < SIZE_CLASSES; class ++) {
        double recall;
        if (!ask_class(suite, class, share, prefix, report, &recall)) {
            return false;
        }
        *out_worst = recall < *out_worst ? recall : *out_worst;
    }
    return true;
}
