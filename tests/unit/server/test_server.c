#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "fake_engine.h"
#include "server/door.h"
#include "testing.h"

static int setup(void **state) {
    static struct running running;
    running_start(&running, NULL);
    *state = &running;
    return 0;
}

static int teardown(void **state) {
    struct running *running = *state;
    running_stop(running);
    assert_int_equal(running->status, INS_OK);
    assert_int_equal(fake_alloc_bytes(), 0); /* every buffer came back */
    return 0;
}

#define HEALTH "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"

static void expect(int client, unsigned http, const char *body) {
    static struct answer_read answer;
    client_read(client, &answer);
    assert_int_equal(answer.http, http);
    if (body != NULL) {
        assert_non_null(strstr(answer.body, body));
    }
}

static void send_body(int client, const char *method, const char *target, const char *body) {
    char text[4096];
    int size = snprintf(text, sizeof(text),
                        "%s %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        method, target, strlen(body), body);
    client_send(client, text, (size_t)size);
}

/* Goal: requests follow each other on one connection. Method: three, with and without bodies. */
static void test_keep_alive(void **state) {
    int client = client_connect(*state);
    client_send_text(client, HEALTH);
    expect(client, 200, "healthz check passed");
    send_body(client, "PUT", "/collections/a", "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"}}");
    expect(client, 200, "\"result\":true");
    client_send_text(client, "GET /collections/a HTTP/1.1\r\n\r\n");
    expect(client, 200, "\"green\"");
    (void)close(client);
}

/* Goal: pipelined requests are answered in order, also when one waits for the engine, and when
 * there are more than fit one read. Method: a mix in one send; then 5,000. */
static void test_pipelining(void **state) {
    int client = client_connect(*state);
    client_send_text(client, HEALTH "GET /collections HTTP/1.1\r\n\r\n" HEALTH
                                    "GET /nothing HTTP/1.1\r\n\r\n");
    expect(client, 200, "healthz");
    expect(client, 200, "\"collections\":[]");
    expect(client, 200, "healthz");
    expect(client, 404, "Not found");
    static char many[5000 * sizeof(HEALTH)];
    size_t size = 0;
    for (int i = 0; i < 2500; i++) {
        size += (size_t)sprintf(many + size, "%s",
                                i % 50 == 7 ? "GET /collections HTTP/1.1\r\n\r\n" : HEALTH);
    }
    client_send(client, many, size);
    for (int i = 0; i < 2500; i++) {
        expect(client, 200, i % 50 == 7 ? "collections" : "healthz");
    }
    (void)close(client);
}

/* Goal: a request may come in any pieces. Method: one byte at a time, with a body and in chunks. */
static void test_pieces(void **state) {
    int client = client_connect(*state);
    const char *text = "PUT /collections/p HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n"
                       "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"}} "
                       "POST /collections/p/points/count HTTP/1.1\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n" HEALTH;
    for (const char *at = text; *at != '\0'; at++) {
        client_send(client, at, 1);
    }
    expect(client, 200, "\"result\":true");
    expect(client, 200, "\"count\":0");
    expect(client, 200, "healthz");
    (void)close(client);
}

