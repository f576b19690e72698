#include "aggressor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asker.h"

#define SEARCHES_PER_S 500.0
#define FILTERED_PER_S 50.0
#define FILTERED_LIMIT 1000u
#define UPSERT_POINTS 100000u
#define CREATE_POINTS 300000u
#define TINY_SHARE 200u /* of those, in the scale for tests */
#define SEARCH_CONNECTIONS 256u
#define WRITE_CONNECTIONS 8u
#define SLOW_CLIENTS 200u
#define SLOW_GAP_S (1.0 / SLOW_CLIENTS) /* each of them once a second */

struct request {
    char *text;
    size_t size;
};

/* What the process has. */
struct attack {
    const struct wire *wire;
    enum aggressor_kind kind;
    uint32_t tenant;
    struct request *requests; /* [request_count], of writes */
    uint32_t request_count, next;
    struct random random;
    uint64_t number; /* of searches */
    uint64_t due_ns, end_ns;
    struct op *ops; /* [SEARCH_CONNECTIONS] */
    struct aggressor_counts counts;
};

const char *aggressor_text(enum aggressor_kind kind) {
    static const char *const texts[AGGRESSOR_KINDS] = {
        [AGGRESSOR_QUERIES] = "queries",   [AGGRESSOR_UPSERTS] = "upserts",
        [AGGRESSOR_FILTERED] = "filtered", [AGGRESSOR_CREATE] = "create",
        [AGGRESSOR_SLOW] = "slow",
    };
    INS_ASSERT(kind < AGGRESSOR_KINDS);
    return texts[kind];
}

bool aggressor_writes(enum aggressor_kind kind) {
    return kind == AGGRESSOR_UPSERTS || kind == AGGRESSOR_CREATE;
}

/* ---- Answers ---- */

static void count_answer(struct attack *attack, const struct http_answer *answer, uint64_t points) {
    struct aggressor_counts *counts = &attack->counts;
    if (answer->status >= 200 && answer->status < 300) {
        counts->answered++;
        counts->points += points;
    } else if (answer->status == 429) {
        counts->refused++;
        counts->told += answer->retry_after;
    } else if (counts->failed++ == 0) {
        counts->first_status = answer->status;
    }
}

/* ---- Searches ---- */

static uint64_t search_due(void *context) {
    const struct attack *attack = context;
    return attack->due_ns < attack->end_ns ? attack->due_ns : HTTP_NEVER;
}

static size_t search_next(void *context, uint32_t connection, char *out) {
    struct attack *attack = context;
    bool filtered = attack->kind == AGGRESSOR_FILTERED;
    double gap_s =
        random_exponential(&attack->random, 1.0 / (filtered ? FILTERED_PER_S : SEARCHES_PER_S));
    struct op *op = &attack->ops[connection];
    attack->due_ns += (uint64_t)(gap_s * (double)BENCH_NS);
    *op = (struct op){.query.vector = op->vector};
    if (!filtered) {
        return asker_draw(attack->wire, op, attack->tenant, attack->number++, out);
    }
    world_query(attack->wire->world, attack->tenant, attack->number++, false, op->vector);
    op->query.tenant = attack->tenant;
    op->query.limit = FILTERED_LIMIT;
    op->query.condition_count = 1;
    op->query.conditions[0] = (struct condition){.kind = CONDITION_BUCKET, .to = 1};
    return wire_query(attack->wire, &op->query, out);
}

static void search_done(void *context, uint32_t connection, const struct http_answer *answer) {
    (void)connection;
    count_answer(context, answer, 0);
}

static bool run_searches(struct attack *attack) {
    struct http_load load = {.server = &attack->wire->target->server,
                             .connections = SEARCH_CONNECTIONS,
                             .context = attack,
                             .next = search_next,
                             .due = search_due,
                             .done = search_done};
    attack->due_ns = bench_now_ns();
    return http_load_run(&load);
}

/* ---- Writes ---- */

/* At full speed the same points again; of a creation each once. */
static size_t write_next(void *context, uint32_t connection, char *out) {
    struct attack *attack = context;
    (void)connection;
    if (bench_now_ns() >= attack->end_ns ||
        (attack->kind == AGGRESSOR_CREATE && attack->next == attack->request_count)) {
        return 0;
    }
    const struct request *request = &attack->requests[attack->next % attack->request_count];
    attack->next++;
    memcpy(out, request->text, request->size);
    return request->size;
}

