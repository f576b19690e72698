/* insula serve: options, a server, a few lines on what runs and what to do next. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "server/server.h"

#define CLIENT_TIMEOUT_S_MAX 3600u

#define ERASE_HOURS_MAX 87600u /* ten years */

struct serve_options {
    struct server_options server;
    uint16_t grpc_port;
};

static int parse_client_timeout(const char *value, struct server_patience *patience) {
    uint32_t seconds;
    if (!cli_parse_number(value, 1, CLIENT_TIMEOUT_S_MAX, &seconds)) {
        return cli_usage("serve",
                         "--client-timeout: \"%s\" is not a number of seconds from 1 to %u", value,
                         CLIENT_TIMEOUT_S_MAX);
    }
    patience->head_ms = patience->body_ms = patience->write_ms = seconds * 1000;
    return CLI_OK;
}

static int parse_slow(int option, const char *value, struct server_options *options) {
    if (option == 'S') {
        options->slow_log = value;
        return value[0] == '\0' ? cli_usage("serve", "--slow-log: the file's name is empty")
                                : CLI_OK;
    }
    options->slow_off = strcmp(value, "0") == 0;
    return options->slow_off || cli_parse_number(value, 1, SERVER_SLOW_MS_MAX, &options->slow_ms)
               ? CLI_OK
               : cli_usage("serve",
                           "--slow-ms: \"%s\" is not a number of milliseconds from 0 to %u", value,
                           SERVER_SLOW_MS_MAX);
}

static int parse_option(int option, const char *value, struct serve_options *options) {
    switch (option) {
    case 'd':
        options->server.data_dir = value;
        return value[0] == '\0' ? cli_usage("serve", "--data: the directory's name is empty")
                                : CLI_OK;
    case 'a':
        options->server.host = value;
        return CLI_OK;
    case 'p':
        return cli_parse_port(value, &options->server.http_port)
                   ? CLI_OK
                   : cli_usage("serve", "--http-port: \"%s\" is not a port (0 to 65535)", value);
    case 'g':
        return cli_parse_port(value, &options->grpc_port)
                   ? CLI_OK
                   : cli_usage("serve", "--grpc-port: \"%s\" is not a port (0 to 65535)", value);
    case 'm':
        return cli_parse_bytes(value, &options->server.memory_budget)
                   ? CLI_OK
                   : cli_usage("serve", "--memory-budget: \"%s\" is not a size such as 512M or 2G",
                               value);
    case 'M':
        return cli_parse_bytes(value, &options->server.memory_budget_max)
                   ? CLI_OK
                   : cli_usage("serve",
                               "--memory-budget-max: \"%s\" is not a size such as 512M or 2G",
                               value);
    case 'c':
        return cli_parse_number(value, 1, SERVER_CONNECTIONS_LIMIT,
                                &options->server.connections_max)
                   ? CLI_OK
                   : cli_usage("serve", "--connections: \"%s\" is not a number from 1 to %u", value,
                               SERVER_CONNECTIONS_LIMIT);
    case 'l':
        return cli_parse_number(value, 1, SERVER_LOOPS_MAX, &options->server.loops)
                   ? CLI_OK
                   : cli_usage("serve", "--loops: \"%s\" is not a number from 1 to %u", value,
                               SERVER_LOOPS_MAX);
    case 'i':
        return cli_parse_number(value, 1, SERVER_CONNECTIONS_LIMIT, &options->server.inline_max)
                   ? CLI_OK
                   : cli_usage("serve", "--inline: \"%s\" is not a number from 1 to %u", value,
                               SERVER_CONNECTIONS_LIMIT);
    case 'e':
        return cli_parse_number(value, 1, ERASE_HOURS_MAX, &options->server.erase_after_hours)
                   ? CLI_OK
                   : cli_usage("serve",
                               "--erase-after: \"%s\" is not a number of hours from 1 to %u", value,
                               ERASE_HOURS_MAX);
    case 's':
    case 'S':
        return parse_slow(option, value, &options->server);
    case 't':
        return parse_client_timeout(value, &options->server.patience);
    case 'o':
        options->server.no_cors = strcmp(value, "off") == 0;
        return options->server.no_cors || strcmp(value, "on") == 0
                   ? CLI_OK
                   : cli_usage("serve", "--cors: \"%s\" is neither on nor off", value);
    default:
        return cli_usage("serve", "see above");
    }
}

