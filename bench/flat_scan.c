/* Exact flat search against the memory it reads: gate 1.4.
 *
 * Question: how much of the machine's read bandwidth does a flat search keep? Two loops over the
 * same arena-resident rows of 128 f32:
 *   search  what a query does: flat_distances a batch, flat_select, topk_offer, k = 10
 *   load    reads every byte once into registers of the same width, and nothing else
 * They take turns, slice by slice, so that a change of clock or a neighbour hits both; the ratio is
 * that of the medians, its spread the smallest and largest ratio of one turn's two slices.
 *
 * Last lines, for programs: "gate 1.4 <rows> <metric> <ratio>", then "gate 1.4 <rows> <worst>". */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "index/index.h"
#include "mem/mem.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define DIM 128u
#define TOP_K 10u
#define CHUNK_BYTES INS_BLOCK_BYTES_MAX
#define CHUNK_ROWS (CHUNK_BYTES / (DIM * (uint32_t)sizeof(float)))
#define SLICES_MAX 101u
#define GATE_RATIO 0.8

struct bench {
    struct arena *arena;
    const struct kernels *kernels;
    float **chunks; /* [chunk_count] of CHUNK_ROWS rows */
    uint32_t chunk_count, row_count;
    float query[DIM];
    struct flat flat;
    uint64_t sink; /* what the loops computed, so that they are not removed */
};

