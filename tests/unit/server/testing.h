/* What tests of the server share: a temporary directory, REST without sockets, a server on a
 * thread, and a client that sends bytes and reads answers. */
#ifndef SERVER_TESTING_H
#define SERVER_TESTING_H

#include <pthread.h>

#include "api/api.h"
#include "server/server.h"

#define DIRECTORY_MAX 64

void directory_make(char out[static DIRECTORY_MAX]);
void directory_remove(const char *directory);

/* REST on the stand-in engine, completions inside. */
struct rest {
    ins_db *db;
    ins_runtime runtime;
    struct api *api;
    unsigned http; /* of the last answer */
    uint32_t retry_after_s;
    char allow[64], type[64];
    size_t answers;
    bool later;       /* rest_call() does not expect an answer yet */
    char *body;       /* terminated */
    ins_timer *timer; /* armed last */
    struct api_ticket ticket;
    struct api_shared shared;
};

void rest_open(struct rest *rest);
void rest_close(struct rest *rest);
/* Sends one request and returns its code; `target` with the query. */
unsigned rest_call(struct rest *rest, enum api_method method, const char *target, const char *body);
/* A raw JSON member of the last answer by its path, "result.points"; NULL-terminated copy in a
 * buffer that the next call reuses; "" when absent. */
const char *rest_member(struct rest *rest, const char *path);

extern uint32_t running_loops; /* of servers whose options do not say */

struct running {
    struct server *server;
    pthread_t thread;
    char directory[DIRECTORY_MAX];
    ins_status status; /* of server_run */
};

/* `options` NULL = defaults; the directory, the host and the port are always set here. */
void running_start(struct running *running, const struct server_options *options);
/* Stops, joins, closes; the status of the run is in running->status. */
void running_stop(struct running *running);

struct answer_read {
    unsigned http;
    char head[2048], body[1 << 16];
    size_t body_size;
    bool closed; /* the server ended the connection instead of an answer */
};

int client_connect(const struct running *running);
void client_send(int client, const char *text, size_t size);
void client_send_text(int client, const char *text);
/* Reads one answer, waiting at most 10 s. */
void client_read(int client, struct answer_read *out);
/* True when the server closes the connection within 10 s, with nothing more to say. */
bool client_at_end(int client);

#endif
