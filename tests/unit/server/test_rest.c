#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "fake_engine.h"
#include "testing.h"

static int setup(void **state) {
    static struct rest rest;
    rest_open(&rest);
    *state = &rest;
    return 0;
}

static int teardown(void **state) {
    rest_close(*state);
    assert_int_equal(fake_alloc_bytes(), 0); /* nothing is kept */
    return 0;
}

#define CREATE "{\"vectors\":{\"size\":4,\"distance\":\"Dot\"}}"

static void create(struct rest *rest) {
    assert_int_equal(rest_call(rest, API_PUT, "/collections/c", CREATE), 200);
}

static void fill(struct rest *rest) {
    create(rest);
    assert_int_equal(
        rest_call(rest, API_PUT, "/collections/c/points?wait=true",
                  "{\"points\":[{\"id\":1,\"vector\":[1,0,0,0],\"payload\":{\"city\":\"Rome\","
                  "\"n\":1.50}},"
                  "{\"id\":2,\"vector\":[0.5,1,0,0],\"payload\":{\"city\":\"Paris\",\"n\":2}},"
                  "{\"id\":\"f47ac10b-58cc-4372-a567-0e02b2c3d479\",\"vector\":[2,0,0,0.25]}]}"),
        200);
    assert_string_equal(rest_member(rest, "result.status"), "\"completed\"");
}

/* Goal: the life of a collection with its codes and results. Method: create, create again, exists,
 * get, list, delete, delete again. */
static void test_collection(void **state) {
    struct rest *rest = *state;
    create(rest);
    assert_string_equal(rest_member(rest, "result"), "true");
    assert_string_equal(rest_member(rest, "status"), "\"ok\"");
    assert_true(strtod(rest_member(rest, "time"), NULL) < 10.0);
    assert_int_equal(rest_call(rest, API_PUT, "/collections/c", CREATE), 409);
    assert_string_equal(rest_member(rest, "status.error"),
                        "\"Wrong input: Collection `c` already exists!\"");
    assert_string_equal(rest_member(rest, "result"), "");
    assert_int_equal(rest_call(rest, API_GET, "/collections/c/exists", NULL), 200);
    assert_string_equal(rest_member(rest, "result.exists"), "true");
    assert_int_equal(rest_call(rest, API_GET, "/collections/x/exists", NULL), 200);
    assert_string_equal(rest_member(rest, "result.exists"), "false");
    assert_int_equal(rest_call(rest, API_GET, "/collections/", NULL), 200);
    assert_string_equal(rest_member(rest, "result.collections"), "[{\"name\":\"c\"}]");
    assert_int_equal(rest_call(rest, API_DELETE, "/collections/c", NULL), 200);
    assert_string_equal(rest_member(rest, "result"), "true");
    assert_int_equal(rest_call(rest, API_DELETE, "/collections/c", NULL), 200);
    assert_string_equal(rest_member(rest, "result"), "false");
    assert_int_equal(rest_call(rest, API_GET, "/collections/c", NULL), 404);
    assert_string_equal(rest_member(rest, "status.error"),
                        "\"Not found: Collection `c` doesn't exist!\"");
}

/* Goal: settings that change no answer are kept, shown over Qdrant's defaults, and null is absent.
 * Method: the set-up that Qdrant recommends for many tenants, then collection info. */
static void test_settings(void **state) {
    struct rest *rest = *state;
    assert_int_equal(
        rest_call(
            rest, API_PUT, "/collections/c",
            "{\"vectors\":{\"size\":8,\"distance\":\"Cosine\",\"on_disk\":true,\"hnsw_config\":"
            "{\"m\": 32},\"datatype\":\"float32\",\"multivector_config\":null},\"hnsw_config\":"
            "{\"m\":0,\"payload_m\":16,\"on_disk\":null},\"shard_number\":2,"
            "\"optimizers_config\":{\"max_optimization_threads\":\"auto\","
            "\"indexing_threshold\":0},\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}},"
            "\"sharding_method\":\"auto\",\"strict_mode_config\":{\"enabled\":false},"
            "\"sparse_vectors\":null,\"metadata\":{ \"a\" : [1, 2.50] },\"unknown\":7}"),
        200);
    assert_int_equal(rest_call(rest, API_PUT, "/collections/c/index",
                               "{\"field_name\":\"t\",\"field_schema\":{\"type\":\"keyword\","
                               "\"is_tenant\":true}}"),
                     200);
    assert_int_equal(rest_call(rest, API_PUT, "/collections/c/index?wait=true",
                               "{\"field_name\":\"n\",\"field_schema\":\"integer\"}"),
                     200);
    assert_string_equal(rest_member(rest, "result.status"), "\"completed\"");
    assert_int_equal(rest_call(rest, API_GET, "/collections/c", NULL), 200);
    static const char *const expected[][2] = {
        {"result.status", "\"green\""},
        {"result.optimizer_status", "\"ok\""},
        {"result.warnings", ""},
        {"result.config.params.vectors",
         "{\"size\":8,\"distance\":\"Cosine\",\"hnsw_config\":{\"m\":32},\"on_disk\":true,"
         "\"datatype\":\"float32\"}"},
        {"result.config.params.shard_number", "2"},
        {"result.config.params.replication_factor", "1"},
        {"result.config.hnsw_config",
         "{\"m\":0,\"ef_construct\":100,\"full_scan_threshold\":10000,\"max_indexing_threads\":0,"
         "\"on_disk\":null,\"payload_m\":16}"},
        {"result.config.optimizer_config.indexing_threshold", "0"},
        {"result.config.optimizer_config.max_optimization_threads", "null"},
        {"result.config.optimizer_config.deleted_threshold", "0.2"},
        {"result.config.wal_config.wal_capacity_mb", "32"},
        {"result.config.quantization_config", "{\"scalar\":{\"type\":\"int8\"}}"},
        {"result.config.strict_mode_config", "{\"enabled\":false}"},
        {"result.config.metadata", "{\"a\":[1,2.50]}"},
        {"result.payload_schema.t.data_type", "\"keyword\""},
        {"result.payload_schema.t.params", "{\"type\":\"keyword\",\"is_tenant\":true}"},
        {"result.payload_schema.n.data_type", "\"integer\""},
        {"result.payload_schema.n.params", ""},
        {"result.points_count", "0"},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_string_equal(rest_member(rest, expected[i][0]), expected[i][1]);
    }
    assert_int_equal(rest_call(rest, API_DELETE, "/collections/c/index/n", NULL), 200);
    assert_int_equal(rest_call(rest, API_GET, "/collections/c", NULL), 200);
    assert_string_equal(rest_member(rest, "result.payload_schema.n"), "");
}

/* Goal: an is_tenant index that came too late is named in the warnings. Method: make one after a
 * point. */
