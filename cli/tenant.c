/* insula tenant export|import: a tenant as a file; show, quota: what it is and what it may. Over a
 * running server's REST. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/portable.h"
#include "base/status.h"
#include "cli/cli.h"
#include "cli/client.h"

#define PART_BYTES                                                                                 \
    ((size_t)4 << 20)        /* of one request; a server takes 16 MiB at its least budget          \
                              */
#define TRIES_MAX 120u       /* of one that is refused for now, a second apart */
#define PATH_MAX_BYTES 2048u /* two names of 255 bytes, each byte escaped */
#define URL_DEFAULT "http://127.0.0.1:6333"

struct options {
    const char *url, *collection, *tenant, *file;
    const char *set; /* quota: the next one, as JSON */
    bool merge;
};

/* A file's frames, one after the other, with what its end must say of them. */
struct frames {
    FILE *file;
    uint8_t *frame; /* [PORTABLE_FRAME_BYTES + PORTABLE_BODY_BYTES_MAX] the newest */
    size_t frame_bytes;
    uint32_t number; /* of the next */
    uint64_t chain, points, bytes;
    struct portable_end end;
    bool ended;
};

/* ---- Words ---- */

static int say(const char *text) {
    (void)fprintf(stderr, "insula tenant: %s\n", text);
    return CLI_FAILED;
}

static int say_about(const char *file, const char *text) {
    (void)fprintf(stderr, "insula tenant: %s: %s\n", file, text);
    return CLI_FAILED;
}

/* The server's own sentence, as it came. */
static int say_answer(const struct client *client) {
    (void)fprintf(stderr, "insula tenant: the server answers %u: %.*s\n", client->http,
                  (int)(client->answer_size < 1024 ? client->answer_size : 1024),
                  client->answer == NULL ? "" : client->answer);
    return CLI_FAILED;
}

static void show_progress(const char *what, uint64_t bytes, bool last) {
    static time_t shown;
    time_t now = time(NULL);
    char text[32];
    if (isatty(STDERR_FILENO) == 0 || (!last && now == shown)) {
        return;
    }
    shown = now;
    (void)fprintf(stderr, "\r%s %s%s", what, cli_format_bytes(bytes, text), last ? "\n" : "  ");
}

/* ---- Arguments ---- */

static int parse(int argc, char **argv, bool wants_file, struct options *options) {
    static const struct option known[] = {{"url", required_argument, NULL, 'u'},
                                          {"merge", no_argument, NULL, 'm'},
                                          {"set", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h') {
            (void)cli_print_help("tenant");
            return -1;
        }
        if (option == 'u') {
            options->url = optarg;
        } else if (option == 'm') {
            options->merge = true;
        } else if (option == 's') {
            options->set = optarg;
        } else {
            return cli_usage("tenant", "see above");
        }
    }
    int names = argc - optind - wants_file;
    if (names != 1 && names != 2) {
        return cli_usage("tenant", "COLLECTION, perhaps TENANT,%s are wanted",
                         wants_file ? " and FILE" : "");
    }
    options->collection = argv[optind];
    options->tenant = names == 2 ? argv[optind + 1] : NULL;
    options->file = wants_file ? argv[argc - 1] : NULL;
    return CLI_OK;
}

static size_t escape(const char *name, char *out, size_t at) {
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    for (; name != NULL && *name != '\0' && at + 4 < PATH_MAX_BYTES; name++) {
        if (strchr(plain, *name) != NULL) {
            out[at++] = *name;
        } else {
            (void)snprintf(out + at, 4, "%%%02X", (unsigned)(unsigned char)*name);
            at += 3;
        }
    }
    return at;
}

static size_t append(const char *text, char *out, size_t at) {
    int size = snprintf(out + at, PATH_MAX_BYTES - at, "%s", text);
    return size > 0 && at + (size_t)size < PATH_MAX_BYTES ? at + (size_t)size : at;
}

static void path_of(const struct options *options, const char *verb, const char *query,
                    char out[static PATH_MAX_BYTES]) {
    size_t at = append("/collections/", out, 0);
    at = escape(options->collection, out, at);
    if (options->tenant != NULL) {
        at = append("/tenants/", out, at);
        at = escape(options->tenant, out, at);
    }
    at = append(verb[0] == '\0' ? "" : "/", out, at);
    at = append(verb, out, at);
    out[append(query, out, at)] = '\0';
}

/* ---- A file ---- */

static bool frames_open(struct frames *frames, const char *path) {
    *frames = (struct frames){.file = fopen(path, "rbe"),
                              .frame = malloc(PORTABLE_FRAME_BYTES + PORTABLE_BODY_BYTES_MAX)};
    return frames->file != NULL && frames->frame != NULL;
}

static void frames_close(struct frames *frames) {
    if (frames->file != NULL) {
        (void)fclose(frames->file);
    }
    free(frames->frame);
}

