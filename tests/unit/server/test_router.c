#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/api_private.h"
#include "fake_engine.h"

static enum route_found find(enum api_method method, const char *text, const struct route **out,
                             char allow[static ALLOW_MAX]) {
    static struct router router;
    struct path path;
    router_init(&router);
    *out = NULL;
    assert_true(path_split((ins_text){text, strlen(text)}, &path));
    return route_find(&router, method, &path, out, allow);
}

static const char *operation(enum api_method method, const char *text) {
    char allow[ALLOW_MAX];
    const struct route *route;
    return find(method, text, &route, allow) == ROUTE_FOUND ? route->operation : "";
}

/* Goal: a path finds the operation that Qdrant gives it. Method: paths with known answers, among
 * them those where a literal and a parameter compete, and with superfluous slashes. */
static void test_finds(void **state) {
    (void)state;
    assert_string_equal(operation(API_GET, "/"), "show the version");
    assert_string_equal(operation(API_GET, ""), "show the version");
    assert_string_equal(operation(API_HEAD, "/healthz"), "health");
    assert_string_equal(operation(API_GET, "/collections"), "list collections");
    assert_string_equal(operation(API_GET, "/collections/"), "list collections");
    assert_string_equal(operation(API_PUT, "/collections/a"), "create a collection");
    assert_string_equal(operation(API_POST, "/collections/aliases"), "update aliases");
    assert_string_equal(operation(API_GET, "/collections/aliases"), "get a collection");
    assert_string_equal(operation(API_GET, "/collections/a/points/7"), "get a point");
    assert_string_equal(operation(API_POST, "/collections/a/points/delete"), "delete points");
    assert_string_equal(operation(API_POST, "//collections//a/points/search/"), "search points");
    assert_string_equal(operation(API_POST, "/collections/a/points/search/matrix/pairs"),
                        "distance matrix (pairs)");
    assert_string_equal(operation(API_DELETE, "/collections/a/index/b"), "delete a field index");
    assert_string_equal(operation(API_POST, "/insula/flush"), "flush");
}

/* Goal: an unknown path and a wrong method are told apart, and Allow names every method of the
 * path. Method: one of each; a path with segments beyond any route. */
static void test_refuses(void **state) {
    (void)state;
    char allow[ALLOW_MAX];
    const struct route *route;
    struct path path;
    assert_int_equal(find(API_GET, "/nothing", &route, allow), ROUTE_NO_PATH);
    assert_int_equal(find(API_GET, "/collections/a/b/c/d/e", &route, allow), ROUTE_NO_PATH);
    assert_int_equal(find(API_POST, "/healthz", &route, allow), ROUTE_NO_METHOD);
    assert_string_equal(allow, "GET");
    assert_int_equal(find(API_POST, "/collections/a", &route, allow), ROUTE_NO_METHOD);
    assert_string_equal(allow, "GET, PUT, DELETE, PATCH");
    assert_int_equal(find(API_OTHER, "/", &route, allow), ROUTE_NO_METHOD);
    assert_false(path_split((ins_text){"/1/2/3/4/5/6/7/8/9", 18}, &path));
}

/* Goal: no route hides another, and Allow has room for all methods of any path. Method: each
 * route's own pattern, taken as a path, must find that route, and Allow of a wrong method must be
 * whole. */
static void test_no_route_is_hidden(void **state) {
    (void)state;
    for (size_t i = 0; i < route_count(); i++) {
        char allow[ALLOW_MAX];
        const struct route *found;
        const struct route *route = route_at(i);
        assert_int_equal(find(route->method, route->pattern, &found, allow), ROUTE_FOUND);
        assert_ptr_equal(found, route);
        (void)find(API_OTHER, route->pattern, &found, allow);
        assert_true(strlen(allow) < ALLOW_MAX - 1);
    }
}

/* Goal: parameters come out in order. Method: a route with two. */
static void test_params(void **state) {
    (void)state;
    char allow[ALLOW_MAX];
    const struct route *route;
    struct path path;
    const char *text = "/collections/my%20one//index/f/";
    assert_int_equal(find(API_DELETE, text, &route, allow), ROUTE_FOUND);
    assert_true(path_split((ins_text){text, strlen(text)}, &path));
    ins_text first = route_param(route, &path, 0);
    ins_text second = route_param(route, &path, 1);
    assert_int_equal(first.size, 8);
    assert_memory_equal(first.data, "my%20one", 8);
    assert_int_equal(second.size, 1);
    assert_null(route_param(route, &path, 2).data);
}

