#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* WORKLOADS 1; `tiny` is for the tests of the program itself. */
static const struct scale scales[] = {
    {"tiny", 40, 1500.0, 16.0, 400, 50.0, 0.2, 1.0, 1.0, 3.0},
    {"S", 500, 25143.9, 200.0, 10000, 100.0, 10.0, 20.0, 20.0, 60.0},
    {"M", 5000, 185064.2, 2000.0, 100000, 500.0, 60.0, 300.0, 300.0, 600.0},
    {"L", 50000, 1543869.8, 20000.0, 1000000, 1000.0, 60.0, 300.0, 300.0, 600.0},
};

const struct scale *scale_find(const char *name) {
    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
        if (strcmp(scales[i].name, name) == 0) {
            return &scales[i];
        }
    }
    return NULL;
}

uint32_t size_class(uint32_t size) {
    uint32_t class = 0;
    for (uint64_t limit = 10; class + 1 < SIZE_CLASSES && size > limit; limit *= 10) {
        class ++;
    }
    return class;
}

const char *size_class_text(uint32_t class) {
    static const char *const texts[SIZE_CLASSES] = {"1-10",   "11-100",   "101-1k",
                                                    "1k-10k", "10k-100k", "above 100k"};
    INS_ASSERT(class < SIZE_CLASSES);
    return texts[class];
}

/* ---- Tenants ---- */

static uint32_t tenant_size(const struct scale *scale, uint32_t rank) {
    double r = (double)rank;
    double size = floor(scale->c * pow(r, -1.1) / (1.0 + pow(r / scale->r0, 2.4)));
    return size < 1.0 ? 1 : size > (double)scale->cap ? scale->cap : (uint32_t)size;
}

struct score {
    double value;
    uint32_t tenant;
};

static int order_scores(const void *left, const void *right) {
    const struct score *a = left, *b = right;
    return (a->value < b->value) - (a->value > b->value);
}

/* WORKLOADS 4: rank by sqrt(size) * lognormal, then rate of rank p as p^-0.99. */
static bool make_popularity(struct world *world) {
    INS_ASSERT(world->tenant_count > 0);
    struct score *scores = calloc(world->tenant_count, sizeof(*scores));
    if (scores == NULL) {
        return false;
    }
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        struct random random = random_of(world->seed, BENCH_POPULARITY, t, 0);
        scores[t].value =
            sqrt((double)world->tenants[t].size) * random_lognormal(&random, 1.0, 1.5);
        scores[t].tenant = t;
    }
    qsort(scores, world->tenant_count, sizeof(*scores), order_scores);
    double sum = 0.0;
    for (uint32_t p = 0; p < world->tenant_count; p++) {
        sum += pow((double)p + 1.0, -0.99);
    }
    for (uint32_t p = 0; p < world->tenant_count; p++) {
        struct tenant *tenant = &world->tenants[scores[p].tenant];
        tenant->popularity = p;
        tenant->share = pow((double)p + 1.0, -0.99) / sum;
    }
    free(scores);
    return true;
}

static bool make_tenants(struct world *world) {
    world->tenant_count = world->scale->tenants;
    size_t slots = (size_t)world->tenant_count + CHURN_SLOTS;
    world->tenants = calloc(slots, sizeof(*world->tenants));
    world->names = calloc(slots, sizeof(*world->names));
    if (world->tenants == NULL || world->names == NULL) {
        return false;
    }
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        world->tenants[t].size = tenant_size(world->scale, t + 1);
        world->point_count += world->tenants[t].size;
        uint64_t hash = bench_hash(world->seed, BENCH_NAME, t, 0);
        (void)snprintf(world->names[t], NAME_BYTES, "t%08" PRIx32, (uint32_t)hash);
    }
    return make_popularity(world);
}

/* ---- Titles ---- */

#define TITLE_BYTES_MAX 200u

/* The text between "title":" and its closing quote, escapes kept. */
static char *title_of(const char *line) {
    static const char key[] = "\"title\":\"";
    const char *from = strstr(line, key);
    size_t size = 0;
    if (from == NULL) {
        return strdup("");
    }
    from += sizeof(key) - 1;
    while (from[size] != '\0' && from[size] != '"' && size < TITLE_BYTES_MAX) {
        size += from[size] == '\\' && from[size + 1] != '\0' ? 2 : 1;
    }
    return from[size] == '"' ? strndup(from, size) : strdup(""); /* no half character */
}

static bool read_titles(struct world *world, const char *sample) {
    const char *slash = strrchr(sample, '/');
    int folder = slash == NULL ? 0 : (int)(slash - sample) + 1;
    char path[512], *line = NULL;
    size_t capacity = 0;
    (void)snprintf(path, sizeof(path), "%.*ssample.jsonl", folder, sample);
    FILE *file = fopen(path, "re");
    world->titles = calloc(world->vectors.count, sizeof(*world->titles));
    bool good = file != NULL && world->titles != NULL;
    for (uint32_t row = 0; good && row < world->vectors.count; row++) {
        good = getline(&line, &capacity, file) > 0;
        world->titles[row] = good ? title_of(line) : NULL;
        good = world->titles[row] != NULL;
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    if (!good) {
        (void)bench_fail("%s has not a line for each vector of the sample", path);
    }
    return good;
}

/* ---- Open, close ---- */

static void make_zipf(double *cumulative, uint32_t count) {
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        sum += 1.0 / (double)(i + 1);
        cumulative[i] = sum;
    }
    for (uint32_t i = 0; i < count; i++) {
        cumulative[i] /= sum;
    }
}