static ins_status take_frame(struct frames *frames, const struct portable_frame *frame,
                             ins_error *error) {
    const uint8_t *body = frames->frame + PORTABLE_FRAME_BYTES;
    ins_status status = portable_body_check(frame, body, error);
    if (status == INS_OK && (frame->kind == PORTABLE_HEAD) != (frame->number == 0)) {
        status = ins_fail(error, INS_INVALID, "block %u is of a wrong kind", frame->number);
    }
    if (status == INS_OK && frame->kind == PORTABLE_POINTS) {
        frames->points += frame->body_bytes < 4 ? 0 : load_u32(body);
    }
    if (status == INS_OK && frame->kind == PORTABLE_END) {
        status = portable_end_read(frame, body, &frames->end, error);
        frames->ended = true;
        if (status == INS_OK &&
            (frames->end.chain != frames->chain || frames->end.points != frames->points)) {
            status = ins_fail(error, INS_INVALID, "its end speaks of other blocks");
        }
    }
    frames->chain = portable_chain(frames->chain, frame->hash);
    frames->number++;
    frames->bytes += frames->frame_bytes;
    return status;
}

/* INS_OK with frame_bytes 0: the file has ended, rightly. */
static ins_status frames_next(struct frames *frames, ins_error *error) {
    struct portable_frame frame;
    size_t got = fread(frames->frame, 1, PORTABLE_FRAME_BYTES, frames->file);
    frames->frame_bytes = 0;
    if (got == 0 && frames->ended) {
        return INS_OK;
    }
    if (got == 0) {
        return ins_fail(error, INS_INVALID, "it is cut: it ends before block %u", frames->number);
    }
    if (frames->ended) {
        return ins_fail(error, INS_INVALID, "bytes follow its end");
    }
    ins_status status = portable_frame_read(frames->frame, got, frames->number, &frame, error);
    if (status != INS_OK) {
        return status;
    }
    got = fread(frames->frame + PORTABLE_FRAME_BYTES, 1, frame.body_bytes, frames->file);
    if (got != frame.body_bytes) {
        return ins_fail(error, INS_INVALID, "it is cut in block %u", frame.number);
    }
    frames->frame_bytes = PORTABLE_FRAME_BYTES + got;
    return take_frame(frames, &frame, error);
}

/* The whole file is right; *out: what is known at its end. */
static int verify(const char *path, struct frames *out) {
    struct frames frames;
    ins_error error;
    ins_status status = INS_OK;
    if (!frames_open(&frames, path)) {
        frames_close(&frames);
        return say_about(path, strerror(errno));
    }
    do {
        status = frames_next(&frames, &error);
    } while (status == INS_OK && frames.frame_bytes > 0);
    frames_close(&frames);
    *out = frames;
    return status == INS_OK ? CLI_OK : say_about(path, error.message);
}

/* ---- Export ---- */

struct sink {
    FILE *file;
    uint64_t bytes;
};

static bool take(void *context, const char *data, size_t size) {
    struct sink *sink = context;
    sink->bytes += size;
    show_progress("read", sink->bytes, false);
    return fwrite(data, 1, size, sink->file) == size;
}

/* Into a file beside, which takes the name when it is whole. */
static int export_tenant(struct client *client, const struct options *options) {
    char path[PATH_MAX_BYTES], partial[4096];
    struct frames frames;
    if (snprintf(partial, sizeof(partial), "%s.partial", options->file) >= (int)sizeof(partial)) {
        return say_about(options->file, "the name is too long");
    }
    struct sink sink = {.file = fopen(partial, "wbe")};
    if (sink.file == NULL) {
        return say_about(partial, strerror(errno));
    }
    path_of(options, "export", "", path);
    bool good = client_download(client, path, take, &sink);
    bool written = fflush(sink.file) == 0 && fsync(fileno(sink.file)) == 0;
    written = fclose(sink.file) == 0 && written;
    show_progress("read", sink.bytes, true);
    int code = !good                 ? say(client->error)
               : client->http != 200 ? say_answer(client)
               : !written            ? say_about(partial, strerror(errno))
                                     : verify(partial, &frames);
    if (code == CLI_OK && rename(partial, options->file) != 0) {
        code = say_about(options->file, strerror(errno));
    }
    if (code != CLI_OK) {
        (void)unlink(partial);
        return code;
    }
    (void)printf("%llu points, %llu bytes\n", (unsigned long long)frames.points,
                 (unsigned long long)frames.bytes);
    if (frames.end.newer > 0) {
        (void)printf("%llu of them were written while it was read: they are as of different "
                     "moments\n",
                     (unsigned long long)frames.end.newer);
    }
    return CLI_OK;
}

/* ---- Import ---- */

struct import {
    struct client *client;
    const struct options *options;
    uint8_t *part; /* the head's frame, and then others */
    size_t head_bytes, part_bytes;
    uint64_t incarnation, points;
};

