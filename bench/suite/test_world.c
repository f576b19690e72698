/* Goal: the made world is the one that WORKLOADS defines, and its parts can be trusted: sizes,
 * ids, histograms, arrivals, reports. Method: sums and shares against the tables there; round
 * trips; counts of drawn events against their means. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../http.h"
#include "../report.h"
#include "arrivals.h"
#include "base/id.h"
#include "few.h"
#include "limit.h"
#include "shares.h"
#include "truth.h"
#include "world.h"

static void open_world(struct world *world, const char *scale, enum bench_style style) {
    const struct bench_options options = {
        .scale = scale, .style = style, .sample = BENCH_SAMPLE, .seed = 1};
    assert_true(world_open(world, &options));
}

static uint32_t count_from(const struct world *world, uint32_t size) {
    uint32_t count = 0;
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        count += world->tenants[t].size >= size;
    }
    return count;
}

/* The table of WORKLOADS 1; the sums may differ by a few from rounding of C. */
static void test_sizes(void **state) {
    (void)state;
    static const struct {
        const char *scale;
        uint32_t tenants, total, p50, p90, of_1000, of_10000, of_100000;
    } rows[] = {{"S", 500, 99999, 21, 321, 18, 2, 0},
                {"M", 5000, 999999, 12, 191, 115, 14, 1},
                {"L", 50000, 9999999, 8, 127, 791, 97, 12}};
    for (size_t i = 0; i < 3; i++) {
        struct world world;
        open_world(&world, rows[i].scale, BENCH_STYLE_KEY);
        assert_int_equal(world.tenant_count, rows[i].tenants);
        assert_in_range(world.point_count, rows[i].total - 5, rows[i].total + 5);
        assert_in_range(world.tenants[rows[i].tenants / 2].size, rows[i].p50 - 1, rows[i].p50 + 1);
        assert_in_range(world.tenants[rows[i].tenants / 10].size, rows[i].p90 - 2, rows[i].p90 + 2);
        assert_int_equal(count_from(&world, 1000), rows[i].of_1000);
        assert_int_equal(count_from(&world, 10000), rows[i].of_10000);
        assert_int_equal(count_from(&world, 100000), rows[i].of_100000);
        world_close(&world);
    }
}

static void test_ids(void **state) {
    (void)state;
    for (int style = BENCH_STYLE_KEY; style <= (int)BENCH_STYLE_SHARD; style++) {
        for (uint32_t tenant = 0; tenant < 1000; tenant += 7) {
            uint32_t i = tenant * 31 % 997, found = 0;
            ins_id id = point_id(5, (enum bench_style)style, tenant, i);
            assert_int_equal(id.is_uuid, tenant % 2 == 1);
            assert_true(point_of_id(5, (enum bench_style)style, tenant, id, &found));
            assert_int_equal(found, i);
            bool hashed = style == BENCH_STYLE_KEY || tenant % 2 == 1;
            assert_int_equal(point_of_id(5, (enum bench_style)style, tenant + 2, id, &found),
                             !hashed); /* numbers that count from 1 collide on purpose */
        }
    }
}

/* Unit length, made again alike, another one for another version. */
static void test_vectors(void **state) {
    (void)state;
    struct world world;
    float first[BENCH_DIM] = {0}, again[BENCH_DIM], other[BENCH_DIM];
    char text[VECTOR_TEXT_MAX];
    open_world(&world, "tiny", BENCH_STYLE_KEY);
    for (uint32_t tenant = 0; tenant < world.tenant_count; tenant++) {
        world_vector(&world, tenant, 0, 1, first);
        world_vector(&world, tenant, 0, 1, again);
        world_vector(&world, tenant, 0, 2, other);
        assert_memory_equal(first, again, sizeof(first));
        assert_memory_not_equal(first, other, sizeof(first));
        assert_true(fabs((double)vectors_dot(first, first) - 1.0) < 1e-5);
        world_query(&world, tenant, 3, false, again);
        assert_true(fabs((double)vectors_dot(again, again) - 1.0) < 1e-5);
    }
    text[vectors_text(first, text)] = '\0';
    char *at = text + 1;
    for (size_t i = 0; i < BENCH_DIM; i++) {
        assert_true(fabs(strtod(at, &at) - (double)first[i]) <= 6e-7);
        at++;
    }
    world_close(&world);
}