static void test_late_tenant_index(void **state) {
    struct rest *rest = *state;
    fill(rest);
    assert_int_equal(rest_call(rest, API_PUT, "/collections/c/index",
                               "{\"field_name\":\"city\",\"field_schema\":{\"type\":\"keyword\","
                               "\"is_tenant\":true}}"),
                     200);
    assert_int_equal(rest_call(rest, API_GET, "/collections/c", NULL), 200);
    assert_non_null(strstr(rest_member(rest, "result.warnings"), "`city`"));
}

/* Goal: points come back as they were given, payload numbers verbatim. Method: get one, get many,
 * selections of payload and vector, both shapes of upsert. */
static void test_points(void **state) {
    struct rest *rest = *state;
    fill(rest);
    assert_int_equal(rest_call(rest, API_GET, "/collections/c/points/1", NULL), 200);
    assert_string_equal(rest_member(rest, "result"),
                        "{\"id\":1,\"payload\":{\"city\":\"Rome\",\"n\":1.50},"
                        "\"vector\":[1,0,0,0]}");
    assert_int_equal(
        rest_call(rest, API_GET, "/collections/c/points/F47AC10B58CC4372A5670E02B2C3D479", NULL),
        200);
    assert_string_equal(rest_member(rest, "result.id"), "\"f47ac10b-58cc-4372-a567-0e02b2c3d479\"");
    assert_string_equal(rest_member(rest, "result.payload"), "{}");
    assert_int_equal(rest_call(rest, API_GET, "/collections/c/points/99", NULL), 404);
    assert_string_equal(rest_member(rest, "status.error"),
                        "\"Not found: No point with id 99 found\"");
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points",
                               "{\"ids\":[2,77],\"with_payload\":false,\"with_vectors\":true}"),
                     200);
    assert_string_equal(rest_member(rest, "result"), "[{\"id\":2,\"vector\":[0.5,1,0,0]}]");
    assert_int_equal(rest_call(rest, API_PUT, "/collections/c/points",
                               "{\"batch\":{\"ids\":[5,6],\"vectors\":[[1,2,3,4],[4,3,2,1]],"
                               "\"payloads\":[null,{\"k\": [1 ,2]}]}}"),
                     200);
    assert_string_equal(rest_member(rest, "result.status"), "\"acknowledged\"");
    assert_true(strtoul(rest_member(rest, "result.operation_id"), NULL, 10) > 0);
    assert_int_equal(rest_call(rest, API_GET, "/collections/c/points/6", NULL), 200);
    assert_non_null(strstr(rest_member(rest, "result.payload"), "\"k\""));
    assert_int_equal(rest_call(rest, API_PUT, "/collections/c/points",
                               "{\"points\":[{\"id\":8,\"vector\":{\"\":[1,1,1,1]}},"
                               "{\"id\":9,\"vector\":{}}]}"),
                     200);
    assert_int_equal(rest_call(rest, API_GET, "/collections/c/points/9", NULL), 200);
    assert_string_equal(rest_member(rest, "result.vector"), "{}");
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/delete",
                               "{\"points\":[1,\"f47ac10b-58cc-4372-a567-0e02b2c3d479\"]}"),
                     200);
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/count", "{}"), 200);
    assert_string_equal(rest_member(rest, "result.count"), "5");
    assert_int_equal(
        rest_call(rest, API_POST, "/collections/c/points/delete",
                  "{\"filter\":{\"must\":{\"key\":\"city\",\"match\":{\"value\":\"Paris\"}}}}"),
        200);
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/count", "{\"exact\":true}"),
                     200);
    assert_string_equal(rest_member(rest, "result.count"), "4");
}

static void expect_query(struct rest *rest, const char *body, const char *result) {
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/query", body), 200);
    char got[1024];
    (void)snprintf(got, sizeof(got), "%s", rest_member(rest, "result.points"));
    char *version;
    while ((version = strstr(got, "\"version\":2,")) != NULL) { /* the fake's second write */
        memmove(version, version + 12, strlen(version + 12) + 1);
    }
    assert_string_equal(got, result);
}

/* Goal: every form of a query in the slice. Method: by vector, by id, by object, none; limit,
 * offset, threshold; the legacy search. */
static void test_query(void **state) {
    struct rest *rest = *state;
    fill(rest);
#define UUID "\"f47ac10b-58cc-4372-a567-0e02b2c3d479\""
    expect_query(rest, "{\"query\":[1,0,0,0],\"limit\":2}",
                 "[{\"id\":" UUID ",\"score\":2},{\"id\":1,\"score\":1}]");
    expect_query(rest,
                 "{\"query\":{\"nearest\":[1,0,0,0]},\"limit\":1,\"offset\":1,\"using\":\"\"}",
                 "[{\"id\":1,\"score\":1}]");
    expect_query(rest, "{\"query\":1,\"limit\":1}", "[{\"id\":" UUID ",\"score\":2}]");
    expect_query(rest, "{\"query\":{\"nearest\":" UUID "},\"limit\":1}",
                 "[{\"id\":1,\"score\":2}]");
    expect_query(rest, "{\"query\":[1,0,0,0],\"score_threshold\":1.5,\"params\":{\"exact\":true}}",
                 "[{\"id\":" UUID ",\"score\":2}]");
    expect_query(rest, "{\"limit\":1,\"offset\":1}", "[{\"id\":2,\"score\":1}]");
    expect_query(rest, "{\"offset\":7}", "[]");
    expect_query(rest,
                 "{\"query\":[1,0,0,0],\"prefetch\":[],\"filter\":null,\"shard_key\":null,"
                 "\"limit\":null,\"with_payload\":[\"n\"],\"score_threshold\":2}",
                 "[{\"id\":" UUID ",\"score\":2,\"payload\":{}}]");
    assert_int_equal(rest_call(rest, API_POST, "//collections/c/points/search/",
                               "{\"vector\":[1,0,0,0],\"top\":1,\"with_vector\":true}"),
                     200);
    assert_non_null(strstr(rest_member(rest, "result"), "\"vector\":[2,0,0,0.25]"));
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/search",
                               "{\"vector\":{\"name\":\"\",\"vector\":[1,0,0,0]},\"limit\":1}"),
                     200);
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/query", "{\"query\":99}"),
                     404);
    assert_int_equal(
        rest_call(rest, API_POST, "/collections/c/points/query", "{\"query\":[1,2,3]}"), 400);
    assert_string_equal(rest_member(rest, "status.error"),
                        "\"Wrong input: Vector dimension error: expected dim: 4, got 3\"");
}

/* Goal: a vector is the same whether it is read before the body is parsed or with it, and so is
 * what is wrong; messages speak of the body as it was sent. Method: forms with the vector first and
 * with it behind something else, which is parsed; mistakes in all places. */
