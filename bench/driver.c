#include "driver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define RETRY_NS                                                                                   \
    (20u * 1000000u) /* sooner, asking in vain would take the lane from those who write */

#define slot_of(pointer, member)                                                                   \
    ((struct driver_slot *)(void *)((char *)(pointer)-offsetof(struct driver_slot, member)))
#define driver_of(pointer, member)                                                                 \
    ((struct driver *)(void *)((char *)(pointer)-offsetof(struct driver, member)))

/* ---- On the request lane ---- */

static void pump(struct driver *driver);

static void slot_start(struct driver_slot *slot) {
    slot->call.status = INS_OK;
    slot->start(slot->driver->db, slot->request, &slot->call);
}

/* All that was refused in the last 20 ms, with one timer: a thousand of them would cost the lane
 * more than the calls. */
static void retry_refused(ins_timer *timer) {
    struct driver *driver = driver_of(timer, retry);
    struct driver_slot *slot = driver->refused_slots;
    driver->refused_slots = NULL;
    while (slot != NULL) {
        struct driver_slot *next = slot->next;
        slot_start(slot);
        slot = next;
    }
}

static void slot_refused(struct driver_slot *slot) {
    struct driver *driver = slot->driver;
    driver->refused++;
    slot->next = driver->refused_slots;
    driver->refused_slots = slot;
    if (!driver->retry.armed) {
        driver->retry.run = retry_refused;
        driver->runtime->timer(driver->runtime->context, INS_LANE_REQUEST, &driver->retry,
                               RETRY_NS);
    }
}

static void slot_free(struct driver_slot *slot) {
    struct driver *driver = slot->driver;
    slot->next = driver->free_slots;
    driver->free_slots = slot;
    driver->under_way--;
}

static void slot_done(ins_call *call) {
    struct driver_slot *slot = slot_of(call, call);
    struct driver *driver = slot->driver;
    ins_status status = call->status;
    ins_call_release(call);
    if (status == INS_EXHAUSTED && !driver->stopping) {
        slot_refused(slot);
        return;
    }
    if (status == INS_OK) {
        driver->acknowledged++;
        latency_add(&driver->latency, bench_now_ns() - slot->start_ns);
    } else if (status != INS_EXHAUSTED) {
        driver->first_error = driver->failed++ == 0 ? call->error : driver->first_error;
    }
    slot_free(slot);
    pump(driver);
}

static void pump(struct driver *driver) {
    if (driver->pumping) {
        return;
    }
    driver->pumping = true;
    while (driver->free_slots != NULL && !driver->stopping && !driver->exhausted) {
        struct driver_slot *slot = driver->free_slots;
        if (!driver->next(driver->context, slot)) {
            driver->exhausted = true;
            break;
        }
        driver->free_slots = slot->next;
        driver->under_way++;
        slot->start_ns = bench_now_ns();
        slot_start(slot);
    }
    driver->pumping = false;
}

/* ---- From outside: a task on the request lane, waited for ---- */

struct visit {
    ins_task task;
    struct driver *driver;
    void (*run)(struct visit *visit);
    ins_stats *out_stats;
    struct latency *out_latency;
    uint64_t *out_acknowledged, *out_refused;
    bool flag; /* look: stop;  idle: nothing is under way */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
};

static void visit_task(ins_task *task) {
    struct visit *visit = (struct visit *)(void *)((char *)task - offsetof(struct visit, task));
    visit->run(visit);
    (void)pthread_mutex_lock(&visit->mutex);
    visit->done = true;
    (void)pthread_cond_signal(&visit->changed);
    (void)pthread_mutex_unlock(&visit->mutex);
}

static void visit_lane(struct driver *driver, struct visit *visit, void (*run)(struct visit *)) {
    visit->task.run = visit_task;
    visit->driver = driver;
    visit->run = run;
    visit->done = false;
    (void)pthread_mutex_init(&visit->mutex, NULL);
    (void)pthread_cond_init(&visit->changed, NULL);
    driver->runtime->post(driver->runtime->context, INS_LANE_REQUEST, &visit->task);
    driver->runtime->wake(driver->runtime->context, INS_LANE_REQUEST);
    (void)pthread_mutex_lock(&visit->mutex);
    while (!visit->done) {
        (void)pthread_cond_wait(&visit->changed, &visit->mutex);
    }
    (void)pthread_mutex_unlock(&visit->mutex);
    (void)pthread_cond_destroy(&visit->changed);
    (void)pthread_mutex_destroy(&visit->mutex);
}

