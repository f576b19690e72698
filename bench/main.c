/* insula-bench: workloads that measure Insula, in process or over HTTP.
 *
 * One run = one workload with one set of parameters = one report; or `report`, all workloads of the
 * made world (suite/). Rivals are compared by running it in turns (bench/gates.sh does). */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ann.h"
#include "bench.h"

static const struct workload {
    const char *name;
    int (*run)(const struct bench_options *options);
} workloads[] = {
    {"writers", run_writers},     {"collections", run_collections},
    {"footprint", run_footprint}, {"requests", run_requests},
    {"start", run_start},         {"size", run_size},
};

static const char help_text[] =
    "Usage: insula-bench WORKLOAD [OPTION]...\n"
    "\n"
    "Workloads\n"
    "  writers      closed loop of upserts of one point, over --tenants; in process on the thread\n"
    "               runtime, or over HTTP with --url (any server that speaks Qdrant's REST)\n"
    "  collections  creates --collections over HTTP, in turns with GET /healthz; with --pid also\n"
    "               what each costs in memory, descriptors, mappings, threads and timers\n"
    "  footprint    the same in process, where the figures are exact; --check makes it a test\n"
    "  requests     one kind of request over HTTP: --kind healthz, search-8, search-100; with "
    "--pid\n"
    "               the server's CPU per request\n"
    "  start        starts --server on --data, measures until its first right answer\n"
    "  size         measures one tenant of --measured points and many of one, then says what\n"
    "               --tenants x --points at --rate need in RAM, disk, cores and nodes\n"
    "               (50,000 x 1,000,000 at 10,000/s); docs/scale.md\n"
    "  ann          the index on files of vectors: --base, --query, --truth, --metric l2|cos|ip,\n"
    "               --type f32|f16|u8, --json F; recall and CPU time a query, bytes a row\n"
    "  ann-set DIR  files for it: the largest tenant of scale L (1,000,000 rows), with exact "
    "truth\n"
    "\n"
    "Workloads on a made world of tenants (scale S: 500 tenants, 100,000 points; M: 5,000 and\n"
    "1,000,000; L: 50,000 and 10,000,000); each loads it first when --data holds none\n"
    "  report       all of these, one after the other; goes on where it was cut off\n"
    "  load         all points in batches of 100, tenants interleaved\n"
    "  steady       searches as tenants ask: skewed, in bursts, some cold; recall by size\n"
    "  cold         first queries to tenants that nobody asked, beside direct reads\n"
    "  isolation    forged names, filters and ids that try to reach another tenant\n"
    "  filter       recall and latency under filters of known selectivity\n"
    "  squeeze      searches while the memory budget falls to 12 % of what is resident\n"
    "  noisy        50 tenants beside one that takes what it can, in five ways (--kind queries,\n"
    "               upserts, filtered, create, slow: one of them)\n"
    "  promise      all tenants beside a server of six of them, under the same arrivals\n"
    "  overload     the rate at which p99 is 50 ms, then twice as much\n"
    "  storm        small writes to many tenants beside searches; all read back\n"
    "  restart      kill -9 while writing; what is lost, how long until all is well\n"
    "  churn        tenants made and deleted; what is held must not grow\n"
    "  aging        ten times a tenth of all points replaced; recall, memory, disk\n"
    "\n";

static const char help_options_text[] =
    "What\n"
    "  --tenants N      tenants that are written to, uniformly (1)\n"
    "  --scale S        of the made world: tiny, S (the default), M, L\n"
    "  --style S        a tenant is a value of a tenant key (key, the default), a collection, or\n"
    "                   a shard key (shard; made world only)\n"
    "  --points N       writers: ids of a tenant (100); collections, restart: points each (0)\n"
    "  --measured N     size: points of the tenant that is measured (100000)\n"
    "  --collections N  collections, footprint: how many in the end (50000)\n"
    "  --from N         collections, footprint: where the slope begins (10000)\n"
    "  --kind K         requests: healthz, search-8 (tenants of 8 points, 8 hits), search-100\n"
    "                   (tenants of 100 points, 10 hits with payload)\n"
    "  --seed N         of everything that is random (1)\n"
    "  --sample FILE    vectors to make others from (the repository's sample)\n"
    "How\n"
    "  --writers N      writes under way, in process (1000)\n"
    "  --connections N  keep-alive connections, one request under way on each (64)\n"
    "  --seconds S      measured time, or of a slice of /healthz (10; made world: its own)\n"
    "  --warmup S       before it (2; made world: its own)\n"
    "  --minutes N      report: shortens the workloads so that all take about so long\n"
    "  --rate N         searches/s (S 100, M 500, L 1000)\n"
    "  --fresh          loads again what --data holds\n"
    "  --flush          collections: POST /insula/flush before each sample of memory\n"
    "  --drop-log       in process: acknowledge without a log, as a comparison\n"
    "  --setup-only     requests: make the collection and end;  --no-setup: it is there already\n"
    "Where\n"
    "  --data DIR       data directory, kept (else a temporary one below the current directory);\n"
    "                   over HTTP: the server's, to find its disk; made world: of the run\n"
    "  --out DIR        report.md, .html and .json (the run's directory)\n"
    "  --commit TEXT    that the report names\n"
    "  --url URL        http://HOST:PORT of a running server\n"
    "  --pid N          the server's process, for memory and CPU\n"
    "  --server FILE    the executable to start (insula of the same build)\n"
    "  --memory-budget BYTES  in process, and of a server that is started (1 GiB)\n"
    "  --json           the report as one line of JSON\n"
    "  --check          footprint: fail when a figure is above the issue's limit\n";

