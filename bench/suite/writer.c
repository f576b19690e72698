#include "writer.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MEAN (0.5 + 0.5 * 6.0) /* of a request: 1, or 2 to 10 */
#define READ_BACK_SHARE 0.01
#define TRIES 20u /* to find a live point of a tenant that is not being written */

enum write_kind { WRITE_OVER, WRITE_NEW, WRITE_DELETE, READ_BACK };

/* ---- What to write ---- */

static uint32_t draw_tenant(struct writer *writer) {
    uint32_t low = 0, high = writer->world->tenant_count - 1;
    double wanted = random_unit(&writer->random) * writer->cumulative[high];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (writer->cumulative[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A live point that nobody else is writing; false after some tries. */
static bool draw_point(struct writer *writer, const struct tenant *tenant, uint32_t *out_i) {
    for (uint32_t tries = 0; tries < TRIES && tenant->count > 0; tries++) {
        *out_i = (uint32_t)(random_next(&writer->random) % tenant->count);
        if ((tenant->versions[*out_i] & (VERSION_GONE | VERSION_BUSY)) == 0) {
            return true;
        }
    }
    return false;
}

static void mark(struct writer *writer, struct op *op, uint32_t i, uint16_t after) {
    struct tenant *tenant = &writer->world->tenants[op->tenant];
    op->writes[op->count] =
        answers_write_begin(writer->answers, writer->requests, op->tenant, i, tenant->versions[i]);
    op->points[op->count] = (struct wire_point){.i = i, .version = after & VERSION_MASK};
    op->count++;
    tenant->versions[i] = after | VERSION_BUSY;
}

static void choose_points(struct writer *writer, struct op *op, uint32_t wanted) {
    struct tenant *tenant = &writer->world->tenants[op->tenant];
    uint32_t i;
    for (uint32_t n = 0; n < wanted && op->kind != WRITE_NEW; n++) {
        if (draw_point(writer, tenant, &i)) {
            uint16_t version = tenant->versions[i];
            bool deletes = op->kind == WRITE_DELETE;
            mark(writer, op, i,
                 deletes ? version | VERSION_GONE : (uint16_t)((version % VERSION_MASK) + 1));
        }
    }
    if (op->count > 0) {
        return;
    }
    op->kind = WRITE_NEW; /* also where there is nothing to overwrite or delete */
    for (uint32_t n = 0; n < wanted; n++) {
        i = tenant->count;
        tenant_grow(tenant, i + 1);
        mark(writer, op, i, 1);
    }
}

/* ---- The source ---- */

static uint64_t writer_due(struct source *source) {
    const struct writer *writer = source->context;
    return writer->next_ns >= writer->end_ns ? HTTP_NEVER : writer->next_ns;
}

static void kill_in_time(struct writer *writer) {
    if (writer->kill_ns != 0 && bench_now_ns() >= writer->kill_ns && writer->kill_pid > 0) {
        (void)kill(writer->kill_pid, SIGKILL);
        writer->kill_ns = 0;
    }
}

static size_t writer_make(struct source *source, struct op *op, char *out) {
    struct writer *writer = source->context;
    double kind = random_unit(&writer->random);
    uint32_t wanted = 1;
    kill_in_time(writer);
    writer->next_ns +=
        (uint64_t)(random_exponential(&writer->random, writer->mean_gap_s) * (double)BENCH_NS);
    writer->requests++;
    op->tenant = draw_tenant(writer);
    op->kind = kind <= 0.7 ? WRITE_OVER : kind <= 0.9 ? WRITE_NEW : WRITE_DELETE;
    if (random_unit(&writer->random) > 0.5) {
        wanted = 2 + (uint32_t)(random_next(&writer->random) % 9);
    }
    choose_points(writer, op, wanted);
    if (op->kind == WRITE_DELETE) {
        return wire_delete(writer->wire, op->tenant, op->points, op->count, out);
    }
    return wire_upsert(writer->wire, op->tenant, NULL, op->points, op->count, out, &op->bytes);
}

static void count_good(struct writer *writer, struct op *op, const struct http_answer *answer) {
    struct tenant *tenant = &writer->world->tenants[op->tenant];
    for (uint32_t n = 0; n < op->count; n++) {
        tenant->versions[op->points[n].i] &= (uint16_t)~VERSION_BUSY;
        answers_write_end(writer->answers, op->writes[n]);
    }
    writer->points += op->count;
    writer->overwritten += op->kind == WRITE_OVER ? op->count : 0;
    writer->made += op->kind == WRITE_NEW ? op->count : 0;
    writer->deleted += op->kind == WRITE_DELETE ? op->count : 0;
    writer->bytes += op->bytes;
    latency_add(writer->latency, answer->latency_ns);
    latency_add(writer->second, answer->latency_ns);
}

/* A refused write has changed nothing. */
static void undo(struct writer *writer, const struct op *op) {
    struct tenant *tenant = &writer->world->tenants[op->tenant];
    for (uint32_t n = 0; n < op->count; n++) {
        tenant->versions[op->points[n].i] =
            writer->answers->recent[op->writes[n] % RECENT_WRITES].before;
        answers_write_end(writer->answers, op->writes[n]);
    }
}

/* The write that was acknowledged just now must be seen: as the first hit, or not at all. */
static void check_read_back(struct writer *writer, const struct op *op,
                            const struct http_answer *answer) {
    const struct tenant *tenant = &writer->world->tenants[op->tenant];
    struct hits hits;
    uint32_t i = op->points[0].i;
    uint16_t version = tenant->versions[i];
    bool good = answers_check(writer->answers, &op->query, answer, &hits);
    if ((version & VERSION_BUSY) != 0 || (version & VERSION_MASK) != op->points[0].version) {
        return; /* written again meanwhile */
    }
    writer->read_back++;
    if ((version & VERSION_GONE) == 0) {
        good = good && hits.count > 0 && hits.first_i == i;
    } /* a deleted one among the hits fails the check of answers */
    writer->read_back_wrong += !good;
}

static void writer_done(struct source *source, struct op *op, const struct http_answer *answer) {
    struct writer *writer = source->context;
    if (op->kind == READ_BACK) {
        if (answer->status == 200) {
            check_read_back(writer, op, answer);
        }
    } else if (answer->status == 200) {
        count_good(writer, op, answer);
    } else if (answer->status == 429) {
        writer->refused++;
        undo(writer, op);
    } else { /* it may be stored or not: the points stay busy */
        writer->failed++;
    }
    op->bytes = answer->status == 200 ? 0 : UINT64_MAX; /* for writer_follow: it went well */
}

static size_t writer_follow(struct source *source, struct op *op, char *out) {
    struct writer *writer = source->context;
    if (op->kind == READ_BACK || op->bytes != 0 || random_unit(&writer->random) > READ_BACK_SHARE) {
        return 0;
    }
    op->kind = READ_BACK;
    op->query = (struct wire_query){.tenant = op->tenant, .vector = op->vector, .limit = 10};
    world_vector(writer->world, op->tenant, op->points[0].i, op->points[0].version, op->vector);
    return wire_query(writer->wire, &op->query, out);
}

/* ---- Open ---- */

bool writer_open(struct writer *writer, const struct wire *wire, struct answers *answers,
                 uint64_t number, uint64_t start_ns, uint64_t end_ns) {
    uint32_t count = wire->world->tenant_count;
    *writer = (struct writer){
        .source = {.context = writer,
                   .due = writer_due,
                   .make = writer_make,
                   .done = writer_done,
                   .follow = writer_follow},
        .world = wire->world,
        .wire = wire,
        .answers = answers,
        .cumulative = calloc(count, sizeof(double)),
        .random = random_of(wire->world->seed, BENCH_WRITE, 0, number),
        .next_ns = start_ns,
        .end_ns = end_ns,
        .mean_gap_s = POINTS_MEAN / STORM_POINTS_PER_S,
        .begin_number = answers->recent_count,
        .latency = calloc(2, sizeof(struct latency)),
    };
    if (writer->cumulative == NULL || writer->latency == NULL) {
        (void)bench_fail("no memory for the writes of %u tenants", count);
        writer_close(writer);
        return false;
    }
    writer->second = writer->latency + 1;
    double sum = 0.0;
    for (uint32_t t = 0; t < count; t++) {
        sum += sqrt(wire->world->tenants[t].share);
        writer->cumulative[t] = sum;
    }
    return true;
}

void writer_close(struct writer *writer) {
    free(writer->cumulative);
    free(writer->latency);
    *writer = (struct writer){0};
}
