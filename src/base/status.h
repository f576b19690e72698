/* Making errors: the origin writes the message, callers pass it on. */
#ifndef INS_BASE_STATUS_H
#define INS_BASE_STATUS_H

#include "insula.h"

/* Fills `error` (may be NULL) and returns `status`, which is not INS_OK. */
ins_status ins_fail(ins_error *error, ins_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with seconds after which to try again (INS_EXHAUSTED, INS_UNAVAILABLE). */
ins_status ins_fail_retry(ins_error *error, ins_status status, uint32_t retry_after_s,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
/* With the text of `error_number` (errno) appended. ENOSPC and EDQUOT become INS_FULL. */
ins_status ins_fail_errno(ins_error *error, int error_number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
