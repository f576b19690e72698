/* Prometheus' text format, written into an answer. */
#ifndef INS_API_METRICS_TEXT_H
#define INS_API_METRICS_TEXT_H

#include "base/json_write.h"

void metric_head(struct json_writer *out, const char *name, const char *type, const char *help);
/* `labels` as they stand: "" or "{a=\"b\"}". */
void metric_value(struct json_writer *out, const char *name, const char *labels, uint64_t value);
void metric_seconds(struct json_writer *out, const char *name, const char *labels, uint64_t ns);
void metric(struct json_writer *out, const char *name, const char *type, const char *help,
            uint64_t value);
/* Buckets, sum and count. `labels` without braces, or "". */
void metric_durations(struct json_writer *out, const char *name, const char *labels,
                      const ins_durations *durations);

/* "a" to a="b", with what a label must not hold escaped, behind `*size` bytes of `out`, with a
 * comma where it is not the first. Stops at the end of `capacity`: then false. */
#define LABELS_MAX 2048u
bool label_add(char out[LABELS_MAX], size_t *size, const char *name, const char *value);

#endif