/* Conditions let through what they should: shares of bucket and far. */
static void test_fields(void **state) {
    (void)state;
    struct world world;
    const struct condition bucket = {.kind = CONDITION_BUCKET, .to = 20};
    const struct condition far_away = {.kind = CONDITION_FAR};
    const struct condition close_by = {.kind = CONDITION_NEAR};
    uint32_t buckets = 0, far = 0, both = 0, count = 20000;
    open_world(&world, "S", BENCH_STYLE_KEY);
    for (uint32_t i = 0; i < count; i++) {
        struct fields fields;
        char text[WORLD_PAYLOAD_MAX];
        world_fields(&world, 0, i, 1, &fields);
        buckets += condition_holds(&bucket, &fields);
        far += condition_holds(&far_away, &fields);
        both += condition_holds(&far_away, &fields) && condition_holds(&close_by, &fields);
        assert_in_range(world_payload(&world, &fields, text), 80, WORLD_PAYLOAD_MAX - 1);
    }
    assert_in_range(buckets, count / 5 - 400, count / 5 + 400);
    assert_in_range(far, count / 10 - 400, count / 10 + 400);
    assert_int_equal(both, 0); /* near: topics 0, 10, ...; far: odd ones */
    world_close(&world);
}

static void test_latency(void **state) {
    (void)state;
    struct latency *latency = calloc(2, sizeof(*latency));
    assert_non_null(latency);
    for (uint64_t ns = 1; ns <= 100000; ns++) {
        latency_add(latency, ns * 1000);
    }
    assert_in_range(latency_quantile(latency, 0.5), 50000000, 50900000);
    assert_in_range(latency_quantile(latency, 0.99), 99000000, 100000000);
    assert_int_equal(latency->max_ns, 100000000);
    latency_merge(latency + 1, latency);
    assert_int_equal(latency[1].count, 100000);
    free(latency);
}

static double arrivals_rate(struct world *world, bool bursts, double seconds) {
    struct arrivals arrivals;
    const struct arrivals_plan plan = {.rate = 200.0,
                                       .bursts = bursts,
                                       .start_ns = 1,
                                       .end_ns = (uint64_t)(seconds * (double)BENCH_NS)};
    uint64_t count = 0, last_ns = 0;
    assert_true(arrivals_open(&arrivals, world, &plan));
    while (arrivals_due(&arrivals) != HTTP_NEVER) {
        uint64_t due_ns = arrivals_due(&arrivals);
        struct arrival arrival = arrivals_take(&arrivals);
        assert_int_equal(arrival.at_ns, due_ns);
        assert_true(due_ns >= last_ns);
        last_ns = due_ns;
        count++;
    }
    arrivals_close(&arrivals);
    return (double)count / seconds;
}

/* Even arrivals come at their rate; bursts do over a long time. */
static void test_arrivals(void **state) {
    (void)state;
    struct world world;
    open_world(&world, "S", BENCH_STYLE_KEY);
    double even = arrivals_rate(&world, false, 500.0),
           bursts = arrivals_rate(&world, true, 50000.0);
    assert_true(even > 190.0 && even < 210.0);
    assert_true(bursts > 170.0 && bursts < 230.0);
    world_close(&world);
}

static void test_state(void **state) {
    (void)state;
    struct world world, again;
    char path[] = "world-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    open_world(&world, "tiny", BENCH_STYLE_KEY);
    tenant_grow(&world.tenants[3], 5);
    world.tenants[3].versions[2] = 7;
    assert_int_equal(tenant_live(&world.tenants[3]), 1);
    assert_true(world_save(&world, path));
    open_world(&again, "tiny", BENCH_STYLE_KEY);
    assert_true(world_load(&again, path));
    assert_int_equal(again.tenants[3].count, 5);
    assert_true(tenant_has(&again.tenants[3], 2));
    assert_false(tenant_has(&again.tenants[3], 1));
    world_close(&again);
    open_world(&again, "tiny", BENCH_STYLE_COLLECTION);
    assert_false(world_load(&again, path)); /* of another style */
    world_close(&again);
    world_close(&world);
    assert_int_equal(unlink(path), 0);
}