/* Goal: Connection: close, HTTP/1.0 and HEAD behave. Method: one of each. */
static void test_ends(void **state) {
    static struct answer_read answer;
    int client = client_connect(*state);
    client_send_text(client, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
    client_read(client, &answer);
    assert_int_equal(answer.http, 200);
    assert_non_null(strstr(answer.head, "Connection: close"));
    assert_true(client_at_end(client));
    (void)close(client);

    client = client_connect(*state);
    client_send_text(client, "GET /healthz HTTP/1.0\r\n\r\n");
    expect(client, 200, "healthz");
    assert_true(client_at_end(client));
    (void)close(client);

    client = client_connect(*state);
    client_send_text(client, "HEAD /healthz HTTP/1.1\r\n\r\n" HEALTH);
    char bytes[1024] = "";
    size_t size = 0;
    while (strstr(bytes, "healthz check passed") == NULL) {
        ssize_t got = recv(client, bytes + size, sizeof(bytes) - 1 - size, 0);
        assert_true(got > 0);
        size += (size_t)got;
    }
    const char *first = strstr(bytes, "\r\n\r\n");
    assert_non_null(first);
    assert_memory_equal(first + 4, "HTTP/1.1 200", 12); /* no body behind the first head */
    (void)close(client);

    client = client_connect(*state); /* the peer ends its side and still gets its answer */
    client_send_text(client, "GET /collections HTTP/1.1\r\n\r\n");
    (void)shutdown(client, SHUT_WR);
    expect(client, 200, "collections");
    assert_true(client_at_end(client));
    (void)close(client);
}

/* Goal: Expect: 100-continue is answered before the body, a body over the limit is refused before
 * it. Method: one of each. */
static void test_expect(void **state) {
    static struct answer_read answer;
    int client = client_connect(*state);
    client_send_text(client, "PUT /collections/e HTTP/1.1\r\nExpect: 100-continue\r\n"
                             "Content-Length: 2\r\n\r\n");
    client_read(client, &answer);
    assert_int_equal(answer.http, 100);
    client_send_text(client, "{}");
    expect(client, 200, "\"result\":true");
    client_send_text(client, "PUT /collections/f HTTP/1.1\r\nExpect: 100-continue\r\n"
                             "Content-Length: 33554433\r\n\r\n");
    expect(client, 413, "33554433 bytes, at most 33554432");
    assert_true(client_at_end(client));
    (void)close(client);
}

/* Goal: what is malformed gets a 400 that can be read although more was sent, and the connection
 * ends. Method: bad heads and bodies with much behind them. */
static void test_malformed(void **state) {
    static const struct {
        const char *text;
        unsigned http;
    } cases[] = {
        {"GET / HTTP/1.1\nA: b\n\n", 400},
        {"GET /\r\n\r\n", 505},
        {"PUT /collections/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"GET / HTTP/3.0\r\n\r\n", 505},
        {"POST /collections/x/points/count HTTP/1.1\r\nOrigin: http://evil\r\n"
         "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
         400},
    };
    static char rubbish[1 << 18];
    memset(rubbish, 'x', sizeof(rubbish));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int client = client_connect(*state);
        client_send_text(client, cases[i].text);
        client_send(client, rubbish, sizeof(rubbish));
        expect(client, cases[i].http, "\"error\"");
        (void)close(client);
    }
    int client = client_connect(*state);
    client_send(client, rubbish, sizeof(rubbish)); /* a head that does not end */
    expect(client, 431, "64 KiB");
    (void)close(client);
}

/* Goal: a body and an answer of some MiB pass, also over a socket that is slow to read, and
 * chunked. Method: an upsert of 2.5 MiB, then a scroll whose answer is taken in after a while. */
static void test_large(void **state) {
    int client = client_connect(*state);
    send_body(client, "PUT", "/collections/l", "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"}}");
    expect(client, 200, "true");
    enum { COUNT = 2000, TEXT = 1300 };
    char *body = malloc(COUNT * (TEXT + 100));
    INS_ASSERT(body != NULL);
    size_t size = (size_t)sprintf(body, "{\"points\":[");
    for (int i = 0; i < COUNT; i++) {
        size += (size_t)sprintf(
            body + size, "{\"id\":%d,\"vector\":[1,2],\"payload\":{\"t\":\"%0*d\"}},", i, TEXT, i);
    }
    size += (size_t)sprintf(body + size - 1, "]}") - 1;
    for (int chunked = 0; chunked < 2; chunked++) {
        char head[256];
        int head_size = snprintf(head, sizeof(head), "PUT /collections/l/points HTTP/1.1\r\n");
        head_size += chunked ? snprintf(head + head_size, sizeof(head) - (size_t)head_size,
                                        "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", size)
                             : snprintf(head + head_size, sizeof(head) - (size_t)head_size,
                                        "Content-Length: %zu\r\n\r\n", size);
        client_send(client, head, (size_t)head_size);
        client_send(client, body, size);
        if (chunked) {
            client_send_text(client, "\r\n0\r\n\r\n");
        }
        expect(client, 200, "acknowledged");
    }
    free(body);
    send_body(client, "POST", "/collections/l/points/scroll", "{\"limit\":2000}");
    send_body(client, "POST", "/collections/l/points/count", "{}"); /* waits behind it */
    (void)usleep(200000);
    char *answer = malloc(COUNT * (TEXT + 200));
    INS_ASSERT(answer != NULL);
    size_t got = 0;
    while (memmem(answer, got, "\"count\":2000", 12) == NULL) {
        ssize_t more = recv(client, answer + got, COUNT * (TEXT + 200) - got, 0);
        assert_true(more > 0);
        got += (size_t)more;
    }
    assert_true(got > COUNT * TEXT);
    free(answer);
    (void)close(client);
}

