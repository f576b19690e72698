/* Documents of a whole run: Markdown for the repository, HTML with plots for the eye, JSON. */
#include <errno.h>
#include <string.h>

#include "report.h"

static FILE *open_out(const char *path) {
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        (void)bench_fail("cannot write %s: %s", path, strerror(errno));
    }
    return file;
}

static bool close_out(FILE *file, const char *path) {
    bool good = fflush(file) == 0 && ferror(file) == 0;
    good = fclose(file) == 0 && good;
    if (!good) {
        (void)bench_fail("cannot write %s: %s", path, strerror(errno));
    }
    return good;
}

/* Calls `row` for each figure of all reports that has a target. */
static uint32_t each_gate(const struct document *document, FILE *file,
                          void (*row)(FILE *file, const struct report *report,
                                      const struct figure *figure)) {
    uint32_t count = 0;
    for (uint32_t r = 0; r < document->count; r++) {
        const struct report *report = &document->reports[r];
        for (uint32_t i = 0; i < report->figure_count; i++) {
            if (report->figures[i].target[0] != '\0') {
                row(file, report, &report->figures[i]);
                count++;
            }
        }
    }
    return count;
}

/* ---- Markdown ---- */

static void markdown_gate(FILE *file, const struct report *report, const struct figure *figure) {
    char text[128];
    (void)figure_format(figure, text, sizeof(text));
    (void)fprintf(file, "| %s | %s | %s | %s | %s |\n", report->workload, figure->label,
                  figure->target, text, figure->pass ? "pass" : "**short**");
}

static void markdown_figures(FILE *file, const struct report *report) {
    (void)fprintf(file, "\n## %s\n\n| figure | value |\n| --- | ---: |\n", report->workload);
    for (uint32_t i = 0; i < report->figure_count; i++) {
        char text[128];
        (void)figure_format(&report->figures[i], text, sizeof(text));
        (void)fprintf(file, "| %s | %s |\n", report->figures[i].label, text);
    }
}

bool document_markdown(const struct document *document, const char *path) {
    FILE *file = open_out(path);
    if (file == NULL) {
        return false;
    }
    (void)fputs("# insula-bench report\n", file);
    markdown_figures(file, document->head);
    (void)fputs("\n## Targets\n\n| workload | figure | target | measured | verdict |\n"
                "| --- | --- | --- | ---: | --- |\n",
                file);
    (void)each_gate(document, file, markdown_gate);
    for (uint32_t r = 0; r < document->count; r++) {
        markdown_figures(file, &document->reports[r]);
    }
    return close_out(file, path);
}

/* ---- HTML ---- */

static const char html_head[] =
    "<!doctype html><meta charset=\"utf-8\"><title>insula-bench report</title>\n"
    "<style>body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 "
    "1em;color:#1a1a1a}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #ddd;padding:.2em "
    ".8em;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.pass{color:#1b6e2b}"
    ".short{color:#a01515;font-weight:600}svg{display:block;margin:1em 0}</style>\n"
    "<h1>insula-bench report</h1>\n";

static void html_gate(FILE *file, const struct report *report, const struct figure *figure) {
    char text[128];
    (void)figure_format(figure, text, sizeof(text));
    (void)fprintf(file, "<tr><td>%s<td>%s<td>%s<td class=\"n\">%s<td class=\"%s\">%s</tr>\n",
                  report->workload, figure->label, figure->target, text,
                  figure->pass ? "pass" : "short", figure->pass ? "pass" : "short");
}

static void html_figures(FILE *file, const struct report *report) {
    (void)fprintf(file, "<h2>%s</h2>\n<table>\n", report->workload);
    for (uint32_t i = 0; i < report->figure_count; i++) {
        char text[128];
        (void)figure_format(&report->figures[i], text, sizeof(text));
        (void)fprintf(file, "<tr><td>%s<td class=\"n\">%s</tr>\n", report->figures[i].label, text);
    }
    (void)fputs("</table>\n", file);
    for (uint32_t p = 0; p < report->plot_count; p++) {
        plot_svg(&report->plots[p], file);
    }
}

bool document_html(const struct document *document, const char *path) {
    FILE *file = open_out(path);
    if (file == NULL) {
        return false;
    }
    (void)fputs(html_head, file);
    html_figures(file, document->head);
    (void)fputs("<h2>Targets</h2>\n<table><tr><th>workload<th>figure<th>target<th>measured"
                "<th>verdict</tr>\n",
                file);
    (void)each_gate(document, file, html_gate);
    (void)fputs("</table>\n", file);
    for (uint32_t r = 0; r < document->count; r++) {
        html_figures(file, &document->reports[r]);
    }
    return close_out(file, path);
}

/* ---- JSON: one line, for bench/history ---- */

bool document_json(const struct document *document, const char *path) {
    FILE *file = open_out(path);
    if (file == NULL) {
        return false;
    }
    (void)fputs("{\"run\":", file);
    report_json(document->head, file);
    (void)fputs(",\"workloads\":[", file);
    for (uint32_t r = 0; r < document->count; r++) {
        struct report figures = document->reports[r];
        figures.plot_count = 0; /* plots are made of many points: the HTML has them */
        (void)fputs(r == 0 ? "" : ",", file);
        report_json(&figures, file);
    }
    (void)fputs("]}\n", file);
    return close_out(file, path);
}
