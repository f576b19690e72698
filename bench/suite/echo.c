#include "echo.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- The process ---- */

static bool pass_all(int fd, char *bytes, bool out) {
    for (size_t at = 0; at < ECHO_BYTES;) {
        ssize_t moved = out ? send(fd, bytes + at, ECHO_BYTES - at, MSG_NOSIGNAL)
                            : recv(fd, bytes + at, ECHO_BYTES - at, 0);
        if (moved <= 0 && !(moved < 0 && errno == EINTR)) {
            return false;
        }
        at += moved > 0 ? (size_t)moved : 0;
    }
    return true;
}

static void become_echo(int listener, pid_t server) {
    char bytes[ECHO_BYTES];
    cpu_set_t cores;
    int one = 1;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (server != 0 && sched_getaffinity(server, sizeof(cores), &cores) == 0) {
        (void)sched_setaffinity(0, sizeof(cores), &cores);
    }
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    bool good = fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0;
    while (good && pass_all(fd, bytes, false)) {
        good = pass_all(fd, bytes, true);
    }
    _exit(0);
}

/* A listening socket on a free port of this machine; -1: there is none. */
static int listen_any(struct sockaddr_in *out_address) {
    socklen_t size = sizeof(*out_address);
    *out_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)out_address, size) != 0 || listen(fd, 1) != 0 ||
                    getsockname(fd, (struct sockaddr *)out_address, &size) != 0)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* ---- The thread that asks it ---- */

static bool count_answer(struct echo *echo, uint64_t latency_ns) {
    (void)pthread_mutex_lock(&echo->lock);
    if (echo->into != NULL) {
        latency_add(echo->into, latency_ns);
    }
    bool stop = echo->stop;
    (void)pthread_mutex_unlock(&echo->lock);
    return !stop;
}

static void *ask_echo(void *context) {
    struct echo *echo = context;
    char bytes[ECHO_BYTES] = {0};
    uint64_t due_ns = bench_now_ns();
    bool good = true;
    do {
        due_ns += ECHO_GAP_NS;
        uint64_t now_ns = bench_now_ns();
        if (now_ns < due_ns) {
            bench_sleep((double)(due_ns - now_ns) / (double)BENCH_NS);
        }
        good = pass_all(echo->fd, bytes, true) && pass_all(echo->fd, bytes, false);
    } while (good && count_answer(echo, bench_now_ns() - due_ns));
    (void)pthread_mutex_lock(&echo->lock);
    echo->failed = !good;
    (void)pthread_mutex_unlock(&echo->lock);
    return NULL;
}

/* ---- Life ---- */

static bool connect_echo(struct echo *echo, const struct sockaddr_in *address) {
    int one = 1;
    echo->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return echo->fd >= 0 &&
           connect(echo->fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
           setsockopt(echo->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0;
}

bool echo_open(struct echo *echo, pid_t server) {
    struct sockaddr_in address;
    *echo = (struct echo){.fd = -1};
    (void)pthread_mutex_init(&echo->lock, NULL);
    int listener = listen_any(&address);
    echo->process = listener < 0 ? -1 : fork();
    if (echo->process == 0) {
        become_echo(listener, server);
    }
    bool good = echo->process > 0 && connect_echo(echo, &address);
    if (listener >= 0) {
        (void)close(listener);
    }
    echo->started = good && pthread_create(&echo->thread, NULL, ask_echo, echo) == 0;
    if (!echo->started) {
        (void)bench_fail("cannot start the control process: %s", strerror(errno));
        echo_close(echo);
        return false;
    }
    return true;
}

void echo_close(struct echo *echo) {
    if (echo->started) {
        (void)pthread_mutex_lock(&echo->lock);
        echo->stop = true;
        (void)pthread_mutex_unlock(&echo->lock);
        (void)pthread_join(echo->thread, NULL);
    }
    if (echo->process > 0) {
        (void)close(echo->fd);
        (void)kill(echo->process, SIGKILL);
        (void)waitpid(echo->process, NULL, 0);
    }
    *echo = (struct echo){.fd = -1};
}

bool echo_measure(struct echo *echo, struct latency *into) {
    (void)pthread_mutex_lock(&echo->lock);
    echo->into = into;
    bool good = !echo->failed;
    (void)pthread_mutex_unlock(&echo->lock);
    return good;
}
