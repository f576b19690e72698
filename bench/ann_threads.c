/* `insula-bench ann --threads N`: what a query costs when N threads ask the same index at once.
 *
 * Each thread asks all queries, from another one on, with scratch of its own; one thread and N take
 * turns, and so do the rivals. CPU is the threads' own; scaling is N times the wall time of one
 * thread over that of N: it says something only where N processors are free. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ann_private.h"

#define EFFORT 48u /* recall of some 0.98 on most sets */
#define REPEATS 4u /* all queries so often a turn: some 0.1 s */
#define RIVALS 3u

enum rival { COMPACT, FAST, PEER };

struct worker {
    struct ann *ann;
    struct graph_scratch *scratch;
    struct fast_scratch *fast_scratch;
    enum rival rival;
    uint32_t first;
    uint32_t *ids; /* of the peer */
    double cpu_s;
    pthread_t thread;
};

struct turn {
    double cpu_us, wall_us; /* of a query of each thread */
};

static void ask(struct worker *worker, uint32_t number) {
    struct ann *ann = worker->ann;
    struct graph_hit hits[LIMIT_MAX];
    const float *query = ann->queries.values + (size_t)number * ann->queries.dim;
    switch (worker->rival) {
    case COMPACT:
        (void)graph_search(ann->graph, worker->scratch, query, ann->limit, EFFORT,
                           (uint32_t)graph_rerank(ann->limit, EFFORT), NULL, hits);
        return;
    case FAST:
        (void)fast_graph_search(ann->fast, worker->fast_scratch, query, ann->limit, EFFORT, NULL,
                                hits);
        return;
    case PEER:
#ifdef BENCH_ANN_PEERS
        ann_peer_search(ann->peer, query, 1, ann->limit, EFFORT, worker->ids);
#endif
        return;
    }
}

static void *work(void *context) {
    struct worker *worker = context;
    uint32_t count = worker->ann->queries.count;
    double begin = ann_cpu_s();
    for (uint32_t i = 0; i < REPEATS * count; i++) {
        ask(worker, (worker->first + i) % count);
    }
    worker->cpu_s = ann_cpu_s() - begin;
    return NULL;
}

static double wall_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool take_turn(const struct ann *ann, struct worker *workers, enum rival rival,
                      uint32_t threads, struct turn *out) {
    uint32_t queries = REPEATS * ann->queries.count, begun = 0;
    double begin = wall_s(), cpu_s = 0;
    for (; begun < threads; begun++) {
        workers[begun].rival = rival;
        if (pthread_create(&workers[begun].thread, NULL, work, &workers[begun]) != 0) {
            break;
        }
    }
    for (uint32_t i = 0; i < begun; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        cpu_s += workers[i].cpu_s;
    }
    *out = (struct turn){.cpu_us = cpu_s * 1e6 / queries / threads,
                         .wall_us = (wall_s() - begin) * 1e6 / queries};
    return begun == threads;
}

static bool open_workers(struct ann *ann, struct worker *workers) {
    for (uint32_t i = 0; i < ann->threads; i++) {
        workers[i] =
            (struct worker){.ann = ann,
                            .first = (uint32_t)((uint64_t)i * ann->queries.count / ann->threads),
                            .ids = calloc(ann->limit, sizeof(uint32_t))};
        ins_error error;
        if (workers[i].ids == NULL ||
            graph_scratch_make(ann->graph, EFFORT, &workers[i].scratch, &error) != INS_OK ||
            (ann->fast != NULL &&
             fast_scratch_make(ann->fast, EFFORT, &workers[i].fast_scratch, &error) != INS_OK)) {
            return false;
        }
    }
    return true;
}

static void print_rival(const struct ann *ann, const char *name, const struct turn *one,
                        const struct turn *many) {
    double cpu[ROUNDS_MAX], scaling[ROUNDS_MAX], us[ROUNDS_MAX];
    for (uint32_t round = 0; round < ann->rounds; round++) {
        us[round] = one[round].cpu_us;
        cpu[round] = many[round].cpu_us / one[round].cpu_us;
        scaling[round] = ann->threads * one[round].wall_us / many[round].wall_us;
    }
    (void)printf("%u threads: %-8s %8.1f us a query alone, CPU a query x %.3f, scaling %.3f\n",
                 ann->threads, name, ann_median(us, ann->rounds), ann_median(cpu, ann->rounds),
                 ann_median(scaling, ann->rounds));
}

int ann_threads(struct ann *ann) {
    static const char *const names[RIVALS] = {"compact", "fast", "hnswlib"};
    static struct turn one[RIVALS][ROUNDS_MAX], many[RIVALS][ROUNDS_MAX];
    const bool there[RIVALS] = {true, ann->fast != NULL, ann->peer != NULL};
    struct worker workers[ANN_THREADS_MAX] = {0};
    bool good = open_workers(ann, workers);
    for (uint32_t round = 0; round < ann->rounds && good; round++) {
        for (uint32_t rival = 0; rival < RIVALS && good; rival++) {
            good = !there[rival] ||
                   (take_turn(ann, workers, (enum rival)rival, 1, &one[rival][round]) &&
                    take_turn(ann, workers, (enum rival)rival, ann->threads, &many[rival][round]));
        }
    }
    for (uint32_t rival = 0; rival < RIVALS && good; rival++) {
        if (there[rival]) {
            print_rival(ann, names[rival], one[rival], many[rival]);
        }
    }
    for (uint32_t i = 0; i < ann->threads; i++) {
        graph_scratch_free(workers[i].scratch);
        fast_scratch_free(workers[i].fast_scratch);
        free(workers[i].ids);
    }
    return good ? 0 : ann_complain("no memory, or no thread", "--threads");
}
