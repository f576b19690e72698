/* What the engine needs from the world: lanes, clock, randomness, a store. Part of insula.h:
 * include that. */
#ifndef INSULA_RUNTIME_H
#define INSULA_RUNTIME_H

#include "insula/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A lane runs tasks one at a time, in the order in which they were posted. */
enum ins_lane {
    INS_LANE_LOG = 0,        /* writes and syncs the log, nothing else */
    INS_LANE_READ = 1,       /* cold reads, one at a time */
    INS_LANE_BACKGROUND = 2, /* flush and merge, in steps */
    INS_LANE_REQUEST = 3,    /* owns catalog, memtables, views: every call starts here */
    INS_LANE_COUNT = 4       /* lanes from here on are the caller's own: an ins_call may name one */
};

typedef struct ins_task {
    struct ins_task *next; /* owned by the executor while posted */
    void (*run)(struct ins_task *task);
} ins_task;

typedef struct ins_timer {
    struct ins_timer *next; /* owned by the executor while armed */
    uint64_t due_ns;
    bool armed;
    void (*run)(struct ins_timer *timer);
} ins_timer;

typedef struct ins_store ins_store; /* where bytes rest; ins_store_open_directory() */

/* Every member but machine_bytes is required. The struct is borrowed for the life of the database.
 */
typedef struct ins_runtime {
    void *context;
    ins_store *store;
    uint64_t (*now_ns)(void *context);                          /* monotonic; any thread */
    void (*random)(void *context, void *out, size_t size);      /* any thread */
    void (*post)(void *context, uint32_t lane, ins_task *task); /* any thread; without waking */
    void (*wake)(void *context, uint32_t lane); /* any thread; runs what was posted */
    /* One shot, `delay_ns` from now; on the lane itself only. Arming an armed timer moves it. */
    void (*timer)(void *context, uint32_t lane, ins_timer *timer, uint64_t delay_ns);
    void (*timer_stop)(void *context, uint32_t lane, ins_timer *timer);
    /* Memory that the machine, or the control group that limits this process, has now; bytes. On
     * the background lane every few seconds: a budget follows it. NULL: it is looked at once. */
    uint64_t (*machine_bytes)(void *context);
} ins_runtime;

/* What the kernel says of this process: fits ins_runtime.machine_bytes; `unused` may be NULL. */
INS_API uint64_t ins_machine_bytes(void *unused);

/* The default runtime: one thread a lane, the system's clock and randomness.
 * Takes no ownership of `store`. Close it after ins_db_close(). */
INS_API INS_MUST_USE ins_status ins_runtime_open_threads(ins_store *store,
                                                         ins_runtime **out_runtime,
                                                         ins_error *error);
INS_API void ins_runtime_close_threads(ins_runtime *runtime);

/* A directory on a local file system, locked against a second process. Makes it when absent. */
INS_API INS_MUST_USE ins_status ins_store_open_directory(const char *path, bool read_only,
                                                         ins_store **out_store, ins_error *error);
INS_API void ins_store_close(ins_store *store);

#ifdef __cplusplus
}
#endif
#endif
