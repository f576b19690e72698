/* A run's figures: gathered one by one, then printed for people or as one line of JSON, and kept.
 *
 * A figure may have a target and then says whether it reached it; lines of a plot stand beside the
 * figures. report_write.c makes files of many reports: JSON, Markdown, HTML. */
#ifndef INS_BENCH_REPORT_H
#define INS_BENCH_REPORT_H

#include "bench.h"

#define REPORT_FIGURES_MAX 400u
#define REPORT_PLOTS_MAX 8u
#define PLOT_LINES_MAX 6u
#define PLOT_POINTS_MAX 4000u

struct figure {
    enum { FIGURE_NUMBER, FIGURE_TEXT, FIGURE_ABSENT } kind;
    char key[56], label[96];
    char text[96];   /* FIGURE_TEXT */
    double value;    /* FIGURE_NUMBER */
    char target[24]; /* "" = none asked for */
    bool pass;
};

struct plot_line {
    char name[40];
    double *points; /* [2 * count]: x, y */
    uint32_t count, capacity;
};

struct plot {
    char title[80], x[40], y[40];
    bool log_y;
    struct plot_line lines[PLOT_LINES_MAX];
    uint32_t line_count;
};

struct report {
    bool json;
    char workload[32];
    struct figure *figures;
    uint32_t figure_count;
    struct plot *plots;
    uint32_t plot_count;
};

void report_begin(struct report *report, const struct bench_options *options, const char *workload);
/* `label` says what and in which unit. */
void report_number(struct report *report, const char *key, const char *label, double value);
void report_text(struct report *report, const char *key, const char *label, const char *value);
/* null in JSON, "not available" for people. */
void report_absent(struct report *report, const char *key, const char *label);
/* The figure that was added last has this target; `pass`: it is reached. */
void report_target(struct report *report, const char *target, bool pass);
/* p50, p99 and max in microseconds. */
void report_latency(struct report *report, const struct latency *latency);
/* Device writes, bytes and flushes from `before` to `after` per acknowledged write. */
void report_device(struct report *report, const struct device_counters *before,
                   const struct device_counters *after, uint64_t acknowledged);

/* A plot, and a line in it; a point too many is left out. */
struct plot *report_plot(struct report *report, const char *title, const char *x, const char *y);
struct plot_line *plot_line(struct plot *plot, const char *name);
void plot_point(struct plot_line *line, double x, double y);

void report_print(const struct report *report);
void report_free(struct report *report);
/* Prints and frees. */
void report_end(struct report *report);

/* A report as one JSON object, without a line's end. */
void report_json(const struct report *report, FILE *file);
/* What report_json wrote. False: said on the standard error. */
bool report_load(struct report *report, const char *path);
bool report_save(const struct report *report, const char *path);

/* Value as people read it: up to 1,000 with digits behind the point. */
size_t figure_format(const struct figure *figure, char *out, size_t capacity);
/* Of a key; NULL when there is none. */
const struct figure *report_find(const struct report *report, const char *key);

/* ---- Documents of several reports ---- */

struct document {
    const struct report *reports;
    uint32_t count;
    const struct report *head; /* machine, commit, parameters */
};

bool document_markdown(const struct document *document, const char *path);
bool document_html(const struct document *document, const char *path);
bool document_json(const struct document *document, const char *path);
/* An SVG of its own, 720 by 260. */
void plot_svg(const struct plot *plot, FILE *file);

#endif