/* Goal: reads, writes and the server's own matters are told apart by method and path, and two
 * collections by their names. Method: one of each form. */
static void test_kinds(void **state) {
    (void)state;
    static const struct {
        enum api_method method;
        const char *path;
        enum api_kind kind;
    } cases[] = {
        {API_GET, "/healthz", API_SERVICE},
        {API_GET, "/metrics", API_SERVICE},
        {API_POST, "/insula/flush", API_SERVICE},
        {API_GET, "/collections", API_READ},
        {API_GET, "/collections/a", API_READ},
        {API_PUT, "/collections/a", API_WRITE},
        {API_DELETE, "/collections/a", API_WRITE},
        {API_GET, "/collections/a/points/7", API_READ},
        {API_POST, "/collections/a/points", API_READ},
        {API_POST, "/collections/a/facet", API_READ},
        {API_POST, "/collections/a/points/query", API_READ},
        {API_POST, "/collections/a/points/query/batch", API_READ},
        {API_POST, "/collections/a/points/search/groups", API_READ},
        {API_POST, "//collections/a/points/scroll/", API_READ},
        {API_POST, "/collections/a/points/count", API_READ},
        {API_PUT, "/collections/a/points", API_WRITE},
        {API_POST, "/collections/a/points/delete", API_WRITE},
        {API_POST, "/collections/a/points/batch", API_WRITE},
        {API_POST, "/collections/a/points/payload", API_WRITE},
        {API_PUT, "/collections/a/index", API_WRITE},
    };
    uint64_t scope = 0, other = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ins_text path = {cases[i].path, strlen(cases[i].path)};
        assert_int_equal(api_kind_of(cases[i].method, path, &scope), cases[i].kind);
        assert_int_equal(scope != 0, strstr(cases[i].path, "/a") != NULL);
    }
    (void)api_kind_of(API_GET, (ins_text){"/collections/b", 14}, &other);
    (void)api_kind_of(API_GET, (ins_text){"/collections/a/points/1", 23}, &scope);
    assert_true(scope != other);
}

static uint64_t tenant_of(const char *body) {
    return api_tenant_of((ins_text){body, strlen(body)});
}

/* Goal: requests of one tenant are told to be its own, whatever else they ask; what has another
 * form names nobody. Method: bodies of each form, and cut short anywhere. */
static void test_tenants(void **state) {
    (void)state;
#define OF(name) "{\"key\":\"who\",\"match\":{\"value\":\"" name "\"}}"
    static const char *const annas[] = {
        "{\"filter\":{\"must\":[" OF("anna") "]}}",
        "{\"query\":[0.5,-1e3],\"limit\":3,\"filter\":{\"must\":[" OF("anna") "," OF("x") "]}}",
        " { \"filter\" : { \"should\" : [{}], \"must\" : " OF("anna") " } }",
    };
    static const char *const nobody[] = {
        "",
        "{",
        "{}",
        "[]",
        "7",
        "{\"filter\":null}",
        "{\"filter\":{}}",
        "{\"filter\":{\"must\":[]}}",
        "{\"filter\":{\"should\":[" OF("anna") "]}}",
        "{\"limit\":1}",
        "{\"shard_key\":7}",
        "\x1f\x8b",
    };
    uint64_t anna = tenant_of(annas[0]);
    assert_true(anna != 0);
    for (size_t i = 0; i < sizeof(annas) / sizeof(annas[0]); i++) {
        assert_true(tenant_of(annas[i]) == anna);
        for (size_t size = 0; size < strlen(annas[i]); size++) {
            uint64_t cut = api_tenant_of((ins_text){annas[i], size});
            assert_true(cut == 0 || cut == anna);
        }
    }
    for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
        assert_true(tenant_of(nobody[i]) == 0);
    }
    assert_true(tenant_of("{\"filter\":{\"must\":[" OF("bela") "]}}") != anna);
    uint64_t key = tenant_of("{\"shard_key\":\"anna\",\"limit\":1}");
    assert_true(key != 0 && key != tenant_of("{\"shard_key\":\"bela\"}"));
    assert_true(key == tenant_of("{\"limit\":9,\"shard_key\":\"anna\"}"));
#undef OF
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_no_route_is_hidden),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_tenants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