/* Goal: no memory for a connection or a body is a refusal, never a crash, and the server lives on.
 * Method: allocations fail one after the other while clients come and go. */
static void test_no_memory(void **state) {
    for (uint64_t countdown = 1; countdown < 12; countdown++) {
        static struct answer_read answer;
        fake_alloc_fail(countdown);
        int client = client_connect(*state);
        client_send_text(client, "PUT /collections/m HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
        (void)usleep(1000);
        client_send_text(client, "\"metadata\":{\"a\":\"");
        char rest[82];
        memset(rest, 'x', sizeof(rest));
        memcpy(rest + sizeof(rest) - 3, "\"}}", 3);
        client_send(client, rest, sizeof(rest));
        client_read(client, &answer);
        assert_true(answer.closed || answer.http == 200 || answer.http == 429 ||
                    answer.http == 409);
        (void)close(client);
    }
    fake_alloc_fail(0);
    int client = client_connect(*state);
    client_send_text(client, HEALTH);
    expect(client, 200, "healthz");
    (void)close(client);
}

/* Goal: clients that vanish at any moment leave nothing behind. Method: cut connections in the
 * middle of a head, of a body, while the engine works, and while an answer is due; teardown counts
 * bytes. */
static void test_vanishing(void **state) {
    static const char *const texts[] = {
        "GET /hea",
        "PUT /collections/v HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"a\"",
        "PUT /collections/v HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\"",
        "GET /collections HTTP/1.1\r\n\r\nGET /coll",
    };
    for (size_t i = 0; i < 200; i++) {
        int client = client_connect(*state);
        client_send_text(client, texts[i % 4]);
        if (i % 3 == 0) {
            struct linger hard = {.l_onoff = 1};
            (void)setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        }
        (void)close(client);
    }
    int client = client_connect(*state);
    client_send_text(client, HEALTH);
    expect(client, 200, "healthz");
    (void)close(client);
}

/* Goal: above the limit of connections a client is told so, and a place that is free again is
 * given. Method: a server for three. */
static void test_too_many(void **state) {
    (void)state;
    static struct running running;
    struct server_options options = {.connections_max = 3};
    running_start(&running, &options);
    int clients[4];
    for (int i = 0; i < 3; i++) {
        clients[i] = client_connect(&running);
        client_send_text(clients[i], HEALTH);
        expect(clients[i], 200, "healthz");
    }
    clients[3] = client_connect(&running);
    expect(clients[3], 503, "too many connections");
    assert_true(client_at_end(clients[3]));
    (void)close(clients[3]);
    (void)close(clients[0]);
    for (int tries = 0; tries < 1000; tries++) {
        static struct answer_read answer;
        clients[0] = client_connect(&running);
        client_send_text(clients[0], HEALTH);
        client_read(clients[0], &answer);
        (void)close(clients[0]);
        if (answer.http == 200) {
            break;
        }
        assert_true(tries < 999);
        (void)usleep(10000);
    }
    (void)close(clients[1]);
    (void)close(clients[2]);
    running_stop(&running);
    assert_int_equal(running.status, INS_OK);
}

/* Goal: who is silent is given up: idle, in a head, in a body, and slow to read an answer; who is
 * refused may read why. Method: patiences of some milliseconds, a client for each. */
static void test_patience(void **state) {
    (void)state;
    static struct running running;
    static struct answer_read answer;
    struct server_options options = {
        .patience = {.idle_ms = 50, .head_ms = 50, .body_ms = 50, .write_ms = 50, .linger_ms = 50}};
    running_start(&running, &options);
    int client = client_connect(&running);
    assert_true(client_at_end(client)); /* nothing was ever sent */
    (void)close(client);

    client = client_connect(&running);
    client_send_text(client, HEALTH);
    expect(client, 200, "healthz");
    assert_true(client_at_end(client));
    (void)close(client);

    client = client_connect(&running);
    client_send_text(client, "GET /healthz HT");
    expect(client, 408, "did not come whole");
    assert_true(client_at_end(client));
    (void)close(client);

    client = client_connect(&running);
    client_send_text(client, "PUT /collections/t HTTP/1.1\r\nContent-Length: 9\r\n\r\n{");
    expect(client, 408, "did not come whole");
    assert_true(client_at_end(client));
    (void)close(client);

    client = client_connect(&running);
    client_send_text(client, "GARBAGE\r\n\r\n"); /* and then neither reads nor ends */
    (void)usleep(300000);
    client_read(client, &answer);
    assert_int_equal(answer.http, 400);
    (void)close(client);

    client = client_connect(&running);
    enum { REQUESTS = 40000 }; /* whose answers nobody reads: they fill the socket */
    static const char request[] = "GET /nothing HTTP/1.1\r\n\r\n";
    char *many = malloc(REQUESTS * sizeof(request));
    INS_ASSERT(many != NULL);
    for (size_t i = 0; i < REQUESTS; i++) {
        memcpy(many + i * (sizeof(request) - 1), request, sizeof(request) - 1);
    }
    struct timeval patience = {.tv_sec = 5};
    (void)setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    client_send(client, many, REQUESTS * (sizeof(request) - 1));
    free(many);
    (void)usleep(500000);
    size_t answers = 0;
    for (client_read(client, &answer); !answer.closed; client_read(client, &answer)) {
        answers++;
    }
    assert_true(answers < REQUESTS); /* it was cut off */
    (void)close(client);
    running_stop(&running);
    assert_int_equal(fake_alloc_bytes(), 0);
}

/* Goal: a body that trickles in gets its patience for each MiB, not
 * for each byte. Method: a byte every 10 ms against a patience of 100 ms. */
static void test_trickle(void **state) {
    (void)state;
    static struct running running;
    static struct answer_read answer;
    struct server_options options = {.patience = {.body_ms = 100, .linger_ms = 50}};
    running_start(&running, &options);
    int client = client_connect(&running);
    client_send_text(client, "PUT /collections/t HTTP/1.1\r\nContent-Length: 500\r\n\r\n");
    int sent = 0;
    while (sent < 400 && send(client, " ", 1, MSG_NOSIGNAL) == 1) {
        struct pollfd ready = {.fd = client, .events = POLLIN};
        if (poll(&ready, 1, 10) == 1) {
            break;
        }
        sent++;
    }
    assert_true(sent < 100);
    client_read(client, &answer);
    assert_int_equal(answer.http, 408);
    (void)close(client);
    running_stop(&running);
    assert_int_equal(fake_alloc_bytes(), 0);
}

/* Goal: when all places are taken, one that has been idle for a second or more is given away, the
 * longest first. Method: a server for two. */
static void test_evict(void **state) {
    (void)state;
    static struct running running;
    struct server_options options = {.connections_max = 2};
    running_start(&running, &options);
    int old = client_connect(&running);
    client_send_text(old, HEALTH);
    expect(old, 200, "healthz");
    (void)usleep(1200000);
    int young = client_connect(&running);
    client_send_text(young, HEALTH);
    expect(young, 200, "healthz");
    int third = client_connect(&running);
    client_send_text(third, HEALTH);
    expect(third, 200, "healthz");
    assert_true(client_at_end(old));
    client_send_text(young, HEALTH);
    expect(young, 200, "healthz");
    (void)close(old);
    (void)close(young);
    (void)close(third);
    running_stop(&running);
}

/* Goal: a read whose client has gone is cancelled: at once when the connection is reset, after a
 * second when the peer only ended its side, which then still gets its answer. Method: calls that
 * the engine keeps. */
static void test_gone(void **state) {
    struct running *running = *state;
    uint64_t cancels = fake_cancels(), calls = fake_calls();
    fake_hold(true);
    int reset = client_connect(running);
    int half = client_connect(running);
    client_send_text(reset, "GET /collections HTTP/1.1\r\n\r\n");
    client_send_text(half, "GET /collections HTTP/1.1\r\n\r\n");
    while (fake_calls() < calls + 2) {
        (void)usleep(1000);
    }
    struct linger cut = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(reset, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut));
    (void)close(reset);
    (void)shutdown(half, SHUT_WR);
    for (int tries = 0; fake_cancels() < cancels + 1; tries++) {
        assert_true(tries < 60000);
        (void)usleep(1000);
    }
    for (int tries = 0; fake_cancels() < cancels + 2; tries++) {
        assert_true(tries < 60000);
        (void)usleep(1000);
    }
    fake_unhold();
    expect(half, 200, "collections");
    assert_true(client_at_end(half));
    (void)close(half);
}

