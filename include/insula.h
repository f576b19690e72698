/* Insula: many tenants' vectors in one process. The engine as a library.
 *
 * This header and those that it includes are the manual. The REST and gRPC servers are written on
 * them alone.
 *
 * Shape of every operation: fill a request, fill the first fields of an `ins_call`, call the
 * function. The function returns at once; later `call->done(call)` runs once, on the lane that the
 * call named, with `status`, `error` and the answer set. Answers belong to the engine until
 * ins_call_release(). Requests and everything that they point to are borrowed until `done` has run.
 *
 * Threads: an operation is started on the request lane only, as a task posted there or by
 * ins_wait(), which moves a call there from any thread and waits. Nothing here blocks but
 * ins_db_open(), ins_db_close(), ins_check() and ins_wait().
 *
 * Durability: a write that answered INS_OK is on disk. Reads see what is durable, nothing else.
 *
 * Errors: `ins_status` says the kind, `ins_error.message` the field, the value and the limit. */
#ifndef INSULA_H
#define INSULA_H

/* In the order of reading. */
/* clang-format off */
#include "insula/status.h"
#include "insula/runtime.h"
#include "insula/database.h"
#include "insula/values.h"
#include "insula/collections.h"
#include "insula/tenants.h"
#include "insula/points.h"
#include "insula/call.h"
#include "insula/transfer.h"
#include "insula/explain.h"
#include "insula/operation.h"
/* clang-format on */

#endif
