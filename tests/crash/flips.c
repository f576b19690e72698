/* Goal: a flipped or cut byte anywhere in log, segment or manifest is found and named, and never
 * makes a crash or a wrong answer.
 * Method: a database with flushed, merged and logged data is built once, its process crashes, and
 * for each damage a child process flips a bit or cuts an object, lets ins_check look, opens, and
 * asks everything. The model must hold, or the damage be named. Only what lies behind a log file's
 * last frame may change in silence: it counts for nothing.
 * The log's tail: once closed by an empty batch, and then nothing may be missing; once as a crash
 * leaves it, and then the very last write may be taken for a torn tail.
 *
 *   flips [SEED [SAMPLES]]: places of each object, all of them when it is no larger. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"
#include "store/store.h"

#define OBJECTS_MAX 256

struct object {
    char name[128];
    uint64_t size;
};

struct scene {
    struct sim *sim;
    bool open_tail; /* the last write's batch is the last thing in the log */
    struct object objects[OBJECTS_MAX];
    uint32_t object_count;
    uint64_t runs, refused, torn, healthy, silent;
};

struct damage {
    const struct object *object;
    bool cut;
    uint64_t at;
    uint8_t mask;
};

enum verdict {
    VERDICT_HEALTHY = 0,
    VERDICT_FAILED = 1,
    VERDICT_REFUSED = 10,
    VERDICT_TORN = 11,
    VERDICT_SILENT = 12
};

static void note_object(void *context, const char *name, uint64_t size) {
    struct scene *scene = context;
    if (scene->object_count == OBJECTS_MAX) {
        sim_fail(scene->sim, "too many objects");
    }
    struct object *object = &scene->objects[scene->object_count++];
    (void)snprintf(object->name, sizeof(object->name), "%s", name);
    object->size = size;
}

/* Flushes, a merge, several log files; then writes that only the log has. */
static void build(struct scene *scene, uint64_t seed) {
    struct sim_config config = {.seed = seed, .objects = sim_on_objects(seed), .name_count = 2};
    struct sim *sim = scene->sim;
    sim_init(sim, &config);
    sim->options.log_file_bytes = 256u << 10;
    sim->options.generation_bytes = 512u << 10;
    sim_recover(sim, false);
    for (int round = 0; round < 5; round++) {
        sim_operate(sim, 24);
        if (!sim_flush(sim)) {
            sim_fail(sim, "a flush failed");
        }
    }
    sim_operate(sim, 20);
    sim_quiesce(sim, true);
    if (scene->open_tail) {
        uint64_t lsn = sim->model.lsn;
        sim->deaf = true;
        ins_stats stats;
        do { /* until there was a write; its answer is not heard */
            sim_operate(sim, 1);
            sim_run_until_idle(&sim->lanes, false);
            ins_db_stats(sim->db, &stats);
        } while (stats.lsn_sequenced == lsn);
    }
    sim_end(sim, SIM_KILL);
    sim->deaf = false;
    (void)store_memory_list_raw(sim->store, note_object, scene);
}

/* ---- One damage, in a child ---- */

struct findings {
    uint32_t damages, notes;
};

static void note_finding(void *context, bool is_damage, const char *text) {
    struct findings *findings = context;
    findings->damages += is_damage;
    /* What check says of a whole log is no finding; of a torn one it is. */
    findings->notes +=
        !is_damage && (strncmp(text, "log: ", 5) != 0 || strstr(text, "torn") != NULL);
}

static enum verdict judge(struct sim *sim, const struct damage *damage) {
    const char *name = damage->object->name;
    bool done = damage->cut ? store_memory_truncate(sim->store, name, damage->at)
                            : store_memory_flip(sim->store, name, damage->at, damage->mask);
    if (!done) {
        sim_fail(sim, "the store does not know %s", name);
    }
    struct findings findings = {0};
    ins_error error = {0};
    ins_status checked = ins_check(sim->store, note_finding, &findings, &error);
    if ((checked == INS_OK) != (findings.damages == 0) && checked != INS_NOT_FOUND) {
        sim_fail(sim, "check says %d with %u damages", (int)checked, findings.damages);
    }
    bool found = checked != INS_OK || findings.notes > 0;
    bool segment = strncmp(name, "segments/", 9) == 0, log = strncmp(name, "log:", 4) == 0;
    if (!found && (segment || (!log && !damage->cut))) {
        sim_fail(sim, "check does not find it");
    }
    sim->errors_allowed = true;
    ins_status status = ins_db_open(&sim->options, &sim->lanes.runtime, &sim->db, &error);
    if (status != INS_OK) {
        if (error.message[0] == 0) {
            sim_fail(sim, "the refusal has no words");
        }
        if (checked == INS_OK) {
            sim_fail(sim, "check is content, and open says: %s", error.message);
        }
        return VERDICT_REFUSED;
    }
    ins_db_close(sim->db);
    sim_drop_all(&sim->lanes);
    store_memory_kill(sim->store);
    (void)sim_open(sim, false); /* again, and with the model */
    sim_verify(sim);
    bool whole = sim->counts.unsure_lost == 0;
    if (!found && !whole) {
        sim_fail(sim, "a write is lost, and check does not find it");
    }
    return !found ? VERDICT_SILENT : whole ? VERDICT_HEALTHY : VERDICT_TORN;
}

