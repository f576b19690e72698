/* Answers in pieces. Goal: they come whole, in chunks, and the connection goes on; a slow client
 * holds one piece; whoever goes away, or whatever fails, in the middle leaves nothing behind and
 * can be told from an end. Method: the stand-in's export, with a client of sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_engine.h"
#include "testing.h"

#define EXPORT(version) "GET /collections/c/export HTTP/" version "\r\nHost: h\r\n\r\n"
#define HEALTH "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"

static int setup(void **state) {
    static struct running running;
    running_start(&running, NULL);
    *state = &running;
    return 0;
}

static int teardown(void **state) {
    struct running *running = *state;
    fake_alloc_fail(0);
    running_stop(running);
    fake_pieces(0, 0, 0);
    assert_int_equal(running->status, INS_OK);
    assert_int_equal(fake_alloc_bytes(), 0);
    return 0;
}

/* Up to the end of a line; its size, without the end. -1: the connection has ended. */
static int read_line(int client, char line[static 64]) {
    for (int size = 0; size < 63; size++) {
        if (recv(client, line + size, 1, MSG_WAITALL) != 1) {
            return -1;
        }
        if (line[size] == '\n') {
            line[size - 1] = '\0';
            return size - 1;
        }
    }
    return -1;
}

/* The pieces behind a head, each of one letter; -1: it was cut. */
static int read_pieces(int client, uint32_t bytes) {
    static char data[1u << 20];
    char line[64];
    for (int count = 0;; count++) {
        if (read_line(client, line) <= 0) {
            return -1;
        }
        size_t size = strtoul(line, NULL, 16);
        if (size != 0 &&
            (size != bytes || recv(client, data, size, MSG_WAITALL) != (ssize_t)size)) {
            return -1;
        }
        assert_true(size == 0 || data[0] == 'a' + count % 26);
        assert_true(size == 0 || data[size - 1] == data[0]);
        if (read_line(client, line) != 0) {
            return -1;
        }
        if (size == 0) {
            return count;
        }
    }
}

static unsigned begin(int client, const char *request) {
    static struct answer_read answer;
    client_send_text(client, request);
    client_read(client, &answer);
    return answer.closed ? 0 : answer.http;
}

static void test_whole(void **state) {
    static const uint32_t sizes[] = {1, 100, 65536, 900000};
    for (size_t i = 0; i < 4; i++) {
        int client = client_connect(*state);
        fake_pieces(30, sizes[i], 0);
        for (int turn = 0; turn < 2; turn++) {
            assert_int_equal(begin(client, EXPORT("1.1")), 200);
            assert_int_equal(read_pieces(client, sizes[i]), 30);
        }
        assert_int_equal(begin(client, HEALTH), 200);
        (void)close(client);
    }
}

/* Pipelined behind it comes the next answer. HEAD has a head. */
static void test_among_others(void **state) {
    int client = client_connect(*state);
    fake_pieces(5, 1000, 0);
    assert_int_equal(begin(client, EXPORT("1.1") HEALTH), 200);
    assert_int_equal(read_pieces(client, 1000), 5);
    static struct answer_read answer;
    client_read(client, &answer);
    assert_int_equal(answer.http, 200);
    assert_non_null(strstr(answer.body, "healthz"));
    (void)close(client);
}

static void test_old(void **state) {
    int client = client_connect(*state);
    char data[4096];
    size_t size = 0;
    ssize_t got;
    fake_pieces(3, 500, 0);
    client_send_text(client, EXPORT("1.0"));
    while ((got = recv(client, data + size, sizeof(data) - 1 - size, 0)) > 0) {
        size += (size_t)got;
    }
    data[size] = '\0';
    assert_null(strstr(data, "chunked"));
    assert_non_null(strstr(data, "Connection: close"));
    assert_int_equal(strlen(strstr(data, "\r\n\r\n") + 4), 1500);
    (void)close(client);
}

/* The first piece fails: an error as ever. A later one: the answer is cut. */
static void test_fails(void **state) {
    for (uint32_t fails = 1; fails <= 5; fails++) {
        int client = client_connect(*state);
        fake_pieces(5, 1000, fails);
        assert_int_equal(begin(client, EXPORT("1.1")), fails == 1 ? 409 : 200);
        if (fails > 1) {
            assert_int_equal(read_pieces(client, 1000), -1);
        }
        (void)close(client);
    }
}

/* Every allocation of the way, one after the other. */
static void test_no_memory(void **state) {
    for (uint64_t countdown = 1; countdown < 24; countdown++) {
        fake_pieces(6, 300000, 0);
        int client = client_connect(*state);
        fake_alloc_fail(countdown);
        unsigned http = begin(client, EXPORT("1.1"));
        assert_true(http == 0 || http == 200 || http == 429);
        if (http == 200) {
            int count = read_pieces(client, 300000);
            assert_true(count == -1 || count == 6);
        }
        fake_alloc_fail(0);
        (void)close(client);
    }
}

/* Gone before, in the middle, and while the engine works. */
static void test_gone(void **state) {
    for (uint32_t i = 0; i < 60; i++) {
        int client = client_connect(*state);
        char some[5000];
        fake_pieces(50, 500000, 0);
        client_send_text(client, EXPORT("1.1"));
        if (i % 3 > 0) {
            assert_true(recv(client, some, i % 3 == 1 ? 100 : sizeof(some), 0) > 0);
        }
        if (i % 2 == 0) {
            struct linger hard = {.l_onoff = 1};
            (void)setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        }
        (void)close(client);
    }
}

/* So many at once, and not more; one that does not read ends with the server. */
static void test_bound(void **state) {
    int clients[API_STREAMS_MAX];
    fake_pieces(100, 1000000, 0);
    for (uint32_t i = 0; i < API_STREAMS_MAX; i++) {
        clients[i] = client_connect(*state);
        assert_int_equal(begin(clients[i], EXPORT("1.1")), 200);
    }
    int client = client_connect(*state);
    assert_int_equal(begin(client, EXPORT("1.1")), 429);
    for (uint32_t i = 0; i < API_STREAMS_MAX; i++) {
        (void)close(clients[i]);
    }
    unsigned http = 429;
    for (int i = 0; i < 1000 && http == 429; i++) {
        http = begin(client, EXPORT("1.1"));
    }
    assert_int_equal(http, 200);
    (void)close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_whole), TEST(test_among_others), TEST(test_old),
                                       TEST(test_fails), TEST(test_no_memory),    TEST(test_gone),
                                       TEST(test_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
