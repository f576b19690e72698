/* `churn`: tenants are made and deleted at 20/s each, a tenth of the names are used again; what the
 * process holds must not grow, and nothing of a deleted tenant may ever be returned.
 *
 * A tenant here is a slot behind those of the made world: its points are the slot's, with a version
 * of their own each time, so that a ghost shows. Its life is lognormal with a median of a tenth of
 * the run (60 s of the 10 minutes), so that makings and deletions balance in the last two thirds.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define RATE 20.0
#define ASK_RATE 10.0
#define LARGE_SHARE 0.001
#define LARGE_POINTS 10000u
#define SIZE_MAX_USUAL 200.0
#define REUSE_SHARE 0.1
#define SECONDS_MIN 3.0 /* a sample in each third */
#define RETRY_NS (BENCH_NS / 10)
#define SAMPLES_MAX 4000u

enum churn_kind { CHURN_MAKE, CHURN_FILL, CHURN_DROP, CHURN_GHOST, CHURN_ASK };
enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_LIVE, SLOT_DROPPING };

struct slot {
    enum slot_state state;
    uint32_t size, sent;
    uint16_t version; /* of all its points: how often the slot was used */
    uint64_t drop_ns; /* when it is live */
    uint64_t begin_ns;
};

struct churn {
    struct suite *suite;
    struct report *report;
    struct world *world;
    struct source makes, drops, asks;
    struct random random;
    struct slot *slots; /* [CHURN_SLOTS] */
    uint32_t slot_count;
    uint32_t *old; /* [CHURN_SLOTS]: slots whose tenant was deleted, their names free again */
    uint32_t old_count;
    uint32_t *heap; /* [CHURN_SLOTS]: live slots, first to go first */
    uint32_t heap_count;
    uint64_t make_ns, ask_ns, start_ns, end_ns;
    double life_s;
    struct target_look begun, ended;
    struct process_sample samples[SAMPLES_MAX];
    double disk[SAMPLES_MAX], live[SAMPLES_MAX];
    uint32_t sample_count;
    struct traffic traffic;
    uint64_t made, reused, dropped, asked, ghosts_asked, ghosts, retried, failed, points;
    struct latency *making, *dropping, *asking;
};

static const double ms = 1e-6;

/* ---- Live slots by the time of their end ---- */

static void heap_push(struct churn *churn, uint32_t slot) {
    uint32_t at = churn->heap_count++;
    uint64_t drop_ns = churn->slots[slot].drop_ns;
    while (at > 0 && drop_ns < churn->slots[churn->heap[(at - 1) / 2]].drop_ns) {
        churn->heap[at] = churn->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    churn->heap[at] = slot;
}

static uint32_t heap_pop(struct churn *churn) {
    uint32_t first = churn->heap[0], moved = churn->heap[--churn->heap_count], at = 0;
    while (2 * at + 1 < churn->heap_count) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < churn->heap_count && churn->slots[churn->heap[child + 1]].drop_ns <
                                                 churn->slots[churn->heap[child]].drop_ns) {
            child++;
        }
        if (churn->slots[churn->heap[child]].drop_ns >= churn->slots[moved].drop_ns) {
            break;
        }
        churn->heap[at] = churn->heap[child];
        at = child;
    }
    churn->heap[at] = moved;
    return first;
}

/* ---- Making ---- */

static uint64_t after(struct churn *churn, uint64_t from_ns, double rate) {
    return from_ns + (uint64_t)(random_exponential(&churn->random, 1.0 / rate) * (double)BENCH_NS);
}

static uint32_t tenant_of(const struct churn *churn, uint32_t slot) {
    return churn->world->tenant_count + slot;
}

/* A name of a deleted tenant, or a new one; UINT32_MAX when all are used. */
static uint32_t take_slot(struct churn *churn) {
    bool full = churn->slot_count == CHURN_SLOTS;
    if (churn->old_count > 0 && (full || random_unit(&churn->random) <= REUSE_SHARE)) {
        uint32_t at = (uint32_t)(random_next(&churn->random) % churn->old_count);
        uint32_t slot = churn->old[at];
        churn->old[at] = churn->old[--churn->old_count];
        churn->reused++;
        return slot;
    }
    return full ? UINT32_MAX : churn->slot_count++;
}

