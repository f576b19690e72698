/* `filter`: recall@10 against exact truth and latency under filters of known selectivity, in the 12
 * largest tenants; those that follow the clusters and those against the query included. */
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "truth.h"

#define TENANTS 12u
#define QUERIES 10u

static const struct filter_case {
    const char *key, *label;
    struct condition conditions[CONDITIONS_MAX];
    uint32_t count;
} cases[] = {
    {"none", "no filter", {{.kind = CONDITION_BUCKET}}, 0},
    {"bucket50", "bucket < 50", {{.kind = CONDITION_BUCKET, .to = 50}}, 1},
    {"bucket20", "bucket < 20", {{.kind = CONDITION_BUCKET, .to = 20}}, 1},
    {"bucket10", "bucket < 10", {{.kind = CONDITION_BUCKET, .to = 10}}, 1},
    {"bucket5", "bucket < 5", {{.kind = CONDITION_BUCKET, .to = 5}}, 1},
    {"bucket2", "bucket < 2", {{.kind = CONDITION_BUCKET, .to = 2}}, 1},
    {"bucket1", "bucket < 1", {{.kind = CONDITION_BUCKET, .to = 1}}, 1},
    {"near", "near (with the clusters)", {{.kind = CONDITION_NEAR}}, 1},
    {"far", "far (against the query)", {{.kind = CONDITION_FAR}}, 1},
    {"kind", "kind = the most frequent", {{.kind = CONDITION_KIND}}, 1},
    {"ts",
     "ts in a range",
     {{.kind = CONDITION_TS, .from = 1700000000, .to = 1700000000 + 60 * 1000}},
     1},
    {"tags_any", "one of two tags", {{.kind = CONDITION_TAGS_ANY, .from = 3, .to = 7}}, 1},
    {"tags_all", "both of two tags", {{.kind = CONDITION_TAGS_ALL, .from = 0, .to = 1}}, 1},
    {"two",
     "bucket < 20 and near",
     {{.kind = CONDITION_BUCKET, .to = 20}, {.kind = CONDITION_NEAR}},
     2},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

struct filter {
    struct suite *suite;
    struct truth *truths; /* [CASES][QUERIES] of one tenant */
    double recall[CASES], matching[CASES], points;
    uint32_t asked[CASES];
    struct latency *latencies; /* [CASES], and one of the first queries, which may be cold */
};

static void prepare(struct filter *filter, uint32_t tenant) {
    struct world *world = &filter->suite->world;
    for (uint32_t c = 0; c < CASES; c++) {
        for (uint32_t q = 0; q < QUERIES; q++) {
            struct truth *truth = &filter->truths[c * QUERIES + q];
            *truth = (struct truth){0};
            truth->query.tenant = tenant;
            truth->query.condition_count = cases[c].count;
            memcpy(truth->query.conditions, cases[c].conditions, sizeof(cases[c].conditions));
            bool against = cases[c].count == 1 && cases[c].conditions[0].kind == CONDITION_FAR;
            world_query(world, tenant, (1ull << 59) + q, against, truth->vector);
        }
    }
}

static bool ask_tenant(struct filter *filter, uint32_t tenant) {
    struct world *world = &filter->suite->world;
    prepare(filter, tenant);
    truth_compute(world, tenant, filter->truths, CASES * QUERIES);
    filter->points += (double)tenant_live(&world->tenants[tenant]);
    for (uint32_t c = 0; c < CASES; c++) {
        if (!truth_ask(filter->suite, &filter->truths[c * QUERIES], &filter->latencies[CASES])) {
            return false;
        }
    }
    for (uint32_t c = 0; c < CASES; c++) {
        filter->matching[c] += (double)filter->truths[c * QUERIES].matching;
        for (uint32_t q = 0; q < QUERIES; q++) {
            struct truth *truth = &filter->truths[c * QUERIES + q];
            if (!truth_ask(filter->suite, truth, &filter->latencies[c])) {
                return false;
            }
            filter->recall[c] += truth->recall;
            filter->asked[c]++;
        }
    }
    return true;
}

static void report_case(const struct filter *filter, uint32_t c, struct report *report) {
    const double ms = 1e-6;
    char key[56], label[96];
    double recall = filter->recall[c] / (double)filter->asked[c];
    double plain = filter->recall[0] / (double)filter->asked[0];
    (void)snprintf(key, sizeof(key), "recall_%s", cases[c].key);
    (void)snprintf(label, sizeof(label), "%s (%.2f %% of the points): recall@10", cases[c].label,
                   100.0 * filter->matching[c] / filter->points);
    report_number(report, key, label, recall);
    if (c > 0) {
        report_target(report, "plain-0.02", recall >= plain - 0.02);
    }
    (void)snprintf(key, sizeof(key), "p50_%s_ms", cases[c].key);
    report_number(report, key, "  p50, ms",
                  (double)latency_quantile(&filter->latencies[c], 0.5) * ms);
    (void)snprintf(key, sizeof(key), "p99_%s_ms", cases[c].key);
    report_number(report, key, "  p99, ms",
                  (double)latency_quantile(&filter->latencies[c], 0.99) * ms);
}

bool workload_filter(struct suite *suite, struct report *report) {
    struct filter *filter = calloc(1, sizeof(*filter));
    bool good = filter != NULL;
    uint32_t tenants = TENANTS < suite->world.tenant_count ? TENANTS : suite->world.tenant_count;
    if (good) {
        filter->suite = suite;
        filter->truths = calloc(CASES * QUERIES, sizeof(*filter->truths));
        filter->latencies = calloc(CASES + 1, sizeof(*filter->latencies));
        good = filter->truths != NULL && filter->latencies != NULL;
        for (uint32_t tenant = 0; good && tenant < tenants; tenant++) {
            good = ask_tenant(filter, tenant);
        }
        report_number(report, "tenants", "tenants asked, the largest", (double)tenants);
        report_number(report, "queries", "queries of each filter", (double)tenants * QUERIES);
        for (uint32_t c = 0; good && c < CASES; c++) {
            report_case(filter, c, report);
        }
        report_number(report, "first_p99_ms", "first query of each tenant and filter: p99, ms",
                      (double)latency_quantile(&filter->latencies[CASES], 0.99) * 1e-6);
        answers_report(&suite->answers, report);
        free(filter->truths);
        free(filter->latencies);
    }
    free(filter);
    return good;
}
