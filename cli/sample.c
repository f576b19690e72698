#include "cli/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

#define FILE_MAX (64l << 20)
#define LINES_MAX 1000000u

float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half >> 15) << 31;
    uint32_t exponent = half >> 10 & 31u;
    uint32_t fraction = half & 1023u;
    float value;
    if (exponent == 0) { /* zero and the subnormal ones */
        value = (float)fraction / 16777216.0f;
        return sign != 0 ? -value : value;
    }
    exponent = exponent == 31 ? 255 : exponent + 112;
    uint32_t bits = sign | exponent << 23 | fraction << 13;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The whole file, with a NUL behind it. */
static char *file_read(const char *directory, const char *name, size_t *out_size) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rbe");
    char *data = NULL;
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        size = ftell(file);
    }
    if (size >= 0 && size <= FILE_MAX && fseek(file, 0, SEEK_SET) == 0) {
        data = malloc((size_t)size + 1);
    }
    if (data != NULL && fread(data, 1, (size_t)size, file) != (size_t)size) {
        free(data);
        data = NULL;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (data == NULL) {
        (void)fprintf(stderr, "insula demo: cannot read %s\n", path);
        return NULL;
    }
    data[size] = '\0';
    *out_size = (size_t)size;
    return data;
}

static bool vectors_read(struct sample_vectors *vectors, const char *directory, const char *name) {
    size_t size = 0;
    char *data = file_read(directory, name, &size);
    if (data == NULL) {
        return false;
    }
    vectors->count = size < 8 ? 0 : load_u32(data);
    vectors->dim = size < 8 ? 0 : load_u32(data + 4);
    uint64_t bytes = (uint64_t)vectors->count * vectors->dim * sizeof(uint16_t);
    if (size < 8 || vectors->dim == 0 || bytes != size - 8) {
        (void)fprintf(stderr, "insula demo: %s/%s has not the size that its head says\n", directory,
                      name);
        free(data);
        return false;
    }
    vectors->halves = malloc(bytes);
    if (vectors->halves != NULL) {
        memcpy(vectors->halves, data + 8, bytes);
    }
    free(data);
    return vectors->halves != NULL;
}

static bool lines_read(struct sample_lines *lines, const char *directory, const char *name) {
    size_t size = 0;
    lines->text = file_read(directory, name, &size);
    if (lines->text == NULL) {
        return false;
    }
    size_t count = 0;
    for (const char *at = lines->text; (at = strchr(at, '\n')) != NULL; at++) {
        count++;
    }
    lines->lines = count < LINES_MAX ? calloc(count + 1, sizeof(*lines->lines)) : NULL;
    if (lines->lines == NULL) {
        return false;
    }
    for (char *at = lines->text; lines->count < count;) {
        char *end = strchr(at, '\n');
        *end = '\0';
        lines->lines[lines->count++] = at;
        at = end + 1;
    }
    return true;
}

bool sample_open(struct sample *sample, const char *directory) {
    *sample = (struct sample){0};
    bool read = vectors_read(&sample->documents, directory, "sample.f16bin") &&
                vectors_read(&sample->queries, directory, "query.f16bin") &&
                lines_read(&sample->payloads, directory, "sample.jsonl") &&
                lines_read(&sample->demo, directory, "demo.jsonl");
    if (read && (sample->payloads.count != sample->documents.count ||
                 sample->documents.dim != sample->queries.dim)) {
        (void)fprintf(stderr, "insula demo: the files in %s do not belong together\n", directory);
        read = false;
    }
    if (!read) {
        sample_close(sample);
    }
    return read;
}

void sample_close(struct sample *sample) {
    free(sample->documents.halves);
    free(sample->queries.halves);
    free(sample->payloads.text);
    free((void *)sample->payloads.lines);
    free(sample->demo.text);
    free((void *)sample->demo.lines);
    *sample = (struct sample){0};
}

bool sample_find(char *out, size_t capacity) {
    static const char *const places[] = {"/../data/sample", "/../share/insula/sample",
                                         "/data/sample"};
    char program[2048];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[size < 0 ? 0 : size] = '\0';
    char *slash = strrchr(program, '/');
    *(slash == NULL ? program : slash) = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char file[4096];
        (void)snprintf(out, capacity, "%s%s", program, places[i]);
        (void)snprintf(file, sizeof(file), "%s/sample.jsonl", out);
        if (access(file, R_OK) == 0) {
            return true;
        }
    }
    (void)snprintf(out, capacity, "data/sample");
    return access("data/sample/sample.jsonl", R_OK) == 0;
}
