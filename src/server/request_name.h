/* The name of a request: what the client called it (X-Request-Id), or one made here; and the place
 * in a trace that it named (traceparent of W3C Trace Context), which goes to the slow log. */
#ifndef INS_SERVER_REQUEST_NAME_H
#define INS_SERVER_REQUEST_NAME_H

#include "insula.h"

#define REQUEST_ID_MAX 128u
#define TRACEPARENT_SIZE 55u

struct request_name {
    uint8_t size;                /* of the id; 0 = none yet */
    bool traced;                 /* traceparent is set */
    char id[REQUEST_ID_MAX + 1]; /* terminated */
    char traceparent[TRACEPARENT_SIZE];
};

/* Makes names: random at the start, never twice in a loop's life. */
struct request_names {
    uint64_t next;
};

/* What the headers say, where it is well-formed: an id of 1 to REQUEST_ID_MAX printable ASCII
 * characters but quotes and backslashes. Else an id is made, and there is no traceparent. */
void request_name_set(struct request_names *names, ins_text id, ins_text traceparent,
                      struct request_name *out);

static inline ins_text request_id(const struct request_name *name) {
    return (ins_text){name->id, name->size};
}

static inline ins_text request_traceparent(const struct request_name *name) {
    return (ins_text){name->traceparent, name->traced ? TRACEPARENT_SIZE : 0};
}

#endif
