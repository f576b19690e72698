#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "server/head.h"

static enum head_result scan_and_parse(const char *text, size_t size, struct head *head,
                                       struct head_error *error) {
    struct head_scan scan = {0};
    llhttp_t parser;
    size_t head_size = 0;
    *error = (struct head_error){0};
    enum head_result result = head_scan(&scan, text, size, &head_size, error);
    if (result == HEAD_DONE && !head_parse(&parser, text, head_size, head, error)) {
        result = HEAD_BAD;
    }
    return result;
}

static bool text_is(ins_text text, const char *expected) {
    return text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0;
}

/* Goal: what a head says comes out. Method: one with everything, then variants of it. */
static void test_reads(void **state) {
    (void)state;
    struct head head;
    struct head_error error;
    const char *text = "POST /a/b?x=1&y=2#z HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n"
                       "CONTENT-type: application/json; charset=utf-8\r\nExpect: 100-Continue\r\n"
                       "Origin: http://evil\r\n\r\nbody";
    assert_int_equal(scan_and_parse(text, strlen(text), &head, &error), HEAD_DONE);
    assert_int_equal(head.method, API_POST);
    assert_true(text_is(head.path, "/a/b"));
    assert_true(text_is(head.query, "x=1&y=2"));
    assert_int_equal(head.content_length, 12);
    assert_true(head.keep_alive && head.json_type && head.expect_continue && head.from_browser);
    assert_false(head.chunked);

    text = "GET http://host:1/p HTTP/1.0\r\n\r\n";
    assert_int_equal(scan_and_parse(text, strlen(text), &head, &error), HEAD_DONE);
    assert_true(text_is(head.path, "/p"));
    assert_false(head.keep_alive);
    text = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_int_equal(scan_and_parse(text, strlen(text), &head, &error), HEAD_DONE);
    assert_true(head.keep_alive);
    text = "HEAD /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_int_equal(scan_and_parse(text, strlen(text), &head, &error), HEAD_DONE);
    assert_true(head.is_head_method);
    assert_false(head.keep_alive);
    text = "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_int_equal(scan_and_parse(text, strlen(text), &head, &error), HEAD_DONE);
    assert_true(head.chunked);
    text = "GET /a HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
           "HTTP2-Settings: AAMAAABk\r\n\r\n";
    assert_int_equal(scan_and_parse(text, strlen(text), &head, &error), HEAD_DONE);
    assert_true(head.keep_alive);
}

/* Goal: Accept-Encoding and a browser's questions are read. Method: tables. */
static void test_codings(void **state) {
    (void)state;
    static const struct {
        const char *value;
        bool gzip;
    } cases[] = {
        {"gzip", true},
        {"gzip, deflate", true},
        {"deflate, GZIP;q=0.5", true},
        {"br;q=1.0, *", true},
        {"x-gzip", true},
        {" gzip ;q=1", true},
        {"", false},
        {"identity", false},
        {"gzip;q=0", false},
        {"gzip; q=0.000", false},
        {"*, gzip;q=0", false},
        {"*;q=0", false},
        {"gzipped", false},
        {"gzip;q=0.001", true},
        {",,gzip", true},
        {"deflate;q=0,br", false},
        {"gzip;Q=0", false},
        {"gzip;", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ins_text value = {cases[i].value, strlen(cases[i].value)};
        assert_int_equal(accepts_gzip(value), cases[i].gzip);
    }
    struct head head;
    struct head_error error;
    const char *text = "OPTIONS /a HTTP/1.1\r\nOrigin: http://o\r\n"
                       "Access-Control-Request-Method: POST\r\n"
                       "Access-Control-Request-Headers: content-type, api-key\r\n"
                       "Accept-Encoding: gzip\r\n\r\n";
    assert_int_equal(scan_and_parse(text, strlen(text), &head, &error), HEAD_DONE);
    assert_true(head.preflight && head.takes_gzip);
    assert_true(text_is(head.wanted_headers, "content-type, api-key"));
    text = "OPTIONS /a HTTP/1.1\r\nOrigin: http://o\r\n\r\n";
    assert_int_equal(scan_and_parse(text, strlen(text), &head, &error), HEAD_DONE);
    assert_false(head.preflight || head.takes_gzip);
    text = "POST /a HTTP/1.1\r\nOrigin: o\r\nAccess-Control-Request-Method: POST\r\n\r\n";
    assert_int_equal(scan_and_parse(text, strlen(text), &head, &error), HEAD_DONE);
    assert_false(head.preflight);
}

/* Goal: every head that two parsers could read differently, or that we do not speak, is refused
 * with its code. Method: a table. */
static void test_refuses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned http;
    } cases[] = {
        {"GET / HTTP/1.1\nHost: h\n\n", 400},
        {"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA\t: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\tA: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n: empty\r\n\r\n", 400},
        {"GET nothing HTTP/1.1\r\n\r\n", 400},
        {"GET * HTTP/1.1\r\n\r\n", 400},
        {"CONNECT a:1 HTTP/1.1\r\n\r\n", 400},
        {"BREW / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
        {"PUT / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n", 415},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTP/1.2\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct head head;
        struct head_error error;
        enum head_result result =
            scan_and_parse(cases[i].text, strlen(cases[i].text), &head, &error);
        if (result != HEAD_BAD || error.http != cases[i].http) {
            print_error("case %zu: result %d, code %u\n", i, (int)result, error.http);
        }
        assert_int_equal(result, HEAD_BAD);
        assert_int_equal(error.http, cases[i].http);
        assert_non_null(error.message);
    }
    static const char nul[] = "GET / HTTP/1.1\r\nA: \0b\r\n\r\n";
    struct head head;
    struct head_error error;
    assert_int_equal(scan_and_parse(nul, sizeof(nul) - 1, &head, &error), HEAD_BAD);
}