static void write_done(void *context, uint32_t connection, const struct http_answer *answer) {
    (void)connection;
    count_answer(context, answer, WIRE_BATCH_MAX);
}

static bool run_writes(struct attack *attack) {
    struct http_load load = {.server = &attack->wire->target->server,
                             .connections = WRITE_CONNECTIONS,
                             .context = attack,
                             .next = write_next,
                             .done = write_done};
    return http_load_run(&load);
}

static bool make_writes(struct attack *attack) {
    static char text[HTTP_REQUEST_MAX];
    uint32_t points = attack->wire->world->tenants[attack->tenant].size;
    attack->request_count = points / WIRE_BATCH_MAX;
    attack->requests = calloc(attack->request_count, sizeof(*attack->requests));
    if (attack->requests == NULL) {
        return false;
    }
    for (uint32_t n = 0; n < attack->request_count; n++) {
        struct wire_point batch[WIRE_BATCH_MAX];
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < WIRE_BATCH_MAX; i++) {
            batch[i] = (struct wire_point){.i = n * WIRE_BATCH_MAX + i, .version = 1};
        }
        struct request *request = &attack->requests[n];
        request->size =
            wire_upsert(attack->wire, attack->tenant, NULL, batch, WIRE_BATCH_MAX, text, &bytes);
        request->text = malloc(request->size);
        if (request->text == NULL) {
            return false;
        }
        memcpy(request->text, text, request->size);
    }
    return true;
}

/* ---- Slow clients ---- */

static int slow_connect(const struct attack *attack) {
    const struct sockaddr_in *address = &attack->wire->target->server.address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
        errno != EINPROGRESS) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* One after the other sends its next byte; one that the server has closed comes again. */
static bool run_slow(struct attack *attack) {
    static const char head[] = "POST /collections/" WIRE_COLLECTION "/points/query HTTP/1.1\r\n"
                               "Host: slow\r\nContent-Type: application/json\r\n";
    int fds[SLOW_CLIENTS];
    size_t at[SLOW_CLIENTS] = {0};
    memset(fds, -1, sizeof(fds));
    for (uint64_t turn = 0; bench_now_ns() < attack->end_ns; turn++) {
        uint32_t i = (uint32_t)(turn % SLOW_CLIENTS);
        if (fds[i] < 0) {
            fds[i] = slow_connect(attack);
            at[i] = 0;
        } else if (send(fds[i], head + at[i] % (sizeof(head) - 1), 1, MSG_NOSIGNAL) == 1) {
            at[i]++;
            attack->counts.answered++;
        } else if (errno != EAGAIN) {
            (void)close(fds[i]);
            fds[i] = -1;
            attack->counts.refused++;
            attack->counts.told++; /* a closed connection says enough */
        }
        bench_sleep(SLOW_GAP_S);
    }
    for (uint32_t i = 0; i < SLOW_CLIENTS; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    return true;
}

/* ---- The process ---- */

static bool prepare(struct attack *attack) {
    attack->random = random_of(attack->wire->world->seed, BENCH_ARRIVAL, attack->tenant,
                               (uint64_t)attack->kind << 32);
    attack->ops = calloc(SEARCH_CONNECTIONS, sizeof(*attack->ops));
    return attack->ops != NULL && (!aggressor_writes(attack->kind) || make_writes(attack));
}

static bool run(struct attack *attack) {
    if (attack->kind == AGGRESSOR_SLOW) {
        return run_slow(attack);
    }
    return aggressor_writes(attack->kind) ? run_writes(attack) : run_searches(attack);
}

/* Reads the end of a turn, runs it, says what became of it. */
static void become_aggressor(struct attack *attack, int fd) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    attack->counts.ready = prepare(attack);
    while (send(fd, &attack->counts, sizeof(attack->counts), MSG_NOSIGNAL) ==
               (ssize_t)sizeof(attack->counts) &&
           recv(fd, &attack->end_ns, sizeof(attack->end_ns), 0) ==
               (ssize_t)sizeof(attack->end_ns)) {
        uint64_t start_ns = bench_now_ns();
        attack->counts = (struct aggressor_counts){0};
        attack->counts.ready = run(attack);
        attack->counts.seconds = bench_seconds_since(start_ns);
    }
    _exit(0); /* what it allocated goes with it */
}

