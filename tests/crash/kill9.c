/* Goal: kill -9 at any moment loses nothing that was acknowledged, keeps no half of a request, and
 * leaves a directory that ins_check is content with.
 * Method: writers in a child process (ledger.h). The parent kills it and verifies; then the next
 * child goes on with the same directory.
 *
 *   kill9 [ROUNDS [SEED]] */
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"
#include "sim_random.h"

#define LIFE_US_MAX 60000u

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
    (void)kill(pid, SIGKILL);
    int how = 0;
    if (waitpid(pid, &how, 0) != pid || !WIFSIGNALED(how)) {
        ledger_die("the child ended by itself", ledger_failure());
    }
    ledger_verify();
}

static int remove_entry(const char *path, const struct stat *state, int kind, struct FTW *walk) {
    (void)state;
    (void)kind;
    (void)walk;
    return remove(path);
}

int main(int argc, char **argv) {
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 50;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
    char directory[256];
    const char *parent = getenv("TMPDIR");
    (void)snprintf(directory, sizeof(directory), "%s/insula-kill9-XXXXXX",
                   parent != NULL ? parent : "/tmp");
    if (mkdtemp(directory) == NULL) {
        ledger_die("start", "no directory");
    }
    ledger_open(&(struct ledger_options){.directory = directory, .kept = directory});
    for (uint64_t i = 0; i < rounds; i++) {
        one_round(sim_mix(seed + i));
    }
    (void)printf("%llu kills (seed %llu), %llu requests\n", (unsigned long long)rounds,
                 (unsigned long long)seed, (unsigned long long)ledger_requests());
    (void)nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