static void run_pump(struct visit *visit) {
    visit->driver->exhausted = visit->driver->stopping = false;
    pump(visit->driver);
}

void driver_start(struct driver *driver) {
    struct visit visit = {0};
    visit_lane(driver, &visit, run_pump);
}

static void run_idle(struct visit *visit) {
    visit->flag = visit->driver->under_way == 0;
}

void driver_wait(struct driver *driver) {
    struct visit visit = {0};
    while (!visit.flag) {
        bench_sleep(0.001);
        visit_lane(driver, &visit, run_idle);
    }
}

static void run_mark(struct visit *visit) {
    struct driver *driver = visit->driver;
    memset(&driver->latency, 0, sizeof(driver->latency));
    driver->acknowledged = driver->failed = driver->refused = 0;
    ins_db_stats(driver->db, visit->out_stats);
}

void driver_mark(struct driver *driver, ins_stats *out_stats) {
    struct visit visit = {.out_stats = out_stats};
    visit_lane(driver, &visit, run_mark);
}

static void run_look(struct visit *visit) {
    struct driver *driver = visit->driver;
    driver->stopping = driver->stopping || visit->flag;
    *visit->out_latency = driver->latency;
    *visit->out_acknowledged = driver->acknowledged;
    *visit->out_refused = driver->refused;
    ins_db_stats(driver->db, visit->out_stats);
}

void driver_look(struct driver *driver, bool stop, ins_stats *out_stats,
                 struct latency *out_latency, uint64_t *out_acknowledged, uint64_t *out_refused) {
    struct visit visit = {.flag = stop,
                          .out_stats = out_stats,
                          .out_latency = out_latency,
                          .out_acknowledged = out_acknowledged,
                          .out_refused = out_refused};
    visit_lane(driver, &visit, run_look);
}

bool driver_call(struct driver *driver, ins_start start, const void *request) {
    ins_call call = {0};
    ins_status status = ins_wait(driver->db, start, request, &call);
    ins_call_release(&call);
    if (status != INS_OK) {
        (void)bench_fail("%s", call.error.message);
    }
    return status == INS_OK;
}

/* ---- Open and close ---- */

static bool slots_open(struct driver *driver) {
    driver->slots = calloc(driver->width, sizeof(*driver->slots));
    if (driver->slots == NULL) {
        (void)bench_fail("no memory for %u calls", driver->width);
        return false;
    }
    for (uint32_t i = driver->width; i-- > 0;) {
        struct driver_slot *slot = &driver->slots[i];
        *slot = (struct driver_slot){.call = {.done = slot_done, .lane = INS_LANE_REQUEST},
                                     .driver = driver,
                                     .number = i,
                                     .next = driver->free_slots};
        driver->free_slots = slot;
    }
    return true;
}

bool driver_open(struct driver *driver, const char *path, const struct bench_options *options) {
    ins_error error = {.status = INS_OK};
    const ins_options db_options = {.memory_budget = options->memory_budget,
                                    .drop_log = options->drop_log};
    if (!slots_open(driver)) {
        return false;
    }
    if (ins_store_open_directory(path, false, &driver->store, &error) != INS_OK ||
        ins_runtime_open_threads(driver->store, &driver->runtime, &error) != INS_OK ||
        ins_db_open(&db_options, driver->runtime, &driver->db, &error) != INS_OK) {
        (void)bench_fail("%s", error.message);
        driver_close(driver);
        return false;
    }
    return true;
}

static void start_shutdown(ins_db *db, const void *unused, ins_call *call) {
    (void)unused;
    ins_db_shutdown(db, call);
}

void driver_close(struct driver *driver) {
    if (driver->db != NULL) {
        (void)driver_call(driver, start_shutdown, NULL);
    }
    ins_runtime_close_threads(driver->runtime);
    ins_db_close(driver->db);
    if (driver->store != NULL) {
        ins_store_close(driver->store);
    }
    free(driver->slots);
    driver->slots = driver->free_slots = NULL;
}
