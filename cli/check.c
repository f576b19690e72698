/* insula check DIR: verifies a database that is not open. */
#include <stdio.h>

#include "cli/cli.h"
#include "insula.h"

struct findings {
    unsigned damage;
};

static void print_finding(void *context, bool is_damage, const char *text) {
    struct findings *findings = context;
    findings->damage += is_damage;
    (void)printf("%s%s\n", is_damage ? "DAMAGE: " : "", text);
}

int cli_check(int argc, char **argv) {
    if (argc != 2 || argv[1][0] == '-') {
        return cli_usage("check", "one argument is needed, the data directory");
    }
    ins_store *store = NULL;
    ins_error error = {.status = INS_OK};
    struct findings findings = {0};
    if (ins_store_open_directory(argv[1], true, &store, &error) != INS_OK) {
        (void)fprintf(stderr, "insula check: %s\n", error.message);
        return CLI_FAILED;
    }
    ins_status status = ins_check(store, print_finding, &findings, &error);
    ins_store_close(store);
    if (status != INS_OK) {
        (void)fprintf(stderr, "insula check: %s (%u damaged)\n", error.message, findings.damage);
        return CLI_FAILED;
    }
    (void)printf("%s is clean.\n", argv[1]);
    return CLI_OK;
}