static void begin_slot(struct churn *churn, uint32_t index, uint64_t due_ns) {
    struct slot *slot = &churn->slots[index];
    struct tenant *tenant = &churn->world->tenants[tenant_of(churn, index)];
    double size = exp(random_unit(&churn->random) * log(SIZE_MAX_USUAL + 1.0));
    bool large = random_unit(&churn->random) <= LARGE_SHARE;
    slot->state = SLOT_FILLING;
    slot->size = large ? LARGE_POINTS : (uint32_t)size;
    slot->sent = 0;
    slot->version = (uint16_t)(slot->version % VERSION_MASK + 1);
    slot->begin_ns = due_ns;
    tenant->size = slot->size;
    tenant->count = 0;
    (void)snprintf(churn->world->names[tenant_of(churn, index)], NAME_BYTES, "c%08x",
                   (unsigned)(uint32_t)bench_hash(churn->world->seed, BENCH_CHURN, index, 0));
}

static size_t fill(struct churn *churn, struct op *op, char *out) {
    uint32_t index = op->tenant - churn->world->tenant_count;
    struct slot *slot = &churn->slots[index];
    struct tenant *tenant = &churn->world->tenants[op->tenant];
    struct wire_point points[WIRE_BATCH_MAX];
    uint32_t left = slot->size - slot->sent;
    uint32_t count = left < WIRE_BATCH_MAX ? left : WIRE_BATCH_MAX;
    op->kind = CHURN_FILL;
    op->count = count;
    tenant_grow(tenant, slot->sent + count);
    for (uint32_t n = 0; n < count; n++) {
        points[n] = (struct wire_point){.i = slot->sent + n, .version = slot->version};
        tenant->versions[slot->sent + n] = slot->version;
    }
    return wire_upsert(&churn->suite->wire, op->tenant, NULL, points, count, out, &op->bytes);
}

static uint64_t makes_due(struct source *source) {
    const struct churn *churn = source->context;
    bool room = churn->slot_count < CHURN_SLOTS || churn->old_count > 0;
    return churn->make_ns >= churn->end_ns || !room ? HTTP_NEVER : churn->make_ns;
}

static size_t makes_make(struct source *source, struct op *op, char *out) {
    struct churn *churn = source->context;
    uint32_t slot = take_slot(churn);
    INS_ASSERT(slot != UINT32_MAX); /* makes_due has looked */
    begin_slot(churn, slot, churn->make_ns);
    churn->make_ns = after(churn, churn->make_ns, RATE);
    op->tenant = tenant_of(churn, slot);
    size_t size = wire_make_tenant(&churn->suite->wire, churn->world->names[op->tenant], out);
    op->kind = CHURN_MAKE;
    return size > 0 ? size : fill(churn, op, out);
}

static void makes_done(struct source *source, struct op *op, const struct http_answer *answer) {
    struct churn *churn = source->context;
    struct slot *slot = &churn->slots[op->tenant - churn->world->tenant_count];
    if (answer->status == 429) {
        churn->retried++;
    } else if (answer->status != 200) {
        churn->failed++;
        slot->state = SLOT_FREE; /* never used again */
    } else if (op->kind == CHURN_FILL) {
        slot->sent += op->count;
        churn->points += op->count;
    }
    if (slot->state == SLOT_FILLING && slot->sent == slot->size) {
        uint64_t now_ns = bench_now_ns();
        double life = random_lognormal(&churn->random, churn->life_s, 1.0);
        slot->state = SLOT_LIVE;
        slot->drop_ns = now_ns + (uint64_t)(life * (double)BENCH_NS);
        heap_push(churn, op->tenant - churn->world->tenant_count);
        latency_add(churn->making, now_ns - slot->begin_ns);
        churn->made++;
    }
}

/* The next batch; a refused one again. */
static size_t makes_follow(struct source *source, struct op *op, char *out) {
    struct churn *churn = source->context;
    const struct slot *slot = &churn->slots[op->tenant - churn->world->tenant_count];
    return slot->state == SLOT_FILLING ? fill(churn, op, out) : 0;
}

/* ---- Deleting ---- */

static uint64_t drops_due(struct source *source) {
    const struct churn *churn = source->context;
    uint64_t drop_ns = churn->heap_count == 0 ? HTTP_NEVER : churn->slots[churn->heap[0]].drop_ns;
    return drop_ns >= churn->end_ns ? HTTP_NEVER : drop_ns;
}

