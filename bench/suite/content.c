/* What points and queries are made of: topics, vectors, payloads, conditions (WORKLOADS 2, 3). */
#include <math.h>
#include <string.h>

#include "world.h"

/* ---- Topics ---- */

#define HARMONIC_LAST 4095u
#define EULER 0.57721566490153286

static double harmonic(const struct world *world, double count) {
    return count <= (double)HARMONIC_LAST ? world->harmonic[(size_t)count]
                                          : log(count) + EULER + 0.5 / count;
}

static uint32_t topic_count(const struct world *world, uint32_t tenant) {
    return (world->tenants[tenant].size + 1) / 2;
}

/* Topic j with weight 1/(1+j): the place where the harmonic sum passes a random share of it. */
static uint32_t topic_draw(const struct world *world, uint32_t tenant, struct random *random) {
    uint32_t count = topic_count(world, tenant);
    double wanted = random_unit(random) * harmonic(world, (double)count);
    uint32_t low = 0, high = count; /* harmonic(low) < wanted <= harmonic(high) */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (harmonic(world, (double)middle) < wanted) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Steps to random neighbours; their number is geometric with the given mean. */
static uint32_t walk(struct world *world, uint32_t row, double mean, struct random *random) {
    uint32_t steps = (uint32_t)(log(random_unit(random)) / log(mean / (1.0 + mean)));
    for (uint32_t i = 0; i < steps; i++) {
        row = vectors_near(&world->vectors, row)[random_next(random) % NEIGHBOURS];
    }
    return row;
}

static uint32_t topic_row(struct world *world, uint32_t tenant, uint32_t topic) {
    uint32_t rows = world->vectors.count;
    struct random random = random_of(world->seed, BENCH_TOPIC, tenant, topic);
    uint32_t home = (uint32_t)(bench_hash(world->seed, BENCH_TOPIC, tenant, UINT64_MAX) % rows);
    if (topic == 0 || random_unit(&random) < 0.6) {
        return walk(world, home, 5.0, &random);
    }
    return (uint32_t)(random_next(&random) % rows);
}

struct drawn {
    uint32_t topic, row;
    struct random random; /* goes on */
};

static struct drawn point_draw(struct world *world, uint32_t tenant, uint32_t i, uint32_t version) {
    struct drawn drawn = {
        .random = random_of(world->seed, BENCH_VECTOR, tenant, (uint64_t)version << 32 | i)};
    drawn.topic = topic_draw(world, tenant, &drawn.random);
    drawn.row = walk(world, topic_row(world, tenant, drawn.topic), 2.0, &drawn.random);
    return drawn;
}

/* ---- Vectors ---- */

void world_vector(struct world *world, uint32_t tenant, uint32_t i, uint32_t version, float *out) {
    struct drawn drawn = point_draw(world, tenant, i, version);
    vectors_make(&world->vectors, drawn.row, &drawn.random, out);
}

void world_query(struct world *world, uint32_t tenant, uint64_t number, bool against, float *out) {
    struct random random = random_of(world->seed, BENCH_QUERY, tenant, number);
    uint32_t topic = topic_draw(world, tenant, &random);
    topic = against ? topic & ~1u : topic; /* `far` points are among the odd topics */
    uint32_t row = walk(world, topic_row(world, tenant, topic), 2.0, &random);
    vectors_make(&world->vectors, row, &random, out);
    vectors_shift(&world->vectors, &random, out);
}

/* ---- Payloads ---- */

static uint32_t zipf_draw(const double *cumulative, uint32_t count, struct random *random) {
    double wanted = random_unit(random);
    uint32_t low = 0, high = count - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (cumulative[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Share of the points that lie in odd topics. */
static double odd_share(const struct world *world, uint32_t tenant) {
    uint32_t count = topic_count(world, tenant);
    double odd = harmonic(world, floor((double)count / 2.0)) / 2.0; /* 1/2 + 1/4 + ... */
    return odd / harmonic(world, (double)count);
}

static void draw_tags(const struct world *world, struct random *random, struct fields *out) {
    uint32_t wanted = (uint32_t)(random_next(random) % (TAGS_MAX + 1));
    out->tag_count = 0;
    for (uint32_t n = 0; n < wanted; n++) {
        uint32_t tag = zipf_draw(world->tags, TAGS, random);
        bool seen = false;
        for (uint32_t j = 0; j < out->tag_count; j++) {
            seen = seen || out->tags[j] == tag;
        }
        if (!seen) {
            out->tags[out->tag_count++] = tag;
        }
    }
}

void world_fields(struct world *world, uint32_t tenant, uint32_t i, uint32_t version,
                  struct fields *out) {
    struct drawn drawn = point_draw(world, tenant, i, version);
    struct random random =
        random_of(world->seed, BENCH_PAYLOAD, tenant, (uint64_t)version << 32 | i);
    *out = (struct fields){.tenant = tenant, .i = i, .version = version, .row = drawn.row};
    out->bucket = (uint32_t)(random_next(&random) % 100);
    out->kind = zipf_draw(world->kinds, KINDS, &random);
    out->ts = 1700000000 + (int64_t)i * 60 + (int64_t)(random_next(&random) % 60);
    out->price = round(random_lognormal(&random, exp(3.0), 1.0) * 100.0) / 100.0;
    out->near = drawn.topic % 10 == 0;
    double share = odd_share(world, tenant);
    out->far = drawn.topic % 2 == 1 && random_unit(&random) * share <= 0.1;
    draw_tags(world, &random, out);
}

size_t world_payload(const struct world *world, const struct fields *fields, char *out) {
    int size = snprintf(out, WORLD_PAYLOAD_MAX,
                        "{\"tenant\":\"%s\",\"v\":%u,\"bucket\":%u,\"kind\":\"k%03u\",\"ts\":%lld,"
                        "\"price\":%.2f,\"near\":%s,\"far\":%s,\"tags\":[",
                        world->names[fields->tenant], fields->version, fields->bucket, fields->kind,
                        (long long)fields->ts, fields->price, fields->near ? "true" : "false",
                        fields->far ? "true" : "false");
    size_t at = (size_t)size;
    for (uint32_t j = 0; j < fields->tag_count; j++) {
        size = snprintf(out + at, WORLD_PAYLOAD_MAX - at, "%s\"g%03u\"", j == 0 ? "" : ",",
                        fields->tags[j]);
        at += (size_t)size;
    }
    size = snprintf(out + at, WORLD_PAYLOAD_MAX - at, "],\"text\":\"%s\"}",
                    world->titles[fields->row]);
    at += (size_t)size;
    INS_ASSERT(at < WORLD_PAYLOAD_MAX);
    return at;
}

/* ---- Conditions ---- */

struct condition condition_draw(const struct world *world, uint32_t tenant, struct random *random) {
    static const int64_t buckets[] = {1, 2, 5, 10, 20, 50};
    struct condition condition = {.kind =
                                      (enum condition_kind)(random_next(random) % CONDITION_COUNT)};
    int64_t size = (int64_t)world->tenants[tenant].size;
    switch (condition.kind) {
    case CONDITION_BUCKET:
        condition.to = buckets[random_next(random) % 6];
        break;
    case CONDITION_KIND:
        condition.from = zipf_draw(world->kinds, KINDS, random);
        break;
    case CONDITION_TS: /* a quarter of the points */
        condition.from = 1700000000 + (int64_t)(random_unit(random) * 0.75 * (double)size) * 60;
        condition.to = condition.from + (size + 3) / 4 * 60;
        break;
    case CONDITION_TAGS_ANY:
    case CONDITION_TAGS_ALL:
        condition.from = zipf_draw(world->tags, TAGS, random);
        condition.to = zipf_draw(world->tags, TAGS, random);
        break;
    case CONDITION_NEAR:
    case CONDITION_FAR:
    case CONDITION_COUNT:
        break;
    }
    return condition;
}

static bool has_tag(const struct fields *fields, int64_t tag) {
    for (uint32_t j = 0; j < fields->tag_count; j++) {
        if (fields->tags[j] == tag) {
            return true;
        }
    }
    return false;
}

bool condition_holds(const struct condition *condition, const struct fields *fields) {
    switch (condition->kind) {
    case CONDITION_BUCKET:
        return fields->bucket < condition->to;
    case CONDITION_KIND:
        return fields->kind == condition->from;
    case CONDITION_TS:
        return fields->ts >= condition->from && fields->ts < condition->to;
    case CONDITION_TAGS_ANY:
        return has_tag(fields, condition->from) || has_tag(fields, condition->to);
    case CONDITION_TAGS_ALL:
        return has_tag(fields, condition->from) && has_tag(fields, condition->to);
    case CONDITION_NEAR:
        return fields->near;
    case CONDITION_FAR:
        return fields->far;
    case CONDITION_COUNT:
        break;
    }
    return false;
}

size_t condition_text(const struct condition *condition, char *out, size_t capacity) {
    long long from = condition->from, to = condition->to;
    int size = 0;
    switch (condition->kind) {
    case CONDITION_BUCKET:
        size = snprintf(out, capacity, "{\"key\":\"bucket\",\"range\":{\"lt\":%lld}}", to);
        break;
    case CONDITION_KIND:
        size =
            snprintf(out, capacity, "{\"key\":\"kind\",\"match\":{\"value\":\"k%03lld\"}}", from);
        break;
    case CONDITION_TS:
        size = snprintf(out, capacity, "{\"key\":\"ts\",\"range\":{\"gte\":%lld,\"lt\":%lld}}",
                        from, to);
        break;
    case CONDITION_TAGS_ANY:
        size =
            snprintf(out, capacity,
                     "{\"key\":\"tags\",\"match\":{\"any\":[\"g%03lld\",\"g%03lld\"]}}", from, to);
        break;
    case CONDITION_TAGS_ALL:
        size = snprintf(out, capacity,
                        "{\"key\":\"tags\",\"match\":{\"value\":\"g%03lld\"}},"
                        "{\"key\":\"tags\",\"match\":{\"value\":\"g%03lld\"}}",
                        from, to);
        break;
    case CONDITION_NEAR:
    case CONDITION_FAR:
        size = snprintf(out, capacity, "{\"key\":\"%s\",\"match\":{\"value\":true}}",
                        condition->kind == CONDITION_NEAR ? "near" : "far");
        break;
    case CONDITION_COUNT:
        break;
    }
    INS_ASSERT((size_t)size < capacity);
    return (size_t)size;
}
