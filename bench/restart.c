/* `restart`: from exec of the server to its first right answer.
 *
 * The data was made before by `collections --points 1`. Beside it, in the same run: reading and
 * hashing as many bytes of that directory as the server had read by then, straight from the disk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "rest.h"

#define COLLECTION "tenants"
#define READ_BYTES (1u << 20)
#define ANSWER_MAX 4096u
#define GIVE_UP_S 300.0

struct child {
    pid_t pid;
    char url[64];
    struct http_server server;
};

/* ---- The server ---- */

static unsigned free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
                getsockname(fd, (struct sockaddr *)&address, &size) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return good ? ntohs(address.sin_port) : 0;
}

static bool child_start(struct child *child, const struct bench_options *options) {
    char port[16], budget[32];
    unsigned number = free_port();
    (void)snprintf(port, sizeof(port), "%u", number);
    (void)snprintf(child->url, sizeof(child->url), "http://127.0.0.1:%u", number);
    (void)snprintf(budget, sizeof(budget), "%llu", (unsigned long long)options->memory_budget);
    if (number == 0 || !http_server_parse(child->url, &child->server)) {
        (void)bench_fail("no free port: %s", strerror(errno));
        return false;
    }
    child->pid = fork();
    if (child->pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDOUT_FILENO);
        (void)execl(options->server, options->server, "serve", "--data", options->data,
                    "--http-port", port, "--memory-budget", budget, (char *)NULL);
        _exit(127);
    }
    return child->pid > 0;
}

static void child_stop(struct child *child) {
    if (child->pid > 0) {
        (void)kill(child->pid, SIGTERM);
        (void)waitpid(child->pid, NULL, 0);
        child->pid = 0;
    }
}

static bool child_lives(struct child *child) {
    if (waitpid(child->pid, NULL, WNOHANG) == 0) {
        return true;
    }
    child->pid = 0;
    return false;
}

static bool child_listens(const struct child *child) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool listens = fd >= 0 && connect(fd, (const struct sockaddr *)&child->server.address,
                                      sizeof(child->server.address)) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return listens;
}

/* ---- The answer ---- */

/* Asks one tenant for the nearest to its own point, which must be the first hit. */
static bool answer_is_right(const struct child *child, const struct bench_points *points,
                            const struct bench_options *options, uint32_t tenant) {
    static char body[HTTP_REQUEST_MAX];
    char path[128], answer[ANSWER_MAX], id[48], wanted[64];
    bool key = options->style == BENCH_STYLE_KEY;
    struct rest_query query = {.points = points,
                               .style = options->style,
                               .collection = key ? COLLECTION : points->names[tenant],
                               .tenant = tenant,
                               .pool_index = points_pool_index(points, tenant, 0, 0),
                               .limit = 1};
    (void)rest_query_path(&query, path);
    body[rest_query_body(&query, body)] = '\0';
    size_t id_size = points_id_text(points_id(points, options->style, tenant, 0), id);
    (void)snprintf(wanted, sizeof(wanted), "\"id\":%.*s,", (int)id_size, id);
    return http_once(&child->server, "POST", path, body, answer, sizeof(answer)) == 200 &&
           strstr(answer, wanted) != NULL;
}

/* ---- The comparison ---- */

/* Reads and hashes a file, at most *left bytes; what it read is taken from *left. */
static void read_file(int directory, const char *name, void *buffer, uint64_t *left) {
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_DIRECT);
    ssize_t got = 1;
    while (fd >= 0 && got > 0 && *left > 0) {
        got = read(fd, buffer, READ_BYTES);
        if (got > 0) {
            (void)hash64(buffer, (size_t)got);
            *left -= (uint64_t)got < *left ? (uint64_t)got : *left;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Seconds for `bytes` bytes of the directory: manifest, log, then segments. */
static double read_directory(const char *data, uint64_t bytes) {
    static const char *const parts[] = {"cells", "log", "objects"};
    uint64_t start_ns = bench_now_ns(), left = bytes;
    void *buffer = aligned_alloc(4096, READ_BYTES);
    for (size_t i = 0; buffer != NULL && i < sizeof(parts) / sizeof(parts[0]); i++) {
        char path[1024];
        (void)snprintf(path, sizeof(path), "%s/%s", data, parts[i]);
        DIR *directory = opendir(path);
        const struct dirent *entry;
        while (directory != NULL && (entry = readdir(directory)) != NULL) {
            if (entry->d_name[0] != '.') {
                read_file(dirfd(directory), entry->d_name, buffer, &left);
            }
        }
        if (directory != NULL) {
            (void)closedir(directory);
        }
    }
    free(buffer);
    return bench_seconds_since(start_ns);
}

/* ---- The whole ---- */

static void report(const struct bench_options *options, double listens, double answers,
                   uint64_t read_bytes, double reading, uint64_t resident) {
    struct report out;
    report_begin(&out, options, "restart");
    report_text(&out, "style", "a tenant is",
                options->style == BENCH_STYLE_KEY ? "key" : "collection");
    report_number(&out, "collections", "collections or tenants", options->collections);
    report_number(&out, "listen_s", "seconds until it listens", listens);
    report_number(&out, "answer_s", "seconds until the first right answer", answers);
    report_number(&out, "read_mib", "MiB that the server read until then",
                  (double)read_bytes / 1048576.0);
    report_number(&out, "read_s", "seconds to read and hash as many", reading);
    report_number(&out, "ratio", "first answer over that", answers / reading);
    report_number(&out, "resident_mib", "resident MiB", (double)resident / 1048576.0);
    report_end(&out);
}

static bool measure(struct child *child, const struct bench_points *points,
                    const struct bench_options *options) {
    uint32_t tenant =
        (uint32_t)(bench_hash(options->seed, BENCH_PICK, 1, 1) % options->collections);
    uint64_t start_ns = bench_now_ns();
    if (!child_start(child, options)) {
        return false;
    }
    while (!child_listens(child)) {
        if (!child_lives(child) || bench_seconds_since(start_ns) > GIVE_UP_S) {
            (void)bench_fail("%s does not serve %s", options->server, options->data);
            return false;
        }
        bench_sleep(0.001);
    }
    double listens = bench_seconds_since(start_ns);
    bool right = answer_is_right(child, points, options, tenant);
    double answers = bench_seconds_since(start_ns);
    struct process_sample sample;
    process_read(child->pid, &sample);
    child_stop(child);
    if (!right) {
        (void)bench_fail("the first answer is not right");
        return false;
    }
    report(options, listens, answers, sample.read_bytes,
           read_directory(options->data, sample.read_bytes), sample.resident_bytes);
    return true;
}

int run_restart(const struct bench_options *options) {
    if (options->server == NULL || options->data == NULL || options->collections == 0) {
        return bench_fail("restart: --server, --data and --collections are needed");
    }
    struct bench_options made = *options;
    made.tenants = options->collections;
    struct bench_points points;
    struct child child = {0};
    if (!points_open(&points, &made, true)) {
        return BENCH_FAILED;
    }
    bool good = measure(&child, &points, options);
    child_stop(&child);
    points_close(&points);
    return good ? BENCH_OK : BENCH_FAILED;
}
