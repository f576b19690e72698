#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIVE_UP_S 300.0 /* of a start: a log to replay and a catalog to read */

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

bool child_program(const struct bench_options *options, char *out, size_t capacity) {
    if (options->server != NULL) {
        (void)snprintf(out, capacity, "%s", options->server);
        return true;
    }
    ssize_t size = readlink("/proc/self/exe", out, capacity - 1);
    out[size < 0 ? 0 : size] = '\0';
    for (int up = 0; up < 2; up++) { /* BUILD/bench/insula-bench */
        char *slash = strrchr(out, '/');
        if (slash == NULL) {
            return false;
        }
        *slash = '\0';
    }
    size_t at = strlen(out);
    (void)snprintf(out + at, capacity - at, "/insula");
    return access(out, X_OK) == 0;
}

static bool lives(struct child *child) {
    if (waitpid(child->pid, NULL, WNOHANG) == 0) {
        return true;
    }
    child->pid = 0;
    return false;
}

static bool listens(const struct child *child) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && connect(fd, (const struct sockaddr *)&child->server.address,
                                   sizeof(child->server.address)) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return good;
}

static void become_server(const char *program, const char *data, unsigned port, uint64_t budget) {
    char port_text[16], budget_text[32];
    (void)snprintf(port_text, sizeof(port_text), "%u", port);
    (void)snprintf(budget_text, sizeof(budget_text), "%llu", (unsigned long long)budget);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(null, STDOUT_FILENO);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives a bench that was killed */
    (void)execl(program, program, "serve", "--data", data, "--http-port", port_text,
                "--memory-budget", budget_text, (char *)NULL);
    _exit(127);
}

bool child_start(struct child *child, const struct bench_options *options, const char *data) {
    char program[512];
    unsigned port = free_port();
    (void)snprintf(child->url, sizeof(child->url), "http://127.0.0.1:%u", port);
    if (!child_program(options, program, sizeof(program))) {
        (void)bench_fail("no server to start: --server FILE names it");
        return false;
    }
    if (port == 0 || !http_server_parse(child->url, &child->server)) {
        (void)bench_fail("no free port: %s", strerror(errno));
        return false;
    }
    uint64_t start_ns = bench_now_ns();
    child->pid = fork();
    if (child->pid == 0) {
        become_server(program, data, port, options->memory_budget);
    }
    while (child->pid > 0 && !listens(child)) {
        if (!lives(child) || bench_seconds_since(start_ns) > GIVE_UP_S) {
            (void)bench_fail("%s does not serve %s", program, data);
            child_stop(child, true);
            return false;
        }
        bench_sleep(0.001);
    }
    child->listen_s = bench_seconds_since(start_ns);
    return child->pid > 0;
}

void child_stop(struct child *child, bool kill_it) {
    if (child->pid > 0) {
        (void)kill(child->pid, kill_it ? SIGKILL : SIGTERM);
        (void)waitpid(child->pid, NULL, 0);
        child->pid = 0;
    }
}
