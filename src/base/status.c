#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct status_row {
    const char *text;
    int http, grpc;
};

#define STATUS_ROW(name, number, text, http, grpc) [number] = {text, http, grpc},
static const struct status_row status_rows[] = {INS_STATUS_MAP(STATUS_ROW)};
#undef STATUS_ROW

#define STATUS_COUNT (sizeof(status_rows) / sizeof(status_rows[0]))

static const struct status_row *status_row(ins_status status) {
    return (size_t)status < STATUS_COUNT ? &status_rows[status] : &status_rows[INS_INTERNAL];
}

const char *ins_status_text(ins_status status) {
    return status_row(status)->text;
}

int ins_status_http(ins_status status) {
    return status_row(status)->http;
}

int ins_status_grpc(ins_status status) {
    return status_row(status)->grpc;
}

const char *ins_version(void) {
    return INS_VERSION;
}

/* Bytes of the character that begins here; 0: it is none, or was cut. */
static size_t character(const char *text) {
    uint8_t first = (uint8_t)*text;
    size_t size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    for (size_t i = 1; i < size; i++) {
        if (((uint8_t)text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

/* Names and values in a message are cut to a number of bytes, and so is the message. */
static void drop_cut_characters(char *message) {
    char *to = message;
    for (const char *from = message; *from != 0;) {
        size_t size = character(from);
        memmove(to, from, size);
        to += size;
        from += size != 0 ? size : 1;
    }
    *to = 0;
}

__attribute__((format(printf, 4, 0))) static void error_set(ins_error *error, ins_status status,
                                                            uint32_t retry_after_s,
                                                            const char *format, va_list arguments) {
    INS_ASSERT(status != INS_OK);
    if (error == NULL) {
        return;
    }
    error->status = status;
    error->retry_after_s = retry_after_s;
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    drop_cut_characters(error->message);
}

ins_status ins_fail(ins_error *error, ins_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error_set(error, status, 0, format, arguments);
    va_end(arguments);
    return status;
}

ins_status ins_fail_retry(ins_error *error, ins_status status, uint32_t retry_after_s,
                          const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error_set(error, status, retry_after_s, format, arguments);
    va_end(arguments);
    return status;
}

ins_status ins_fail_errno(ins_error *error, int error_number, const char *format, ...) {
    ins_status status = INS_IO;
    if (error_number == ENOSPC || error_number == EDQUOT) {
        status = INS_FULL;
    }
    va_list arguments;
    va_start(arguments, format);
    error_set(error, status, 0, format, arguments);
    va_end(arguments);
    if (error != NULL) {
        size_t used = strlen(error->message);
        char text[128];
        (void)snprintf(error->message + used, sizeof(error->message) - used, ": %s",
                       strerror_r(error_number, text, sizeof(text)));
    }
    return status;
}

_Noreturn void ins_assert_fail(const char *condition, const char *file, int line) {
    (void)fprintf(stderr, "insula: assertion failed: %s (%s:%d)\n", condition, file, line);
    abort();
}
