/* insula demo: real documents of many tenants, loaded and searched, over HTTP like any client.
 *
 * Path: a server (that of --url, or one of its own on a temporary directory) -> a collection with
 * an is_tenant index -> the sample in batches, with a progress bar -> searches within tenants,
 * their hits -> the same searches again and again, their latencies. */
#include <dirent.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/json_text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/sample.h"
#include "server/server.h"

#define BATCH 100ul
#define HITS 3
#define ROUNDS 50ul /* how often each search is asked for the latencies */
#define BAR_WIDTH 40ul
#define POINT_TEXT_MAX 16384ul /* of one point in a request: 128 numbers and a payload */
#define ANSWER_BYTES (8u << 20)

struct demo {
    const char *url, *sample_directory, *collection;
    char own_url[64], own_directory[64];
    struct server *server; /* of its own, or NULL */
    pthread_t thread;
    struct client client;
    struct sample sample;
    struct json_parser *parser;
    char *body; /* [BATCH * POINT_TEXT_MAX] */
};

static double seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- A server of its own ----------------------------------------------------------------- */

static void *serve_main(void *context) {
    ins_error error = {.status = INS_OK};
    if (server_run(context, &error) != INS_OK) {
        (void)fprintf(stderr, "insula demo: %s\n", error.message);
    }
    return NULL;
}

static bool own_server_start(struct demo *demo) {
    (void)snprintf(demo->own_directory, sizeof(demo->own_directory), "/tmp/insula-demo-XXXXXX");
    if (mkdtemp(demo->own_directory) == NULL) {
        (void)fprintf(stderr, "insula demo: cannot make a directory in /tmp\n");
        return false;
    }
    ins_error error = {.status = INS_OK};
    struct server_options options = {.data_dir = demo->own_directory, .host = CLI_HOST_DEFAULT};
    if (server_open(&options, &demo->server, &error) != INS_OK) {
        (void)fprintf(stderr, "insula demo: %s\n", error.message);
        return false;
    }
    if (pthread_create(&demo->thread, NULL, serve_main, demo->server) != 0) {
        server_close(demo->server);
        demo->server = NULL;
        return false;
    }
    (void)snprintf(demo->own_url, sizeof(demo->own_url), "http://%s:%u", CLI_HOST_DEFAULT,
                   server_port(demo->server));
    demo->url = demo->own_url;
    (void)printf("Started a server of its own at %s, data in %s.\n", demo->url,
                 demo->own_directory);
    return true;
}

