#include "cli/doctor/facts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define FACT_TEXT(name, text) text,
#define FACT_METRIC(name, text, metric, label) text,
    DOCTOR_MACHINE_FACTS(FACT_TEXT) DOCTOR_PROCESS_FACTS(FACT_TEXT) DOCTOR_DISK_FACTS(FACT_TEXT)
        DOCTOR_SERVER_FACTS(FACT_METRIC)
#undef FACT_METRIC
};
static const char *const text_names[] = {DOCTOR_TEXTS(FACT_TEXT)};
#undef FACT_TEXT

const char *fact_name(enum fact fact) {
    return names[fact];
}

const char *fact_text_name(enum fact_text text) {
    return text_names[text];
}

/* ---- Texts ---- */

double text_number(const char *text, const char *key) {
    size_t size = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, size) == 0 && line[size] != '\0' &&
            strchr(": \t", line[size]) != NULL) {
            return text_first(line + size + 1);
        }
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return UNKNOWN;
}

double text_first(const char *text) {
    if (text == NULL) {
        return UNKNOWN;
    }
    const char *at = text + strspn(text, " \t");
    char *end = NULL;
    double value = strtod(at, &end);
    return end == at ? UNKNOWN : value;
}

double text_column(const char *line, unsigned index) {
    const char *at = line;
    for (unsigned i = 0; at != NULL && i < index; i++) {
        at += strspn(at, " \t");
        at += strcspn(at, " \t\n");
    }
    return text_first(at);
}

void text_copy_line(char out[static FACT_TEXT_MAX], const char *text) {
    size_t size = text == NULL ? 0 : strcspn(text, "\n");
    size = size < FACT_TEXT_MAX ? size : FACT_TEXT_MAX - 1;
    memcpy(out, text == NULL ? "" : text, size);
    out[size] = '\0';
}

/* ---- The server ---- */

struct metric_of {
    const char *name, *label;
};

static const struct metric_of metrics[] = {
#define FACT_METRIC(name, text, metric, label) {metric, label},
    DOCTOR_SERVER_FACTS(FACT_METRIC)
#undef FACT_METRIC
};

/* The line of a metric with that label. */
static const char *metric_line(const char *text, const char *name, const char *label) {
    size_t size = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        bool named = strncmp(line, name, size) == 0; /* then line[size] is in the text */
        const char *close = named && line[size] == '{' ? strchr(line, '}') : NULL;
        const char *found = close == NULL || *label == '\0' ? NULL : strstr(line, label);
        if (named && (line[size] == ' ' || line[size] == '{') &&
            (*label == '\0' || (found != NULL && found < close))) {
            return line;
        }
        line = end == NULL ? NULL : end + 1;
    }
    return NULL;
}

static double metric_value(const char *line) {
    const char *space = line == NULL ? NULL : strchr(line, '}');
    space = space == NULL && line != NULL ? strchr(line, ' ') : space;
    return space == NULL ? UNKNOWN : text_first(space + 1);
}

static void metric_label(char out[static FACT_TEXT_MAX], const char *line, const char *label) {
    const char *at = line == NULL ? NULL : strstr(line, label);
    const char *end = line == NULL ? NULL : strchr(line, '\n');
    out[0] = '\0';
    if (at != NULL && (end == NULL || at < end)) {
        at += strlen(label);
        (void)snprintf(out, FACT_TEXT_MAX, "%.*s", (int)strcspn(at, "\""), at);
    }
}

void facts_server(struct source *source, struct facts *out) {
    const char *text = source_read(source, "server/metrics");
    for (unsigned i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        const char *line =
            text == NULL ? NULL : metric_line(text, metrics[i].name, metrics[i].label);
        /* A line's first '}' may belong to a later line when it has no labels. */
        out->of[FACT_BUDGET + i] = line != NULL && line[strlen(metrics[i].name)] == ' '
                                       ? text_first(line + strlen(metrics[i].name) + 1)
                                       : metric_value(line);
    }
    const char *info = text == NULL ? NULL : metric_line(text, "insula_process_info", "");
    metric_label(out->text[TEXT_ISA], info, "isa=\"");
    metric_label(out->text[TEXT_ARENA_PAGES], info, "arena_pages=\"");
}

int facts_server_pid(struct source *source) {
    const char *text = source_read(source, "server/metrics");
    const char *info = text == NULL ? NULL : metric_line(text, "insula_process_info", "");
    char label[FACT_TEXT_MAX];
    metric_label(label, info, "pid=\"");
    int pid = (int)strtol(label, NULL, 10);
    const char *command = pid == 0 ? NULL : source_read(source, "proc/%d/comm", pid);
    return command != NULL && strncmp(command, "insula", 6) == 0 ? pid : 0;
}

void facts_read(struct source *source, const char *data, int pid, struct facts *out) {
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < FACT_COUNT; i++) {
        out->of[i] = UNKNOWN;
    }
    out->of[FACT_CLOCK] = text_first(source_read(source, "clock"));
    facts_machine(source, out);
    facts_server(source, out);
    if (pid != 0) {
        facts_process(source, pid, out);
    }
    facts_cgroup(source, out);
    facts_disk(source, data, out);
    facts_engines(source, pid, out);
}
