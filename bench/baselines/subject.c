#include "subject.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../bench.h"

#define POOL 997u /* vectors; more than SUBJECT_POINTS, so that those of one tenant differ */

enum command { CREATE, FILL, OPEN, FIRST, SEARCH, COMMAND_COUNT };

static const char *const names[COMMAND_COUNT] = {"create", "fill", "open", "first", "search"};

struct loop {
    const struct subject *subject;
    struct latency latency;
    uint64_t picks; /* random numbers drawn */
    float pool[POOL][SUBJECT_DIM];
};

static void make_pool(struct loop *loop) {
    for (uint32_t i = 0; i < POOL; i++) {
        float sum = 0.0F;
        for (uint32_t j = 0; j < SUBJECT_DIM; j++) {
            int32_t value = (int32_t)(bench_hash(1, BENCH_VECTOR, i, j) % 2001) - 1000;
            loop->pool[i][j] = (float)value;
            sum += (float)value * (float)value;
        }
        for (uint32_t j = 0; j < SUBJECT_DIM; j++) {
            loop->pool[i][j] /= sqrtf(sum);
        }
    }
}

static const float *vector_of(const struct loop *loop, uint32_t tenant, uint32_t number) {
    return loop->pool[((uint64_t)tenant * SUBJECT_POINTS + number) % POOL];
}

uint64_t subject_nearest(const struct subject_point points[SUBJECT_POINTS],
                         const float query[SUBJECT_DIM]) {
    uint32_t best = 0;
    float best_score = -INFINITY;
    for (uint32_t i = 0; i < SUBJECT_POINTS; i++) {
        float score = 0.0F;
        for (uint32_t j = 0; j < SUBJECT_DIM; j++) {
            score += points[i].vector[j] * query[j];
        }
        if (score > best_score) {
            best_score = score;
            best = i;
        }
    }
    return points[best].id;
}

void subject_raise_limits(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* ---- One operation on one tenant ---- */

static void count(struct loop *loop, uint64_t start_ns) {
    uint64_t taken_ns = bench_now_ns() - start_ns;
    latency_add(&loop->latency, taken_ns);
}

static bool fill(struct loop *loop, uint32_t tenant) {
    struct subject_point points[SUBJECT_POINTS];
    for (uint32_t i = 0; i < SUBJECT_POINTS; i++) {
        points[i].id = (uint64_t)tenant * SUBJECT_POINTS + i;
        memcpy(points[i].vector, vector_of(loop, tenant, i), sizeof(points[i].vector));
    }
    uint64_t start_ns = bench_now_ns();
    bool good = loop->subject->fill(loop->subject->context, tenant, points);
    count(loop, start_ns);
    return good;
}

static bool search(struct loop *loop, uint32_t tenant) {
    uint64_t pick = bench_hash(2, BENCH_PICK, tenant, loop->picks++);
    uint32_t number = (uint32_t)(pick % SUBJECT_POINTS);
    uint64_t start_ns = bench_now_ns();
    uint64_t found = 0;
    bool good = loop->subject->search(loop->subject->context, tenant,
                                      vector_of(loop, tenant, number), &found);
    count(loop, start_ns);
    if (good && found != (uint64_t)tenant * SUBJECT_POINTS + number) {
        errno = EBADMSG; /* a wrong answer */
        return false;
    }
    return good;
}

static bool one(struct loop *loop, enum command command, uint32_t tenant) {
    const struct subject *subject = loop->subject;
    if (command == FILL) {
        return fill(loop, tenant);
    }
    if (command == FIRST || command == SEARCH) {
        return search(loop, tenant);
    }
    uint64_t start_ns = bench_now_ns();
    bool good = command == CREATE ? subject->create(subject->context, tenant)
                                  : subject->open(subject->context, tenant);
    count(loop, start_ns);
    return good;
}

/* ---- Commands ---- */

static void answer(struct loop *loop, enum command command, uint32_t low, uint32_t high) {
    loop->latency = (struct latency){0};
    uint32_t first = command == SEARCH ? 0 : low;
    uint32_t end = command == SEARCH ? low : high;
    uint32_t done = 0;
    bool good = true;
    for (uint32_t i = first; i < end && good; i++) {
        uint32_t tenant =
            command == SEARCH ? (uint32_t)(bench_hash(3, BENCH_PICK, 0, i) % high) : i;
        good = one(loop, command, tenant);
        done += good;
    }
    const char *error = good ? NULL : strerrordesc_np(errno);
    (void)printf("{\"done\": %u, \"p50_us\": %.3f, \"p99_us\": %.3f, "
                 "\"error\": %s%s%s}\n",
                 done, (double)latency_quantile(&loop->latency, 0.5) / 1e3,
                 (double)latency_quantile(&loop->latency, 0.99) / 1e3, error != NULL ? "\"" : "",
                 error != NULL ? error : "null", error != NULL ? "\"" : "");
    (void)fflush(stdout);
}

int subject_run(const struct subject *subject) {
    static struct loop loop;
    loop.subject = subject;
    make_pool(&loop);
    (void)printf("{\"pids\": [%ld], \"start_s\": 0, \"version\": null}\n", (long)getpid());
    (void)fflush(stdout);
    char line[128];
    while (fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "quit\n") != 0) {
        char name[16];
        uint32_t low, high;
        enum command command = COMMAND_COUNT;
        if (sscanf(line, "%15s %" SCNu32 " %" SCNu32, name, &low, &high) == 3) {
            command = CREATE;
            while (command < COMMAND_COUNT && strcmp(name, names[command]) != 0) {
                command++;
            }
        }
        if (command == COMMAND_COUNT || high > SUBJECT_TENANTS_MAX || high == 0) {
            return bench_fail("not a command: %s", line);
        }
        answer(&loop, command, low, high);
    }
    (void)printf("{\"closed\": true}\n");
    return BENCH_OK;
}
