/* Preloaded into a server: its clock of the day jumps. The difference in seconds, a 64-bit number,
 * is read anew each time from the file that INSULA_CLOCK names, so that it jumps while the server
 * runs. The steady clock is left alone: it does not jump on any machine. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *difference;
static int (*real_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    *(void **)&real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("INSULA_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        void *map = mmap(NULL, sizeof(*difference), PROT_READ, MAP_SHARED, fd, 0);
        difference = map == MAP_FAILED ? NULL : map;
        (void)close(fd);
    }
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *out) {
    int result = real_clock(clock, out);
    if (result == 0 && clock == CLOCK_REALTIME && difference != NULL) {
        out->tv_sec += *difference;
    }
    return result;
}

__attribute__((visibility("default"))) time_t time(time_t *out) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict out,
                                                        void *restrict zone) {
    struct timespec now = {0};
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return result;
}