static size_t drops_make(struct source *source, struct op *op, char *out) {
    struct churn *churn = source->context;
    uint32_t slot = heap_pop(churn);
    churn->slots[slot].state = SLOT_DROPPING;
    op->kind = CHURN_DROP;
    op->tenant = tenant_of(churn, slot);
    return wire_drop_tenant(&churn->suite->wire, churn->world->names[op->tenant], out);
}

static void ghost_done(struct churn *churn, struct op *op, const struct http_answer *answer) {
    uint32_t hits[1];
    churn->ghosts_asked++;
    op->excused = answer->status == 404; /* a collection or shard key that is gone */
    if (answer->status == 200 &&
        answers_read(&churn->suite->answers, op->tenant, answer, hits, 1) != 0) {
        churn->ghosts++;
    }
    churn->old[churn->old_count++] = op->tenant - churn->world->tenant_count;
}

static void drops_done(struct source *source, struct op *op, const struct http_answer *answer) {
    struct churn *churn = source->context;
    uint32_t index = op->tenant - churn->world->tenant_count;
    struct slot *slot = &churn->slots[index];
    if (op->kind == CHURN_GHOST) {
        ghost_done(churn, op, answer);
    } else if (answer->status == 429) {
        churn->retried++;
        slot->state = SLOT_LIVE;
        slot->drop_ns = bench_now_ns() + RETRY_NS;
        heap_push(churn, index);
    } else if (answer->status != 200) {
        churn->failed++;
    } else {
        struct tenant *tenant = &churn->world->tenants[op->tenant];
        for (uint32_t i = 0; i < tenant->count; i++) {
            tenant->versions[i] |= VERSION_GONE;
        }
        slot->state = SLOT_FREE;
        latency_add(churn->dropping, answer->latency_ns);
        churn->dropped++;
    }
}

/* Every deleted tenant is asked for once more, at once. */
static size_t drops_follow(struct source *source, struct op *op, char *out) {
    struct churn *churn = source->context;
    const struct slot *slot = &churn->slots[op->tenant - churn->world->tenant_count];
    if (op->kind != CHURN_DROP || slot->state != SLOT_FREE) {
        return 0;
    }
    op->kind = CHURN_GHOST;
    op->query = (struct wire_query){.tenant = op->tenant, .vector = op->vector, .limit = 1};
    world_vector(churn->world, op->tenant, 0, slot->version, op->vector);
    return wire_query(&churn->suite->wire, &op->query, out);
}

/* ---- Asking those that live ---- */

static uint64_t asks_due(struct source *source) {
    const struct churn *churn = source->context;
    return churn->ask_ns >= churn->end_ns ? HTTP_NEVER : churn->ask_ns;
}

static size_t asks_make(struct source *source, struct op *op, char *out) {
    struct churn *churn = source->context;
    churn->ask_ns = after(churn, churn->ask_ns, ASK_RATE);
    uint32_t at = churn->heap_count == 0
                      ? UINT32_MAX
                      : (uint32_t)(random_next(&churn->random) % churn->heap_count);
    op->kind = CHURN_ASK;
    op->tenant = at == UINT32_MAX ? 0 : tenant_of(churn, churn->heap[at]);
    op->query = (struct wire_query){.tenant = op->tenant, .vector = op->vector, .limit = 10};
    world_query(churn->world, op->tenant, churn->asked, false, op->vector);
    op->bytes = at == UINT32_MAX ? 0 : churn->slots[churn->heap[at]].version;
    return wire_query(&churn->suite->wire, &op->query, out);
}

static void asks_done(struct source *source, struct op *op, const struct http_answer *answer) {
    struct churn *churn = source->context;
    uint32_t index = op->tenant - churn->world->tenant_count;
    struct hits hits;
    op->excused = answer->status == 404; /* deleted while it was asked, or asked too late */
    bool lives = op->tenant < churn->world->tenant_count ||
                 (churn->slots[index].state == SLOT_LIVE &&
                  churn->slots[index].version == (uint16_t)op->bytes);
    if (answer->status == 200 && lives) { /* else it is being deleted: old or gone are right */
        (void)answers_check(&churn->suite->answers, &op->query, answer, &hits);
    }
    if (answer->status == 200) {
        churn->asked++;
        latency_add(churn->asking, answer->latency_ns);
    }
}

/* ---- Samples, report ---- */

