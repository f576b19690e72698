/* A small blocking HTTP/1.1 client for one server: enough for `insula demo`. */
#ifndef INS_CLI_CLIENT_H
#define INS_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#define CLIENT_ERROR_MAX 256

struct client {
    int socket; /* -1 = not connected */
    char host[128], port[8];
    char *answer; /* the last body, terminated; owned */
    size_t answer_size, answer_capacity;
    unsigned http; /* code of the last answer */
    char error[CLIENT_ERROR_MAX];
};

/* `url`: http://HOST:PORT with nothing behind. False with `error` set. */
bool client_open(struct client *client, const char *url);
void client_close(struct client *client);
/* One request and its whole answer; `body` NULL = none. False when there is no answer. */
bool client_call(struct client *client, const char *method, const char *path, const char *body,
                 size_t body_size);

/* GET of what comes in pieces, each to `sink`, which says whether to go on. An answer other than
 * 200 is kept as that of client_call(). False also when it was cut. */
bool client_download(struct client *client, const char *path,
                     bool (*sink)(void *context, const char *data, size_t size), void *context);

#endif
