/* How an operation ended: the kind of an error, its text, its code in HTTP and gRPC. Part of
 * insula.h: include that. */
#ifndef INSULA_STATUS_H
#define INSULA_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INS_API __attribute__((visibility("default")))
#define INS_MUST_USE __attribute__((warn_unused_result))
#define INS_VERSION "0.1.0"
#define INS_QDRANT_VERSION "1.19.0" /* the version whose clients are served */

/* X(name, number, text, HTTP code, gRPC code) */
#define INS_STATUS_MAP(X)                                                                          \
    X(OK, 0, "ok", 200, 0)                                                                         \
    X(INVALID, 1, "invalid argument", 400, 3)                                                      \
    X(UNPROCESSABLE, 2, "validation error", 422, 3)                                                \
    X(NOT_FOUND, 3, "not found", 404, 5)                                                           \
    X(EXISTS, 4, "already exists", 409, 6)                                                         \
    X(TOO_LARGE, 5, "too large", 413, 3)                                                           \
    X(EXHAUSTED, 6, "exhausted for now, try again", 429, 8)                                        \
    X(FULL, 7, "no space", 507, 8)                                                                 \
    X(UNAVAILABLE, 8, "unavailable", 503, 14)                                                      \
    X(TIMEOUT, 9, "deadline exceeded", 408, 4)                                                     \
    X(UNSUPPORTED, 10, "not supported", 501, 12)                                                   \
    X(CORRUPT, 11, "damaged data", 500, 15)                                                        \
    X(IO, 12, "input/output error", 500, 13)                                                       \
    X(INTERNAL, 13, "internal error", 500, 13)                                                     \
    X(AGAIN, 14, "waiting for bytes", 500, 13) /* inside the engine only, never in an answer */

#define INS_STATUS_ENUM(name, number, text, http, grpc) INS_##name = (number),
typedef enum ins_status { INS_STATUS_MAP(INS_STATUS_ENUM) } ins_status;
#undef INS_STATUS_ENUM

#define INS_ERROR_MESSAGE_MAX                                                                      \
    480 /* a 255-byte name twice, and the sentence around it, shortened                            \
         */

typedef struct ins_error {
    ins_status status;
    uint32_t retry_after_s; /* with INS_EXHAUSTED and INS_UNAVAILABLE; 0 = do not retry */
    char message[INS_ERROR_MESSAGE_MAX]; /* always terminated */
} ins_error;

INS_API const char *ins_status_text(ins_status status);
INS_API int ins_status_http(ins_status status);
INS_API int ins_status_grpc(ins_status status);
INS_API const char *ins_version(void);

#ifdef __cplusplus
}
#endif
#endif
