/* `requests`: one kind of request over HTTP, closed loop; requests/s and the server's CPU for each.
 *
 * Kinds: healthz, search-8 and search-100: queries within
 * tenants of 8 points (8 hits), and of 100 points (10 hits with payload). Each tenant is asked in
 * the warm-up, so that all are warm. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "report.h"
#include "rest.h"

#define TENANTS 200u
#define QUERIES 1024u
#define BATCH 8u /* points of one upsert */

struct kind {
    const char *name, *collection;
    uint32_t points, limit;
    bool payload;
};

static const struct kind kinds[] = {
    {"healthz", NULL, 0, 0, false},
    {"search-8", "eight", 8, 10, false},
    {"search-100", "hundred", 100, 10, true},
};

struct requests {
    const struct bench_options *options;
    const struct kind *kind;
    struct http_server server;
    struct bench_points points;
    struct http_load load;
    uint64_t sent, end_ns;
    uint32_t filled; /* batches of points that were sent */
    char **texts;    /* [QUERIES] whole requests, made beforehand: the load shares the machine */
    uint32_t *sizes;
    char body[HTTP_REQUEST_MAX / 2];
};

static bool in_collections(const struct requests *requests) {
    return requests->options->style == BENCH_STYLE_COLLECTION;
}

static void collection_name(const struct requests *requests, uint32_t tenant, char out[64]) {
    if (in_collections(requests)) {
        (void)snprintf(out, 64, "%s-%s", requests->kind->collection,
                       requests->points.names[tenant]);
    } else {
        (void)snprintf(out, 64, "%s", requests->kind->collection);
    }
}

/* ---- Set-up ---- */

static bool make_collections(struct requests *requests) {
    if (!in_collections(requests)) {
        return rest_make_key_collection(&requests->server, requests->kind->collection);
    }
    for (uint32_t i = 0; i < TENANTS; i++) {
        char name[64];
        collection_name(requests, i, name);
        if (!rest_make_collection(&requests->server, name)) {
            return false;
        }
    }
    return true;
}

static size_t next_batch(void *context, uint32_t connection, char *out) {
    struct requests *requests = context;
    const struct kind *kind = requests->kind;
    uint32_t batches = (kind->points + BATCH - 1) / BATCH;
    (void)connection;
    if (requests->filled == TENANTS * batches) {
        return 0;
    }
    uint32_t tenant = requests->filled / batches, from = requests->filled % batches * BATCH;
    char name[64];
    collection_name(requests, tenant, name);
    requests->filled++;
    struct rest_upsert upsert = {
        .server = &requests->server,
        .points = &requests->points,
        .style = requests->options->style,
        .collection = name,
        .tenant = tenant,
        .from = from,
        .to = from + BATCH < kind->points ? from + BATCH : kind->points,
    };
    return rest_upsert(&upsert, out);
}

static bool fill(struct requests *requests) {
    if (requests->kind->points == 0 || requests->options->no_setup) {
        return true;
    }
    requests->load.next = next_batch;
    if (!make_collections(requests) || !http_load_run(&requests->load) ||
        requests->load.failed > 0) {
        (void)bench_fail("cannot fill the collection: %d %s", requests->load.first_status,
                         requests->load.first_body);
        return false;
    }
    return rest_ask(&requests->server, "POST", "/insula/flush", "{}");
}

/* ---- Queries ---- */

/* Path and body of query `number`; body[HTTP_REQUEST_MAX]. */
static size_t make_query(struct requests *requests, uint32_t number, char path[128], char *body) {
    uint32_t tenant = number % TENANTS;
    char name[64];
    collection_name(requests, tenant, name);
    struct rest_query query = {
        .points = &requests->points,
        .style = requests->options->style,
        .collection = name,
        .tenant = tenant,
        .pool_index = points_pool_index(&requests->points, tenant, number, 1),
        .limit = requests->kind->limit,
        .payload = requests->kind->payload,
    };
    (void)rest_query_path(&query, path);
    return rest_query_body(&query, body);
}

static size_t make_text(struct requests *requests, uint32_t number, char *out) {
    if (requests->kind->points == 0) {
        return http_format(out, &requests->server, "GET", "/healthz", NULL, 0);
    }
    char path[128];
    size_t size = make_query(requests, number, path, requests->body);
    return http_format(out, &requests->server, "POST", path, requests->body, size);
}

