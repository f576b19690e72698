/* Writers in a child process, and what their parent knows of them: for tests that end the child.
 *
 * The child writes with several threads through the library to a real directory, with memtables and
 * log files small enough that flushes and new files are always under way. It keeps a ledger in
 * memory that it shares with its parent: what each writer is about to send, what was acknowledged.
 * ledger_verify() checks the directory, opens it, and compares every point: what was acknowledged
 * is there, and a request without an answer happened as a whole or not at all. */
#ifndef TESTS_CRASH_LEDGER_H
#define TESTS_CRASH_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct ledger_options {
    const char *directory; /* of the data */
    const char *kept;      /* what a failure leaves to be looked at */
    bool drop_log;         /* acknowledge without a log: a rig must find that */
};

/* Makes the database and the ledger. The strings are borrowed for good. */
void ledger_open(const struct ledger_options *options);
/* Before each fork. */
void ledger_expect_child(void);
/* Writes until it is ended, or leaves words in ledger_failure() and exits with 1. */
_Noreturn void ledger_child(uint64_t seed);
/* True when the child's writers run. */
bool ledger_child_is_ready(void);
const char *ledger_failure(void);
/* No child runs. Ends the program with words when something is wrong. */
void ledger_verify(void);
uint64_t ledger_requests(void);
_Noreturn void ledger_die(const char *what, const char *why);

#endif
