/* A report as JSON, and back: so that a run that was cut off goes on at its next workload.
 *
 *   {"workload": "load", "points_per_s": 12345, ...,
 *    "targets": {"cpu_ratio": {"target": "<= 1.6", "verdict": "pass"}},
 *    "labels": {"points_per_s": "points/s", ...},
 *    "plots": [{"title": ..., "x": ..., "y": ..., "log_y": false,
 *               "lines": [{"name": ..., "points": [x, y, x, y]}]}]}
 * targets and plots are left out when there are none; labels come only in files. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "report.h"

#define FILE_BYTES_MAX (16u << 20)

/* ---- Write ---- */

static void write_value(const struct figure *figure, FILE *file) {
    switch (figure->kind) {
    case FIGURE_NUMBER:
        (void)fprintf(file, "\"%s\":%.9g", figure->key, figure->value);
        break;
    case FIGURE_TEXT:
        (void)fprintf(file, "\"%s\":\"%s\"", figure->key, figure->text);
        break;
    case FIGURE_ABSENT:
        (void)fprintf(file, "\"%s\":null", figure->key);
        break;
    }
}

static void write_targets(const struct report *report, FILE *file) {
    const char *before = ",\"targets\":{";
    for (uint32_t i = 0; i < report->figure_count; i++) {
        const struct figure *figure = &report->figures[i];
        if (figure->target[0] != '\0') {
            (void)fprintf(file, "%s\"%s\":{\"target\":\"%s\",\"verdict\":\"%s\"}", before,
                          figure->key, figure->target, figure->pass ? "pass" : "short");
            before = ",";
        }
    }
    if (before[1] == '\0') {
        (void)fputc('}', file);
    }
}

static void write_line(const struct plot_line *line, FILE *file) {
    (void)fprintf(file, "{\"name\":\"%s\",\"points\":[", line->name);
    for (uint32_t i = 0; i < 2 * line->count; i++) {
        (void)fprintf(file, "%s%.6g", i == 0 ? "" : ",", line->points[i]);
    }
    (void)fputs("]}", file);
}

static void write_plots(const struct report *report, FILE *file) {
    for (uint32_t p = 0; p < report->plot_count; p++) {
        const struct plot *plot = &report->plots[p];
        (void)fprintf(file,
                      "%s{\"title\":\"%s\",\"x\":\"%s\",\"y\":\"%s\",\"log_y\":%s,\"lines\":[",
                      p == 0 ? ",\"plots\":[" : ",", plot->title, plot->x, plot->y,
                      plot->log_y ? "true" : "false");
        for (uint32_t l = 0; l < plot->line_count; l++) {
            (void)fputs(l == 0 ? "" : ",", file);
            write_line(&plot->lines[l], file);
        }
        (void)fputs(p + 1 == report->plot_count ? "]}]" : "]}", file);
    }
}

static void write_report(const struct report *report, bool labels, FILE *file) {
    (void)fprintf(file, "{\"workload\":\"%s\"", report->workload);
    for (uint32_t i = 0; i < report->figure_count; i++) {
        (void)fputc(',', file);
        write_value(&report->figures[i], file);
    }
    write_targets(report, file);
    for (uint32_t i = 0; labels && i < report->figure_count; i++) {
        (void)fprintf(file, "%s\"%s\":\"%s\"%s", i == 0 ? ",\"labels\":{" : ",",
                      report->figures[i].key, report->figures[i].label,
                      i + 1 == report->figure_count ? "}" : "");
    }
    write_plots(report, file);
    (void)fputc('}', file);
}

void report_json(const struct report *report, FILE *file) {
    write_report(report, false, file);
}

bool report_save(const struct report *report, const char *path) {
    FILE *file = fopen(path, "we");
    if (file != NULL) {
        write_report(report, true, file);
    }
    bool good = file != NULL && fflush(file) == 0 && ferror(file) == 0;
    good = (file == NULL || fclose(file) == 0) && good;
    if (!good) {
        (void)bench_fail("cannot write %s: %s", path, strerror(errno));
    }
    return good;
}

/* ---- Read ---- */

static void copy_string(struct json_value value, char *out, size_t capacity) {
    ins_text text = json_type_of(value) == JSON_STRING ? json_string(value) : (ins_text){"", 0};
    (void)snprintf(out, capacity, "%.*s", (int)text.size, text.data);
}

