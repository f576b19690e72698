/* A process per tenant: each tenant's ten points in the memory of a process of its own.
 *
 * As cheap as such a thing can be made: a forked copy of this small program, which shares its code,
 * with one socket to its parent and one file; no server, no log, no index. A search is a request to
 * the process and its answer.
 *
 *     insula-process-per-tenant FOLDER        commands: subject.h */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../bench.h"
#include "subject.h"

#define CHILD_SOCKET 3 /* the first descriptor behind the standard ones; all above are closed */

struct tenant_process {
    pid_t pid;
    int fd;
};

struct processes {
    const char *folder;
    struct tenant_process *all; /* [SUBJECT_TENANTS_MAX]; pid 0 = none */
};

struct request {
    bool fill; /* else a search with points[0].vector */
    struct subject_point points[SUBJECT_POINTS];
};

struct reply {
    int failed; /* errno */
    uint64_t id;
};

/* ---- The child ---- */

static bool transfer(const char *path, bool store, struct subject_point points[SUBJECT_POINTS]) {
    size_t size = sizeof(*points) * SUBJECT_POINTS;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return false;
    }
    bool good = store ? pwrite(fd, points, size, 0) == (ssize_t)size && fdatasync(fd) == 0
                      : pread(fd, points, size, 0) >= 0; /* a new tenant's file is empty */
    (void)close(fd);
    return good;
}

static _Noreturn void serve(const char *path) {
    static struct request request;
    struct subject_point *points = calloc(SUBJECT_POINTS, sizeof(*points));
    if (points == NULL) {
        _exit(1); /* the parent finds no answer */
    }
    struct reply reply = {.failed = transfer(path, false, points) ? 0 : errno};
    (void)send(CHILD_SOCKET, &reply, sizeof(reply), 0); /* ready */
    while (reply.failed == 0 && recv(CHILD_SOCKET, &request, sizeof(request), 0) > 0) {
        if (request.fill) {
            memcpy(points, request.points, sizeof(request.points));
            reply.failed = transfer(path, true, points) ? 0 : errno;
        } else {
            reply.id = subject_nearest(points, request.points[0].vector);
        }
        (void)send(CHILD_SOCKET, &reply, sizeof(reply), 0);
    }
    _exit(0);
}

/* ---- The parent ---- */

static bool wait_reply(int fd, struct reply *out_reply) {
    ssize_t size = recv(fd, out_reply, sizeof(*out_reply), 0);
    if (size == (ssize_t)sizeof(*out_reply)) {
        errno = out_reply->failed;
        return out_reply->failed == 0;
    }
    errno = size < 0 ? errno : ECHILD;
    return false;
}

static bool start(void *context, uint32_t tenant) {
    struct processes *processes = context;
    struct tenant_process *one = &processes->all[tenant];
    char path[512];
    int ends[2];
    (void)snprintf(path, sizeof(path), "%s/%u", processes->folder, tenant);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(ends[1], CHILD_SOCKET) < 0 || close_range(CHILD_SOCKET + 1, ~0u, 0) != 0) {
            _exit(1);
        }
        serve(path);
    }
    int failed = errno;
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        errno = failed;
        return false;
    }
    *one = (struct tenant_process){.pid = pid, .fd = ends[0]};
    struct reply reply;
    return wait_reply(one->fd, &reply);
}

static bool ask(const struct tenant_process *one, const struct request *request, size_t size,
                struct reply *out_reply) {
    return send(one->fd, request, size, MSG_NOSIGNAL) == (ssize_t)size &&
           wait_reply(one->fd, out_reply);
}

static bool fill(void *context, uint32_t tenant,
                 const struct subject_point points[SUBJECT_POINTS]) {
    struct processes *processes = context;
    struct request request = {.fill = true};
    struct reply reply;
    memcpy(request.points, points, sizeof(request.points));
    return ask(&processes->all[tenant], &request, sizeof(request), &reply);
}

static bool search(void *context, uint32_t tenant, const float query[SUBJECT_DIM],
                   uint64_t *out_id) {
    struct processes *processes = context;
    struct request request = {.fill = false};
    struct reply reply;
    memcpy(request.points[0].vector, query, sizeof(request.points[0].vector));
    bool good = ask(&processes->all[tenant], &request, offsetof(struct request, points[1]), &reply);
    *out_id = good ? reply.id : 0;
    return good;
}

static void stop_all(struct processes *processes) {
    for (uint32_t i = 0; i < SUBJECT_TENANTS_MAX; i++) {
        if (processes->all[i].pid != 0) {
            (void)close(processes->all[i].fd); /* its recv ends, and so does it */
            (void)waitpid(processes->all[i].pid, NULL, 0);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)bench_fail("insula-process-per-tenant FOLDER");
        return BENCH_USAGE;
    }
    subject_raise_limits();
    struct processes processes = {
        .folder = argv[1], .all = calloc(SUBJECT_TENANTS_MAX, sizeof(struct tenant_process))};
    if (processes.all == NULL) {
        return bench_fail("no memory");
    }
    struct subject subject = {
        .context = &processes, .create = start, .fill = fill, .open = start, .search = search};
    int result = subject_run(&subject);
    stop_all(&processes);
    free(processes.all);
    return result;
}