/* A report that was kept is read back whole. */
static void test_report(void **state) {
    (void)state;
    const struct bench_options options = {.seed = 9};
    struct report report, again;
    char path[] = "report-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    report_begin(&report, &options, "test");
    report_number(&report, "ratio", "a ratio", 1.25);
    report_target(&report, "<= 2", true);
    report_text(&report, "what", "a text", "with \"quotes\"");
    report_absent(&report, "none", "what was not measured");
    struct plot_line *line = plot_line(report_plot(&report, "title", "x", "y"), "line");
    plot_point(line, 1.0, 2.0);
    plot_point(line, 2.0, 4.0);
    assert_true(report_save(&report, path));
    assert_true(report_load(&again, path));
    assert_int_equal(again.figure_count, report.figure_count);
    assert_true(report_find(&again, "ratio")->value > 1.2);
    assert_true(report_find(&again, "ratio")->pass);
    assert_string_equal(report_find(&again, "ratio")->label, "a ratio");
    assert_int_equal(report_find(&again, "none")->kind, FIGURE_ABSENT);
    assert_int_equal(again.plots[0].lines[0].count, 2);
    report_free(&report);
    report_free(&again);
    assert_int_equal(unlink(path), 0);
}

/* Brute force over few points, against the definition. */
static void test_truth(void **state) {
    (void)state;
    struct world world;
    struct truth truth = {.query = {.tenant = 0}};
    open_world(&world, "tiny", BENCH_STYLE_KEY);
    struct tenant *tenant = &world.tenants[0];
    tenant_grow(tenant, 30);
    for (uint32_t i = 0; i < 30; i += 2) {
        tenant->versions[i] = 1;
    }
    world_query(&world, 0, 1, false, truth.vector);
    truth_compute(&world, 0, &truth, 1);
    assert_int_equal(truth.matching, 15);
    uint32_t better = 0;
    for (uint32_t i = 0; i < 30; i += 2) {
        float vector[BENCH_DIM];
        world_vector(&world, 0, i, 1, vector);
        better += vectors_dot(truth.vector, vector) >= truth.scores[TRUTH_K - 1];
    }
    assert_int_equal(better, TRUTH_K);
    world_close(&world);
}

