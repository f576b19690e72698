/* The blocking form, for embedders and tests on the thread runtime. */
#include <pthread.h>

#include "engine/engine_private.h"

struct wait {
    ins_task task;
    ins_db *db;
    ins_start start;
    const void *request;
    ins_call *call;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
};

static void wait_done(ins_call *call) {
    struct wait *wait = call->user;
    pthread_mutex_lock(&wait->mutex);
    wait->done = true;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->mutex);
}

static void wait_start(ins_task *task) {
    struct wait *wait = container_of(task, struct wait, task);
    wait->start(wait->db, wait->request, wait->call);
}

ins_status ins_wait(ins_db *db, ins_start start, const void *request, ins_call *call) {
    struct wait wait = {.task = {.run = wait_start},
                        .db = db,
                        .start = start,
                        .request = request,
                        .call = call,
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER};
    call->done = wait_done;
    /* cppcheck-suppress autoVariables ; `wait` outlives the call: this function waits for done */
    call->user = &wait;
    call->lane = INS_LANE_REQUEST;
    db_run(db, INS_LANE_REQUEST, &wait.task);
    pthread_mutex_lock(&wait.mutex);
    while (!wait.done) {
        pthread_cond_wait(&wait.changed, &wait.mutex);
    }
    pthread_mutex_unlock(&wait.mutex);
    pthread_mutex_destroy(&wait.mutex);
    pthread_cond_destroy(&wait.changed);
    return call->status;
}
