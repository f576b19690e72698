/* Data directories for the second reader (tests/tools): random lives as in insula_sim, each ended
 * in its own way and written out byte for byte as the directory store would have left it; beside it
 * what the engine answers after its recovery.
 *
 *   make_directories FOLDER SEED COUNT
 *
 * FOLDER/<seed>/data: the directory. FOLDER/<seed>/points: a line a point, sorted by nobody:
 * collection, id, version, vectors (name=hex), payload, with tabs between them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/id.h"
#include "sim.h"
#include "store/store.h"

#define SLOT_BYTES ((2u << 20) + 4096u) /* of a cell: docs/FORMATS.md */
#define PATH_MAX_BYTES 512

struct export {
    struct sim *sim;
    char folder[256]; /* of one life */
};

static void make_folder(const struct sim *sim, const char *path) {
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        sim_fail(sim, "cannot make %s: %s", path, strerror(errno));
    }
}

/* ---- The store as files ---- */

/* Where a raw name's bytes stand in a directory. */
static uint64_t place_of(const char *raw_name, const char folder[256], char path[PATH_MAX_BYTES]) {
    char name[128];
    unsigned slot;
    unsigned long long file_id;
    if (sscanf(raw_name, "cell:%127[^:]:%u", name, &slot) == 2) {
        (void)snprintf(path, PATH_MAX_BYTES, "%s/data/cells/%s", folder, name);
        return (uint64_t)slot * SLOT_BYTES;
    }
    if (sscanf(raw_name, "log:%llu", &file_id) == 1) {
        (void)snprintf(path, PATH_MAX_BYTES, "%s/data/log/%016llx.log", folder, file_id);
        return 0;
    }
    int size = snprintf(path, PATH_MAX_BYTES, "%s/data/objects/", folder);
    (void)snprintf(path + size, PATH_MAX_BYTES - (size_t)size, "%s", raw_name);
    char *slash = strchr(path + size, '/');
    if (slash != NULL) {
        *slash = '+';
    }
    return 0;
}

struct names {
    char (*all)[128];
    uint64_t *sizes;
    uint32_t count, capacity;
};

static void note_name(void *context, const char *name, uint64_t size) {
    struct names *names = context;
    if (names->count == names->capacity) {
        names->capacity = names->capacity * 2 + 64;
        names->all = realloc(names->all, names->capacity * sizeof(*names->all));
        names->sizes = realloc(names->sizes, names->capacity * sizeof(*names->sizes));
        if (names->all == NULL || names->sizes == NULL) {
            abort();
        }
    }
    (void)snprintf(names->all[names->count], sizeof(names->all[0]), "%s", name);
    names->sizes[names->count++] = size;
}

static void export_one(const struct export *export, const char *name, uint64_t size) {
    char path[PATH_MAX_BYTES];
    uint64_t at = place_of(name, export->folder, path);
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL || !store_memory_read_raw(export->sim->store, name, 0, bytes, size)) {
        sim_fail(export->sim, "cannot read %s", name);
    }
    FILE *file = fopen(path, "r+be");
    file = file != NULL ? file : fopen(path, "wbe");
    bool good = file != NULL && fseek(file, (long)at, SEEK_SET) == 0 &&
                fwrite(bytes, 1, size, file) == size;
    if (strncmp(name, "cell:", 5) == 0) { /* both slots have their full size */
        good = good && fseek(file, 2L * SLOT_BYTES - 1, SEEK_SET) == 0;
        int last = good ? fgetc(file) : 0;
        good = good && fseek(file, 2L * SLOT_BYTES - 1, SEEK_SET) == 0 &&
               fputc(last == EOF ? 0 : last, file) != EOF;
    }
    if (file == NULL || fclose(file) != 0 || !good) {
        sim_fail(export->sim, "cannot write %s: %s", path, strerror(errno));
    }
    free(bytes);
}

static void export_store(const struct export *export) {
    static const char *const parts[] = {"", "/objects", "/cells", "/log", "/tmp"};
    char path[PATH_MAX_BYTES];
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/data%s", export->folder, parts[i]);
        make_folder(export->sim, path);
    }
    struct names names = {0};
    (void)store_memory_list_raw(export->sim->store, note_name, &names);
    for (uint32_t i = 0; i < names.count; i++) {
        export_one(export, names.all[i], names.sizes[i]);
    }
    free(names.all);
    free(names.sizes);
}

/* ---- What the engine answers ---- */

struct wait {
    bool done;
};

static void wait_done(ins_call *call) {
    ((struct wait *)call->user)->done = true;
}

static void ask(struct sim *sim, ins_start start, const void *request, ins_call *call) {
    struct wait wait = {false};
    *call = (ins_call){.done = wait_done, .user = &wait, .lane = INS_LANE_REQUEST};
    start(sim->db, request, call);
    while (!wait.done && (sim_step(&sim->lanes) || sim_run_timer(&sim->lanes))) {
    }
    if (!wait.done || call->status != INS_OK) {
        sim_fail(sim, "a read for the list: %d %s", (int)call->status, call->error.message);
    }
}

