#include "testing.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/json_text.h"
#include "base/lane.h"
#include "fake_engine.h"

#define WAIT_MS 10000

void directory_make(char out[static DIRECTORY_MAX]) {
    (void)snprintf(out, DIRECTORY_MAX, "/tmp/insula-test-XXXXXX");
    INS_ASSERT(mkdtemp(out) != NULL);
}

static void directory_empty(const char *directory, int depth) {
    DIR *listing = opendir(directory);
    struct dirent *entry;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char path[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        int size = snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (size < 0 || (size_t)size >= sizeof(path)) {
            continue;
        }
        if (unlink(path) != 0 && depth < 3) {
            directory_empty(path, depth + 1);
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
    (void)rmdir(directory);
}

void directory_remove(const char *directory) {
    directory_empty(directory, 0);
}

/* ---- REST without sockets ---------------------------------------------------------------- */

static void rest_respond(void *user, struct api_response *response) {
    struct rest *rest = user;
    free(rest->body);
    rest->body = strndup(response->body, response->size);
    rest->http = response->http;
    rest->retry_after_s = response->retry_after_s;
    rest->answers++;
    (void)snprintf(rest->allow, sizeof(rest->allow), "%s",
                   response->allow == NULL ? "" : response->allow);
    (void)snprintf(rest->type, sizeof(rest->type), "%s", response->content_type);
    if (!response->shared) {
        heap_free(api_heap(rest->api), response->memory, response->capacity);
    }
}

static void rest_timer(void *context, uint32_t lane, ins_timer *timer, uint64_t delay_ns) {
    struct rest *rest = context;
    (void)lane;
    (void)delay_ns;
    timer->armed = true;
    rest->timer = timer;
}

static void rest_timer_stop(void *context, uint32_t lane, ins_timer *timer) {
    (void)context;
    (void)lane;
    timer->armed = false;
}

void rest_open(struct rest *rest) {
    memset(rest, 0, sizeof(*rest));
    rest->runtime = (ins_runtime){.context = rest,
                                  .now_ns = system_now_ns,
                                  .random = system_random,
                                  .timer = rest_timer,
                                  .timer_stop = rest_timer_stop};
    ins_options options = {.memory_budget = 0};
    fake_set_inline(true);
    INS_ASSERT(ins_db_open(&options, &rest->runtime, &rest->db, NULL) == INS_OK);
    api_shared_init(&rest->shared, rest->db);
    struct api_options api_options = {.db = rest->db,
                                      .runtime = &rest->runtime,
                                      .shared = &rest->shared,
                                      .lane = INS_LANE_REQUEST,
                                      .respond = rest_respond};
    INS_ASSERT(api_open(&api_options, &rest->api, NULL) == INS_OK);
}

void rest_close(struct rest *rest) {
    api_close(rest->api);
    ins_db_close(rest->db);
    free(rest->body);
    fake_set_inline(false);
}

unsigned rest_call(struct rest *rest, enum api_method method, const char *target,
                   const char *body) {
    const char *mark = strchr(target, '?');
    size_t path_size = mark == NULL ? strlen(target) : (size_t)(mark - target);
    size_t body_size = body == NULL ? 0 : strlen(body);
    char *copy = malloc(body_size + 1);
    INS_ASSERT(copy != NULL); /* so that reading past it is found */
    memcpy(copy, body == NULL ? "" : body, body_size);
    struct api_request request = {
        .method = method,
        .path = {target, path_size},
        .query = {mark == NULL ? "" : mark + 1, mark == NULL ? 0 : strlen(mark + 1)},
        .body = {copy, body_size},
        .user = rest,
        .ticket = &rest->ticket};
    size_t before = rest->answers;
    api_dispatch(rest->api, &request);
    free(copy);
    INS_ASSERT(rest->later || rest->answers == before + 1);
    return rest->http;
}

const char *rest_member(struct rest *rest, const char *path) {
    static char out[1 << 14];
    ins_text value = {rest->body, strlen(rest->body)};
    out[0] = '\0';
    while (*path != '\0') {
        size_t size = strcspn(path, ".");
        if (value.data[0] != '{' || !json_text_get_last(value, (ins_text){path, size}, &value)) {
            return out;
        }
        path += size + (path[size] == '.');
    }
    (void)snprintf(out, sizeof(out), "%.*s", (int)value.size, value.data);
    return out;
}

/* ---- A server on a thread ---------------------------------------------------------------- */

static void *running_main(void *context) {
    struct running *running = context;
    running->status = server_run(running->server, NULL);
    return NULL;
}

uint32_t running_loops = 1;

void running_start(struct running *running, const struct server_options *given) {
    memset(running, 0, sizeof(*running));
    directory_make(running->directory);
    struct server_options options = {0};
    if (given != NULL) {
        options = *given;
    }
    options.data_dir = running->directory;
    options.host = "localhost";
    if (options.loops == 0) {
        options.loops = running_loops;
        options.inline_max = 1;
    }
    ins_error error;
    ins_status status = server_open(&options, &running->server, &error);
    if (status != INS_OK) {
        (void)fprintf(stderr, "server_open: %s\n", error.message);
    }
    INS_ASSERT(status == INS_OK);
    INS_ASSERT(pthread_create(&running->thread, NULL, running_main, running) == 0);
}

void running_stop(struct running *running) {
    server_stop(running->server);
    INS_ASSERT(pthread_join(running->thread, NULL) == 0);
    server_close(running->server);
    directory_remove(running->directory);
}

int client_connect(const struct running *running) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server_port(running->server)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    INS_ASSERT(client >= 0);
    INS_ASSERT(connect(client, (const struct sockaddr *)&address, sizeof(address)) == 0);
    return client;
}

void client_send(int client, const char *text, size_t size) {
    while (size != 0) {
        ssize_t sent = send(client, text, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the server has closed: what it answered tells */
        }
        text += sent;
        size -= (size_t)sent;
    }
}

void client_send_text(int client, const char *text) {
    client_send(client, text, strlen(text));
}

static size_t client_receive(int client, char *out, size_t size) {
    struct pollfd ready = {.fd = client, .events = POLLIN};
    if (poll(&ready, 1, WAIT_MS) != 1) {
        return 0;
    }
    ssize_t got = recv(client, out, size, 0);
    return got < 0 ? 0 : (size_t)got;
}

void client_read(int client, struct answer_read *out) {
    size_t size = 0;
    memset(out, 0, sizeof(*out));
    while (size < sizeof(out->head) - 1 && strstr(out->head, "\r\n\r\n") == NULL) {
        if (client_receive(client, out->head + size, 1) == 0) {
            out->closed = true;
            return;
        }
        size++;
    }
    (void)sscanf(out->head, "HTTP/1.1 %u", &out->http);
    const char *length = strcasestr(out->head, "content-length: ");
    size_t expected = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    INS_ASSERT(expected < sizeof(out->body));
    while (out->body_size < expected) {
        size_t got = client_receive(client, out->body + out->body_size, expected - out->body_size);
        if (got == 0) {
            out->closed = true;
            return;
        }
        out->body_size += got;
    }
}

bool client_at_end(int client) {
    struct pollfd ready = {.fd = client, .events = POLLIN};
    char byte;
    return poll(&ready, 1, WAIT_MS) == 1 && recv(client, &byte, 1, 0) == 0;
}
