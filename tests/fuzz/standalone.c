/* Runs a fuzzer's target without libFuzzer: what was found once, and some thousand mutations of it,
 * are tried in every `meson test`, with any compiler.
 *
 *     replay_NAME CORPUS_DIRECTORY [MUTATIONS]
 *
 * Path: read the corpus in order of file names, run each file and the empty input, then MUTATIONS
 * inputs made from them. The same corpus gives the same inputs: all choices come from SEED.
 * Failure: the target aborts. The input at fault is then written to crash-replay_NAME.bin in the
 * working directory; it belongs into the corpus, with the fix. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEED 0x1e5017a1ull
#define INPUT_BYTES_MAX (256u << 10) /* larger corpus files are cut: they would only be slow */
#define CORPUS_FILES_MAX 4096
#define MUTATIONS_DEFAULT 5000u
#define MUTATIONS_MAX 100000000ul
#define STEPS_MAX 8u /* changes to one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argument_count, char ***arguments) __attribute__((weak));

struct input {
    uint8_t *bytes;
    size_t size;
};

/* What the target reads now: for the signal handler. */
static struct input volatile current;
static char crash_name[128];

static void *allocate(size_t size) {
    void *memory = malloc(size == 0 ? 1 : size);
    if (memory == NULL) {
        perror("malloc");
        exit(2);
    }
    return memory;
}

/* Only calls that a signal handler may make. */
static void on_crash(int signal_number) {
    int file = open(crash_name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file >= 0) {
        ssize_t written = write(file, current.bytes, current.size);
        static const char text[] = "replay: crashed; the input is in ";
        written += write(STDERR_FILENO, text, sizeof(text) - 1);
        written += write(STDERR_FILENO, crash_name, strlen(crash_name));
        written += write(STDERR_FILENO, "\n", 1);
        (void)written;
        (void)close(file);
    }
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static void watch_for_crashes(const char *program) {
    const char *base = strrchr(program, '/');
    (void)snprintf(crash_name, sizeof(crash_name), "crash-%s.bin",
                   base == NULL ? program : base + 1);
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTERM};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        (void)signal(signals[i], on_crash); /* SIGTERM: meson's time limit, so a hang is kept too */
    }
}

/* Runs the target on a copy of exactly `size` bytes, so that ASan sees a read past the end. */
static void run_one(const uint8_t *bytes, size_t size) {
    uint8_t *copy = allocate(size);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    current.bytes = copy;
    current.size = size;
    (void)LLVMFuzzerTestOneInput(copy, size);
    current.size = 0;
    free(copy);
}

/* ---- Corpus ------------------------------------------------------------------------------- */

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static bool read_file(const char *directory, const char *name, struct input *out_input) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    uint8_t *bytes = allocate(INPUT_BYTES_MAX);
    size_t size = fread(bytes, 1, INPUT_BYTES_MAX, file);
    bool whole = ferror(file) == 0;
    (void)fclose(file);
    if (!whole) {
        perror(path);
        free(bytes);
        return false;
    }
    *out_input = (struct input){.bytes = bytes, .size = size};
    return true;
}

/* Files of `directory` in order of their names, behind the empty input. A directory that is not
 * there is an empty corpus; a file that cannot be read ends the run. */