static void test_vector_first(void **state) {
    struct rest *rest = *state;
    fill(rest);
    static const char *const same[] = {
        "{\"query\":[1,0.0,0e0,-0],\"limit\":2}",
        "{\"limit\":2,\"query\":[1,0.0,0e0,-0]}",
        " {\n\"query\" :\t[ 1 , 0.0,0e0 ,-0 ] ,\"limit\":2 } ",
        "{\"query\":{\"nearest\":[1,0.0,0e0,-0]},\"limit\":2}",
        "{\"limit\":2,\"query\":{\"nearest\":[1,0.0,0e0,-0]}}",
    };
    static const char *const bad[][2] = {
        {"{\"query\":[1,0,0,01]}", "line 1 column"},
        {"{\"query\":[1,0,0,0],\"limit\":3", "line 1 column 29"},
        {"{\"query\":[1,0,0,0],\"limit\":}", "line 1 column 28"},
        {"{\"query\":[1,0,0,0],\"query\":[1,0,0,0]}", "duplicate field `query`"},
        {"{\"query\":[1,0,0,\"a\"]}", "query[3]"},
        {"{\"query\":[1,0,0,1e39]}", "query[3]"},
        {"{\"query\":[]}", "expected dim: 4, got 0"},
        {"{\"query\":{\"nearest\":[]}}", "expected dim: 4, got 0"},
        {"{\"query\":[1,0,0]}", "expected dim: 4, got 3"},
        {"{\"query\":{\"nearest\":[1,0,0]}}", "expected dim: 4, got 3"},
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        expect_query(rest, same[i], "[{\"id\":" UUID ",\"score\":2},{\"id\":1,\"score\":1}]");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/query", bad[i][0]), 400);
        assert_non_null(strstr(rest_member(rest, "status.error"), bad[i][1]));
    }
    /* What was cut belongs to its key alone. */
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/search",
                               "{\"query\":[1,0,0,0],\"vector\":[],\"limit\":1}"),
                     400);
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/query",
                               "{\"vector\":[1,0,0,0],\"query\":[]}"),
                     400);
    assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/search",
                               "{\"vector\":[1,0,0,0],\"limit\":1}"),
                     200);
    assert_non_null(strstr(rest_member(rest, "result"), "\"score\":2"));
}

