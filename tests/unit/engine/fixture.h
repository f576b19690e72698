/* A database on the thread runtime and the simulator's store, and the calls that tests repeat.
 * Every function fails its test when something is not INS_OK, but for run(). */
#ifndef INS_TESTS_ENGINE_FIXTURE_H
#define INS_TESTS_ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "insula.h"
#include "store/store.h"

struct fixture {
    ins_store *store;
    ins_runtime *runtime;
    ins_db *db;
};

ins_text text(const char *string);
void fixture_start(struct fixture *fixture);
/* A crash: lanes stop, nothing is flushed. */
void fixture_stop(struct fixture *fixture);
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
void fixture_restart(struct fixture *fixture);
ins_status run(struct fixture *fixture, ins_start start, const void *request, ins_call *call);
void do_ok(struct fixture *fixture, ins_start start, const void *request);
ins_stats stats_of(struct fixture *fixture);
/* What is garbage now is in no file behind it. */
void erase(struct fixture *fixture);
void create(struct fixture *fixture, const char *name, bool tenants);
void upsert(struct fixture *fixture, const char *name, uint64_t id, float value,
            const char *payload);
uint64_t count_where(struct fixture *fixture, const char *name, const char *tenant);
/* Where a section of that kind lies in one of the store's files; the name of the file. */
uint64_t find_section(ins_store *store, uint16_t kind, char *out_name);

#endif