/* ---- Overload ---------------------------------------------------------------------------- */

#define FLOOD 192 /* on three loops, too, more than wait without being late */

static void flood_connect(const struct running *running, int clients[FLOOD]) {
    for (int i = 0; i < FLOOD; i++) {
        clients[i] = client_connect(running);
    }
}

static void flood_close(const int clients[FLOOD]) {
    for (int i = 0; i < FLOOD; i++) {
        (void)close(clients[i]);
    }
}

static uint64_t refused_for(const struct running *running, const char *reason) {
    static struct answer_read answer;
    char line[128];
    int client = client_connect(running);
    client_send_text(client, "GET /metrics HTTP/1.1\r\n\r\n");
    client_read(client, &answer);
    (void)close(client);
    (void)snprintf(line, sizeof(line), "insula_requests_refused_total{reason=\"%s\"} ", reason);
    const char *at = strstr(answer.body, line);
    assert_non_null(at);
    return strtoull(at + strlen(line), NULL, 10);
}

/* Goal: under a flood some requests are served and the others are told so, soon and before their
 * bodies are looked into; their connections stay usable; what is about the server itself is always
 * answered; the metrics count. Method: an engine that takes 20 ms a call, 192 clients at once, who
 * send bodies that are no JSON, so that looking into them would show. */
