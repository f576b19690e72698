/* The sample of documents that `insula demo` loads; its formats: data/sample/README.md. */
#ifndef INS_CLI_SAMPLE_H
#define INS_CLI_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sample_vectors {
    uint16_t *halves; /* [count][dim] */
    uint32_t count, dim;
};

struct sample_lines {
    char *text;         /* of the whole file, each line terminated */
    const char **lines; /* [count] */
    size_t count;
};

struct sample {
    struct sample_vectors documents, queries;
    struct sample_lines payloads, demo;
};

/* False with a message on the standard error. */
bool sample_open(struct sample *sample, const char *directory);
void sample_close(struct sample *sample);
/* The directory of the sample beside the running program or in the current directory. */
bool sample_find(char *out, size_t capacity);

float half_to_float(uint16_t half);

#endif