static double now_s(void) {
    struct timespec time;
    INS_ASSERT(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint32_t chunk_rows(const struct bench *bench, uint32_t chunk) {
    uint32_t left = bench->row_count - chunk * CHUNK_ROWS;
    return left < CHUNK_ROWS ? left : CHUNK_ROWS;
}

/* ---- The two loops -------------------------------------------------------------------------- */

static void offer_batch(struct topk *topk, const float *distances, uint32_t count, uint32_t first) {
    uint16_t found[FLAT_BATCH];
    uint32_t found_count = flat_select(distances, count, topk_bound(topk), found);
    for (uint32_t i = 0; i < found_count; i++) {
        struct topk_hit evicted, hit = {.distance = distances[found[i]],
                                        .slot = first + found[i],
                                        .key = first + found[i]};
        bool was_full;
        (void)topk_offer(topk, hit, &evicted, &was_full);
    }
}

static void search_all(struct bench *bench) {
    struct topk_hit hits[TOP_K];
    struct topk topk;
    topk_init(&topk, hits, TOP_K);
    float distances[FLAT_BATCH];
    for (uint32_t c = 0; c < bench->chunk_count; c++) {
        uint32_t rows = chunk_rows(bench, c);
        for (uint32_t at = 0; at < rows; at += FLAT_BATCH) {
            uint32_t count = rows - at < FLAT_BATCH ? rows - at : FLAT_BATCH;
            flat_distances(&bench->flat, bench->chunks[c] + (size_t)at * DIM, DIM, count,
                           distances);
            offer_batch(&topk, distances, count, c * CHUNK_ROWS + at);
        }
    }
    topk_sort(&topk);
    bench->sink += hits[0].slot;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static uint64_t load_avx512(const float *from, size_t count) {
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (size_t at = 0; at < count; at += 64) {
        a = _mm512_or_si512(a, _mm512_loadu_si512(from + at));
        b = _mm512_or_si512(b, _mm512_loadu_si512(from + at + 16));
        c = _mm512_or_si512(c, _mm512_loadu_si512(from + at + 32));
        d = _mm512_or_si512(d, _mm512_loadu_si512(from + at + 48));
    }
    a = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
    return (uint64_t)_mm512_reduce_or_epi64(a);
}

__attribute__((target("avx2"))) static uint64_t load_avx2(const float *from, size_t count) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t at = 0; at < count; at += 32) {
        a = _mm256_or_si256(a, _mm256_loadu_si256((const void *)(from + at)));
        b = _mm256_or_si256(b, _mm256_loadu_si256((const void *)(from + at + 8)));
        c = _mm256_or_si256(c, _mm256_loadu_si256((const void *)(from + at + 16)));
        d = _mm256_or_si256(d, _mm256_loadu_si256((const void *)(from + at + 24)));
    }
    a = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
    return (uint64_t)(_mm256_extract_epi64(a, 0) | _mm256_extract_epi64(a, 1) |
                      _mm256_extract_epi64(a, 2) | _mm256_extract_epi64(a, 3));
}
#endif

static uint64_t load_plain(const float *from, size_t count) {
    uint64_t a = 0, b = 0;
    for (size_t at = 0; at < count; at += 4) {
        uint64_t words[2];
        memcpy(words, from + at, sizeof(words));
        a |= words[0];
        b |= words[1];
    }
    return a | b;
}

static uint64_t load_rows(const char *isa, const float *from, size_t count) {
#if defined(__x86_64__)
    if (strncmp(isa, "avx512", 6) == 0) {
        return load_avx512(from, count);
    }
    if (strcmp(isa, "avx2") == 0) {
        return load_avx2(from, count);
    }
#endif
    (void)isa;
    return load_plain(from, count);
}

static void load_all(struct bench *bench) {
    for (uint32_t c = 0; c < bench->chunk_count; c++) {
        size_t count = (size_t)chunk_rows(bench, c) * DIM;
        bench->sink += load_rows(bench->kernels->isa, bench->chunks[c], count);
    }
}

/* ---- Measuring ------------------------------------------------------------------------------ */

static double gigabytes_per_s(struct bench *bench, void (*run)(struct bench *), double seconds) {
    double begin = now_s(), end;
    uint64_t passes = 0;
    do {
        run(bench);
        passes++;
        end = now_s();
    } while (end - begin < seconds);
    return (double)passes * (double)bench->row_count * DIM * sizeof(float) / (end - begin) / 1e9;
}

static int compare_doubles(const void *left, const void *right) {
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

static double median(double *values, uint32_t count) {
    qsort(values, count, sizeof(values[0]), compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double measure(struct bench *bench, uint32_t slices, double seconds) {
    double search[SLICES_MAX], load[SLICES_MAX], ratios[SLICES_MAX];
    search_all(bench); /* warm */
    load_all(bench);
    for (uint32_t i = 0; i < slices; i++) {
        if (i % 2 == 0) {
            search[i] = gigabytes_per_s(bench, search_all, seconds);
            load[i] = gigabytes_per_s(bench, load_all, seconds);
        } else {
            load[i] = gigabytes_per_s(bench, load_all, seconds);
            search[i] = gigabytes_per_s(bench, search_all, seconds);
        }
        ratios[i] = search[i] / load[i];
    }
    double search_median = median(search, slices), load_median = median(load, slices);
    double ratio = search_median / load_median;
    (void)median(ratios, slices); /* sorts */
    const char *metric = bench->flat.metric == KERNEL_L2 ? "l2" : "dot";
    printf("%8u rows  %-3s  search %7.2f GB/s  load %7.2f GB/s  ratio %.3f  turns %.3f .. %.3f\n",
           bench->row_count, metric, search_median, load_median, ratio, ratios[0],
           ratios[slices - 1]);
    printf("gate 1.4 %u %s %.3f\n", bench->row_count, metric, ratio);
    return ratio;
}

/* ---- Rows ----------------------------------------------------------------------------------- */

static float next_value(uint64_t *seed) {
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (float)(*seed >> 40) / 16777216.0f - 0.5f;
}

static void fill(struct bench *bench, uint32_t row_count) {
    uint64_t seed = 1;
    bench->row_count = row_count;
    bench->chunk_count = (row_count + CHUNK_ROWS - 1) / CHUNK_ROWS;
    for (uint32_t c = 0; c < bench->chunk_count; c++) {
        size_t count = (size_t)chunk_rows(bench, c) * DIM;
        for (size_t i = 0; i < count; i++) {
            bench->chunks[c][i] = next_value(&seed);
        }
    }
    for (uint32_t i = 0; i < DIM; i++) {
        bench->query[i] = next_value(&seed);
    }
}

static void open_arena(struct bench *bench, uint32_t row_count) {
    uint32_t chunks = (row_count + CHUNK_ROWS - 1) / CHUNK_ROWS;
    struct arena_options options = {.limit_bytes = (uint64_t)chunks * CHUNK_BYTES};
    options.purpose_limit_bytes[INS_MEM_CACHE] = options.limit_bytes;
    ins_error error;
    if (arena_open(&options, &bench->arena, &error) != INS_OK) {
        (void)fprintf(stderr, "insula-flat-scan: %s\n", error.message);
        exit(2);
    }
    bench->chunks = calloc(chunks, sizeof(*bench->chunks));
    INS_ASSERT(bench->chunks != NULL);
    for (uint32_t c = 0; c < chunks; c++) {
        bench->chunks[c] = arena_alloc(bench->arena, INS_MEM_CACHE, CHUNK_BYTES);
        if (bench->chunks[c] == NULL) {
            (void)fprintf(stderr, "insula-flat-scan: no memory for %u rows\n", row_count);
            exit(2);
        }
    }
}

/* The smaller ratio of the two metrics. */
static double run_size(struct bench *bench, uint32_t row_count, uint32_t slices, double seconds) {
    double worst = INFINITY;
    fill(bench, row_count);
    static const ins_distance distances[] = {INS_DISTANCE_DOT, INS_DISTANCE_EUCLID};
    for (int i = 0; i < 2; i++) {
        flat_init(&bench->flat, bench->kernels, distances[i], INS_FLOAT32, DIM, bench->query);
        worst = fmin(worst, measure(bench, slices, seconds));
    }
    return worst;
}

static _Noreturn void usage(void) {
    (void)fprintf(
        stderr,
        "usage: insula-flat-scan [--rows N]... [--slices 1..%u] [--seconds S] [--isa NAME]\n"
        "Without --rows: 10000 and 1000000. Exits 1 when a ratio is below %.1f and\n"
        "--gate was given.\n",
        SLICES_MAX, GATE_RATIO);
    exit(2);
}

#define SIZES_MAX 8u

struct settings {
    uint32_t sizes[SIZES_MAX], size_count, slices;
    double seconds;
    const char *isa;
    bool gate;
};

static struct settings parse(int count, char **arguments) {
    static const struct option options[] = {
        {"rows", required_argument, NULL, 'r'},    {"slices", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'}, {"isa", required_argument, NULL, 'i'},
        {"gate", no_argument, NULL, 'g'},          {NULL, 0, NULL, 0},
    };
    struct settings settings = {.slices = 41, .seconds = 0.1};
    for (int letter; (letter = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (letter == 'r' && settings.size_count < SIZES_MAX) {
            settings.sizes[settings.size_count++] = (uint32_t)strtoul(optarg, NULL, 10);
        } else if (letter == 'n') {
            settings.slices = (uint32_t)strtoul(optarg, NULL, 10);
        } else if (letter == 's') {
            settings.seconds = strtod(optarg, NULL);
        } else if (letter == 'i') {
            settings.isa = optarg;
        } else if (letter == 'g') {
            settings.gate = true;
        } else {
            usage();
        }
    }
    if (settings.size_count == 0) {
        settings.sizes[settings.size_count++] = 10000;
        settings.sizes[settings.size_count++] = 1000000;
    }
    if (settings.slices < 1 || settings.slices > SLICES_MAX || optind != count) {
        usage();
    }
    return settings;
}

int main(int count, char **arguments) {
    struct settings settings = parse(count, arguments);
    uint32_t rows_max = 0;
    for (uint32_t i = 0; i < settings.size_count; i++) {
        if (settings.sizes[i] == 0 || settings.sizes[i] > 100000000) {
            usage();
        }
        rows_max = settings.sizes[i] > rows_max ? settings.sizes[i] : rows_max;
    }
    struct bench bench = {.kernels =
                              settings.isa == NULL ? kernels_get() : kernels_for(settings.isa)};
    if (bench.kernels == NULL) {
        (void)fprintf(stderr, "insula-flat-scan: this CPU has no %s\n", settings.isa);
        return 2;
    }
    open_arena(&bench, rows_max);
    struct arena_usage usage_now;
    arena_get_usage(bench.arena, &usage_now);
    printf("isa %s, pages %s, dim %u, top %u, %u slices of %.3f s\n", bench.kernels->isa,
           arena_pages_text(usage_now.pages), DIM, TOP_K, settings.slices, settings.seconds);

    double worst[SIZES_MAX];
    bool passed = true;
    for (uint32_t i = 0; i < settings.size_count; i++) {
        worst[i] = run_size(&bench, settings.sizes[i], settings.slices, settings.seconds);
        passed = passed && worst[i] >= GATE_RATIO;
    }
    printf("sink %llu\n", (unsigned long long)bench.sink);
    for (uint32_t i = 0; i < settings.size_count; i++) {
        printf("gate 1.4 %u %.3f\n", settings.sizes[i], worst[i]);
    }
    arena_close(bench.arena);
    free(bench.chunks);
    return settings.gate && !passed ? 1 : 0;
}