static bool parse_u64(const char *text, uint64_t max, uint64_t *out) {
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || value > max) {
        return false;
    }
    *out = value;
    return true;
}

static bool parse_u32(const char *text, uint64_t max, uint32_t *out) {
    uint64_t value;
    if (!parse_u64(text, max, &value)) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool parse_seconds(const char *text, double *out) {
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0.0 && value <= 1e6)) {
        return false;
    }
    *out = value;
    return true;
}

static bool parse_style(const char *text, enum bench_style *out) {
    for (int style = BENCH_STYLE_KEY; style <= (int)BENCH_STYLE_SHARD; style++) {
        *out = (enum bench_style)style;
        if (strcmp(text, bench_style_text(*out)) == 0) {
            return true;
        }
    }
    return false;
}

enum option_code {
    OPTION_DATA = 256,
    OPTION_URL,
    OPTION_SAMPLE,
    OPTION_SERVER,
    OPTION_KIND,
    OPTION_SCALE,
    OPTION_OUT,
    OPTION_COMMIT,
    OPTION_MINUTES,
    OPTION_RATE,
    OPTION_FRESH,
    OPTION_STYLE,
    OPTION_TENANTS,
    OPTION_POINTS,
    OPTION_WRITERS,
    OPTION_CONNECTIONS,
    OPTION_COLLECTIONS,
    OPTION_FROM,
    OPTION_MEASURED,
    OPTION_SECONDS,
    OPTION_WARMUP,
    OPTION_SEED,
    OPTION_BUDGET,
    OPTION_PID,
    OPTION_DROP_LOG,
    OPTION_JSON,
    OPTION_FLUSH,
    OPTION_CHECK,
    OPTION_SETUP,
    OPTION_NO_SETUP,
    OPTION_HELP
};

static const struct option known[] = {
    {"data", required_argument, NULL, OPTION_DATA},
    {"url", required_argument, NULL, OPTION_URL},
    {"sample", required_argument, NULL, OPTION_SAMPLE},
    {"server", required_argument, NULL, OPTION_SERVER},
    {"kind", required_argument, NULL, OPTION_KIND},
    {"scale", required_argument, NULL, OPTION_SCALE},
    {"out", required_argument, NULL, OPTION_OUT},
    {"commit", required_argument, NULL, OPTION_COMMIT},
    {"minutes", required_argument, NULL, OPTION_MINUTES},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"fresh", no_argument, NULL, OPTION_FRESH},
    {"style", required_argument, NULL, OPTION_STYLE},
    {"tenants", required_argument, NULL, OPTION_TENANTS},
    {"points", required_argument, NULL, OPTION_POINTS},
    {"writers", required_argument, NULL, OPTION_WRITERS},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"collections", required_argument, NULL, OPTION_COLLECTIONS},
    {"from", required_argument, NULL, OPTION_FROM},
    {"measured", required_argument, NULL, OPTION_MEASURED},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"warmup", required_argument, NULL, OPTION_WARMUP},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"memory-budget", required_argument, NULL, OPTION_BUDGET},
    {"pid", required_argument, NULL, OPTION_PID},
    {"drop-log", no_argument, NULL, OPTION_DROP_LOG},
    {"json", no_argument, NULL, OPTION_JSON},
    {"flush", no_argument, NULL, OPTION_FLUSH},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"setup-only", no_argument, NULL, OPTION_SETUP},
    {"no-setup", no_argument, NULL, OPTION_NO_SETUP},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool set_flag(int option, struct bench_options *options) {
    switch (option) {
    case OPTION_DROP_LOG:
        options->drop_log = true;
        return true;
    case OPTION_JSON:
        options->json = true;
        return true;
    case OPTION_FLUSH:
        options->flush = true;
        return true;
    case OPTION_CHECK:
        options->check = true;
        return true;
    case OPTION_SETUP:
        options->setup_only = true;
        return true;
    case OPTION_FRESH:
        options->fresh = true;
        return true;
    case OPTION_NO_SETUP:
        options->no_setup = true;
        return true;
    default:
        return false; /* getopt has said what */
    }
}