/* Goal: filters reach the engine as they were written. Method: conditions with known answers. */
static void test_filters(void **state) {
    struct rest *rest = *state;
    fill(rest);
    static const struct {
        const char *filter, *count;
    } cases[] = {
        {"{}", "3"},
        {"{\"must\":[]}", "3"},
        {"{\"must\":[{\"key\":\"city\",\"match\":{\"value\":\"Rome\"}}]}", "1"},
        {"{\"must_not\":[{\"key\":\"city\",\"match\":{\"value\":\"Rome\"}}]}", "2"},
        {"{\"should\":[{\"key\":\"city\",\"match\":{\"value\":\"Rome\"}},{\"has_id\":[2]}]}", "2"},
        {"{\"must\":{\"key\":\"city\",\"match\":{\"any\":[\"Rome\",\"Paris\",\"Oslo\"]}}}", "2"},
        {"{\"must\":{\"key\":\"city\",\"match\":{\"any\":[]}}}", "0"},
        {"{\"must\":{\"key\":\"n\",\"match\":{\"any\":[2,3]}}}", "1"},
        {"{\"must\":{\"key\":\"n\",\"range\":{\"gt\":1,\"lte\":1.5}}}", "1"},
        {"{\"must\":{\"key\":\"n\",\"range\":{\"gte\":1.5,\"lt\":null}}}", "2"},
        {"{\"must\":{\"key\":\"n\",\"range\":{\"lt\":1.6},\"match\":{\"value\":2}}}", "2"},
        {"{\"must\":[{\"should\":[{\"has_id\":[1]},{\"must\":[{\"has_id\":[2]}]}]}]}", "2"},
        {"{\"must\":null,\"should\":null}", "3"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[512];
        (void)snprintf(body, sizeof(body), "{\"filter\":%s}", cases[i].filter);
        assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/count", body), 200);
        assert_string_equal(rest_member(rest, "result.count"), cases[i].count);
    }
}

/* Goal: a scroll pages through all points once, in the order of ids. Method: pages of one. */
static void test_scroll(void **state) {
    struct rest *rest = *state;
    fill(rest);
    char body[128] = "{\"limit\":1,\"with_payload\":false}";
    static const char *const pages[] = {"[{\"id\":1}]", "[{\"id\":2}]", "[{\"id\":" UUID "}]"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(rest_call(rest, API_POST, "/collections/c/points/scroll", body), 200);
        assert_string_equal(rest_member(rest, "result.points"), pages[i]);
        (void)snprintf(body, sizeof(body), "{\"limit\":1,\"with_payload\":false,\"offset\":%s}",
                       rest_member(rest, "result.next_page_offset"));
    }
    assert_string_equal(rest_member(rest, "result.next_page_offset"), "null");
}

struct bad {
    enum api_method method;
    const char *target, *body;
    unsigned http;
    const char *says;
};

#define C "/collections/c"
#define POINTS "/collections/c/points"
#define QUERY "/collections/c/points/query"
#define COUNT "/collections/c/points/count"
#define FORMAT "Format error in JSON body: "

static const struct bad bad_bodies[] = {
    /* Not JSON, or not what a body is. */
    {API_PUT, POINTS, "", 400, FORMAT},
    {API_PUT, POINTS, "{\"points\":[}", 400, "line 1 column 12"},
    {API_PUT, POINTS, "{\"points\":\n [{]}", 400, "line 2 column"},
    {API_PUT, POINTS, "{\"points\":[]} x", 400, FORMAT},
    {API_PUT, POINTS, "[]", 400, "body: expected an object, got an array"},
    {API_PUT, POINTS, "{\"points\":\"\xff\"}", 400, FORMAT},
    {API_PUT, POINTS, "{\"points\":[NaN]}", 400, FORMAT},
    {API_PUT, POINTS, "{\"points\":[],\"points\":[]}", 400, "duplicate field `points`"},
    /* Points. */
    {API_PUT, POINTS, "{}", 400, "missing field `points`"},
    {API_PUT, POINTS, "{\"points\":null}", 400, "missing field `points`"},
    {API_PUT, POINTS, "{\"points\":7}", 400,
     "points: expected an array of points, got the number 7"},
    {API_PUT, POINTS, "{\"points\":[7]}", 400, "points[0]: expected an object"},
    {API_PUT, POINTS, "{\"points\":[{\"vector\":[1]}]}", 400, "missing field `points[0].id`"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1}]}", 400, "missing field `points[0].vector`"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":null}]}", 400, "missing field"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":-1,\"vector\":[1]}]}", 400,
     "points[0].id: expected a point id"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1.5,\"vector\":[1]}]}", 400, "the number 1.5"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":\"abc\",\"vector\":[1]}]}", 400,
     "the string \\\"abc\\\""},
    {API_PUT, POINTS, "{\"points\":[{\"id\":18446744073709551616,\"vector\":[1]}]}", 400, FORMAT},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"id\":2,\"vector\":[1]}]}", 400,
     "duplicate field `id`"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":\"x\"}]}", 400,
     "points[0].vector: expected an array of numbers"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":[1,\"x\"]}]}", 400,
     "points[0].vector[1]: expected a number"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":[1,1e39,1,1]}]}", 400,
     "points[0].vector[1] is beyond"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":[1,2,3]}]}", 400,
     "Wrong input: Vector dimension error: expected dim: 4, got 3"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":[]}]}", 422,
     "[points[0].vector: dense vector must not be empty]"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":[[1,2,3,4],[1,2]]}]}", 422,
     "[points[0].vector[1]: all vectors must have the same dimension, found vector with dimension "
     "2"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":{\"a\":[[1,2,3,4],3]}}]}", 400,
     "points[0].vector.a[1]: expected an array of numbers"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":[[1,2,3,4],[1,2,[3],4]]}]}", 400,
     "points[0].vector[1][2]: expected a number"},
    {API_PUT, POINTS,
     "{\"points\":[{\"id\":1,\"vector\":{\"a\":{\"indices\":[1],\"values\":[1]}}}]}", 501,
     "points[0].vector"},
    {API_PUT, POINTS, "{\"points\":[{\"id\":1,\"vector\":[1,2,3,4],\"payload\":7}]}", 400,
     "points[0].payload: expected an object"},
    {API_PUT, POINTS, "{\"points\":[],\"shard_key\":true}", 400, "shard_key: expected a shard key"},
    {API_PUT, POINTS, "{\"points\":[],\"shard_key\":[\"a\",-1]}", 400, "shard_key[]"},
    {API_PUT, POINTS, "{\"points\":[],\"shard_key\":{\"target\":1}}", 400, "shard_key.fallback"},
    {API_PUT, POINTS, "{\"points\":[],\"update_filter\":[]}", 400, "filter"},
    {API_PUT, POINTS, "{\"points\":[],\"update_mode\":\"insert\"}", 400, "update_mode"},
    {API_PUT, POINTS "?wait=maybe", "{\"points\":[]}", 400, "wait: `maybe`"},
    {API_PUT, POINTS, "{\"batch\":{\"ids\":[1],\"vectors\":[[1,2,3,4],[1,2,3,4]]}}", 422,
     "batch.vectors"},
    {API_PUT, POINTS, "{\"batch\":{\"ids\":[1],\"vectors\":[[1,2,3,4]],\"payloads\":[]}}", 422,
     "batch.payloads"},
    {API_PUT, POINTS, "{\"batch\":{\"ids\":[1],\"vectors\":{\"a\":[[[1],[]]]}}}", 422,
     "[batch.vectors.a[0][1]: all vectors must be non-empty]"},
    {API_PUT, POINTS, "{\"batch\":{\"vectors\":[]}}", 400, "missing field `batch.ids`"},
    {API_PUT, POINTS, "{\"batch\":{\"ids\":[1]}}", 400, "missing field `batch.vectors`"},
    {API_PUT, POINTS, "{\"batch\":{\"ids\":[1],\"vectors\":[7]}}", 400, "batch.vectors[0]"},
    {API_PUT, "/collections/none/points", "{\"points\":[]}", 404,
     "Not found: Collection `none` doesn't exist!"},
    /* Get, delete. */
    {API_GET, POINTS "/abc", NULL, 400, "`abc` is not a point id"},
    {API_GET, POINTS "/18446744073709551616", NULL, 400, "is not a point id"},
    {API_GET, POINTS "/%00", NULL, 400, "%00"},
    {API_POST, POINTS, "{}", 400, "missing field `ids`"},
    {API_POST, POINTS, "{\"ids\":1}", 400, "ids: expected an array of point ids"},
    {API_POST, POINTS, "{\"ids\":[],\"with_payload\":7}", 400, "with_payload: expected"},
    {API_POST, POINTS, "{\"ids\":[],\"with_payload\":{\"x\":[]}}", 400, "`include` or `exclude`"},
    {API_POST, POINTS, "{\"ids\":[],\"with_payload\":[7]}", 400,
     "with_payload: expected an array of strings"},
    {API_POST, POINTS, "{\"ids\":[],\"with_vector\":[1]}", 400, "with_vector"},
    {API_POST, POINTS, "{\"ids\":[],\"with_vector\":\"a\"}", 400, "with_vector"},
    {API_POST, POINTS "/delete", "{}", 400, "missing field `points`"},
    {API_POST, POINTS "/delete", "{\"filter\":null}", 400, "missing field `points`"},
    {API_POST, POINTS "/delete", "{\"filter\":{},\"points\":[1]}", 400, "both"},
    {API_POST, POINTS "/delete", "{\"filter\":{\"must\":[]},\"filter\":{}}", 400,
     "duplicate field `filter`"},
    /* Queries. */
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"limit\":0}", 422,
     "[internal.limit: value 0 invalid, must be 1 or larger]"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"limit\":10000001}", 422,
     "must be from 1 to 10000000"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"limit\":\"x\"}", 400,
     "internal.limit: expected an unsigned integer"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"limit\":-1}", 400, "got the number -1"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"limit\":1.5}", 400, "got the number 1.5"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"score_threshold\":\"x\"}", 400, "score_threshold"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"using\":7}", 400, "using"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"prefetch\":{}}", 501, "`prefetch`"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"lookup_from\":{}}", 501, "`lookup_from`"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"shard_key\":1.5}", 400, "shard_key: expected"},
    {API_POST, QUERY, "{\"query\":[1,2,3,4],\"params\":{\"hnsw_ef\":0}}", 422, "params.hnsw_ef"},
    {API_POST, QUERY, "{\"query\":[[1,2,3,4],[1,2,3,1e39]]}", 400, "query[1][3] is beyond"},
    {API_POST, QUERY, "{\"query\":[[]]}", 422, "[query[0]: all vectors must be non-empty]"},
    {API_POST, QUERY, "{\"query\":\"abc\"}", 400, "query: expected a point id"},
    {API_POST, QUERY, "{\"query\":true}", 400, "query: expected"},
    {API_POST, QUERY, "{\"query\":{\"fusion\":\"rrf\"}}", 501, "`query.fusion`"},
    {API_POST, QUERY, "{\"query\":{\"recommend\":{\"positive\":1}}}", 400, "positive"},
    {API_POST, QUERY, "{\"query\":{\"recommend\":{\"strategy\":\"best\"}}}", 400, "strategy"},
    {API_POST, QUERY, "{\"query\":{\"discover\":{}}}", 400, "target"},
    {API_POST, QUERY, "{\"query\":{\"context\":{\"positive\":1}}}", 400, "context.negative"},
    {API_POST, QUERY, "{\"query\":{\"order_by\":{\"key\":\"a\",\"direction\":1}}}", 400,
     "direction"},
    {API_POST, QUERY, "{\"query\":{\"sample\":1}}", 400, "query.sample"},
    {API_POST, QUERY, "{\"query\":{\"nearest\":[1,2,3,4],\"mmr\":{}}}", 501, "`query.mmr`"},
    {API_POST, QUERY, "{\"query\":{\"indices\":[1],\"values\":[1]}}", 501, "`query.indices`"},
    {API_POST, QUERY, "{\"query\":{\"x\":1}}", 400, "query: expected"},
    {API_POST, POINTS "/search", "{\"vector\":[1,2,3,4]}", 400, "missing field `limit`"},
    {API_POST, POINTS "/search", "{\"limit\":1}", 400, "missing field `vector`"},
    {API_POST, POINTS "/search", "{\"vector\":[1,2,3,4],\"limit\":0}", 422,
     "search_request.limit: value 0 invalid, must be 1 or larger"},
    {API_POST, POINTS "/search", "{\"vector\":{\"name\":7,\"vector\":[1]},\"limit\":1}", 400,
     "vector.name: expected a string"},
    {API_POST, POINTS "/scroll", "{\"limit\":0}", 422,
     "scroll_request.limit: value 0 invalid, must be 1 or larger"},
    {API_POST, POINTS "/scroll", "{\"offset\":\"x\"}", 400, "offset: expected a point id"},
    {API_POST, POINTS "/scroll", "{\"order_by\":7}", 400, "order_by"},
    {API_POST, POINTS "/scroll", "{\"order_by\":\"x\",\"offset\":1}", 400, "`offset`"},
    /* Filters. */
    {API_POST, COUNT, "{\"filter\":7}", 400, "filter: expected an object"},
    {API_POST, COUNT, "{\"filter\":{\"musty\":[]}}", 400, "filter: unknown field `musty`"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[],\"must\":[]}}", 400, "duplicate field `must`"},
    {API_POST, COUNT, "{\"filter\":{\"min_should\":7}}", 400, "filter: min_should: expected"},
    {API_POST, COUNT, "{\"filter\":{\"min_should\":{}}}", 400, "min_should.min_count"},
    {API_POST, COUNT, "{\"filter\":{\"min_should\":{\"min_count\":1}}}", 400,
     "missing field `filter: min_should.conditions`"},
    {API_POST, COUNT, "{\"filter\":{\"min_should\":{\"conditions\":[],\"min_count\":0}}}", 422,
     "filter.min_should.min_count: value 0 invalid, must be 1 or larger"},
    {API_POST, COUNT,
     "{\"filter\":{\"min_should\":{\"conditions\":[],\"min_count\":1},"
     "\"min_should\":{\"conditions\":[],\"min_count\":1}}}",
     400, "duplicate field `min_should`"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[7]}}", 400, "filter: condition: expected an object"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\"}]}}", 422, "the condition on `a`"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":7,\"match\":{}}]}}", 400, "filter: key"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"match\":{}}]}}", 400,
     "filter: match"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"match\":{\"value\":1.5}}]}}", 400,
     "filter: match.value"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"match\":{\"any\":[1,\"a\"]}}]}}",
     400, "either strings or integers"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"match\":{\"text\":\"b\"}}]}}", 501,
     "match.text"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"match\":{\"prefix\":\"b\"}}]}}", 501,
     "match.prefix"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"match\":{\"except\":7}}]}}", 400,
     "match.except: expected an array"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"match\":{\"except\":[true]}}]}}",
     400, "either strings or integers"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"range\":7}]}}", 400,
     "filter: range: expected an object"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"values_count\":{\"gt\":-1}}]}}", 400,
     "filter: values_count.gt: expected an unsigned integer"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"values_count\":[]}]}}", 400,
     "filter: values_count: expected an object"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"is_null\":1}]}}", 400,
     "filter: is_null: expected a boolean"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"key\":\"b\"}]}}", 400,
     "duplicate field `key`"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"range\":{\"gt\":true}}]}}", 400,
     "filter: range.gt"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\",\"geo_radius\":{}}]}}", 501,
     "geo_radius"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"is_empty\":{}}]}}", 400, "is_empty.key"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"is_empty\":7}]}}", 400, "filter: is_empty"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"is_null\":{\"key\":7}}]}}", 400, "is_null.key"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"nested\":{}}]}}", 400, "nested.key"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"nested\":{\"key\":\"a\"}}]}}", 400,
     "nested.filter"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"has_vector\":7}]}}", 400, "filter: has_vector"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"slice\":7}]}}", 400, "filter: slice"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"slice\":{\"total\":2}}]}}", 400, "slice.index"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"slice\":{\"total\":0,\"index\":0}}]}}", 400,
     "filter: slice.total: 0"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"slice\":{\"total\":2,\"index\":2}}]}}", 422,
     "filter.slice.index: value 2 invalid, must be from 0 to 1"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"has_id\":[true]}]}}", 400, "filter: has_id"},
    {API_POST, COUNT, "{\"filter\":{\"must\":[{\"other\":1}]}}", 400, "unknown field `other`"},
    /* Collections and indexes. */
    {API_PUT, "/collections/n", "{\"vectors\":{\"size\":0,\"distance\":\"Dot\"}}", 422,
     "[vectors.size: value 0 invalid, must be from 1 to 65536]"},
    {API_PUT, "/collections/n", "{\"vectors\":{\"size\":65537,\"distance\":\"Dot\"}}", 422,
     "Validation error in JSON body: [vectors.size: value 65537 invalid, must be from 1 to 65536]"},
    {API_PUT, "/collections/n", "{\"vectors\":{\"size\":\"4\",\"distance\":\"Dot\"}}", 400,
     "vectors.size"},
    {API_PUT, "/collections/n", "{\"vectors\":{\"distance\":\"Dot\"}}", 400,
     "missing field `vectors.size`"},
    {API_PUT, "/collections/n", "{\"vectors\":{\"size\":4}}", 400,
     "missing field `vectors.distance`"},
    {API_PUT, "/collections/n", "{\"vectors\":{\"size\":4,\"distance\":\"dot\"}}", 400,
     "vectors.distance"},
    {API_PUT, "/collections/n",
     "{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"datatype\":\"turbo4\"}}", 501,
     "vectors.datatype"},
    {API_PUT, "/collections/n",
     "{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"datatype\":\"x\"}}", 400, "vectors.datatype"},
    {API_PUT, "/collections/n",
     "{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"multivector_config\":{}}}", 400,
     "missing field `vectors.multivector_config.comparator`"},
    {API_PUT, "/collections/n",
     "{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"multivector_config\":{\"comparator\":\"x\"}}"
     "}",
     400, "vectors.multivector_config.comparator"},
    {API_PUT, "/collections/n", "{\"vectors\":{\"a\":{\"size\":4}}}", 400, "vectors.a.distance"},
    {API_PUT, "/collections/n",
     "{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"hnsw_config\":{\"m\":-1}}}", 400,
     "vectors.hnsw_config.m"},
    {API_PUT, "/collections/n", "{\"vectors\":7}", 400, "vectors: expected an object"},
    {API_PUT, "/collections/n", "{\"sparse_vectors\":{\"a\":{}}}", 501, "sparse_vectors"},
    {API_PUT, "/collections/n", "{\"sharding_method\":\"other\"}", 400, "sharding_method"},
    {API_PUT, "/collections/n/shards", "{}", 400, "missing field `shard_key`"},
    {API_PUT, "/collections/n/shards", "{\"shard_key\":\"a\",\"shards_number\":0}", 422,
     "shards_number"},
    {API_PUT, "/collections/n/shards", "{\"shard_key\":\"a\",\"placement\":[]}", 400, "placement"},
    {API_PUT, "/collections/n/shards", "{\"shard_key\":\"a\",\"placement\":[7]}", 400, "only peer"},
    {API_PUT, "/collections/n/shards", "{\"shard_key\":\"a\",\"initial_state\":\"Partial\"}", 501,
     "initial_state"},
    {API_POST, "/collections/n/shards/delete", "{\"shard_key\":[]}", 400, "shard_key: expected"},
    {API_POST, "/collections/n/cluster", "{\"move_shard\":{}}", 501, "move_shard"},
    {API_POST, "/collections/n/cluster", "{}", 400, "create_sharding_key"},
    {API_PUT, "/collections/n", "{\"shard_number\":0}", 422,
     "shard_number: value 0 invalid, must be 1 or larger"},
    {API_PUT, "/collections/n", "{\"hnsw_config\":{\"ef_construct\":3}}", 422,
     "hnsw_config.ef_construct: value 3 invalid, must be 4 or larger"},
    {API_PUT, "/collections/n", "{\"hnsw_config\":7}", 400, "hnsw_config: expected an object"},
    {API_PUT, "/collections/n", "{\"optimizers_config\":{\"deleted_threshold\":2}}", 422,
     "optimizers_config.deleted_threshold"},
    {API_PUT, "/collections/n", "{\"on_disk_payload\":1}", 400, "on_disk_payload"},
    {API_PUT, "/collections/n", "{\"strict_mode_config\":{\"enabled\":true}}", 501,
     "strict_mode_config.enabled"},
    {API_PUT, "/collections/n", "{\"metadata\":[]}", 400, "metadata: expected an object"},
    {API_PUT, "/collections/a%2Fb", "{}", 422, "cannot contain"},
    {API_PUT, "/collections/a%3Ab", "{}", 422, "cannot contain"},
    {API_PUT, "/collections/%1f", "{}", 422, "cannot contain"},
    {API_PUT, "/collections/%zz", "{}", 400, "two hex digits"},
    {API_PUT, "/collections/%ff", "{}", 400, "not UTF-8"},
    {API_PUT, C "/index", "{\"field_schema\":\"keyword\"}", 400, "missing field `field_name`"},
    {API_PUT, C "/index", "{\"field_name\":\"\",\"field_schema\":\"keyword\"}", 400, "field_name"},
    {API_PUT, C "/index", "{\"field_name\":\"a\"}", 400, "missing field `field_schema`"},
    {API_PUT, C "/index", "{\"field_name\":\"a\",\"field_schema\":\"word\"}", 400, "field_schema"},
    {API_PUT, C "/index", "{\"field_name\":\"a\",\"field_schema\":{}}", 400, "field_schema.type"},
    {API_PUT, C "/index",
     "{\"field_name\":\"a\",\"field_schema\":{\"type\":\"keyword\",\"is_tenant\":1}}", 400,
     "is_tenant"},
    {API_PUT, C "/index",
     "{\"field_name\":\"a\",\"field_schema\":{\"type\":\"integer\",\"lookup\":false,\"range\":"
     "false}}",
     422, "can't be both disabled"},
    /* Not here. */
    {API_GET, "/nothing", NULL, 404, "/nothing"},
    {API_POST, "/collections", "{}", 405, "GET"},
    {API_GET, "/issues", NULL, 501, "list issues"},
    {API_POST, POINTS "/query/batch", "{\"searches\":1}", 400, "searches"},
    {API_POST, POINTS "/query/batch", "{\"searches\":[{},1]}", 400, "searches"},
    {API_POST, POINTS "/query/batch", "{\"searches\":[{},{\"limit\":0}]}", 422, "limit"},
    {API_POST, POINTS "/search/matrix/pairs", "{}", 501, "distance matrix"},
    {API_GET, "/quotas", NULL, 501, "show quotas"},
};