static uint64_t member(const struct client *client, const char *name) {
    const char *at = client->answer == NULL ? NULL : strstr(client->answer, name);
    return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

/* The part, which is kept but for its head; again while the server has no room. */
static int send_part(struct import *import, bool merge) {
    char path[PATH_MAX_BYTES], query[96];
    if (import->incarnation != 0) {
        (void)snprintf(query, sizeof(query), "?part=true&incarnation=%llu",
                       (unsigned long long)import->incarnation);
    } else {
        (void)snprintf(query, sizeof(query), "?part=true&merge=%s", merge ? "true" : "false");
    }
    path_of(import->options, "import", query, path);
    for (uint32_t i = 0; i < TRIES_MAX; i++) {
        if (!client_call(import->client, "POST", path, (const char *)import->part,
                         import->part_bytes)) {
            return say(import->client->error);
        }
        if (import->client->http != 429) {
            break;
        }
        (void)sleep(1);
    }
    if (import->client->http != 200) {
        return say_answer(import->client);
    }
    import->points += member(import->client, "\"points\":");
    import->incarnation = member(import->client, "\"incarnation\":");
    import->part_bytes = import->head_bytes;
    return CLI_OK;
}

/* The head alone first: whether the tenant may be written is asked before it is. */
static int send_frames(struct import *import, struct frames *frames) {
    int code = CLI_OK;
    ins_error error;
    while (code == CLI_OK) {
        if (frames_next(frames, &error) != INS_OK) {
            return say_about(import->options->file, error.message);
        }
        bool first = frames->number == 1;
        bool full = import->part_bytes + frames->frame_bytes > PART_BYTES;
        if (import->part_bytes > import->head_bytes && (frames->frame_bytes == 0 || full)) {
            code = send_part(import, true);
            show_progress("written", frames->bytes, frames->frame_bytes == 0);
        }
        if (frames->frame_bytes == 0 || code != CLI_OK) {
            return code;
        }
        memcpy(import->part + import->part_bytes, frames->frame, frames->frame_bytes);
        import->part_bytes += frames->frame_bytes;
        if (first) {
            import->head_bytes = import->part_bytes;
            code = send_part(import, import->options->merge);
        }
    }
    return code;
}

static int import_tenant(struct client *client, const struct options *options) {
    struct frames frames;
    struct import import = {.client = client, .options = options};
    int code = verify(options->file, &frames);
    if (code != CLI_OK) {
        return code;
    }
    import.part = malloc(PART_BYTES + PORTABLE_FRAME_BYTES + 2ul * PORTABLE_BODY_BYTES_MAX);
    if (!frames_open(&frames, options->file) || import.part == NULL) {
        code = say_about(options->file, strerror(errno));
    } else {
        code = send_frames(&import, &frames);
    }
    frames_close(&frames);
    free(import.part);
    if (code == CLI_OK) {
        (void)printf("%llu points\n", (unsigned long long)import.points);
    } else if (import.points > 0) {
        (void)fprintf(stderr,
                      "insula tenant: %llu points are there; --merge does it again from the "
                      "beginning\n",
                      (unsigned long long)import.points);
    }
    return code;
}

/* ---- What it is, and what it may ---- */

/* The answer as the server gave it. */
static int ask(struct client *client, const char *method, const char *path, const char *body) {
    if (!client_call(client, method, path, body, body == NULL ? 0 : strlen(body))) {
        return say(client->error);
    }
    if (client->http != 200) {
        return say_answer(client);
    }
    if (body == NULL) {
        (void)printf("%.*s\n", (int)client->answer_size, client->answer);
    }
    return CLI_OK;
}

static int show_tenant(struct client *client, const struct options *options) {
    char path[PATH_MAX_BYTES];
    path_of(options, options->tenant == NULL ? "tenants" : "", "", path);
    int code = ask(client, "GET", path, NULL);
    if (code == CLI_OK) {
        path_of(options, "usage", "", path);
        code = ask(client, "GET", path, NULL);
    }
    return code;
}

static int limit_tenant(struct client *client, const struct options *options) {
    char path[PATH_MAX_BYTES];
    path_of(options, "quota", "", path);
    int code = options->set == NULL ? CLI_OK : ask(client, "PUT", path, options->set);
    return code == CLI_OK ? ask(client, "GET", path, NULL) : code;
}

static const struct verb {
    const char *name;
    bool wants_file;
    int (*run)(struct client *client, const struct options *options);
} verbs[] = {{"export", true, export_tenant},
             {"import", true, import_tenant},
             {"show", false, show_tenant},
             {"quota", false, limit_tenant}};

static const struct verb *verb_of(const char *name) {
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

int cli_tenant(int argc, char **argv) {
    struct options options = {.url = URL_DEFAULT};
    struct client client;
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0) {
        return cli_print_help("tenant") ? CLI_OK : CLI_FAILED;
    }
    const struct verb *verb = verb_of(name);
    if (verb == NULL) {
        return cli_usage("tenant", "\"%s\" is none of export, import, show, quota", name);
    }
    int code = parse(argc - 1, argv + 1, verb->wants_file, &options);
    if (code != CLI_OK) {
        return code == -1 ? CLI_OK : code;
    }
    code = client_open(&client, options.url) ? verb->run(&client, &options) : say(client.error);
    client_close(&client);
    return code;
}