static void remove_directory(const char *directory) {
    DIR *listing = opendir(directory);
    struct dirent *entry;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char path[512];
        struct stat status;
        (void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            lstat(path, &status) == 0) {
            if (S_ISDIR(status.st_mode)) {
                remove_directory(path);
            } else {
                (void)unlink(path);
            }
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
    (void)rmdir(directory);
}

static void own_server_stop(struct demo *demo) {
    if (demo->server != NULL) {
        server_stop(demo->server);
        (void)pthread_join(demo->thread, NULL);
        server_close(demo->server);
    }
    if (demo->own_directory[0] != '\0') {
        remove_directory(demo->own_directory);
    }
}

/* ---- Requests ---------------------------------------------------------------------------- */

/* Sends one request; anything but 200 is told and ends the demo. */
static bool call(struct demo *demo, const char *method, const char *path, const char *body,
                 size_t size) {
    if (!client_call(&demo->client, method, path, body, size)) {
        (void)fprintf(stderr, "\ninsula demo: %s\n", demo->client.error);
        return false;
    }
    if (demo->client.http != 200) {
        (void)fprintf(stderr, "\ninsula demo: %s %s answered %u: %.500s\n", method, path,
                      demo->client.http, demo->client.answer);
        return false;
    }
    return true;
}

static bool call_collection(struct demo *demo, const char *method, const char *rest,
                            const char *body, size_t size) {
    char path[400];
    (void)snprintf(path, sizeof(path), "/collections/%s%s", demo->collection, rest);
    return call(demo, method, path, body, size);
}

static size_t put_vector(char *out, const struct sample_vectors *vectors, size_t row) {
    size_t size = 0;
    for (uint32_t i = 0; i < vectors->dim; i++) {
        out[size++] = i == 0 ? '[' : ',';
        size +=
            json_format_float(half_to_float(vectors->halves[row * vectors->dim + i]), out + size);
    }
    out[size++] = ']';
    return size;
}

static bool collection_make(struct demo *demo) {
    static const char index[] = "{\"field_name\":\"tenant\",\"field_schema\":"
                                "{\"type\":\"keyword\",\"is_tenant\":true}}";
    char create[200];
    int size = snprintf(create, sizeof(create),
                        "{\"vectors\":{\"size\":%u,\"distance\":\"Cosine\"},"
                        "\"hnsw_config\":{\"m\":0,\"payload_m\":16}}",
                        demo->sample.documents.dim);
    return call_collection(demo, "DELETE", "", NULL, 0) &&
           call_collection(demo, "PUT", "", create, (size_t)size) &&
           call_collection(demo, "PUT", "/index?wait=true", index, sizeof(index) - 1);
}

/* ---- Loading ----------------------------------------------------------------------------- */

static void bar_show(size_t done, size_t all, double started) {
    double elapsed = seconds_now() - started;
    size_t filled = all == 0 ? BAR_WIDTH : done * BAR_WIDTH / all;
    char bar[BAR_WIDTH + 1];
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    if (isatty(STDOUT_FILENO) || done == all) {
        (void)printf("%s[%s] %zu of %zu documents, %.0f/s%s", isatty(STDOUT_FILENO) ? "\r" : "",
                     bar, done, all, elapsed > 0.0 ? (double)done / elapsed : 0.0,
                     done == all ? "\n" : "");
        (void)fflush(stdout);
    }
}

static size_t batch_write(struct demo *demo, size_t first, size_t count) {
    size_t size = (size_t)sprintf(demo->body, "{\"points\":[");
    for (size_t row = first; row < first + count; row++) {
        char *at = demo->body + size;
        size_t used =
            (size_t)sprintf(at, "%s{\"id\":%zu,\"vector\":", row == first ? "" : ",", row);
        used += put_vector(at + used, &demo->sample.documents, row);
        used += (size_t)snprintf(at + used, POINT_TEXT_MAX - used, ",\"payload\":%s}",
                                 demo->sample.payloads.lines[row]);
        size += used;
    }
    return size + (size_t)sprintf(demo->body + size, "]}");
}

static bool load(struct demo *demo) {
    size_t all = demo->sample.documents.count;
    double started = seconds_now();
    for (size_t done = 0; done < all;) {
        size_t count = all - done < BATCH ? all - done : BATCH;
        size_t size = batch_write(demo, done, count);
        if (!call_collection(demo, "PUT", "/points?wait=true", demo->body, size)) {
            return false;
        }
        done += count;
        bar_show(done, all, started);
    }
    return true;
}

/* ---- Searching --------------------------------------------------------------------------- */

static ins_text line_text(const char *line) {
    return (ins_text){line, strlen(line)};
}

/* A member of one line of demo.jsonl as it stands there; "0" when it is missing. */
static ins_text line_member(const char *line, const char *key) {
    ins_text value = {"0", 1};
    (void)json_text_get_last(line_text(line), line_text(key), &value);
    return value;
}

static bool search(struct demo *demo, const char *line) {
    ins_text tenant = line_member(line, "tenant");
    size_t row = strtoul(line_member(line, "row").data, NULL, 10);
    if (row >= demo->sample.queries.count || tenant.size > 300) {
        return false;
    }
    size_t size = (size_t)sprintf(demo->body, "{\"query\":");
    size += put_vector(demo->body + size, &demo->sample.queries, row);
    size +=
        (size_t)sprintf(demo->body + size,
                        ",\"filter\":{\"must\":[{\"key\":\"tenant\",\"match\":{\"value\":%.*s}}]},"
                        "\"limit\":%d,\"with_payload\":[\"name\",\"title\"]}",
                        (int)tenant.size, tenant.data, HITS);
    return call_collection(demo, "POST", "/points/query", demo->body, size);
}

static ins_text payload_text(struct json_value point, const char *key) {
    struct json_value payload, value;
    if (json_get(point, "payload", &payload) && json_type_of(payload) == JSON_OBJECT &&
        json_get(payload, key, &value) && json_type_of(value) == JSON_STRING) {
        return json_string(value);
    }
    return (ins_text){"", 0};
}

static bool hits_print(struct demo *demo) {
    struct json_value root, result, points, point, score;
    ins_error error = {.status = INS_OK};
    if (json_parse(demo->parser, demo->client.answer, demo->client.answer_size, &root, &error) !=
            INS_OK ||
        json_type_of(root) != JSON_OBJECT || !json_get(root, "result", &result) ||
        json_type_of(result) != JSON_OBJECT || !json_get(result, "points", &points) ||
        json_type_of(points) != JSON_ARRAY) {
        (void)fprintf(stderr, "insula demo: the answer is not one of a query\n");
        return false;
    }
    struct json_iterator iterator = json_begin(points);
    for (int i = 0; i < HITS && json_next(&iterator, &point); i++) {
        if (json_type_of(point) != JSON_OBJECT || !json_get(point, "score", &score) ||
            !json_is_number(score)) {
            return false;
        }
        ins_text name = payload_text(point, "name");
        ins_text title = payload_text(point, "title");
        (void)printf("    %.3f  %-28.*s %.*s\n", json_number(score), (int)name.size, name.data,
                     (int)title.size, title.data);
    }
    return true;
}

static bool searches_show(struct demo *demo) {
    for (size_t i = 0; i < demo->sample.demo.count; i++) {
        const char *line = demo->sample.demo.lines[i];
        ins_text tenant = line_member(line, "tenant");
        ins_text text = line_member(line, "text");
        (void)printf("\n%.*s asks %.*s\n", (int)tenant.size, tenant.data, (int)text.size,
                     text.data);
        if (!search(demo, line) || !hits_print(demo)) {
            return false;
        }
    }
    return true;
}

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static bool latencies_show(struct demo *demo) {
    size_t searches = demo->sample.demo.count;
    size_t all = searches * ROUNDS;
    double *times = calloc(all + 1, sizeof(*times));
    bool went = times != NULL;
    for (size_t i = 0; went && i < all; i++) {
        double started = seconds_now();
        went = search(demo, demo->sample.demo.lines[i % searches]);
        times[i] = seconds_now() - started;
    }
    if (went && all != 0) {
        qsort(times, all, sizeof(*times), compare_doubles);
        (void)printf("\n%zu searches, one after the other over HTTP, each within its tenant: "
                     "p50 %.2f ms, p99 %.2f ms.\n",
                     all, times[all / 2] * 1e3, times[all * 99 / 100] * 1e3);
    }
    free(times);
    return went;
}

static void next_steps(const struct demo *demo) {
    if (demo->server != NULL) {
        (void)printf("\nThat server and its data are gone now. To keep what you load:\n"
                     "  insula serve            and, in another terminal,\n"
                     "  insula demo --url http://127.0.0.1:%u\n",
                     CLI_HTTP_PORT_DEFAULT);
        return;
    }
    (void)printf("\nThe collection %s stays. Look into one tenant:\n"
                 "  curl -X POST %s/collections/%s/points/scroll -H 'Content-Type: "
                 "application/json' \\\n"
                 "    -d '{\"limit\": 3, \"filter\": {\"must\": [{\"key\": \"tenant\", \"match\": "
                 "{\"value\": \"maintainer-0012\"}}]}}'\n",
                 demo->collection, demo->url, demo->collection);
}

/* ---- All of it --------------------------------------------------------------------------- */

static bool demo_prepare(struct demo *demo) {
    char found[2200];
    if (demo->sample_directory == NULL) {
        if (!sample_find(found, sizeof(found))) {
            (void)fprintf(stderr, "insula demo: the sample is not beside the program; name its "
                                  "directory with --sample\n");
            return false;
        }
        demo->sample_directory = found;
    }
    bool read = sample_open(&demo->sample, demo->sample_directory);
    demo->sample_directory = NULL;
    demo->body = malloc(BATCH * POINT_TEXT_MAX);
    demo->parser = json_parser_create(ANSWER_BYTES, 64);
    return read && demo->body != NULL && demo->parser != NULL &&
           (demo->url != NULL || own_server_start(demo));
}

static bool demo_run(struct demo *demo) {
    if (!client_open(&demo->client, demo->url)) {
        (void)fprintf(stderr,
                      "insula demo: %s\nIs a server running there? insula serve starts one.\n",
                      demo->client.error);
        return false;
    }
    (void)printf(
        "Loading documents (descriptions of Debian packages, a tenant a maintainer) into the "
        "collection %s.\n",
        demo->collection);
    return collection_make(demo) && load(demo) && searches_show(demo) && latencies_show(demo);
}

static int demo_options(int argc, char **argv, struct demo *demo) {
    static const struct option known[] = {
        {"url", required_argument, NULL, 'u'},
        {"sample", required_argument, NULL, 's'},
        {"collection", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h') {
            (void)cli_print_help("demo");
            return -1;
        }
        if (option == '?') {
            return cli_usage("demo", "see above");
        }
        *(option == 'u'   ? &demo->url
          : option == 's' ? &demo->sample_directory
                          : &demo->collection) = optarg;
    }
    if (strspn(demo->collection,
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            strlen(demo->collection) ||
        strlen(demo->collection) > 200) {
        return cli_usage("demo", "--collection: letters, digits, '-', '_' and '.' only");
    }
    return optind == argc ? CLI_OK : cli_usage("demo", "unexpected argument \"%s\"", argv[optind]);
}

int cli_demo(int argc, char **argv) {
    struct demo demo = {.collection = "insula-demo", .client = {.socket = -1}};
    int result = demo_options(argc, argv, &demo);
    if (result != CLI_OK) {
        return result < 0 ? CLI_OK : result;
    }
    bool went = demo_prepare(&demo) && demo_run(&demo);
    client_close(&demo.client);
    if (went) {
        next_steps(&demo);
    }
    own_server_stop(&demo);
    sample_close(&demo.sample);
    json_parser_destroy(demo.parser);
    free(demo.body);
    return went ? CLI_OK : CLI_FAILED;
}