/* Goal: limits of size, lines and target hold, and just below them a head passes. Method: heads on
 * both sides of each limit. */
static void test_limits(void **state) {
    (void)state;
    char *text = malloc(HEAD_BYTES_MAX * 2);
    INS_ASSERT(text != NULL);
    struct head head;
    struct head_error error;
    for (unsigned lines = HEAD_LINES_MAX; lines <= HEAD_LINES_MAX + 1; lines++) {
        size_t size = (size_t)sprintf(text, "GET / HTTP/1.1\r\n");
        for (unsigned i = 0; i < lines; i++) {
            size += (size_t)sprintf(text + size, "h%u: v\r\n", i);
        }
        size += (size_t)sprintf(text + size, "\r\n");
        enum head_result result = scan_and_parse(text, size, &head, &error);
        assert_int_equal(result, lines <= HEAD_LINES_MAX ? HEAD_DONE : HEAD_BAD);
        assert_int_equal(error.http, lines <= HEAD_LINES_MAX ? 0 : 431);
    }
    for (size_t target = HEAD_TARGET_MAX; target <= HEAD_TARGET_MAX + 1; target++) {
        size_t size = (size_t)sprintf(text, "GET /");
        memset(text + size, 'a', target - 1);
        size += target - 1;
        size += (size_t)sprintf(text + size, " HTTP/1.1\r\n\r\n");
        (void)scan_and_parse(text, size, &head, &error);
        assert_int_equal(error.http, target <= HEAD_TARGET_MAX ? 0 : 414);
    }
    size_t size = (size_t)sprintf(text, "GET / HTTP/1.1\r\nA: ");
    memset(text + size, 'a', HEAD_BYTES_MAX);
    assert_int_equal(scan_and_parse(text, HEAD_BYTES_MAX - 1, &head, &error), HEAD_MORE);
    assert_int_equal(scan_and_parse(text, HEAD_BYTES_MAX, &head, &error), HEAD_BAD);
    assert_int_equal(error.http, 431);
    free(text);
}

/* Goal: a head that comes byte by byte is found at the same place as at once. Method: scan after
 * each byte, and never HEAD_DONE before the last. */
static void test_bytewise(void **state) {
    (void)state;
    const char *text = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    size_t whole = strlen(text) - 3;
    struct head_scan scan = {0};
    struct head_error error;
    size_t size = 0;
    for (size_t i = 1; i < whole; i++) {
        assert_int_equal(head_scan(&scan, text, i, &size, &error), HEAD_MORE);
    }
    assert_int_equal(head_scan(&scan, text, whole, &size, &error), HEAD_DONE);
    assert_int_equal(size, whole);
}

static bool collect(void *context, const char *data, size_t size) {
    char *out = context;
    size_t had = strlen(out);
    if (had + size > 20) {
        return false;
    }
    memcpy(out + had, data, size);
    out[had + size] = '\0';
    return true;
}

static bool chunks_run(const char *body, size_t step, char *out, bool *complete, bool *malformed,
                       size_t *rest) {
    const char *text = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct head head;
    struct head_error error;
    llhttp_t parser;
    struct chunks chunks;
    assert_true(head_parse(&parser, text, strlen(text), &head, &error));
    chunks_init(&chunks, &parser, collect, out);
    size_t at = 0, size = strlen(body);
    *malformed = false;
    while (at < size && !chunks.complete && !chunks.refused && !*malformed) {
        size_t piece = size - at < step ? size - at : step;
        at += chunks_feed(&chunks, body + at, piece, malformed);
    }
    *complete = chunks.complete;
    *rest = size - at;
    return !chunks.refused;
}

/* Goal: chunked bodies of any cut, with extensions and trailers; broken ones are found; the sink
 * can stop. Method: the same body in pieces of 1 .. 40 bytes, then bad ones. */
static void test_chunks(void **state) {
    (void)state;
    const char *body = "4;ext=1\r\nwiki\r\n5\r\npedia\r\n0\r\nTrailer: x\r\n\r\nGET next";
    char out[64];
    bool complete = false, malformed = false;
    size_t rest = 0;
    for (size_t step = 1; step <= 40; step++) {
        out[0] = '\0';
        assert_true(chunks_run(body, step, out, &complete, &malformed, &rest));
        assert_true(complete);
        assert_string_equal(out, "wikipedia");
        assert_int_equal(rest, 8);
    }
    static const char *const bad[] = {"x\r\n", "4\r\nwikiXX", "ffffffffffffffffff\r\n", "-1\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        out[0] = '\0';
        (void)chunks_run(bad[i], 100, out, &complete, &malformed, &rest);
        assert_true(malformed);
    }
    out[0] = '\0';
    assert_false(chunks_run("18\r\n0123456789012345678901234\r\n0\r\n\r\n", 100, out, &complete,
                            &malformed, &rest));
    assert_false(malformed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),    cmocka_unit_test(test_codings),
        cmocka_unit_test(test_refuses),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bytewise), cmocka_unit_test(test_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
