/* `insula top`: what the files of it share. A frame is two looks at /metrics, some time apart. */
#ifndef INS_CLI_TOP_H
#define INS_CLI_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TOP_SAMPLES_MAX 32768u /* several times what a server has */

/* One line of Prometheus' text. */
struct sample {
    const char *name, *labels; /* labels without braces; not terminated */
    size_t name_size, labels_size;
    double value;
};

struct look {
    char *text; /* owned; the samples point into it */
    struct sample *samples;
    size_t count;
    double at_s; /* monotonic */
};

/* Takes a copy of `text`. False: no memory. Lines that are none are left out. */
bool look_parse(struct look *look, const char *text, size_t size, double at_s);
void look_free(struct look *look); /* takes a zeroed one */
/* The value of a series; `labels` whole, as they stand. *out_found may be NULL. */
double look_value(const struct look *look, const char *name, const char *labels, size_t labels_size,
                  bool *out_found);
/* The value of one label, unescaped, as far as it fits; empty when it is not there. */
void sample_label(const struct sample *sample, const char *label, char *out, size_t capacity);
bool sample_is(const struct sample *sample, const char *name);

struct frame {
    const struct look *before, *now;
    const char *url;
    unsigned lines; /* of the terminal; 0 = none */
};

/* A second's change of a series without labels. */
double frame_rate(const struct frame *frame, const char *name);
/* Seconds below which the share `quantile` of what came meanwhile lies, by interpolation in its
 * bucket; negative: nothing came. `labels`: those before le. */
double frame_quantile(const struct frame *frame, const char *name, const char *labels,
                      size_t labels_size, double quantile);
/* The whole screen. */
void frame_print(const struct frame *frame, FILE *out);
void frame_print_tenants(const struct frame *frame, unsigned most, FILE *out);

#endif
