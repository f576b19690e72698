/* A stand-in for the engine behind insula.h: everything in memory, linear, without a log, so that
 * the server and REST are tested alone. What it stores it stores rightly; what it can be told to do
 * wrong is below. */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include "insula.h"

/* Completions run inside the call that starts them (true) or as a task of the lane (false). */
void fake_set_inline(bool inside);
/* Calls are kept without completion until fake_hold(false). On the request lane. */
void fake_hold(bool hold);
/* fake_hold(false) from any thread, as a task of the request lane. */
void fake_unhold(void);
/* Each call keeps its lane busy for so long. */
void fake_burn(uint64_t ns);
/* Each call on a collection is kept in its lane until the test lets it go on: fake_gate_wait()
 * waits for the next one. The trail has the first letters of the collections in the order of calls.
 */
void fake_gate_open(void);
void fake_gate_wait(void);
void fake_gate_pass(void);
/* From now on calls pass. */
void fake_gate_close(void);
const char *fake_trail(void);
/* The next call fails so, once. */
void fake_fail_next(ins_status status, uint32_t retry_after_s, const char *message);
/* ins_db_alloc number `countdown` from now fails, once (1 = the next). 0 = off. */
void fake_alloc_fail(uint64_t countdown);
/* Bytes given out by ins_db_alloc and not yet returned. */
uint64_t fake_alloc_bytes(void);
/* What ins_db_stats reports. */
void fake_stop_writes(const char *reason);
/* The deadline of the last call, and how often an operation has been started. */
uint64_t fake_last_deadline(void);
uint64_t fake_calls(void);
/* How many calls were cancelled. */
uint64_t fake_cancels(void);

/* An export has so many pieces, of so many bytes; 0: there is none. Piece number `fails` from 1
 * fails; 0: none. */
void fake_pieces(uint32_t count, uint32_t bytes, uint32_t fails);

#endif
