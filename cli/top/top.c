/* insula top: one screen on a running server, over /metrics alone, each second. */
#include "cli/top/top.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"

#define SECONDS_MAX 3600u
#define URL_DEFAULT "http://127.0.0.1:6333"

struct options {
    const char *url;
    uint32_t seconds;
    bool once;
};

static int parse(int argc, char **argv, struct options *options) {
    static const struct option known[] = {{"once", no_argument, NULL, 'o'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h') {
            (void)cli_print_help("top");
            return -1;
        }
        if (option == 'o') {
            options->once = true;
        } else if (option != 's') {
            return cli_usage("top", "see above");
        } else if (!cli_parse_number(optarg, 1, SECONDS_MAX, &options->seconds)) {
            return cli_usage("top", "--seconds: \"%s\" is not a number from 1 to %u", optarg,
                             SECONDS_MAX);
        }
    }
    if (optind < argc) {
        options->url = argv[optind++];
    }
    return optind == argc ? CLI_OK : cli_usage("top", "unexpected argument \"%s\"", argv[optind]);
}

static double now_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool take_look(struct client *client, struct look *out) {
    if (!client_call(client, "GET", "/metrics", NULL, 0)) {
        (void)fprintf(stderr, "insula top: %s\n", client->error);
        return false;
    }
    if (client->http != 200) {
        (void)fprintf(stderr, "insula top: /metrics answered %u\n", client->http);
        return false;
    }
    if (!look_parse(out, client->answer, client->answer_size, now_s())) {
        (void)fprintf(stderr, "insula top: no memory for %zu bytes of metrics\n",
                      client->answer_size);
        return false;
    }
    return true;
}

/* The whole screen in one write, over the one before: each line ends with what clears its rest. */
static void print_screen(const struct frame *frame, bool terminal) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return;
    }
    frame_print(frame, out);
    if (fclose(out) == 0) {
        if (terminal) {
            (void)fputs("\033[H", stdout);
        }
        for (char *line = text, *end; terminal && (end = strchr(line, '\n')) != NULL;
             line = end + 1) {
            (void)fprintf(stdout, "%.*s\033[K\n", (int)(end - line), line);
        }
        (void)fputs(terminal ? "\033[J" : text, stdout);
        (void)fflush(stdout);
    }
    free(text);
}

static int watch(struct client *client, const struct options *options) {
    struct look before = {.text = NULL}, now = {.text = NULL};
    struct winsize window = {.ws_row = 0};
    bool terminal = !options->once && isatty(STDOUT_FILENO) != 0;
    bool good = take_look(client, &before);
    if (terminal && good) {
        (void)fputs("\033[2J", stdout);
    }
    for (bool more = good; more;) {
        struct timespec pause = {.tv_sec = (time_t)options->seconds};
        (void)nanosleep(&pause, NULL);
        good = take_look(client, &now);
        if (good) {
            if (terminal) {
                (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
            }
            struct frame frame = {
                .before = &before, .now = &now, .url = options->url, .lines = window.ws_row};
            print_screen(&frame, terminal);
            look_free(&before);
            before = now;
            now = (struct look){.text = NULL};
        }
        more = good && !options->once && ferror(stdout) == 0;
    }
    look_free(&before);
    return good ? CLI_OK : CLI_FAILED;
}

int cli_top(int argc, char **argv) {
    struct options options = {.url = URL_DEFAULT, .seconds = 1};
    struct client client;
    int result = parse(argc, argv, &options);
    if (result != CLI_OK) {
        return result < 0 ? CLI_OK : result;
    }
    if (!client_open(&client, options.url)) {
        (void)fprintf(stderr, "insula top: %s\n", client.error);
        client_close(&client);
        return CLI_FAILED;
    }
    result = watch(&client, &options);
    client_close(&client);
    return result;
}
