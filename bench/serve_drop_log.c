/* The server with a log that drops everything: what HTTP and the engine cost without the disk.
 *
 * It is the same server; only ins_db_open() is wrapped by the linker to set drop_log, so that the
 * program that people run has no option that loses their data. For ./dev gates 1.3.
 *
 *     insula-serve-drop-log DIR PORT BUDGET */
#include <stdio.h>
#include <stdlib.h>

#include "server/server.h"

/* The linker's names for the real function and for its stand-in. */
ins_status __real_ins_db_open(const ins_options *options, const ins_runtime *runtime,
                              ins_db **out_db, ins_error *error);
ins_status __wrap_ins_db_open(const ins_options *options, const ins_runtime *runtime,
                              ins_db **out_db, ins_error *error);

ins_status __wrap_ins_db_open(const ins_options *options, const ins_runtime *runtime,
                              ins_db **out_db, ins_error *error) {
    ins_options dropping = *options;
    dropping.drop_log = true;
    return __real_ins_db_open(&dropping, runtime, out_db, error);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        (void)fprintf(stderr, "Usage: insula-serve-drop-log DIR PORT BUDGET\n");
        return 2;
    }
    struct server_options options = {.data_dir = argv[1],
                                     .host = "127.0.0.1",
                                     .http_port = (uint16_t)strtoul(argv[2], NULL, 10),
                                     .memory_budget = strtoull(argv[3], NULL, 10),
                                     .handle_signals = true};
    struct server *server = NULL;
    ins_error error = {.status = INS_OK};
    if (server_open(&options, &server, &error) != INS_OK || server_run(server, &error) != INS_OK) {
        (void)fprintf(stderr, "insula-serve-drop-log: %s\n", error.message);
        server_close(server);
        return 1;
    }
    server_close(server);
    return 0;
}