#define HARMONIC 4096u
#define LAZY_POINTS 20000u /* so few need only some seeds' neighbours */

static bool make_harmonic(struct world *world) {
    world->harmonic = calloc(HARMONIC, sizeof(*world->harmonic));
    for (uint32_t i = 1; world->harmonic != NULL && i < HARMONIC; i++) {
        world->harmonic[i] = world->harmonic[i - 1] + 1.0 / (double)i;
    }
    return world->harmonic != NULL;
}

bool world_open(struct world *world, const struct bench_options *options) {
    *world = (struct world){
        .scale = scale_find(options->scale), .style = options->style, .seed = options->seed};
    INS_ASSERT(world->scale != NULL); /* main has looked */
    make_zipf(world->kinds, KINDS);
    make_zipf(world->tags, TAGS);
    if (!make_tenants(world) || !make_harmonic(world)) {
        (void)bench_fail("no memory for %u tenants", world->tenant_count);
        world_close(world);
        return false;
    }
    if (!vectors_open(&world->vectors, options->sample, true) ||
        !read_titles(world, options->sample)) {
        world_close(world);
        return false;
    }
    for (uint32_t row = 0; row < world->vectors.count && world->point_count > LAZY_POINTS; row++) {
        (void)vectors_near(&world->vectors, row); /* not while the server is measured */
    }
    return true;
}

void world_close(struct world *world) {
    for (uint32_t t = 0; world->tenants != NULL && t < world->tenant_count + CHURN_SLOTS; t++) {
        free(world->tenants[t].versions);
    }
    for (uint32_t row = 0; world->titles != NULL && row < world->vectors.count; row++) {
        free(world->titles[row]);
    }
    free(world->tenants);
    free(world->names);
    free(world->titles);
    free(world->harmonic);
    vectors_close(&world->vectors);
    *world = (struct world){0};
}

/* ---- What is stored ---- */

void tenant_grow(struct tenant *tenant, uint32_t count) {
    if (count > tenant->capacity) {
        uint32_t capacity = tenant->capacity == 0 ? tenant->size : tenant->capacity * 2;
        capacity = capacity < count ? count : capacity;
        uint16_t *versions = realloc(tenant->versions, capacity * sizeof(*versions));
        INS_ASSERT(versions != NULL); /* two bytes a point */
        tenant->versions = versions;
        tenant->capacity = capacity;
    }
    for (; tenant->count < count; tenant->count++) {
        tenant->versions[tenant->count] = VERSION_GONE;
    }
}

uint32_t tenant_live(const struct tenant *tenant) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < tenant->count; i++) {
        live += (tenant->versions[i] & VERSION_GONE) == 0;
    }
    return live;
}

uint64_t world_live(const struct world *world) {
    uint64_t live = 0;
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        live += tenant_live(&world->tenants[t]);
    }
    return live;
}

void world_reset(struct world *world) {
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        world->tenants[t].count = 0;
        world->tenants[t].last_query_ns = 0;
        world->tenants[t].made = false;
    }
}

#define STATE_MAGIC 0x31646c726f77ull /* "world1" */

static bool save_tenants(const struct world *world, FILE *file) {
    uint64_t head[4] = {STATE_MAGIC, world->seed, world->tenant_count, (uint64_t)world->style};
    bool good = fwrite(head, sizeof(head), 1, file) == 1;
    for (uint32_t t = 0; good && t < world->tenant_count; t++) {
        const struct tenant *tenant = &world->tenants[t];
        good = fwrite(&tenant->count, sizeof(tenant->count), 1, file) == 1 &&
               (tenant->count == 0 ||
                fwrite(tenant->versions, sizeof(uint16_t), tenant->count, file) == tenant->count);
    }
    return good;
}

bool world_save(const struct world *world, const char *path) {
    char beside[600];
    (void)snprintf(beside, sizeof(beside), "%s.new", path);
    FILE *file = fopen(beside, "wbe");
    bool good = file != NULL && save_tenants(world, file);
    good = (file == NULL || fclose(file) == 0) && good && rename(beside, path) == 0;
    if (!good) {
        (void)bench_fail("cannot write %s: %s", path, strerror(errno));
    }
    return good;
}

static bool load_tenants(struct world *world, FILE *file) {
    uint64_t head[4];
    if (fread(head, sizeof(head), 1, file) != 1 || head[0] != STATE_MAGIC ||
        head[1] != world->seed || head[2] != world->tenant_count ||
        head[3] != (uint64_t)world->style) {
        return false;
    }
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        struct tenant *tenant = &world->tenants[t];
        uint32_t count = 0;
        if (fread(&count, sizeof(count), 1, file) != 1 || count > 100000000u) {
            return false;
        }
        tenant_grow(tenant, count);
        if (count > 0 && fread(tenant->versions, sizeof(uint16_t), count, file) != count) {
            return false;
        }
        tenant->made = count > 0;
    }
    return true;
}

bool world_load(struct world *world, const char *path) {
    FILE *file = fopen(path, "rbe");
    world_reset(world);
    bool good = file != NULL && load_tenants(world, file);
    if (file != NULL) {
        (void)fclose(file);
    }
    if (!good) {
        (void)bench_fail("%s is of another seed, scale or style", path);
    }
    return good;
}
