/* Goal: power that fails at any moment loses nothing that was acknowledged, on a real file system.
 * Method: writers in a child process (ledger.h) on an ext4 of their own, loop-mounted; in the
 * middle of it the file system is shut down (EXT4_IOC_SHUTDOWN without a flush of its journal):
 * from that moment on nothing reaches the device, as when the power fails. The child is killed, the
 * file system is mounted anew, which replays its journal, and everything is verified; then the next
 * child goes on. What it cannot show is a device that loses its own cache: the simulator does.
 * Skipped (exit code 77, with the reason) without root, loop devices or mkfs.ext4.
 *
 *   power_loss [--drop-log] [ROUNDS [SEED]]
 *
 * --drop-log: acknowledge without a log. The rig must find that: this form ends with 1. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"
#include "sim_random.h"

#define IMAGE_BYTES (256ll << 20)
#define LIFE_US_MAX 200000u
#define UMOUNT_TRIES 200
#define EXIT_SKIPPED 77
/* Of linux/ext4.h, which Debian 12 does not ship to programs. */
#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 2u

extern char **environ;

struct rig {
    char folder[256], image[288], mount[288], data[320];
};

static struct rig rig;
static pid_t owner; /* children do not unmount */

/* ---- Programs of the system ---- */

/* Exit code of a program, its words in `said`; -1 when it is not there. */
static int run(const char *said, const char *const arguments[]) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 1, said, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    (void)posix_spawn_file_actions_adddup2(&actions, 1, 2);
    int failed =
        posix_spawnp(&pid, arguments[0], &actions, NULL, (char *const *)arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    int how = 0;
    if (failed != 0 || waitpid(pid, &how, 0) != pid || !WIFEXITED(how)) {
        return -1;
    }
    return WEXITSTATUS(how);
}

static _Noreturn void skip(const char *reason) {
    (void)printf("skipped: %s\n", reason);
    exit(EXIT_SKIPPED);
}

/* ---- The file system ---- */

static bool mount_image(void) {
    char said[300];
    (void)snprintf(said, sizeof(said), "%s/said", rig.folder);
    return run(said, (const char *const[]){"mount", "-t", "ext4", "-o", "loop", rig.image,
                                           rig.mount, NULL}) == 0;
}

/* The last user of a file that is being closed may hold it for a moment. */
static void unmount(void) {
    for (int i = 0; i < UMOUNT_TRIES; i++) {
        if (umount2(rig.mount, 0) == 0 || errno == EINVAL) {
            return;
        }
        (void)usleep(10000);
    }
    ledger_die("umount", strerror(errno));
}

static void clean(void) {
    if (getpid() == owner) {
        (void)umount2(rig.mount, MNT_DETACH);
        (void)unlink(rig.image);
        char said[300];
        (void)snprintf(said, sizeof(said), "%s/said", rig.folder);
        (void)unlink(said);
        (void)rmdir(rig.mount);
        (void)rmdir(rig.folder);
    }
}

static void build(void) {
    char said[300];
    const char *parent = getenv("TMPDIR");
    (void)snprintf(rig.folder, sizeof(rig.folder), "%s/insula-power-XXXXXX",
                   parent != NULL ? parent : "/tmp");
    if (mkdtemp(rig.folder) == NULL) {
        skip("no temporary directory");
    }
    (void)snprintf(rig.image, sizeof(rig.image), "%s/image", rig.folder);
    (void)snprintf(rig.mount, sizeof(rig.mount), "%s/mount", rig.folder);
    (void)snprintf(rig.data, sizeof(rig.data), "%s/data", rig.mount);
    (void)snprintf(said, sizeof(said), "%s/said", rig.folder);
    owner = getpid();
    (void)atexit(clean);
    int fd = open(rig.image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, IMAGE_BYTES) != 0 || mkdir(rig.mount, 0700) != 0) {
        skip("no room for an image");
    }
    (void)close(fd);
    if (run(said, (const char *const[]){"mkfs.ext4", "-q", "-F", rig.image, NULL}) != 0) {
        skip("mkfs.ext4 is missing or fails");
    }
    if (!mount_image()) {
        skip("no file system can be mounted here");
    }
}

/* From here on the file system takes nothing to its device. */
static void cut_power(void) {
    uint32_t flags = EXT4_GOING_FLAGS_NOLOGFLUSH;
    int fd = open(rig.mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &flags) != 0) {
        ledger_die("the shutdown of the file system", strerror(errno));
    }
    (void)close(fd);
}

static bool can_cut_power(void) {
    uint32_t flags = EXT4_GOING_FLAGS_NOLOGFLUSH;
    int fd = open(rig.mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool can = fd >= 0 && ioctl(fd, EXT4_IOC_SHUTDOWN, &flags) == 0;
    (void)close(fd);
    unmount();
    return can && mount_image();
}

/* ---- Rounds ---- */

static void one_round(uint64_t seed) {
    struct sim_random random = {seed};
    ledger_expect_child();
    pid_t pid = fork();
    if (pid == 0) {
        ledger_child(sim_next(&random));
    }
    /* At times in the middle of the child's recovery. */
    bool early = sim_once_in(&random, 5);
    for (int waited = 0; !early && !ledger_child_is_ready() && waited < 10000; waited++) {
        (void)usleep(1000);
    }
    (void)usleep(sim_below(&random, early ? 8000 : LIFE_US_MAX));
    cut_power();
    (void)usleep(sim_below(&random, 3000)); /* whoever is told of it now was told wrong */
    (void)kill(pid, SIGKILL);
    int how = 0;
    if (waitpid(pid, &how, 0) != pid) {
        ledger_die("the child", "it cannot be waited for");
    }
    unmount();
    if (!mount_image()) {
        ledger_die("mount", "the file system does not come back");
    }
    ledger_verify();
}

int main(int argc, char **argv) {
    bool drop_log = argc > 1 && strcmp(argv[1], "--drop-log") == 0;
    int first = drop_log ? 2 : 1;
    uint64_t rounds = argc > first ? strtoull(argv[first], NULL, 10) : 15;
    uint64_t seed = argc > first + 1 ? strtoull(argv[first + 1], NULL, 10) : (uint64_t)time(NULL);
    if (geteuid() != 0) {
        skip("a file system can be mounted by root alone");
    }
    build();
    if (!can_cut_power()) {
        skip("this kernel's ext4 cannot be shut down");
    }
    ledger_open(
        &(struct ledger_options){.directory = rig.data, .kept = "nothing", .drop_log = drop_log});
    for (uint64_t i = 0; i < rounds; i++) {
        one_round(sim_mix(seed + i));
    }
    (void)printf("%llu power cuts (seed %llu), %llu requests\n", (unsigned long long)rounds,
                 (unsigned long long)seed, (unsigned long long)ledger_requests());
    return 0;
}