static void on_tick(void *context) {
    struct churn *churn = context;
    if (churn->sample_count < SAMPLES_MAX) {
        process_read(churn->suite->target.pid, &churn->samples[churn->sample_count]);
        churn->disk[churn->sample_count] = (double)target_disk(&churn->suite->target);
        churn->live[churn->sample_count] = (double)churn->heap_count;
        churn->sample_count++;
    }
}

enum held { HELD_RESIDENT, HELD_DESCRIPTORS, HELD_THREADS, HELD_DISK, HELD_COUNT };

static double held_value(const struct churn *churn, enum held held, uint32_t i) {
    switch (held) {
    case HELD_RESIDENT:
        return (double)churn->samples[i].resident_bytes / 1048576.0;
    case HELD_DESCRIPTORS:
        return (double)(churn->samples[i].descriptors - churn->samples[i].sockets);
    case HELD_THREADS:
        return (double)churn->samples[i].threads;
    case HELD_DISK:
        return churn->disk[i] / 1048576.0;
    case HELD_COUNT:
        break;
    }
    return 0.0;
}

static double held_max(const struct churn *churn, enum held held, uint32_t third) {
    double most = 0.0;
    uint32_t from = churn->sample_count * third / 3, to = churn->sample_count * (third + 1) / 3;
    for (uint32_t i = from; i < to; i++) {
        double value = held_value(churn, held, i);
        most = value > most ? value : most;
    }
    return most;
}

/* Maximum of the last third over that of the second. */
static void report_held(const struct churn *churn) {
    static const struct {
        const char *key, *label;
    } texts[HELD_COUNT] = {{"resident", "resident MiB"},
                           {"descriptors", "descriptors but sockets"},
                           {"threads", "threads"},
                           {"disk", "MiB on disk"}};
    for (int held = 0; held < (int)HELD_COUNT; held++) {
        char key[56], label[96];
        double second = held_max(churn, (enum held)held, 1);
        double last = held_max(churn, (enum held)held, 2);
        (void)snprintf(key, sizeof(key), "%s_max", texts[held].key);
        (void)snprintf(label, sizeof(label), "%s, highest of the last third", texts[held].label);
        if (second <= 0.0) {
            report_absent(churn->report, key, label);
            continue;
        }
        report_number(churn->report, key, label, last);
        (void)snprintf(key, sizeof(key), "%s_growth", texts[held].key);
        (void)snprintf(label, sizeof(label), "gate: %s, last third over second", texts[held].label);
        report_number(churn->report, key, label, last / second);
        report_target(churn->report, "<= 1.05", last / second <= 1.05);
    }
}

static void plot(const struct churn *churn) {
    struct plot *plot = report_plot(churn->report, "What the server holds", "s", "MiB, tenants");
    struct plot_line *resident = plot_line(plot, "resident MiB"),
                     *disk = plot_line(plot, "disk MiB"), *live = plot_line(plot, "live tenants");
    for (uint32_t i = 0; i < churn->sample_count; i++) {
        plot_point(resident, (double)i, held_value(churn, HELD_RESIDENT, i));
        plot_point(disk, (double)i, held_value(churn, HELD_DISK, i));
        plot_point(live, (double)i, churn->live[i]);
    }
}

static void report_all(struct churn *churn, double seconds) {
    struct report *report = churn->report;
    report_number(report, "seconds", "seconds", seconds);
    report_number(report, "life_s", "median life of a tenant, s", churn->life_s);
    report_number(report, "made_per_s", "tenants made/s, with their points",
                  (double)churn->made / seconds);
    report_number(report, "dropped_per_s", "tenants deleted/s", (double)churn->dropped / seconds);
    report_number(report, "reused", "names used again", (double)churn->reused);
    report_number(report, "points_written", "points written", (double)churn->points);
    report_number(report, "churn_failed", "requests that failed", (double)churn->failed);
    report_target(report, "0", churn->failed == 0);
    report_number(report, "retried", "requests refused for now and sent again",
                  (double)churn->retried);
    report_number(report, "make_p50_ms", "make and fill a tenant: p50, ms",
                  (double)latency_quantile(churn->making, 0.5) * ms);
    report_number(report, "make_p99_ms", "make and fill a tenant: p99, ms",
                  (double)latency_quantile(churn->making, 0.99) * ms);
    report_number(report, "drop_p50_ms", "delete a tenant: p50, ms",
                  (double)latency_quantile(churn->dropping, 0.5) * ms);
    report_number(report, "drop_p99_ms", "delete a tenant: p99, ms",
                  (double)latency_quantile(churn->dropping, 0.99) * ms);
    report_number(report, "ask_p99_ms", "search a tenant that lives: p99, ms",
                  (double)latency_quantile(churn->asking, 0.99) * ms);
    report_number(report, "ghosts_asked", "deleted tenants asked for", (double)churn->ghosts_asked);
    report_number(report, "ghosts", "deleted tenants that answered with a point",
                  (double)churn->ghosts);
    report_target(report, "0", churn->ghosts == 0);
    report_held(churn);
    traffic_report(&churn->traffic, report);
    answers_report(&churn->suite->answers, report);
    target_report(report, &churn->begun, &churn->ended);
    plot(churn);
}