static void test_flood(void **state) {
    (void)state;
    static struct running running;
    static struct answer_read answer;
    int clients[FLOOD], served = 0, refused = 0, unread = 0;
    running_start(&running, NULL);
    flood_connect(&running, clients);
    fake_burn(20000000);
    for (int i = 0; i < FLOOD; i++) {
        if (i % 2 == 0) {
            client_send_text(clients[i], "GET /collections/a/exists HTTP/1.1\r\n\r\n");
        } else {
            send_body(clients[i], "POST", "/collections/a/points/query", "no JSON");
        }
    }
    int other = client_connect(&running);
    client_send_text(other, HEALTH);
    expect(other, 200, "healthz");
    for (int i = 0; i < FLOOD; i++) {
        client_read(clients[i], &answer);
        served += answer.http == 200;
        unread += answer.http == 400;
        if (answer.http == 429) {
            refused++;
            assert_non_null(strstr(answer.head, "Retry-After: 1"));
            assert_null(strstr(answer.head, "Connection: close"));
            assert_non_null(strstr(answer.body, "more requests than it can serve"));
        }
    }
    fake_burn(0);
    assert_int_equal(served + refused + unread, FLOOD);
    assert_true(served > 0);
    assert_true(refused >= FLOOD / 8); /* 96 calls of 20 ms, of which 60 ms are waited for */
    for (int i = 0; i < FLOOD; i++) {
        client_send_text(clients[i], "GET /collections/a/exists HTTP/1.1\r\n\r\n");
        expect(clients[i], 200, "false");
    }
    assert_int_equal(refused_for(&running, "waited"), refused);
    flood_close(clients);
    (void)close(other);
    running_stop(&running);
    assert_int_equal(fake_alloc_bytes(), 0);
}

/* Goal: of large bodies one is served between two looks at the sockets, and what is small goes
 * first, so that it never waits for more than the one under way. Method: while a call is kept in
 * the lane eight large ones come and a small one; a second small one comes while the next is kept.
 */
static void test_bulk(void **state) {
    (void)state;
    enum { BULKS = 8, SIZE = 40000 };
    static struct running running;
    static struct answer_read answer;
    struct server_options options = {.loops = 1};
    char *text = malloc(SIZE + 200);
    int bulks[BULKS], smalls[3];
    INS_ASSERT(text != NULL);
    (void)snprintf(text, SIZE + 200,
                   "POST /collections/bulk/points/count HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
                   "{%*s}",
                   SIZE + 2, SIZE, "");
    running_start(&running, &options);
    for (int i = 0; i < BULKS; i++) {
        bulks[i] = client_connect(&running);
    }
    for (int i = 0; i < 3; i++) {
        smalls[i] = client_connect(&running);
    }
    fake_gate_open();
    client_send_text(smalls[0], "GET /collections/first/exists HTTP/1.1\r\n\r\n");
    fake_gate_wait();
    for (int i = 0; i < BULKS; i++) {
        client_send_text(bulks[i], text);
    }
    client_send_text(smalls[1], "GET /collections/small/exists HTTP/1.1\r\n\r\n");
    fake_gate_pass();
    fake_gate_wait();
    client_send_text(smalls[2], "GET /collections/third/exists HTTP/1.1\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        fake_gate_pass();
        fake_gate_wait();
    }
    assert_true(strcmp(fake_trail(), "fsbt") == 0 || strcmp(fake_trail(), "fbst") == 0);
    fake_gate_close();
    for (int i = 0; i < 3; i++) {
        expect(smalls[i], 200, "false");
        (void)close(smalls[i]);
    }
    for (int i = 0; i < BULKS; i++) {
        client_read(bulks[i], &answer);
        assert_int_equal(answer.http, 404);
        (void)close(bulks[i]);
    }
    free(text);
    running_stop(&running);
    assert_int_equal(fake_alloc_bytes(), 0);
}