static size_t read_corpus(const char *directory, struct input *out_inputs) {
    size_t count = 0;
    out_inputs[count++] = (struct input){.bytes = allocate(0), .size = 0};
    struct dirent **entries = NULL;
    int entry_count = scandir(directory, &entries, visible, alphasort);
    if (entry_count < 0 && errno != ENOENT) {
        perror(directory);
        exit(2);
    }
    for (int i = 0; i < entry_count; i++) {
        if (count < CORPUS_FILES_MAX) {
            if (!read_file(directory, entries[i]->d_name, &out_inputs[count])) {
                exit(2);
            }
            count++;
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}

/* ---- Mutations ---------------------------------------------------------------------------- */

static uint64_t random_state = SEED;

static uint64_t random_next(void) { /* splitmix64 */
    random_state += 0x9e3779b97f4a7c15ull;
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* 0 .. bound-1; 0 when bound is 0. */
static size_t random_below(size_t bound) {
    return bound == 0 ? 0 : (size_t)(random_next() % bound);
}

enum mutation { FLIP_BIT, SET_BYTE, SET_NUMBER, CUT, REMOVE, REPEAT, SPLICE, MUTATION_COUNT };

/* Numbers at which parsers go wrong, little-endian, in 1, 2, 4 or 8 bytes. */
static void set_number(struct input *input) {
    static const uint64_t values[] = {0,          1,          0x7f,       0x80,
                                      0xff,       0x7fff,     0xffff,     0x7fffffff,
                                      0x80000000, 0xffffffff, UINT64_MAX, INT64_MAX};
    uint64_t value = values[random_below(sizeof(values) / sizeof(values[0]))];
    size_t width = (size_t)1 << random_below(4);
    if (input->size >= width) {
        memcpy(input->bytes + random_below(input->size - width + 1), &value, width);
    }
}

/* Takes `count` bytes at `from` out. */
static void remove_bytes(struct input *input, size_t from, size_t count) {
    memmove(input->bytes + from, input->bytes + from + count, input->size - from - count);
    input->size -= count;
}

/* Puts `count` bytes of `source` in at `at`, as far as they fit. */
static void insert_bytes(struct input *input, size_t at, const uint8_t *source, size_t count) {
    if (count > INPUT_BYTES_MAX - input->size) {
        count = INPUT_BYTES_MAX - input->size;
    }
    memmove(input->bytes + at + count, input->bytes + at, input->size - at);
    memcpy(input->bytes + at, source, count);
    input->size += count;
}

/* One change of `input`, which has room for INPUT_BYTES_MAX; `other` lends bytes to SPLICE. */
static void mutate(struct input *input, const struct input *other, uint8_t *scratch) {
    size_t at = random_below(input->size);
    size_t left = input->size - at;
    size_t count = random_below(left < 64 ? left + 1 : 64);
    switch ((enum mutation)random_below(MUTATION_COUNT)) {
    case FLIP_BIT:
        if (input->size > 0) {
            input->bytes[at] ^= (uint8_t)(1u << random_below(8));
        }
        break;
    case SET_BYTE:
        if (input->size > 0) {
            input->bytes[at] = (uint8_t)random_next();
        }
        break;
    case SET_NUMBER:
        set_number(input);
        break;
    case CUT:
        input->size = at;
        break;
    case REMOVE:
        remove_bytes(input, at, count);
        break;
    case REPEAT:
        memcpy(scratch, input->bytes + at, count);
        insert_bytes(input, at, scratch, count);
        break;
    case SPLICE: {
        size_t from = random_below(other->size);
        insert_bytes(input, at, other->bytes + from, random_below(other->size - from + 1));
        break;
    }
    case MUTATION_COUNT:
    default:
        break;
    }
}

static void run_mutations(const struct input *corpus, size_t corpus_count, unsigned long count) {
    struct input input = {.bytes = allocate(INPUT_BYTES_MAX), .size = 0};
    uint8_t *scratch = allocate(64);
    for (unsigned long i = 0; i < count; i++) {
        const struct input *from = &corpus[random_below(corpus_count)];
        memcpy(input.bytes, from->bytes, from->size);
        input.size = from->size;
        size_t steps = 1 + random_below(STEPS_MAX);
        for (size_t step = 0; step < steps; step++) {
            mutate(&input, &corpus[random_below(corpus_count)], scratch);
        }
        run_one(input.bytes, input.size);
    }
    free(scratch);
    free(input.bytes);
}

int main(int argument_count, char **arguments) {
    if (argument_count < 2 || argument_count > 3) {
        (void)fprintf(stderr, "use: %s CORPUS_DIRECTORY [MUTATIONS]\n", arguments[0]);
        return 2;
    }
    unsigned long mutations = MUTATIONS_DEFAULT;
    if (argument_count == 3) {
        char *end = NULL;
        mutations = strtoul(arguments[2], &end, 10);
        if (*end != '\0' || mutations > MUTATIONS_MAX) {
            (void)fprintf(stderr, "mutations: %s is not a number up to %lu\n", arguments[2],
                          MUTATIONS_MAX);
            return 2;
        }
    }
    if (LLVMFuzzerInitialize != NULL) {
        (void)LLVMFuzzerInitialize(&argument_count, &arguments);
    }
    watch_for_crashes(arguments[0]);

    struct input *corpus = allocate(CORPUS_FILES_MAX * sizeof(*corpus));
    size_t corpus_count = read_corpus(arguments[1], corpus);
    for (size_t i = 0; i < corpus_count; i++) {
        run_one(corpus[i].bytes, corpus[i].size);
    }
    run_mutations(corpus, corpus_count, mutations);
    (void)printf("replayed %zu inputs and %lu mutations\n", corpus_count, mutations);

    for (size_t i = 0; i < corpus_count; i++) {
        free(corpus[i].bytes);
    }
    free(corpus);
    return 0;
}
