#include "api/metrics_text.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/histogram.h"

#define LINE_MAX (LABELS_MAX + 256)

static void put_line(struct json_writer *out, const char *line, int size) {
    INS_ASSERT(size > 0 && (size_t)size < LINE_MAX);
    json_write_raw(out, line, (size_t)size);
}

void metric_head(struct json_writer *out, const char *name, const char *type, const char *help) {
    char line[LINE_MAX];
    put_line(out, line,
             snprintf(line, sizeof(line), "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type));
}

void metric_value(struct json_writer *out, const char *name, const char *labels, uint64_t value) {
    char line[LINE_MAX];
    put_line(out, line,
             snprintf(line, sizeof(line), "%s%s %llu\n", name, labels, (unsigned long long)value));
}

void metric_seconds(struct json_writer *out, const char *name, const char *labels, uint64_t ns) {
    char line[LINE_MAX];
    put_line(out, line,
             snprintf(line, sizeof(line), "%s%s %llu.%09llu\n", name, labels,
                      (unsigned long long)(ns / 1000000000),
                      (unsigned long long)(ns % 1000000000)));
}

void metric(struct json_writer *out, const char *name, const char *type, const char *help,
            uint64_t value) {
    metric_head(out, name, type, help);
    metric_value(out, name, "", value);
}

void metric_durations(struct json_writer *out, const char *name, const char *labels,
                      const ins_durations *durations) {
    char series[128], all[LABELS_MAX];
    const char *comma = labels[0] == '\0' ? "" : ",";
    uint64_t below = 0;
    (void)snprintf(series, sizeof(series), "%s_bucket", name);
    for (uint32_t i = 0; i < INS_DURATION_BUCKETS; i++) {
        below += durations->counts[i];
        if (i < INS_DURATION_BUCKETS - 1) {
            (void)snprintf(all, sizeof(all), "{%s%sle=\"%g\"}", labels, comma,
                           (double)duration_bounds_us[i] / 1e6);
        } else {
            (void)snprintf(all, sizeof(all), "{%s%sle=\"+Inf\"}", labels, comma);
        }
        metric_value(out, series, all, below);
    }
    (void)snprintf(all, sizeof(all), comma[0] == '\0' ? "%s" : "{%s}", labels);
    (void)snprintf(series, sizeof(series), "%s_sum", name);
    metric_seconds(out, series, all, durations->sum_ns);
    (void)snprintf(series, sizeof(series), "%s_count", name);
    metric_value(out, series, all, durations->count);
}

bool label_add(char out[LABELS_MAX], size_t *size, const char *name, const char *value) {
    size_t at = *size;
    int head = snprintf(out + at, LABELS_MAX - at, "%s%s=\"", at == 0 ? "" : ",", name);
    if (head < 0 || (size_t)head >= LABELS_MAX - at) {
        return false;
    }
    at += (size_t)head;
    for (; *value != '\0' && at + 4 < LABELS_MAX; value++) {
        bool escaped = *value == '"' || *value == '\\' || *value == '\n';
        if (escaped) {
            out[at++] = '\\';
        }
        out[at++] = *value == '\n' ? 'n' : *value;
    }
    if (*value != '\0') {
        return false;
    }
    out[at++] = '"';
    out[at] = '\0';
    *size = at;
    return true;
}
