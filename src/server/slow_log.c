/* Where the slow log's lines go: a file or the standard error. A line is one write, so those of
 * many lanes never mix. A pipe that cannot take it at once goes without it. A file takes it into
 * the page cache: on a disk that is behind with writing, that can hold up the loop, by at most the
 * lines of a second. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "server/server_private.h"

ins_status slow_log_open(const char *path, int *out_descriptor, ins_error *error) {
    *out_descriptor = -1;
    if (path == NULL) {
        return INS_OK;
    }
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return ins_fail(error, INS_IO, "slow log %s: %s", path, strerror(errno));
    }
    *out_descriptor = descriptor;
    return INS_OK;
}

bool slow_log_write(void *context, const char *line, size_t size) {
    const struct server *server = context;
    int descriptor = server->slow_log >= 0 ? server->slow_log : STDERR_FILENO;
    /* A pipe that is ready has room for a line, whatever its other end does. */
    struct pollfd ready = {.fd = descriptor, .events = POLLOUT};
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0 &&
           write(descriptor, line, size) == (ssize_t)size;
}