static bool make_texts(struct requests *requests) {
    static char text[HTTP_REQUEST_MAX]; /* one thread */
    requests->texts = calloc(QUERIES, sizeof(*requests->texts));
    requests->sizes = calloc(QUERIES, sizeof(*requests->sizes));
    bool made = requests->texts != NULL && requests->sizes != NULL;
    for (uint32_t i = 0; made && i < QUERIES; i++) {
        size_t size = make_text(requests, i, text);
        requests->texts[i] = malloc(size);
        requests->sizes[i] = (uint32_t)size;
        made = requests->texts[i] != NULL;
        if (made) {
            memcpy(requests->texts[i], text, size);
        }
    }
    return made;
}

static size_t next_request(void *context, uint32_t connection, char *out) {
    struct requests *requests = context;
    (void)connection;
    if (bench_now_ns() >= requests->end_ns) {
        return 0;
    }
    uint64_t i = requests->sent++ % QUERIES;
    memcpy(out, requests->texts[i], requests->sizes[i]);
    return requests->sizes[i];
}

/* The answers are looked at once: a fast wrong answer is no figure. */
static bool check_answer(struct requests *requests) {
    const struct kind *kind = requests->kind;
    if (kind->points == 0) {
        return true;
    }
    char *answer = malloc(HTTP_REQUEST_MAX), path[128];
    uint32_t hits = 0, wanted = kind->limit < kind->points ? kind->limit : kind->points;
    requests->body[make_query(requests, 0, path, requests->body)] = '\0';
    bool good = answer != NULL && http_once(&requests->server, "POST", path, requests->body, answer,
                                            HTTP_REQUEST_MAX) == 200;
    for (const char *at = answer; good && (at = strstr(at, "\"score\":")) != NULL; at++) {
        hits++;
    }
    good = good && hits == wanted && (!kind->payload || strstr(answer, "\"bucket\"") != NULL);
    if (!good) {
        (void)bench_fail("%s: %u hits, want %u: %.200s", kind->name, hits, wanted,
                         answer == NULL ? "" : answer);
    }
    free(answer);
    return good;
}

static bool load_for(struct requests *requests, double seconds) {
    requests->load.next = next_request;
    requests->end_ns = bench_now_ns() + (uint64_t)(seconds * (double)BENCH_NS);
    if (!http_load_run(&requests->load)) {
        return false;
    }
    if (requests->load.failed > 0) {
        (void)bench_fail("%llu requests failed, first: %d %s",
                         (unsigned long long)requests->load.failed, requests->load.first_status,
                         requests->load.first_body);
    }
    return requests->load.failed == 0;
}

static bool measure(struct requests *requests) {
    const struct bench_options *options = requests->options;
    struct process_sample before, after;
    struct report out;
    if (!make_texts(requests) || !check_answer(requests) || !load_for(requests, options->warmup)) {
        return false;
    }
    process_read(options->pid, &before);
    uint64_t start_ns = bench_now_ns();
    if (!load_for(requests, options->seconds)) {
        return false;
    }
    double seconds = bench_seconds_since(start_ns);
    process_read(options->pid, &after);
    double count = (double)requests->load.good;
    report_begin(&out, options, "requests");
    report_text(&out, "kind", "kind", requests->kind->name);
    report_text(&out, "style", "a tenant is", in_collections(requests) ? "collection" : "key");
    report_number(&out, "connections", "connections", options->connections);
    report_number(&out, "requests_per_s", "requests/s", count / seconds);
    report_latency(&out, &requests->load.latency);
    if (after.available) {
        report_number(&out, "cpu_us", "the server's CPU us per request",
                      (after.cpu_s - before.cpu_s) * 1e6 / count);
    } else {
        report_absent(&out, "cpu_us", "the server's CPU us per request");
    }
    report_end(&out);
    return true;
}

int run_requests(const struct bench_options *options) {
    const char *name = options->kind == NULL ? kinds[0].name : options->kind;
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        kind = strcmp(name, kinds[i].name) == 0 ? &kinds[i] : kind;
    }
    if (kind == NULL || options->url == NULL) {
        return bench_fail("requests: --url and a --kind of healthz, search-8, search-100");
    }
    struct requests *requests = calloc(1, sizeof(*requests));
    if (requests == NULL) {
        return bench_fail("no memory");
    }
    struct bench_options made = *options;
    made.tenants = TENANTS;
    requests->options = options;
    requests->kind = kind;
    bool good = http_server_parse(options->url, &requests->server) &&
                points_open(&requests->points, &made, true);
    if (good) {
        requests->load.server = &requests->server;
        requests->load.connections = options->connections;
        requests->load.context = requests;
        good = fill(requests) && (options->setup_only || measure(requests));
    }
    for (uint32_t i = 0; requests->texts != NULL && i < QUERIES; i++) {
        free(requests->texts[i]);
    }
    free(requests->texts);
    free(requests->sizes);
    points_close(&requests->points);
    free(requests);
    return good ? BENCH_OK : BENCH_FAILED;
}