static enum verdict run(struct scene *scene, const struct damage *damage) {
    char label[192];
    (void)snprintf(label, sizeof(label), "%s tail, %s %s at %llu mask %02x,",
                   scene->open_tail ? "open" : "closed", damage->cut ? "cut" : "flip",
                   damage->object->name, (unsigned long long)damage->at, damage->mask);
    scene->sim->config.label = label;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(judge(scene->sim, damage));
    }
    int how = 0;
    if (child < 0 || waitpid(child, &how, 0) != child || !WIFEXITED(how)) {
        sim_fail(scene->sim, "the child crashed (%x)", (unsigned)how);
    }
    scene->runs++;
    enum verdict verdict = (enum verdict)WEXITSTATUS(how);
    if (verdict != VERDICT_HEALTHY && verdict < VERDICT_REFUSED) {
        exit(SIM_FAIL_STATUS); /* the child has said why */
    }
    scene->refused += verdict == VERDICT_REFUSED;
    scene->torn += verdict == VERDICT_TORN;
    scene->healthy += verdict == VERDICT_HEALTHY;
    scene->silent += verdict == VERDICT_SILENT;
    return verdict;
}

static void damage_all(struct scene *scene, uint64_t samples) {
    struct sim_random random = {scene->sim->config.seed + 77};
    for (uint32_t i = 0; i < scene->object_count; i++) {
        const struct object *object = &scene->objects[i];
        uint64_t step = object->size <= samples ? 1 : object->size / samples;
        uint64_t silent_at = UINT64_MAX; /* from here on nothing may be found */
        for (uint64_t at = 0; at < object->size; at += step) {
            uint64_t place = at + sim_next(&random) % step;
            struct damage flip = {.object = object,
                                  .at = place < object->size ? place : at,
                                  .mask = (uint8_t)(1u << sim_below(&random, 8))};
            enum verdict verdict = run(scene, &flip);
            if (verdict == VERDICT_SILENT && silent_at == UINT64_MAX) {
                silent_at = flip.at;
            } else if (verdict != VERDICT_SILENT && silent_at != UINT64_MAX) {
                sim_fail(scene->sim, "it was found, but one at %llu before it was not",
                         (unsigned long long)silent_at);
            }
        }
        for (uint32_t cut = 0; cut < 6 && object->size > 0; cut++) {
            uint64_t sizes[] = {0, 1, object->size - 1, object->size / 2};
            struct damage damage = {.object = object, .cut = true};
            damage.at = cut < 4 ? sizes[cut] : sim_next(&random) % object->size;
            (void)run(scene, &damage);
        }
    }
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t samples = argc > 2 ? strtoull(argv[2], NULL, 10) : 150;
    for (int open_tail = 0; open_tail < 2; open_tail++) {
        struct scene *scene = calloc(1, sizeof(*scene));
        struct sim *sim = malloc(sizeof(*sim));
        if (scene == NULL || sim == NULL) {
            abort();
        }
        scene->sim = sim;
        scene->open_tail = open_tail == 1;
        build(scene, seed);
        damage_all(scene, samples);
        (void)printf("seed %llu, %s tail: %u objects, %llu damages: %llu refused, %llu "
                     "torn, %llu found and right, %llu in the log's unused tail\n",
                     (unsigned long long)seed, scene->open_tail ? "open" : "closed",
                     scene->object_count, (unsigned long long)scene->runs,
                     (unsigned long long)scene->refused, (unsigned long long)scene->torn,
                     (unsigned long long)scene->healthy, (unsigned long long)scene->silent);
        sim_fini(sim);
        free(sim);
        free(scene);
    }
    return 0;
}