/* Goal: each bad request has its code and a message that names field, value or limit, and changes
 * nothing. Method: the table above; the count of points before and after. */
static void test_bad(void **state) {
    struct rest *rest = *state;
    create(rest);
    for (size_t i = 0; i < sizeof(bad_bodies) / sizeof(bad_bodies[0]); i++) {
        const struct bad *bad = &bad_bodies[i];
        unsigned http = rest_call(rest, bad->method, bad->target, bad->body);
        if (http != bad->http || strstr(rest->body, bad->says) == NULL) {
            print_error("%s %s: expected %u \"%s\"\n  got %u %s\n", bad->target,
                        bad->body == NULL ? "" : bad->body, bad->http, bad->says, http, rest->body);
        }
        assert_int_equal(http, bad->http);
        assert_non_null(strstr(rest->body, bad->says));
        assert_string_not_equal(rest_member(rest, "status.error"), "");
        assert_string_equal(rest_member(rest, "result"), "");
    }
    assert_int_equal(rest_call(rest, API_POST, COUNT, "{}"), 200);
    assert_string_equal(rest_member(rest, "result.count"), "0");
    assert_int_equal(rest_call(rest, API_GET, "/collections", NULL), 200);
    assert_string_equal(rest_member(rest, "result.collections"), "[{\"name\":\"c\"}]");
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

/* Goal: no body, however broken, does more than be refused. Method: every body of the table above
 * and some right ones, each with a few of its bytes changed, cut out or doubled, some thousand
 * times from one seed; each must have one answer, and never 500. */
static void test_mutations(void **state) {
    struct rest *rest = *state;
    static const struct bad right[] = {
        {API_PUT, POINTS,
         "{\"points\":[{\"id\":1,\"vector\":[1,2,3,4],\"payload\":{\"a\":[1,{}]}}]}", 0, ""},
        {API_PUT, POINTS,
         "{\"batch\":{\"ids\":[1],\"vectors\":[[1,2,3,4]],\"payloads\":[{\"b\":1}]}}", 0, ""},
        {API_POST, QUERY,
         "{\"query\":{\"nearest\":[1,2,3,4]},\"limit\":2,\"with_payload\":{\"include\":[\"a\"]}}",
         0, ""},
        {API_PUT, "/collections/m",
         "{\"vectors\":{\"size\":4,\"distance\":\"Dot\"},\"metadata\":{\"a\":1}}", 0, ""},
    };
    enum {
        RIGHT = sizeof(right) / sizeof(right[0]),
        BAD = sizeof(bad_bodies) / sizeof(bad_bodies[0])
    };
    uint64_t random = 20261122;
    create(rest);
    for (size_t round = 0; round < 20000; round++) {
        size_t pick = next_random(&random) % (RIGHT + BAD);
        const struct bad *from = pick < RIGHT ? &right[pick] : &bad_bodies[pick - RIGHT];
        char body[2048];
        (void)snprintf(body, sizeof(body) - 64, "%s", from->body == NULL ? "" : from->body);
        for (size_t changes = 1 + next_random(&random) % 4; changes != 0; changes--) {
            static const char pieces[] = "{}[]\",:0123456789eE+-.truefalsnu\\ \x80\xc3\x01";
            size_t size = strlen(body);
            size_t at = size == 0 ? 0 : next_random(&random) % size;
            size_t length = size == 0 ? 0 : next_random(&random) % (size - at);
            switch (next_random(&random) % 3) {
            case 0: /* change or add a byte */
                body[at] = pieces[next_random(&random) % (sizeof(pieces) - 1)];
                break;
            case 1: /* cut out */
                memmove(body + at, body + at + length, size - at - length + 1);
                break;
            default: /* double a piece */
                length = length > 32 ? 32 : length;
                if (size + length < sizeof(body) - 1) {
                    memmove(body + at + length, body + at, size - at + 1);
                }
                break;
            }
        }
        unsigned http = rest_call(rest, from->method, from->target, body);
        if (http == 500 || http < 200) {
            print_error("round %zu: %s %s\n  got %u %s\n", round, from->target, body, http,
                        rest->body);
        }
        assert_true(http != 500 && http >= 200);
    }
}

/* Goal: depth of JSON and of filters, sizes of vectors and payloads have limits that say so.
 * Method: one beyond each. */
static void test_limits(void **state) {
    struct rest *rest = *state;
    create(rest);
    char *body = malloc(3u << 20);
    INS_ASSERT(body != NULL);
    size_t size = (size_t)sprintf(body, "{\"filter\":");
    for (int i = 0; i < 20; i++) {
        size += (size_t)sprintf(body + size, "{\"must\":");
    }
    size += (size_t)sprintf(body + size, "{}");
    for (int i = 0; i < 21; i++) {
        size += (size_t)sprintf(body + size, "}");
    }
    assert_int_equal(rest_call(rest, API_POST, COUNT, body), 400);
    assert_non_null(strstr(rest->body, "nested more than 16 deep"));

    memset(body, '[', 1000);
    body[1000] = '\0';
    assert_int_equal(rest_call(rest, API_POST, COUNT, body), 400);

    size = (size_t)sprintf(body, "{\"points\":[{\"id\":1,\"vector\":[");
    for (int i = 0; i < 65537; i++) {
        size += (size_t)sprintf(body + size, "1,");
    }
    (void)sprintf(body + size - 1, "]}]}");
    assert_int_equal(rest_call(rest, API_PUT, POINTS, body), 400);
    assert_non_null(strstr(rest->body, "points[0].vector has 65537 dimensions, at most 65536"));

    size =
        (size_t)sprintf(body, "{\"points\":[{\"id\":1,\"vector\":[1,2,3,4],\"payload\":{\"a\":\"");
    memset(body + size, 'a', INS_PAYLOAD_BYTES_MAX);
    size += INS_PAYLOAD_BYTES_MAX;
    (void)sprintf(body + size, "\"}}]}");
    assert_int_equal(rest_call(rest, API_PUT, POINTS, body), 413);
    assert_non_null(strstr(rest->body, "a payload may have at most 1048576"));
    free(body);

    char target[600] = "/collections/";
    memset(target + 13, 'n', 256);
    assert_int_equal(rest_call(rest, API_PUT, target, "{}"), 422);
    assert_non_null(strstr(rest->body, "has 256 bytes"));
    target[13 + 255] = '\0';
    assert_int_equal(rest_call(rest, API_PUT, target, "{}"), 200);
}

/* Goal: each status of the engine has its code and prefix, and Retry-After where it is due. Method:
 * make the next call fail with each. */
static void test_statuses(void **state) {
    struct rest *rest = *state;
    static const struct {
        ins_status status;
        uint32_t retry;
        unsigned http;
        const char *says;
    } cases[] = {
        {INS_INVALID, 0, 400, "\"Wrong input: because\""},
        {INS_NOT_FOUND, 0, 404, "\"Not found: because\""},
        {INS_EXISTS, 0, 409, "\"Wrong input: because\""},
        {INS_UNPROCESSABLE, 0, 422, "\"Validation error in body: because\""},
        {INS_TOO_LARGE, 0, 413, "\"Wrong input: because\""},
        {INS_EXHAUSTED, 3, 429, "\"Rate limiting exceeded: because\""},
        {INS_FULL, 0, 507, "\"Insufficient storage: because\""},
        {INS_UNAVAILABLE, 0, 503, "\"Service temporarily unavailable: because\""},
        {INS_UNSUPPORTED, 0, 501, "\"Not implemented: because\""},
        {INS_CORRUPT, 0, 500, "\"Service internal error: because\""},
        {INS_IO, 0, 500, "\"Service internal error: because\""},
        {INS_INTERNAL, 0, 500, "\"Service internal error: because\""},
    };
    create(rest);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake_fail_next(cases[i].status, cases[i].retry, "because");
        assert_int_equal(rest_call(rest, API_POST, COUNT, "{}"), cases[i].http);
        assert_string_equal(rest_member(rest, "status.error"), cases[i].says);
        assert_int_equal(rest->retry_after_s, cases[i].retry);
    }
}

