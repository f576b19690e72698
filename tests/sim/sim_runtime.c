#include "sim_runtime.h"

#include <string.h>

#include "base/assert.h"

#define START_NS 1000000000ull
#define STEP_NS_MAX 20000u
#define EARLY_ONE_IN 16u /* a task that nobody woke runs all the same */

static void queue_init(struct sim_queue *queue) {
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_push(struct sim_queue *queue, ins_task *task) {
    task->next = NULL;
    *queue->last = task;
    queue->last = &task->next;
}

static ins_task *queue_pop(struct sim_queue *queue) {
    ins_task *task = queue->first;
    queue->first = task->next;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    task->next = NULL;
    return task;
}

static void queue_append(struct sim_queue *queue, struct sim_queue *from) {
    if (from->first != NULL) {
        *queue->last = from->first;
        queue->last = from->last;
        queue_init(from);
    }
}

/* ---- What the engine calls ---- */

static struct sim_lane *lane_of(void *context, uint32_t lane) {
    struct sim_runtime *sim = context;
    INS_ASSERT(lane < INS_LANE_COUNT);
    return &sim->lanes[lane];
}

static uint64_t sim_now(void *context) {
    const struct sim_runtime *sim = context;
    return sim->now_ns;
}

static void sim_bytes(void *context, void *out, size_t size) {
    struct sim_runtime *sim = context;
    uint8_t *bytes = out;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)sim_next(&sim->engine);
    }
}

static void sim_post(void *context, uint32_t lane, ins_task *task) {
    INS_ASSERT(task->run != NULL);
    queue_push(&lane_of(context, lane)->posted, task);
}

static void sim_wake(void *context, uint32_t lane) {
    struct sim_lane *queues = lane_of(context, lane);
    queue_append(&queues->woken, &queues->posted);
}

static void timer_remove(struct sim_lane *lane, ins_timer *timer) {
    ins_timer **link = &lane->timers;
    while (*link != timer) {
        INS_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = timer->next;
    timer->armed = false;
}

static void sim_timer(void *context, uint32_t lane_index, ins_timer *timer, uint64_t delay_ns) {
    struct sim_runtime *sim = context;
    struct sim_lane *lane = lane_of(context, lane_index);
    if (timer->armed) {
        timer_remove(lane, timer);
    }
    timer->due_ns = sim->now_ns + delay_ns;
    timer->armed = true;
    timer->next = lane->timers;
    lane->timers = timer;
}

static void sim_timer_stop(void *context, uint32_t lane, ins_timer *timer) {
    if (timer->armed) {
        timer_remove(lane_of(context, lane), timer);
    }
}

/* ---- What the test calls ---- */

void sim_runtime_init(struct sim_runtime *sim, ins_store *store, uint64_t seed) {
    *sim = (struct sim_runtime){.scheduler = {seed}, .engine = {sim_mix(seed)}, .now_ns = START_NS};
    sim->runtime = (ins_runtime){.context = sim,
                                 .store = store,
                                 .now_ns = sim_now,
                                 .random = sim_bytes,
                                 .post = sim_post,
                                 .wake = sim_wake,
                                 .timer = sim_timer,
                                 .timer_stop = sim_timer_stop};
    sim_drop_all(sim);
}

void sim_drop_all(struct sim_runtime *sim) {
    for (int lane = 0; lane < INS_LANE_COUNT; lane++) {
        queue_init(&sim->lanes[lane].posted);
        queue_init(&sim->lanes[lane].woken);
        sim->lanes[lane].timers = NULL;
    }
}

static ins_timer *earliest_timer(const struct sim_lane *lane) {
    ins_timer *earliest = NULL;
    for (ins_timer *timer = lane->timers; timer != NULL; timer = timer->next) {
        if (earliest == NULL || timer->due_ns < earliest->due_ns) {
            earliest = timer;
        }
    }
    return earliest;
}

static bool timer_due(const struct sim_runtime *sim, const struct sim_lane *lane) {
    const ins_timer *timer = earliest_timer(lane);
    return timer != NULL && timer->due_ns <= sim->now_ns;
}

static void fire(struct sim_lane *lane) {
    ins_timer *timer = earliest_timer(lane);
    timer_remove(lane, timer);
    timer->run(timer);
}

static void run_lane(struct sim_runtime *sim, uint32_t index) {
    struct sim_lane *lane = &sim->lanes[index];
    sim->steps++;
    sim->digest = sim_mix(sim->digest + index + 1);
    sim->now_ns += 1 + sim_below(&sim->scheduler, STEP_NS_MAX);
    if (lane->woken.first == NULL || (timer_due(sim, lane) && sim_once_in(&sim->scheduler, 2))) {
        fire(lane);
        return;
    }
    ins_task *task = queue_pop(&lane->woken);
    task->run(task); /* may free the task */
}

bool sim_step(struct sim_runtime *sim) {
    uint32_t ready[INS_LANE_COUNT], count = 0;
    for (uint32_t lane = 0; lane < INS_LANE_COUNT; lane++) {
        struct sim_lane *queues = &sim->lanes[lane];
        if (queues->posted.first != NULL && sim_once_in(&sim->scheduler, EARLY_ONE_IN)) {
            queue_append(&queues->woken, &queues->posted);
        }
        bool held = (sim->held & 1u << lane) != 0;
        if (!held && (queues->woken.first != NULL || timer_due(sim, queues))) {
            ready[count++] = lane;
        }
    }
    if (count == 0) {
        return false;
    }
    run_lane(sim, ready[sim_below(&sim->scheduler, count)]);
    return true;
}

bool sim_run_timer(struct sim_runtime *sim) {
    struct sim_lane *first = NULL;
    for (uint32_t lane = 0; lane < INS_LANE_COUNT; lane++) {
        const ins_timer *timer = earliest_timer(&sim->lanes[lane]);
        if (timer != NULL && (first == NULL || timer->due_ns < earliest_timer(first)->due_ns)) {
            first = &sim->lanes[lane];
        }
    }
    if (first == NULL) {
        return false;
    }
    uint64_t due_ns = earliest_timer(first)->due_ns;
    sim->now_ns = due_ns > sim->now_ns ? due_ns : sim->now_ns;
    fire(first);
    return true;
}

/* What finds no room on a disk that stays full is tried again for ever. */
#define IDLE_TIMERS_MAX 5000u

void sim_run_until_idle(struct sim_runtime *sim, bool timers) {
    uint32_t fired = 0;
    do {
        while (sim_step(sim)) {
        }
    } while (timers && fired++ < IDLE_TIMERS_MAX && sim_run_timer(sim));
}

bool sim_forgotten(const struct sim_runtime *sim) {
    for (uint32_t lane = 0; lane < INS_LANE_COUNT; lane++) {
        if (sim->lanes[lane].posted.first != NULL) {
            return true;
        }
    }
    return false;
}
