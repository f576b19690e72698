/* insula: one program, a table of subcommands. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "insula.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
    const char *help;
};

static const struct command commands[] = {
    {"serve", cli_serve, "run the server",
     "insula serve [--data DIR] [--host ADDRESS] [--http-port N] [--grpc-port N]\n"
     "             [--memory-budget BYTES] [--memory-budget-max BYTES] [--connections N]\n"
     "             [--client-timeout SECONDS]\n"
     "             [--cors on|off] [--loops N] [--inline N] [--erase-after HOURS]\n"
     "             [--slow-ms N] [--slow-log FILE]\n"
     "\n"
     "  --data DIR             where the data rests; made when absent (./insula-data)\n"
     "  --host ADDRESS         address to listen on (127.0.0.1)\n"
     "  --http-port N          port of the REST API, 0 = any free one (6333)\n"
     "  --grpc-port N          port of the gRPC API; nothing listens there yet (6334)\n"
     "  --memory-budget BYTES  of the whole process: 536870912, 512M, 2G (half of the memory)\n"
     "  --memory-budget-max BYTES\n"
     "                         what PUT /insula/budget may raise it to (the machine's memory)\n"
     "  --connections N        clients at once (10240, or what the descriptors allow)\n"
     "  --client-timeout S     seconds for a head, and for each MiB of a body or an answer to be\n"
     "                         sent or taken in (10, 30, 60)\n"
     "  --erase-after HOURS    what is deleted or overwritten is gone from all files then (24)\n"
     "  --slow-ms N            a request that takes so long is told in a line of JSON with what "
     "it\n"
     "                         did, never with vectors or payloads; 0 = none (500)\n"
     "  --slow-log FILE        where those lines go, at its end (the standard error)\n"
     "  --loops N              event loops, each a thread (2 on four cores or more, else 1)\n"
     "  --inline N             connections that the engine's loop serves itself before the others\n"
     "                         get any (8)\n"
     "  --cors on|off          whether pages of any origin may ask and read, as in Qdrant (on)\n"
     "\n"
     "SIGTERM or SIGINT ends it cleanly: requests under way are answered, everything is on disk.\n"
     "A second signal ends it at once; nothing acknowledged is lost then either.\n"},
    {"demo", cli_demo, "load the sample and ask it some searches",
     "insula demo [--url http://HOST:PORT] [--sample DIR] [--collection NAME]\n"
     "\n"
     "  --url URL          a server that runs; without it one is started on a temporary directory\n"
     "  --sample DIR       the sample's files (found beside the program)\n"
     "  --collection NAME  made anew, also when it exists (insula-demo)\n"},
    {"check", cli_check, "verify a data directory, changing nothing",
     "insula check DIR\n"
     "\n"
     "Verifies every checksum and invariant of the database in DIR, which no server may have "
     "open.\n"
     "Exit code 0: clean. 1: damage, each place named.\n"},
    {"doctor", cli_doctor, "say in words what holds this machine and server back",
     "insula doctor [--url http://HOST:PORT] [--pid N] [--data DIR] [--seconds N] [--json]\n"
     "              [--record DIR | --from DIR]\n"
     "\n"
     "Looks twice at the machine, at the server (http://127.0.0.1:6333) and at engines beside it,\n"
     "and prints findings, the worst first: what, how it was seen, what it costs, what to do.\n"
     "It changes nothing.\n"
     "\n"
     "  --url URL      the server\n"
     "  --pid N        another process to look at, of any engine\n"
     "  --data DIR     the directory whose disk is looked at (the server's own)\n"
     "  --seconds N    between the two looks (3)\n"
     "  --json         for programs: findings and all facts\n"
     "  --record DIR   keep what was seen, for somebody else to look at\n"
     "  --from DIR     look at such a recording instead of this machine\n"
     "\n"
     "Exit code 0: nothing, or notes. 3: warnings. 4: problems. 1: could not look.\n"},
    {"tune", cli_tune, "print a script with the settings that doctor proposes, and its undo",
     "insula tune [the options of doctor]\n"
     "\n"
     "Sets nothing itself:  insula tune >tune.sh, read it, then as root  sh tune.sh\n"
     "and, to put back what was there,  sh tune.sh undo\n"},
    {"tenant", cli_tenant, "a tenant of a running server: out as a file, in, shown, limited",
     "insula tenant export [--url http://HOST:PORT] COLLECTION [TENANT] FILE\n"
     "insula tenant import [--url http://HOST:PORT] [--merge] COLLECTION [TENANT] FILE\n"
     "insula tenant show [--url http://HOST:PORT] COLLECTION [TENANT]\n"
     "insula tenant quota [--url http://HOST:PORT] [--set JSON] COLLECTION [TENANT]\n"
     "\n"
     "Without TENANT: of a collection that has neither a field with is_tenant nor shard keys.\n"
     "An import looks at the whole file before it sends anything, and keeps ids.\n"
     "\n"
     "  --url URL  the server (http://127.0.0.1:6333)\n"
     "  --merge    also when the tenant has points: those of the same ids are replaced\n"
     "  --set JSON replaces the quota: {\"ttl\": 86400, \"memory_floor\": 50000000}, say\n"},
    {"top", cli_top, "watch a running server: requests, tenants, log, cache, memory",
     "insula top [--once] [--seconds N] [http://HOST:PORT]\n"
     "\n"
     "One screen on the server (http://127.0.0.1:6333), over its /metrics alone: answers with "
     "their\n"
     "latencies, reads by the size of the tenant, the tenants that took most since the last look,\n"
     "log, flush, merge, cache, memory budget. Interrupt it to end.\n"
     "\n"
     "  --once       one screen as text, then end\n"
     "  --seconds N  between two looks (1)\n"},
    {"version", cli_version, "print the version", "insula version\n"},
    {"help", cli_help, "explain a command", "insula help [COMMAND]\n"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct command *command_find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

bool cli_print_help(const char *name) {
    if (name != NULL) {
        const struct command *command = command_find(name);
        if (command != NULL) {
            (void)printf("%s: %s\n\n%s", command->name, command->summary, command->help);
        }
        return command != NULL;
    }
    (void)printf("Insula %s: vector search for very many tenants, with Qdrant's REST API.\n\n",
                 ins_version());
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        (void)printf("  insula %-8s %s\n", commands[i].name, commands[i].summary);
    }
    (void)printf("\nStart here:  insula serve     then, in another terminal:  insula demo --url "
                 "http://127.0.0.1:6333\n");
    return true;
}

int cli_help(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    return cli_print_help(name) ? CLI_OK : cli_usage("help", "there is no command \"%s\"", name);
}

int cli_version(int argc, char **argv) {
    (void)argc;
    (void)argv;
    (void)printf("insula %s (compatible with Qdrant %s)\n", ins_version(), INS_QDRANT_VERSION);
    return CLI_OK;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        (void)cli_print_help(NULL);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        name = "version";
    }
    const struct command *command = command_find(name);
    if (command == NULL) {
        (void)fprintf(stderr, "insula: there is no command \"%s\"\nTry: insula help\n", name);
        return CLI_USAGE;
    }
    return command->run(argc - 1, argv + 1);
}