/* Goal: `timeout` becomes the call's deadline, and there is one without it. Method: both. */
static void test_deadline(void **state) {
    struct rest *rest = *state;
    create(rest);
    uint64_t now = rest->runtime.now_ns(NULL);
    assert_int_equal(rest_call(rest, API_POST, COUNT "?timeout=5", "{}"), 200);
    assert_in_range(fake_last_deadline() - now, 5000000000u, 6000000000u);
    assert_int_equal(rest_call(rest, API_POST, COUNT, "{}"), 200);
    assert_in_range(fake_last_deadline() - now, 60000000000u, 61000000000u);
}

/* Goal: version, health, readiness and statistics answer without the engine's help, readiness says
 * why not. Method: call each, before and after the log "failed". */
static void test_service(void **state) {
    struct rest *rest = *state;
    assert_int_equal(rest_call(rest, API_GET, "/", NULL), 200);
    assert_string_equal(rest_member(rest, "version"), "\"1.19.0\"");
    assert_int_equal(strlen(rest_member(rest, "commit")), 42);
    assert_string_equal(rest_member(rest, "insula"), "\"" INS_VERSION "\"");
    assert_int_equal(rest_call(rest, API_GET, "/healthz", NULL), 200);
    assert_string_equal(rest->body, "healthz check passed");
    assert_int_equal(rest_call(rest, API_GET, "/livez/", NULL), 200);
    assert_int_equal(rest_call(rest, API_GET, "/readyz", NULL), 200);
    assert_string_equal(rest->body, "all shards are ready");
    fake_stop_writes("the log's disk is gone");
    assert_int_equal(rest_call(rest, API_GET, "/readyz", NULL), 503);
    assert_non_null(strstr(rest->body, "degraded"));
    assert_non_null(strstr(rest->body, "the log's disk is gone"));
    assert_int_equal(rest_call(rest, API_GET, "/insula/stats", NULL), 200);
    assert_string_equal(rest_member(rest, "result.writes_stopped"), "true");
    fake_stop_writes("");
    assert_int_equal(rest_call(rest, API_POST, "/insula/flush", NULL), 200);
    assert_string_equal(rest_member(rest, "result"), "true");
}