/* ---- The parent's side ---- */

/* A tenant of `churn` that is new, with as many points as the kind writes. */
static bool make_tenant(struct aggressor *aggressor, const struct wire *wire) {
    static char request[HTTP_REQUEST_MAX];
    struct world *world = wire->world;
    uint32_t slot = (uint32_t)aggressor->kind * 2; /* even: its ids are numbers */
    aggressor->tenant = (world->tenant_count + 1) / 2 * 2 + slot;
    uint32_t points = aggressor->kind == AGGRESSOR_CREATE ? CREATE_POINTS : UPSERT_POINTS;
    world->tenants[aggressor->tenant].size =
        strcmp(world->scale->name, "tiny") == 0 ? points / TINY_SHARE : points;
    (void)snprintf(world->names[aggressor->tenant], NAME_BYTES, "a%08x",
                   (unsigned)(uint32_t)bench_hash(world->seed, BENCH_CHURN, aggressor->tenant, 1));
    size_t size = wire_make_tenant(wire, world->names[aggressor->tenant], request);
    int status = size == 0 ? 200 : wire_ask(wire, request, size, NULL, 0);
    if (status != 200) {
        (void)bench_fail("cannot make the aggressor's tenant: %d", status);
    }
    return status == 200;
}

bool aggressor_clean(const struct aggressor *aggressor, const struct wire *wire) {
    static char request[HTTP_REQUEST_MAX];
    if (!aggressor_writes(aggressor->kind)) {
        return true;
    }
    size_t size = wire_drop_tenant(wire, wire->world->names[aggressor->tenant], request);
    int status = wire_ask(wire, request, size, NULL, 0);
    if (status != 200) {
        (void)bench_fail("cannot remove the aggressor's points: %d", status);
    }
    return status == 200;
}

static bool receive(const struct aggressor *aggressor, struct aggressor_counts *out_counts) {
    if (recv(aggressor->fd, out_counts, sizeof(*out_counts), 0) != (ssize_t)sizeof(*out_counts) ||
        !out_counts->ready) {
        (void)bench_fail("the aggressor (%s) failed", aggressor_text(aggressor->kind));
        return false;
    }
    return true;
}

bool aggressor_open(struct aggressor *aggressor, const struct wire *wire,
                    enum aggressor_kind kind) {
    struct aggressor_counts ready;
    int fds[2];
    *aggressor = (struct aggressor){.kind = kind, .fd = -1};
    if (aggressor_writes(kind) && !make_tenant(aggressor, wire)) {
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        (void)bench_fail("no socket for the aggressor: %s", strerror(errno));
        return false;
    }
    aggressor->process = fork();
    if (aggressor->process == 0) {
        struct attack attack = {.wire = wire, .kind = kind, .tenant = aggressor->tenant};
        (void)close(fds[0]);
        become_aggressor(&attack, fds[1]);
    }
    (void)close(fds[1]);
    aggressor->fd = fds[0];
    if (aggressor->process < 0) {
        (void)bench_fail("cannot start the aggressor: %s", strerror(errno));
        return false;
    }
    return receive(aggressor, &ready);
}

void aggressor_close(struct aggressor *aggressor) {
    if (aggressor->process > 0) {
        (void)close(aggressor->fd);
        (void)kill(aggressor->process, SIGKILL);
        (void)waitpid(aggressor->process, NULL, 0);
    }
    aggressor->process = 0;
    aggressor->fd = -1;
}

bool aggressor_begin(const struct aggressor *aggressor, uint64_t end_ns) {
    if (send(aggressor->fd, &end_ns, sizeof(end_ns), MSG_NOSIGNAL) != (ssize_t)sizeof(end_ns)) {
        (void)bench_fail("the aggressor (%s) has ended", aggressor_text(aggressor->kind));
        return false;
    }
    return true;
}

bool aggressor_end(const struct aggressor *aggressor, struct aggressor_counts *out_counts) {
    return receive(aggressor, out_counts);
}