static int parse_options(int argc, char **argv, struct serve_options *options) {
    static const struct option known[] = {
        {"data", required_argument, NULL, 'd'},
        {"host", required_argument, NULL, 'a'},
        {"http-port", required_argument, NULL, 'p'},
        {"grpc-port", required_argument, NULL, 'g'},
        {"memory-budget", required_argument, NULL, 'm'},
        {"memory-budget-max", required_argument, NULL, 'M'},
        {"connections", required_argument, NULL, 'c'},
        {"client-timeout", required_argument, NULL, 't'},
        {"erase-after", required_argument, NULL, 'e'},
        {"slow-ms", required_argument, NULL, 's'},
        {"slow-log", required_argument, NULL, 'S'},
        {"loops", required_argument, NULL, 'l'},
        {"inline", required_argument, NULL, 'i'},
        {"cors", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h') {
            (void)cli_print_help("serve");
            return -1;
        }
        int result = parse_option(option, optarg, options);
        if (result != CLI_OK) {
            return result;
        }
    }
    return optind == argc ? CLI_OK : cli_usage("serve", "unexpected argument \"%s\"", argv[optind]);
}

static void greet(struct server *server, const struct serve_options *options) {
    const char *host = options->server.host;
    char budget[32];
    ins_stats stats;
    server_stats(server, &stats);
    bool v6 = strchr(host, ':') != NULL;
    (void)printf("Insula %s serves Qdrant's REST API at http://%s%s%s:%u\n", ins_version(),
                 v6 ? "[" : "", host, v6 ? "]" : "", server_port(server));
    (void)printf("Data in %s, memory budget %s on %s pages.\n", options->server.data_dir,
                 cli_format_bytes(stats.memory_budget, budget),
                 stats.arena_pages == NULL ? "unknown" : stats.arena_pages);
    (void)printf(
        "Next: insula demo --url http://%s%s%s:%u, or any Qdrant client with that address.\n",
        v6 ? "[" : "", host, v6 ? "]" : "", server_port(server));
    (void)printf("gRPC is not there yet: nothing listens on port %u.\n", options->grpc_port);
    if (!cli_is_loopback(host)) {
        (void)printf("WARNING: %s can be reached from other machines and there are no keys yet: "
                     "whoever reaches it may read, change and delete everything.\n",
                     host);
    }
    (void)fflush(stdout);
}

int cli_serve(int argc, char **argv) {
    struct serve_options options = {.server = {.data_dir = CLI_DATA_DEFAULT,
                                               .host = CLI_HOST_DEFAULT,
                                               .http_port = CLI_HTTP_PORT_DEFAULT,
                                               .handle_signals = true},
                                    .grpc_port = CLI_GRPC_PORT_DEFAULT};
    int result = parse_options(argc, argv, &options);
    if (result != CLI_OK) {
        return result < 0 ? CLI_OK : result;
    }
    struct server *server = NULL;
    ins_error error = {.status = INS_OK};
    if (server_open(&options.server, &server, &error) != INS_OK) {
        (void)fprintf(stderr, "insula serve: %s\n", error.message);
        return CLI_FAILED;
    }
    greet(server, &options);
    ins_status status = server_run(server, &error);
    if (status != INS_OK) {
        (void)fprintf(stderr, "insula serve: the last flush failed: %s\n", error.message);
    } else {
        (void)printf("Stopped; everything is on disk.\n");
    }
    server_close(server);
    return status == INS_OK ? CLI_OK : CLI_FAILED;
}