/* Those that still live, so that the run leaves the made world as it was. */
static bool drop_rest(struct churn *churn) {
    char *request = malloc(HTTP_REQUEST_MAX), answer[400] = "";
    bool good = request != NULL;
    for (uint32_t slot = 0; good && slot < churn->slot_count; slot++) {
        if (churn->slots[slot].state == SLOT_FREE) {
            continue;
        }
        int status = 429;
        const char *name = churn->world->names[tenant_of(churn, slot)];
        for (int tries = 0; tries < 50 && status == 429; tries++) {
            size_t size = wire_drop_tenant(&churn->suite->wire, name, request);
            status = wire_ask(&churn->suite->wire, request, size, answer, sizeof(answer));
            bench_sleep(status == 429 ? 0.1 : 0.0);
        }
        good = status == 200;
    }
    free(request);
    if (!good) {
        (void)bench_fail("churn: cannot delete what is left: %s", answer);
    }
    return good;
}

static bool churn_open(struct churn *churn) {
    churn->slots = calloc(CHURN_SLOTS, sizeof(*churn->slots));
    churn->old = calloc(2 * (size_t)CHURN_SLOTS, sizeof(*churn->old));
    churn->making = calloc(3, sizeof(*churn->making));
    if (churn->slots == NULL || churn->old == NULL || churn->making == NULL) {
        (void)bench_fail("no memory");
        return false;
    }
    churn->heap = churn->old + CHURN_SLOTS;
    churn->dropping = churn->making + 1;
    churn->asking = churn->making + 2;
    churn->makes = (struct source){.context = churn,
                                   .due = makes_due,
                                   .make = makes_make,
                                   .done = makes_done,
                                   .follow = makes_follow};
    churn->drops = (struct source){.context = churn,
                                   .due = drops_due,
                                   .make = drops_make,
                                   .done = drops_done,
                                   .follow = drops_follow};
    churn->asks =
        (struct source){.context = churn, .due = asks_due, .make = asks_make, .done = asks_done};
    return true;
}

static bool measure(struct churn *churn) {
    struct suite *suite = churn->suite;
    double seconds = suite_seconds(suite, suite->world.scale->churn_s);
    seconds = seconds < SECONDS_MIN ? SECONDS_MIN : seconds;
    churn->life_s = seconds / 10.0;
    churn->random = random_of(suite->world.seed, BENCH_CHURN, 0, 1);
    target_look(&suite->target, &churn->begun);
    churn->start_ns = bench_now_ns();
    churn->end_ns = churn->start_ns + (uint64_t)(seconds * (double)BENCH_NS);
    churn->make_ns = after(churn, churn->start_ns, RATE);
    churn->ask_ns = after(churn, churn->start_ns, ASK_RATE);
    churn->traffic = (struct traffic){.wire = &suite->wire,
                                      .sources = {&churn->makes, &churn->drops, &churn->asks},
                                      .source_count = 3,
                                      .tick = on_tick,
                                      .tick_context = churn,
                                      .what = "churn",
                                      .start_ns = churn->start_ns,
                                      .end_ns = churn->end_ns};
    if (!traffic_run(&churn->traffic)) {
        return false;
    }
    target_look(&suite->target, &churn->ended);
    report_all(churn, seconds);
    return drop_rest(churn);
}

bool workload_churn(struct suite *suite, struct report *report) {
    struct churn *churn = calloc(1, sizeof(*churn));
    bool good = churn != NULL;
    if (good) {
        churn->suite = suite;
        churn->report = report;
        churn->world = &suite->world;
        good = churn_open(churn) && measure(churn);
        free(churn->slots);
        free(churn->old);
        free(churn->making);
    }
    free(churn);
    return good;
}