/* Goal: tenants in one line take turns, so that a flood of one does not hold up the other. Method:
 * while a call is kept in the lane eight requests of one tenant come, then one of another; each
 * call is kept for longer than a round. The trail tells collections only, so the other tenant asks
 * one that has the same line. */
static void test_tenants(void **state) {
    (void)state;
    enum { MANY = 8 };
    static const char body[] =
        "{\"filter\":{\"must\":[{\"key\":\"who\",\"match\":{\"value\":\"%s\"}}]}}";
    static struct running running;
    static struct answer_read answer;
    struct server_options options = {.loops = 1};
    char target[64], name[16] = "b", text[128];
    int clients[MANY + 2];
    uint32_t line = queue_line_of(hash64("a", 1), false);
    for (int i = 0; queue_line_of(hash64(name, strlen(name)), false) != line; i++) {
        (void)snprintf(name, sizeof(name), "b%d", i);
    }
    running_start(&running, &options);
    for (int i = 0; i < MANY + 2; i++) {
        clients[i] = client_connect(&running);
    }
    fake_gate_open();
    client_send_text(clients[MANY + 1], "GET /collections/first/exists HTTP/1.1\r\n\r\n");
    fake_gate_wait();
    for (int i = 0; i <= MANY; i++) {
        (void)snprintf(target, sizeof(target), "/collections/%s/points/count",
                       i < MANY ? "a" : name);
        (void)snprintf(text, sizeof(text), body, i < MANY ? "anna" : "bela");
        send_body(clients[i], "POST", target, text);
    }
    for (int i = 0; i < 4; i++) {
        (void)usleep(2 * DOOR_ROUND_NS / 1000);
        fake_gate_pass();
        fake_gate_wait();
    }
    const char *turn = strchr(fake_trail(), 'b');
    assert_non_null(turn); /* of five calls, and eight came before it */
    fake_gate_close();
    for (int i = 0; i <= MANY; i++) {
        client_read(clients[i], &answer);
        assert_int_equal(answer.http, 404);
        (void)close(clients[i]);
    }
    expect(clients[MANY + 1], 200, "false");
    (void)close(clients[MANY + 1]);
    running_stop(&running);
    assert_int_equal(fake_alloc_bytes(), 0);
}

/* Goal: places are bounded, and a flood of one collection loses its own. Method: places for 4, a
 * flood of one collection, one request of another; an engine that takes 5 ms a call, so that nobody
 * waits for too long. */
static void test_places(void **state) {
    (void)state;
    static struct running running;
    static struct answer_read answer;
    struct server_options options = {.waiting_max = 4, .loops = 1};
    int clients[FLOOD], served = 0, refused = 0;
    running_start(&running, &options);
    flood_connect(&running, clients);
    fake_burn(5000000);
    for (int i = 0; i < FLOOD; i++) {
        client_send_text(clients[i], i < FLOOD - 1
                                         ? "GET /collections/flood/exists HTTP/1.1\r\n\r\n"
                                         : "GET /collections/other/exists HTTP/1.1\r\n\r\n");
    }
    expect(clients[FLOOD - 1], 200, "false");
    for (int i = 0; i < FLOOD - 1; i++) {
        client_read(clients[i], &answer);
        served += answer.http == 200;
        refused += answer.http == 429;
        assert_true(answer.http == 200 || strstr(answer.body, "4 requests wait") != NULL);
    }
    fake_burn(0);
    assert_int_equal(served + refused, FLOOD - 1);
    assert_true(served > 0);
    assert_int_equal(refused_for(&running, "places"), refused);
    flood_close(clients);
    running_stop(&running);
    assert_int_equal(fake_alloc_bytes(), 0);
}

/* Goal: clients that go while they wait, requests that fail for memory there, pipelined ones and a
 * stop lose nothing and leak nothing. Method: floods; resets; each allocation fails in turn. */
