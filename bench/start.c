/* `start`: from exec of the server to its first right answer.
 *
 * The data was made before by `collections --points 1`. Beside it, in the same run: reading and
 * hashing as many bytes of that directory as the server had read by then, straight from the disk.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "child.h"
#include "report.h"
#include "rest.h"

#define COLLECTION "tenants"
#define READ_BYTES (1u << 20)
#define ANSWER_MAX 4096u

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
    size_t id_size = points_id_text(point_id(points->seed, options->style, tenant, 0), id);
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
    report_begin(&out, options, "start");
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
    if (!child_start(child, options, options->data)) {
        return false;
    }
    bool right = answer_is_right(child, points, options, tenant);
    double answers = bench_seconds_since(start_ns);
    struct process_sample sample;
    process_read(child->pid, &sample);
    child_stop(child, false);
    if (!right) {
        (void)bench_fail("the first answer is not right");
        return false;
    }
    report(options, child->listen_s, answers, sample.read_bytes,
           read_directory(options->data, sample.read_bytes), sample.resident_bytes);
    return true;
}

int run_start(const struct bench_options *options) {
    if (options->data == NULL || options->collections == 0) {
        return bench_fail("start: --data and --collections are needed");
    }
    struct bench_options made = *options;
    made.tenants = options->collections;
    struct bench_points points;
    struct child child = {0};
    if (!points_open(&points, &made, true)) {
        return BENCH_FAILED;
    }
    bool good = measure(&child, &points, options);
    child_stop(&child, false);
    points_close(&points);
    return good ? BENCH_OK : BENCH_FAILED;
}
