/* Gathers a run's figures and prints them. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void copy_text(char *out, size_t capacity, const char *text) {
    (void)snprintf(out, capacity, "%s", text);
}

/* ---- Figures ---- */

void report_begin(struct report *report, const struct bench_options *options,
                  const char *workload) {
    *report = (struct report){.json = options->json,
                              .figures = calloc(REPORT_FIGURES_MAX, sizeof(struct figure)),
                              .plots = calloc(REPORT_PLOTS_MAX, sizeof(struct plot))};
    INS_ASSERT(report->figures != NULL);
    INS_ASSERT(report->plots != NULL);
    copy_text(report->workload, sizeof(report->workload), workload);
    report_number(report, "seed", "seed", (double)options->seed);
}

static struct figure *add(struct report *report, const char *key, const char *label) {
    INS_ASSERT(report->figure_count < REPORT_FIGURES_MAX); /* our own code decides how many */
    struct figure *figure = &report->figures[report->figure_count++];
    *figure = (struct figure){.kind = FIGURE_ABSENT};
    copy_text(figure->key, sizeof(figure->key), key);
    copy_text(figure->label, sizeof(figure->label), label);
    return figure;
}

void report_number(struct report *report, const char *key, const char *label, double value) {
    struct figure *figure = add(report, key, label);
    figure->kind = isfinite(value) ? FIGURE_NUMBER : FIGURE_ABSENT;
    figure->value = value;
}

void report_text(struct report *report, const char *key, const char *label, const char *value) {
    struct figure *figure = add(report, key, label);
    figure->kind = FIGURE_TEXT;
    copy_text(figure->text, sizeof(figure->text), value);
    for (char *at = figure->text; *at != '\0'; at++) { /* so that nothing needs an escape */
        *at = *at == '"' || *at == '\\' || *at == '<' || *at == '&' || *at < ' ' ? '\'' : *at;
    }
}

void report_absent(struct report *report, const char *key, const char *label) {
    (void)add(report, key, label);
}

void report_target(struct report *report, const char *target, bool pass) {
    INS_ASSERT(report->figure_count > 0);
    struct figure *figure = &report->figures[report->figure_count - 1];
    copy_text(figure->target, sizeof(figure->target), target);
    figure->pass = pass && figure->kind != FIGURE_ABSENT;
}

const struct figure *report_find(const struct report *report, const char *key) {
    for (uint32_t i = 0; i < report->figure_count; i++) {
        if (strcmp(report->figures[i].key, key) == 0) {
            return &report->figures[i];
        }
    }
    return NULL;
}

void report_latency(struct report *report, const struct latency *latency) {
    const double us = 1e-3;
    report_number(report, "p50_us", "latency p50, us", (double)latency_quantile(latency, 0.5) * us);
    report_number(report, "p99_us", "latency p99, us",
                  (double)latency_quantile(latency, 0.99) * us);
    report_number(report, "max_us", "latency max, us", (double)latency->max_ns * us);
}

void report_device(struct report *report, const struct device_counters *before,
                   const struct device_counters *after, uint64_t acknowledged) {
    if (!before->available || !after->available || acknowledged == 0) {
        report_absent(report, "device_writes_per_ack", "device writes per acknowledged write");
        report_absent(report, "device_bytes_per_ack", "device bytes per acknowledged write");
        report_absent(report, "device_flushes", "device flushes");
        return;
    }
    double count = (double)acknowledged;
    report_number(report, "device_writes_per_ack", "device writes per acknowledged write",
                  (double)(after->writes - before->writes) / count);
    report_number(report, "device_bytes_per_ack", "device bytes per acknowledged write",
                  (double)(after->bytes - before->bytes) / count);
    report_number(report, "device_flushes", "device flushes",
                  (double)(after->flushes - before->flushes));
}

/* ---- Plots ---- */

struct plot *report_plot(struct report *report, const char *title, const char *x, const char *y) {
    INS_ASSERT(report->plot_count < REPORT_PLOTS_MAX);
    struct plot *plot = &report->plots[report->plot_count++];
    copy_text(plot->title, sizeof(plot->title), title);
    copy_text(plot->x, sizeof(plot->x), x);
    copy_text(plot->y, sizeof(plot->y), y);
    return plot;
}

struct plot_line *plot_line(struct plot *plot, const char *name) {
    INS_ASSERT(plot->line_count < PLOT_LINES_MAX);
    struct plot_line *line = &plot->lines[plot->line_count++];
    copy_text(line->name, sizeof(line->name), name);
    return line;
}

void plot_point(struct plot_line *line, double x, double y) {
    if (!isfinite(x) || !isfinite(y) || line->count == PLOT_POINTS_MAX) {
        return;
    }
    if (line->count == line->capacity) {
        uint32_t capacity = line->capacity == 0 ? 64 : line->capacity * 2;
        double *points = realloc(line->points, 2 * (size_t)capacity * sizeof(*points));
        if (points == NULL) {
            return;
        }
        line->points = points;
        line->capacity = capacity;
    }
    line->points[2 * (size_t)line->count] = x;
    line->points[2 * (size_t)line->count + 1] = y;
    line->count++;
}

/* ---- Out ---- */

size_t figure_format(const struct figure *figure, char *out, size_t capacity) {
    int size = 0;
    if (figure->kind == FIGURE_TEXT) {
        size = snprintf(out, capacity, "%s", figure->text);
    } else if (figure->kind == FIGURE_ABSENT) {
        size = snprintf(out, capacity, "not available");
    } else {
        double value = figure->value;
        bool whole = fabs(value) >= 1000.0 || value == floor(value);
        int digits = whole ? 0 : fabs(value) >= 1.0 ? 2 : 5;
        size = snprintf(out, capacity, "%.*f", digits, value);
    }
    return size < 0 ? 0 : (size_t)size;
}

static void print_figure(const struct figure *figure) {
    char text[128];
    (void)figure_format(figure, text, sizeof(text));
    (void)printf("  %-52s %14s", figure->label, text);
    if (figure->target[0] != '\0') {
        (void)printf("   %-9s %s", figure->target, figure->pass ? "pass" : "short");
    }
    (void)putchar('\n');
}

void report_print(const struct report *report) {
    if (report->json) {
        report_json(report, stdout);
        (void)putchar('\n');
    } else {
        (void)printf("%s\n", report->workload);
        for (uint32_t i = 0; i < report->figure_count; i++) {
            print_figure(&report->figures[i]);
        }
    }
    (void)fflush(stdout);
}

void report_free(struct report *report) {
    for (uint32_t p = 0; p < report->plot_count; p++) {
        for (uint32_t l = 0; l < report->plots[p].line_count; l++) {
            free(report->plots[p].lines[l].points);
        }
    }
    free(report->plots);
    free(report->figures);
    *report = (struct report){0};
}

void report_end(struct report *report) {
    report_print(report);
    report_free(report);
}