/* Goal: a request whose memory cannot be had is refused with 429 and leaves nothing behind, and the
 * same request passes when memory is there. Method: each allocation in turn fails. */
static void test_no_memory(void **state) {
    struct rest *rest = *state;
    create(rest);
    char *body = malloc(1u << 20);
    INS_ASSERT(body != NULL);
    size_t size = (size_t)sprintf(body, "{\"points\":[");
    for (int i = 0; i < 4000; i++) {
        size += (size_t)sprintf(
            body + size, "{\"id\":%d,\"vector\":[1,2,3,4],\"payload\":{\"text\":\"%060d\"}},", i,
            i);
    }
    (void)sprintf(body + size - 1, "]}");
    unsigned refused = 0;
    uint64_t countdown = 1;
    for (; countdown < 100; countdown++) {
        fake_alloc_fail(countdown);
        unsigned http = rest_call(rest, API_PUT, POINTS, body);
        fake_alloc_fail(0);
        if (http == 200) {
            break;
        }
        assert_int_equal(http, 429);
        assert_int_equal(rest->retry_after_s, 1);
        refused++;
    }
    assert_true(refused > 3);
    /* A large answer: its buffer grows by steps, each of which can fail. */
    unsigned answers_refused = 0;
    for (countdown = 1; countdown < 100; countdown++) {
        fake_alloc_fail(countdown);
        unsigned http =
            rest_call(rest, API_POST, POINTS "/scroll", "{\"limit\":4000,\"with_vector\":true}");
        fake_alloc_fail(0);
        if (http == 200) {
            break;
        }
        assert_int_equal(http, 429);
        answers_refused++;
    }
    assert_true(answers_refused > 0);
    assert_true(strlen(rest->body) > 400000);
    free(body);
}