static void test_http(void **state) {
    (void)state;
    char whole[] =
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nno";
    char chunked[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    struct http_parser parser = {0};
    assert_int_equal(http_parse(&parser, whole, sizeof(whole) - 2), HTTP_MORE);
    assert_int_equal(http_parse(&parser, whole, sizeof(whole) - 1), HTTP_WHOLE);
    assert_int_equal(parser.status, 429);
    assert_true(parser.retry_after);
    parser = (struct http_parser){0};
    assert_int_equal(http_parse(&parser, chunked, sizeof(chunked) - 1), HTTP_WHOLE);
    assert_int_equal(parser.body_size, 3);
    assert_memory_equal(chunked + parser.head_size, "abc", 3);
    parser = (struct http_parser){0};
    char bad[] = "SSH-2.0-nothing of ours\r\n\r\n";
    assert_int_equal(http_parse(&parser, bad, sizeof(bad) - 1), HTTP_BAD);
}

/* Goal: the fair level is that of max-min, and the worst part is found. Method: offers by hand. */
static void test_shares(void **state) {
    (void)state;
    size_t judged;
    const struct share fair[] = {{10, 10}, {100, 45}, {900, 45}};
    assert_float_equal(shares_level(fair, 3), 45.0, 1e-6);
    assert_float_equal(shares_worst(fair, 3, 1.0, &judged), 1.0, 1e-6);
    assert_int_equal(judged, 3);
    const struct share alike[] = {{100, 50},
                                  {1000, 500}}; /* each half: the small one's is unfair */
    assert_float_equal(shares_level(alike, 2), 450.0, 1e-6);
    assert_float_equal(shares_worst(alike, 2, 1.0, &judged), 0.5, 1e-6);
    assert_float_equal(shares_worst(alike, 2, 101.0, &judged), 1.0, 1e-6);
    assert_int_equal(judged, 1);
    const struct share enough[] = {{7, 7}, {3, 3}, {0, 0}};
    assert_float_equal(shares_level(enough, 3), 7.0, 1e-6);
    assert_float_equal(shares_worst(enough, 3, 1.0, &judged), 1.0, 1e-6);
    assert_int_equal(judged, 2);
}

/* A made-up machine that bears `most`; how near the limit comes, and after how many rates. */
static struct limit find_limit(double first, double most) {
    struct limit limit = limit_of(first);
    while (!limit_is_found(&limit)) {
        limit_tell(&limit, limit.rate > most);
    }
    return limit;
}

static void test_limit(void **state) {
    (void)state;
    struct limit limit = find_limit(100.0, 1000.0);
    assert_float_equal(limit.low, 1000.0, 1e-9); /* 800 + 1/4 of the gap */
    assert_float_equal(limit.high, 1100.0, 1e-9);
    assert_int_equal(limit.steps, 5 + LIMIT_HALVINGS);
    limit = find_limit(100.0, 20.0); /* even the first is too much, and the last that is tried */
    assert_float_equal(limit.low, 12.5, 1e-9);
    assert_float_equal(find_limit(100.0, 1.0).low, 0.0, 1e-9);
    assert_float_equal(find_limit(100.0, 1e9).high, 0.0, 1e-9); /* nothing was too much */
    limit = limit_of(100.0);
    limit_tell(&limit, true); /* once is a hiccup */
    assert_float_equal(limit.rate, 100.0, 1e-9);
    limit_tell(&limit, false);
    assert_float_equal(limit.low, 100.0, 1e-9);
    limit_tell(&limit, true); /* the first one is forgotten */
    assert_float_equal(limit.rate, 200.0, 1e-9);
    assert_float_equal(limit.high, 0.0, 1e-9);
    limit_tell(&limit, true);
    assert_float_equal(limit.high, 200.0, 1e-9);
}

/* Each tenant's stand-in is of its own class, and as many of the class are larger as smaller. */
static void test_few(void **state) {
    (void)state;
    static const struct {
        const char *scale;
        uint32_t classes;
    } rows[] = {{"S", 4}, {"M", 5}, {"L", 6}};
    for (size_t i = 0; i < 3; i++) {
        struct world world;
        uint32_t chosen[SIZE_CLASSES];
        open_world(&world, rows[i].scale, BENCH_STYLE_KEY);
        uint32_t *stand_ins = calloc(world.tenant_count, sizeof(*stand_ins));
        assert_non_null(stand_ins);
        assert_int_equal(few_choose(&world, stand_ins, chosen), rows[i].classes);
        int64_t balance[SIZE_CLASSES] = {0};
        for (uint32_t t = 0; t < world.tenant_count; t++) {
            uint32_t class = size_class(world.tenants[t].size);
            assert_int_equal(size_class(world.tenants[stand_ins[t]].size), class);
            balance[class] += (t > stand_ins[t]) - (t < stand_ins[t]);
        }
        for (uint32_t class = 0; class < SIZE_CLASSES; class ++) {
            assert_in_range(balance[class] + 1, 0, 2);
        }
        double own = few_points_asked(&world, NULL), few = few_points_asked(&world, stand_ins);
        assert_true(own > few && few >= 1.0 && own <= (double)world.tenants[0].size);
        free(stand_ins);
        world_close(&world);
    }
}

/* The same tenants at the same times with cold probes between them and without. */
static void test_probes_apart(void **state) {
    (void)state;
    struct world world;
    struct arrivals with, without;
    struct arrivals_plan plan = {
        .rate = 500.0, .bursts = true, .number = 3, .end_ns = 30 * BENCH_NS};
    uint32_t probes = 0, others = 0;
    open_world(&world, "S", BENCH_STYLE_KEY);
    assert_true(arrivals_open(&without, &world, &plan));
    plan.probes = true;
    assert_true(arrivals_open(&with, &world, &plan));
    while (arrivals_due(&with) != HTTP_NEVER) {
        struct arrival arrival = arrivals_take(&with);
        if (arrival.probe || arrival.at_ns != arrivals_due(&without)) {
            probes++;
            continue;
        }
        assert_int_equal(arrivals_take(&without).tenant, arrival.tenant);
        others++;
    }
    assert_true(arrivals_due(&without) == HTTP_NEVER);
    assert_in_range(probes, 100, 200); /* five a second */
    assert_true(others > 1000);
    arrivals_close(&with);
    arrivals_close(&without);
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_ids),
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_latency), cmocka_unit_test(test_arrivals),
        cmocka_unit_test(test_state),   cmocka_unit_test(test_report),
        cmocka_unit_test(test_truth),   cmocka_unit_test(test_http),
        cmocka_unit_test(test_shares),  cmocka_unit_test(test_limit),
        cmocka_unit_test(test_few),     cmocka_unit_test(test_probes_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