static bool set_text(int option, const char *value, struct bench_options *options) {
    switch (option) {
    case OPTION_DATA:
        options->data = value;
        return true;
    case OPTION_URL:
        options->url = value;
        return true;
    case OPTION_SAMPLE:
        options->sample = value;
        return true;
    case OPTION_SERVER:
        options->server = value;
        return true;
    case OPTION_KIND:
        options->kind = value;
        return true;
    case OPTION_SCALE:
        options->scale = value;
        return true;
    case OPTION_OUT:
        options->out = value;
        return true;
    case OPTION_COMMIT:
        options->commit = value;
        return true;
    default:
        return set_flag(option, options);
    }
}

static bool set_option(int option, const char *value, struct bench_options *options) {
    uint64_t number = 0;
    switch (option) {
    case OPTION_STYLE:
        return parse_style(value, &options->style);
    case OPTION_TENANTS:
        return parse_u32(value, BENCH_TENANTS_MAX, &options->tenants);
    case OPTION_POINTS:
        return parse_u32(value, 1000000, &options->points);
    case OPTION_WRITERS:
        return parse_u32(value, BENCH_WIDTH_MAX, &options->writers);
    case OPTION_CONNECTIONS:
        return parse_u32(value, BENCH_WIDTH_MAX, &options->connections);
    case OPTION_COLLECTIONS:
        return parse_u32(value, BENCH_TENANTS_MAX, &options->collections);
    case OPTION_MEASURED:
        return parse_u32(value, 1000000, &options->measured);
    case OPTION_FROM:
        return parse_u32(value, BENCH_TENANTS_MAX, &options->from);
    case OPTION_SECONDS:
        return parse_seconds(value, &options->seconds);
    case OPTION_WARMUP:
        return parse_seconds(value, &options->warmup);
    case OPTION_MINUTES:
        return parse_seconds(value, &options->minutes);
    case OPTION_RATE:
        return parse_seconds(value, &options->rate);
    case OPTION_SEED:
        return parse_u64(value, UINT64_MAX, &options->seed);
    case OPTION_BUDGET:
        return parse_u64(value, UINT64_MAX, &options->memory_budget);
    case OPTION_PID:
        if (!parse_u64(value, INT32_MAX, &number)) {
            return false;
        }
        options->pid = (pid_t)number;
        return true;
    default:
        return set_text(option, value, options);
    }
}

static int usage(const char *reason, const char *what) {
    (void)fprintf(stderr, "insula-bench: %s \"%s\"\nTry: insula-bench --help\n", reason, what);
    return BENCH_USAGE;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "ann") == 0) {
        return ann_main(argc - 1, argv + 1); /* files and options of its own */
    }
    if (argc > 1 && strcmp(argv[1], "ann-set") == 0) {
        return ann_set_main(argc - 1, argv + 1);
    }
    struct bench_options options = {.sample = BENCH_SAMPLE,
                                    .tenants = 1,
                                    .writers = 1000,
                                    .connections = 64,
                                    .collections = 50000,
                                    .from = 10000,
                                    .measured = 100000,
                                    .scale = "S",
                                    .seconds = -1.0,
                                    .warmup = -1.0,
                                    .seed = 1,
                                    .memory_budget = 1ull << 30};
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "", known, &index)) != -1) {
        if (option == OPTION_HELP) {
            (void)fputs(help_text, stdout);
            (void)fputs(help_options_text, stdout);
            return BENCH_OK;
        }
        if (!set_option(option, optarg, &options)) {
            return usage("wrong value or option", optarg == NULL ? argv[optind - 1] : optarg);
        }
    }
    if (optind + 1 != argc) {
        return usage(optind == argc ? "name one workload, not" : "unexpected argument",
                     optind == argc ? "" : argv[optind + 1]);
    }
    if (options.tenants == 0 || options.writers == 0 || options.connections == 0) {
        return usage("must be at least one:", "--tenants, --writers, --connections");
    }
    if (suite_has(argv[optind])) {
        return run_suite(&options, argv[optind]);
    }
    if (options.style == BENCH_STYLE_SHARD) {
        return usage("of the made world only:", "--style shard");
    }
    options.seconds = options.seconds < 0.0 ? 10.0 : options.seconds;
    options.warmup = options.warmup < 0.0 ? 2.0 : options.warmup;
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        if (strcmp(argv[optind], workloads[i].name) == 0) {
            return workloads[i].run(&options);
        }
    }
    return usage("no workload", argv[optind]);
}