/* Makes the timeouts of what is under way run out and lets the timer look. */
static void time_passes(struct rest *rest) {
    (void)usleep(1100000);
    assert_non_null(rest->timer);
    assert_true(rest->timer->armed);
    rest->timer->armed = false;
    rest->timer->run(rest->timer);
}

/* Goal: who waits longer than its timeout is answered: a read with 408 and it is cancelled, an
 * update with "wait_timeout"; both are answered once. Method: an engine that keeps its calls. */
static void test_late(void **state) {
    struct rest *rest = *state;
    create(rest);
    uint64_t cancels = fake_cancels();
    fake_hold(true);
    rest->later = true;
    (void)rest_call(rest, API_POST, COUNT "?timeout=1", "{}");
    assert_non_null(rest->ticket.job);
    size_t answers = rest->answers;
    time_passes(rest);
    assert_int_equal(rest->answers, answers + 1);
    assert_int_equal(rest->http, 408);
    assert_non_null(
        strstr(rest->body, "Timeout: Operation 'count points' timed out after 1 seconds"));
    assert_null(rest->ticket.job);
    assert_int_equal(fake_cancels(), cancels + 1);

    (void)rest_call(rest, API_PUT, "/collections/c/points?wait=true&timeout=1",
                    "{\"points\":[{\"id\":1,\"vector\":[1,2]}]}");
    time_passes(rest);
    assert_int_equal(rest->answers, answers + 2);
    assert_int_equal(rest->http, 200);
    assert_string_equal(rest_member(rest, "result.status"), "\"wait_timeout\"");
    assert_string_equal(rest_member(rest, "result.operation_id"), "null");

    (void)rest_call(rest, API_POST, "/collections/c/points/batch?timeout=1",
                    "{\"operations\":[{\"delete\":{\"points\":[1]}},"
                    "{\"clear_payload\":{\"points\":[2]}}]}");
    time_passes(rest);
    assert_int_equal(rest->answers, answers + 3);
    assert_int_equal(rest->http, 200);
    assert_string_equal(rest_member(rest, "result"),
                        "[{\"operation_id\":null,\"status\":\"wait_timeout\"},"
                        "{\"operation_id\":null,\"status\":\"wait_timeout\"}]");

    assert_int_equal(api_pending(rest->api), 3); /* they go on */
    fake_hold(false);
    assert_int_equal(api_pending(rest->api), 0);
    assert_int_equal(rest->answers, answers + 3);
    assert_false(rest->timer->armed); /* nobody waits: it is not armed again */
    rest->later = false;
    assert_int_equal(rest_call(rest, API_POST, COUNT "?timeout=1", "{}"), 200);
    rest->timer->armed = false;
    rest->timer->run(rest->timer);
    assert_false(rest->timer->armed);
}

/* Goal: the engine's own TIMEOUT has the same text. Method: a call that fails so. */
static void test_timeout_text(void **state) {
    struct rest *rest = *state;
    fake_fail_next(INS_TIMEOUT, 0, "whatever");
    assert_int_equal(rest_call(rest, API_POST, COUNT "?timeout=7", "{}"), 408);
    assert_non_null(
        strstr(rest->body, "Timeout: Operation 'count points' timed out after 7 seconds"));
}

/* Goal: a client that has gone cancels its read. Method: a held call, its ticket. */
static void test_cancel(void **state) {
    struct rest *rest = *state;
    uint64_t cancels = fake_cancels();
    api_cancel(&rest->ticket); /* nothing under way: nothing happens */
    assert_int_equal(fake_cancels(), cancels);
    fake_hold(true);
    rest->later = true;
    (void)rest_call(rest, API_POST, COUNT, "{}");
    api_cancel(&rest->ticket);
    assert_int_equal(fake_cancels(), cancels + 1);
    fake_hold(false);
    rest->later = false;
    assert_null(rest->ticket.job);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_collection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_tenant_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_points, setup, teardown),
        cmocka_unit_test_setup_teardown(test_query, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vector_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scroll, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mutations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_statuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeout_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_service, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