static void test_flood_ends(void **state) {
    (void)state;
    static struct running running;
    static struct answer_read answer;
    int clients[FLOOD];
    struct linger cut = {.l_onoff = 1, .l_linger = 0};
    running_start(&running, NULL);
    flood_connect(&running, clients);
    fake_burn(2000000);
    for (int i = 0; i < FLOOD; i++) {
        client_send_text(clients[i], "GET /collections/a/exists HTTP/1.1\r\n\r\n" HEALTH
                                     "GET /collections/b/exists HTTP/1.1\r\n\r\n");
        if (i % 8 == 7) {
            (void)setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &cut, sizeof(cut));
            (void)close(clients[i]);
        } else if (i % 8 == 6) {
            (void)shutdown(clients[i], SHUT_WR);
        }
    }
    for (int i = 0; i < FLOOD; i++) {
        for (int n = 0; n < 3 && i % 8 != 7; n++) {
            client_read(clients[i], &answer);
            assert_true(answer.http == 200 || (n != 1 && answer.http == 429));
        }
    }
    for (uint64_t countdown = 1; countdown < 8; countdown++) {
        fake_alloc_fail(countdown);
        for (int i = 0; i < FLOOD; i += 8) {
            send_body(clients[i], "POST", "/collections/a/points/count", "{}");
        }
        for (int i = 0; i < FLOOD; i += 8) {
            client_read(clients[i], &answer);
            assert_true(answer.http == 404 || answer.http == 429);
            if (answer.closed || strstr(answer.head, "Connection: close") != NULL) {
                (void)close(clients[i]);
                clients[i] = client_connect(&running);
            }
        }
    }
    fake_alloc_fail(0);
    for (int i = 0; i < FLOOD; i += 8) {
        client_send_text(clients[i], "GET /collections/a/exists HTTP/1.1\r\n\r\n");
    }
    running_stop(&running); /* what waits is answered first, or was not read any more */
    fake_burn(0);
    for (int i = 0; i < FLOOD; i++) {
        if (i % 8 != 7) {
            (void)close(clients[i]);
        }
    }
    assert_int_equal(running.status, INS_OK);
    assert_int_equal(fake_alloc_bytes(), 0);
}

/* Goal: large answers are compressed for who asks, small ones are not, and HEAD says the same
 * length as GET. Method: a collection whose metadata make its answer large. */
static void test_gzip(void **state) {
    int client = client_connect(*state);
    static struct answer_read answer;
    static char body[4096];
    (void)snprintf(
        body, sizeof(body),
        "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"},\"metadata\":{\"a\":\"%02000d\"}}", 7);
    send_body(client, "PUT", "/collections/z", body);
    expect(client, 200, "true");
    client_send_text(client, "GET /collections/z HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n");
    client_read(client, &answer);
    assert_int_equal(answer.http, 200);
    assert_non_null(strstr(answer.head, "Content-Encoding: gzip"));
    assert_non_null(strstr(answer.head, "Vary: Accept-Encoding"));
    assert_true(answer.body_size < 1000);
    assert_memory_equal(answer.body, "\x1f\x8b\x08", 3);
    client_send_text(client, "GET /collections/z HTTP/1.1\r\nAccept-Encoding: identity\r\n\r\n");
    client_read(client, &answer);
    assert_null(strstr(answer.head, "Content-Encoding"));
    assert_true(answer.body_size > 2000);
    client_send_text(client, "GET /healthz HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n");
    client_read(client, &answer);
    assert_null(strstr(answer.head, "Content-Encoding"));
    (void)close(client);
}

/* Goal: without memory for compressing, the answer leaves as it is. Method: each allocation of such
 * a request fails in turn. */
static void test_gzip_no_memory(void **state) {
    static struct answer_read answer;
    static char body[4096];
    int client = client_connect(*state);
    (void)snprintf(
        body, sizeof(body),
        "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"},\"metadata\":{\"a\":\"%02000d\"}}", 7);
    send_body(client, "PUT", "/collections/zz", body);
    expect(client, 200, "true");
    int plain = 0, packed = 0;
    for (uint64_t countdown = 1; countdown < 5; countdown++) {
        fake_alloc_fail(countdown);
        client_send_text(client, "GET /collections/zz HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n");
        client_read(client, &answer);
        assert_true(answer.http == 200 || answer.http == 429);
        plain += answer.http == 200 && strstr(answer.head, "Content-Encoding") == NULL;
        packed += answer.http == 200 && strstr(answer.head, "Content-Encoding") != NULL;
    }
    fake_alloc_fail(0);
    assert_true(plain >= 1);
    assert_true(packed >= 1);
    (void)close(client);
}

/* Goal: pages of any origin may ask, after asking whether they may; a list of headers that could
 * end the line is not repeated; without CORS nothing is said. Method: preflights and plain
 * requests. */