static void copy_member(struct json_value object, const char *key, char *out, size_t capacity) {
    struct json_value value;
    out[0] = '\0';
    if (json_get(object, key, &value)) {
        copy_string(value, out, capacity);
    }
}

static void read_figure(struct report *report, struct json_value root, const char *key,
                        struct json_value value) {
    struct json_value labels, targets, target;
    char label[96] = "", text[96];
    if (json_get(root, "labels", &labels)) {
        copy_member(labels, key, label, sizeof(label));
    }
    if (json_is_number(value)) {
        report_number(report, key, label, json_number(value));
    } else if (json_type_of(value) == JSON_STRING) {
        copy_string(value, text, sizeof(text));
        report_text(report, key, label, text);
    } else {
        report_absent(report, key, label);
    }
    if (json_get(root, "targets", &targets) && json_get(targets, key, &target)) {
        char verdict[16];
        copy_member(target, "target", text, sizeof(text));
        copy_member(target, "verdict", verdict, sizeof(verdict));
        report_target(report, text, strcmp(verdict, "pass") == 0);
    }
}

static void read_line(struct plot *plot, struct json_value value) {
    char name[40];
    struct json_value points, x, y;
    copy_member(value, "name", name, sizeof(name));
    if (plot->line_count == PLOT_LINES_MAX || !json_get(value, "points", &points)) {
        return;
    }
    struct plot_line *line = plot_line(plot, name);
    struct json_iterator at = json_begin(points);
    while (json_next(&at, &x) && json_next(&at, &y) && json_is_number(x) && json_is_number(y)) {
        plot_point(line, json_number(x), json_number(y));
    }
}

static void read_plots(struct report *report, struct json_value plots) {
    struct json_value value, lines, flag, line;
    struct json_iterator at = json_begin(plots);
    while (report->plot_count < REPORT_PLOTS_MAX && json_next(&at, &value)) {
        char title[80], x[40], y[40];
        copy_member(value, "title", title, sizeof(title));
        copy_member(value, "x", x, sizeof(x));
        copy_member(value, "y", y, sizeof(y));
        struct plot *plot = report_plot(report, title, x, y);
        plot->log_y =
            json_get(value, "log_y", &flag) && json_type_of(flag) == JSON_BOOL && json_bool(flag);
        if (json_get(value, "lines", &lines) && json_type_of(lines) == JSON_ARRAY) {
            struct json_iterator each = json_begin(lines);
            while (json_next(&each, &line)) {
                read_line(plot, line);
            }
        }
    }
}

static void read_report(struct report *report, struct json_value root) {
    const struct bench_options none = {0};
    char workload[32], key[56];
    ins_text name;
    struct json_value value;
    copy_member(root, "workload", workload, sizeof(workload));
    report_begin(report, &none, workload);
    report->figure_count = 0; /* the seed is read like the others */
    struct json_iterator at = json_begin(root);
    while (json_next_member(&at, &name, &value)) {
        (void)snprintf(key, sizeof(key), "%.*s", (int)name.size, name.data);
        enum json_type type = json_type_of(value);
        if (type == JSON_ARRAY && strcmp(key, "plots") == 0) {
            read_plots(report, value);
        } else if (type != JSON_ARRAY && type != JSON_OBJECT && strcmp(key, "workload") != 0 &&
                   report->figure_count < REPORT_FIGURES_MAX) {
            read_figure(report, root, key, value);
        }
    }
}

bool report_load(struct report *report, const char *path) {
    FILE *file = fopen(path, "re");
    char *text = malloc(FILE_BYTES_MAX);
    struct json_parser *parser = json_parser_create(FILE_BYTES_MAX, 8);
    ins_error error = {.message = "cannot be read"};
    struct json_value root = {0};
    bool good = false;
    if (file != NULL && text != NULL && parser != NULL) {
        size_t size = fread(text, 1, FILE_BYTES_MAX, file);
        good = json_parse(parser, text, size, &root, &error) == INS_OK &&
               json_type_of(root) == JSON_OBJECT;
    }
    if (good) {
        read_report(report, root);
    } else {
        (void)bench_fail("%s: %s", path, error.message);
    }
    json_parser_destroy(parser);
    free(text);
    if (file != NULL) {
        (void)fclose(file);
    }
    return good;
}
