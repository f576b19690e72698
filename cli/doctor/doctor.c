#include "cli/doctor/doctor.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define SECONDS_DEFAULT 3u
#define SECONDS_MAX 3600u
#define URL_DEFAULT "http://127.0.0.1:6333"

/* Exit codes beside CLI_OK, which also means notes only. */
#define DOCTOR_WARNINGS 3
#define DOCTOR_PROBLEMS 4

struct doctor_options {
    const char *url, *data, *record, *from;
    uint32_t pid, seconds;
    bool json;
};

static int parse_options(int argc, char **argv, struct doctor_options *out) {
    static const struct option known[] = {
        {"url", required_argument, NULL, 'u'},    {"data", required_argument, NULL, 'd'},
        {"pid", required_argument, NULL, 'p'},    {"seconds", required_argument, NULL, 's'},
        {"record", required_argument, NULL, 'r'}, {"from", required_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'},         {NULL, 0, NULL, 0}};
    const char *name = argv[0];
    optind = 1;
    opterr = 0;
    for (int option = 0; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 'u') {
            out->url = optarg;
        } else if (option == 'd') {
            out->data = optarg;
        } else if (option == 'r') {
            out->record = optarg;
        } else if (option == 'f') {
            out->from = optarg;
        } else if (option == 'j') {
            out->json = true;
        } else if (option == 'p') {
            if (!cli_parse_number(optarg, 1, INT32_MAX, &out->pid)) {
                return cli_usage(name, "--pid \"%s\" is not a process", optarg);
            }
        } else if (option == 's') {
            if (!cli_parse_number(optarg, 1, SECONDS_MAX, &out->seconds)) {
                return cli_usage(name, "--seconds \"%s\" is not 1 .. %u", optarg, SECONDS_MAX);
            }
        } else {
            return cli_usage(name, "\"%s\" is not an option, or lacks its value", argv[optind - 1]);
        }
    }
    return optind == argc ? CLI_OK : cli_usage(name, "\"%s\" is not an argument", argv[optind]);
}

static void wait_seconds(uint32_t seconds) {
    struct timespec left = {.tv_sec = (time_t)seconds};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* Which process and directory: as asked, else the server's own. A recording keeps them. */
static int choose_target(struct source *source, const struct doctor_options *options, char *data,
                         int *out_pid) {
    const char *kept = source->recording == NULL ? NULL : source_read(source, "target");
    if (kept != NULL) {
        *out_pid = (int)text_number(kept, "pid");
        const char *at = strstr(kept, "data ");
        (void)snprintf(data, PATH_MAX, "%.*s", at == NULL ? 0 : (int)strcspn(at + 5, "\n"),
                       at == NULL ? "" : at + 5);
        return CLI_OK;
    }
    if (options->data != NULL && realpath(options->data, data) == NULL) {
        (void)fprintf(stderr, "insula doctor: --data %s: %s\n", options->data, strerror(errno));
        return CLI_FAILED;
    }
    *out_pid = options->pid != 0 ? (int)options->pid : facts_server_pid(source);
    return CLI_OK;
}

static void keep_target(const struct doctor_options *options, const char *data, int pid) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/1/target", options->record);
    FILE *file = fopen(path, "we");
    if (file == NULL || fprintf(file, "pid %d\ndata %s\n", pid, data) < 0) {
        (void)fprintf(stderr, "insula doctor: cannot record %s: %s\n", path, strerror(errno));
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static int look(const struct doctor_options *options, struct sight *out) {
    char data[PATH_MAX] = "";
    struct source source = {.recording = options->from, .record_to = options->record, .sample = 1};
    int pid = 0;
    if (options->from != NULL && access(options->from, R_OK | X_OK) != 0) {
        (void)fprintf(stderr, "insula doctor: --from %s: %s\n", options->from, strerror(errno));
        return CLI_FAILED;
    }
    const char *url = options->url == NULL ? URL_DEFAULT : options->url;
    if (options->from == NULL) {
        source.has_server = client_open(&source.client, url);
        if (!source.has_server && options->url != NULL) {
            (void)fprintf(stderr, "insula doctor: %s\n", source.client.error);
            return CLI_FAILED;
        }
    }
    int code = choose_target(&source, options, data, &pid);
    if (code == CLI_OK) {
        const char *chosen = data[0] == '\0' ? NULL : data;
        source.perf = pid != 0 && options->from == NULL ? perf_begin(pid) : NULL;
        facts_read(&source, chosen, pid, &out->first);
        if (options->from == NULL) {
            wait_seconds(options->seconds);
        }
        source.sample = 2;
        facts_read(&source, chosen, pid, &out->second);
        out->seconds = out->second.of[FACT_CLOCK] - out->first.of[FACT_CLOCK];
        if (options->record != NULL) {
            keep_target(options, data, pid);
        }
    }
    source_close(&source);
    return code;
}

static int examine(int argc, char **argv, struct doctor_options *options,
                   struct finding findings[static FINDINGS_MAX], unsigned *out_count,
                   struct sight **out_sight) {
    int code = parse_options(argc, argv, options);
    if (code != CLI_OK) {
        return code;
    }
    struct sight *sight = calloc(1, sizeof(*sight));
    if (sight == NULL) {
        (void)fprintf(stderr, "insula %s: no memory\n", argv[0]);
        return CLI_FAILED;
    }
    code = look(options, sight);
    if (code == CLI_OK) {
        *out_count = rules_run(sight, findings);
    }
    *out_sight = sight;
    return code;
}

int cli_doctor(int argc, char **argv) {
    static struct finding findings[FINDINGS_MAX];
    struct doctor_options options = {.seconds = SECONDS_DEFAULT};
    struct sight *sight = NULL;
    unsigned count = 0;
    int code = examine(argc, argv, &options, findings, &count, &sight);
    if (code == CLI_OK) {
        (options.json ? report_json : report_text)(sight, findings, count);
        double worst = count == 0 ? 0 : findings[0].severity;
        code = worst >= SEVERITY_PROBLEM   ? DOCTOR_PROBLEMS
               : worst >= SEVERITY_WARNING ? DOCTOR_WARNINGS
                                           : CLI_OK;
    }
    free(sight);
    return code;
}

int cli_tune(int argc, char **argv) {
    static struct finding findings[FINDINGS_MAX];
    struct doctor_options options = {.seconds = 1};
    struct sight *sight = NULL;
    unsigned count = 0;
    int code = examine(argc, argv, &options, findings, &count, &sight);
    if (code == CLI_OK) {
        report_script(findings, count);
    }
    free(sight);
    return code;
}