static void test_cors(void **state) {
    static struct answer_read answer;
    int client = client_connect(*state);
    const char *ask = "OPTIONS /collections/a HTTP/1.1\r\nOrigin: http://o\r\n"
                      "Access-Control-Request-Method: PUT\r\n"
                      "Access-Control-Request-Headers: content-type, api-key\r\n\r\n";
    client_send_text(client, ask);
    client_read(client, &answer);
    assert_int_equal(answer.http, 200);
    assert_non_null(strstr(answer.head, "Access-Control-Allow-Origin: *"));
    assert_non_null(strstr(answer.head, "Access-Control-Allow-Headers: content-type, api-key\r\n"));
    assert_non_null(strstr(answer.head, "PATCH"));
    client_send_text(client, "OPTIONS /x HTTP/1.1\r\nOrigin: o\r\n"
                             "Access-Control-Request-Method: PUT\r\n"
                             "Access-Control-Request-Headers: a:b\r\n\r\n"
                             "GET /nothing HTTP/1.1\r\nOrigin: o\r\n\r\n" HEALTH);
    client_read(client, &answer);
    assert_int_equal(answer.http, 200);
    assert_null(strstr(answer.head, "Allow-Headers"));
    client_read(client, &answer);
    assert_int_equal(answer.http, 404);
    assert_non_null(strstr(answer.head, "Access-Control-Allow-Origin: *"));
    client_read(client, &answer);
    assert_null(strstr(answer.head, "Access-Control"));
    client_send_text(client, "OPTIONS /healthz HTTP/1.1\r\n\r\n");
    expect(client, 405, NULL);
    (void)close(client);

    static struct running closed;
    struct server_options options = {.no_cors = true};
    running_start(&closed, &options);
    client = client_connect(&closed);
    client_send_text(client, ask);
    client_read(client, &answer);
    assert_int_equal(answer.http, 405);
    assert_null(strstr(answer.head, "Access-Control"));
    (void)close(client);
    running_stop(&closed);
}

/* Goal: stopping answers what is under way, closes what is idle, and flushes. Method: stop with a
 * request that the engine completes later (completions are tasks), and idle connections open. */
static void test_stop(void **state) {
    (void)state;
    static struct running running;
    running_start(&running, NULL);
    int idle = client_connect(&running);
    client_send_text(idle, HEALTH);
    expect(idle, 200, "healthz");
    uint64_t calls = fake_calls();
    running_stop(&running);
    assert_int_equal(running.status, INS_OK);
    assert_int_equal(fake_calls(), calls + 1); /* the shutdown's flush */
    assert_true(client_at_end(idle));
    (void)close(idle);
}

/* Goal: what keeps a server from starting is said. Method: a bad address, a port in use, too small
 * a budget, a directory that another server holds. */
static void test_open_fails(void **state) {
    struct running *running = *state;
    struct server *server = NULL;
    char directory[DIRECTORY_MAX];
    ins_error error;
    directory_make(directory);
    struct server_options options = {.data_dir = directory, .host = "nowhere"};
    assert_int_equal(server_open(&options, &server, &error), INS_INVALID);
    assert_non_null(strstr(error.message, "nowhere"));
    options.host = "127.0.0.1";
    options.http_port = server_port(running->server);
    assert_int_equal(server_open(&options, &server, &error), INS_UNAVAILABLE);
    assert_non_null(strstr(error.message, "cannot listen"));
    options.http_port = 0;
    options.memory_budget = 1;
    assert_int_equal(server_open(&options, &server, &error), INS_INVALID);
    assert_non_null(strstr(error.message, "budget"));
    options.memory_budget = 0;
    options.data_dir = running->directory;
    assert_int_not_equal(server_open(&options, &server, &error), INS_OK);
    assert_null(server);
    directory_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keep_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipelining, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vanishing, setup, teardown),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_trickle),
        cmocka_unit_test(test_evict),
        cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_tenants),
        cmocka_unit_test(test_flood_ends),
        cmocka_unit_test_setup_teardown(test_gzip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gzip_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cors, setup, teardown),
        cmocka_unit_test(test_stop),
        cmocka_unit_test_setup_teardown(test_open_fails, setup, teardown),
    };
    int failed = cmocka_run_group_tests_name("one loop", tests, NULL, NULL);
    running_loops = 3; /* the same again, with connections on all of them */
    return failed + cmocka_run_group_tests_name("three loops", tests, NULL, NULL);
}