static void print_vector(FILE *file, ins_text name, const float *values, uint32_t dim,
                         uint32_t rows) {
    const uint8_t *bytes = (const uint8_t *)values;
    (void)fprintf(file, "%.*s=", (int)name.size, name.size > 0 ? name.data : "");
    for (size_t i = 0; i < (rows > 0 ? rows : 1) * dim * sizeof(float); i++) {
        (void)fprintf(file, "%02x", bytes[i]);
    }
}

static void print_point(FILE *file, ins_text collection, const ins_point *point) {
    char id[ID_TEXT_MAX];
    (void)id_format(&point->id, id);
    (void)fprintf(file, "%.*s\t%s\t%llu\t", (int)collection.size, collection.data, id,
                  (unsigned long long)point->version);
    if (point->vector != NULL) {
        print_vector(file, (ins_text){"", 0}, point->vector, point->dim, point->rows);
    }
    for (uint32_t i = 0; i < point->vector_count; i++) {
        (void)fputs(i > 0 || point->vector != NULL ? ";" : "", file);
        const ins_vector *vector = &point->vectors[i];
        print_vector(file, vector->name, vector->values, vector->dim, vector->rows);
    }
    (void)fprintf(file, "\t%.*s\n", (int)point->payload.size, point->payload.data);
}

static void print_collection(struct sim *sim, FILE *file, ins_text collection) {
    ins_points_request request = {.collection = collection,
                                  .limit = MODEL_IDS + 1, /* all at once */
                                  .with_vector = true,
                                  .payload = {.kind = INS_SELECT_ALL}};
    ins_call call;
    ask(sim, ins_points_scroll, &request, &call);
    if (call.points.has_next) {
        sim_fail(sim, "a collection has more points than the model");
    }
    for (size_t i = 0; i < call.points.count; i++) {
        print_point(file, collection, &call.points.items[i]);
    }
    ins_call_release(&call);
}

static void print_points(const struct export *export) {
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof(path), "%s/points", export->folder);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        sim_fail(export->sim, "cannot write %s: %s", path, strerror(errno));
    }
    ins_call list;
    ask(export->sim, ins_collection_list, NULL, &list);
    for (size_t i = 0; i < list.name_count; i++) {
        print_collection(export->sim, file, list.names[i]);
    }
    ins_call_release(&list);
    if (fclose(file) != 0) {
        sim_fail(export->sim, "cannot write %s: %s", path, strerror(errno));
    }
}

/* ---- Lives ---- */

static void end_somehow(struct sim *sim) {
    switch (sim_below(&sim->random, 3)) {
    case 0: /* in the middle of whatever was going on */
        store_memory_fail_at(sim->store, 1 + sim_below(&sim->random, 30), true, INS_IO, true);
        sim->errors_allowed = true;
        sim_operate(sim, sim_below(&sim->random, 60));
        sim_end(sim, SIM_POWER_CUT);
        break;
    case 1:
        sim_end(sim, SIM_KILL);
        break;
    default:
        sim_quiesce(sim, false);
        sim_end(sim, SIM_SHUTDOWN);
        break;
    }
    store_memory_fail_off(sim->store);
}

static void live(const char *folder, uint64_t seed) {
    struct sim *sim = malloc(sizeof(*sim));
    if (sim == NULL) {
        abort();
    }
    struct sim_random traits = {sim_mix(seed)};
    struct sim_config config = {.seed = seed, .name_count = 1 + sim_below(&traits, MODEL_NAMES)};
    sim_init(sim, &config);
    struct export export = {.sim = sim};
    int size =
        snprintf(export.folder, sizeof(export.folder), "%s/%llu", folder, (unsigned long long)seed);
    if (size < 0 || (size_t)size >= sizeof(export.folder)) {
        sim_fail(sim, "the folder's name is too long");
    }
    make_folder(sim, export.folder);
    uint32_t processes = 1 + sim_below(&traits, 4);
    for (uint32_t i = 0; i < processes; i++) {
        sim_recover(sim, false);
        sim_operate(sim, 50 + sim_below(&sim->random, 1500));
        if (sim_once_in(&sim->random, 2)) {
            sim_quiesce(sim, false);
            (void)sim_flush(sim);
            sim_operate(sim, sim_below(&sim->random, 300));
        }
        end_somehow(sim);
    }
    export_store(&export);
    sim_recover(sim, false);
    sim_verify(sim);
    print_points(&export);
    sim_fini(sim);
    free(sim);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        (void)fprintf(stderr, "make_directories FOLDER SEED COUNT\n");
        return 2;
    }
    uint64_t seed = strtoull(argv[2], NULL, 10), count = strtoull(argv[3], NULL, 10);
    for (uint64_t i = 0; i < count; i++) {
        live(argv[1], seed + i);
    }
    return 0;
}
