#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/top/top.h"

#define ROUTES_SHOWN 6u
#define QUANTILE_SERIES 64u

static double seconds_of(const struct frame *frame) {
    double seconds = frame->now->at_s - frame->before->at_s;
    return seconds > 0.001 ? seconds : 0.001;
}

static double change(const struct frame *frame, const char *name, const char *labels,
                     size_t labels_size) {
    double now = look_value(frame->now, name, labels, labels_size, NULL);
    double before = look_value(frame->before, name, labels, labels_size, NULL);
    return now > before ? now - before : 0;
}

double frame_rate(const struct frame *frame, const char *name) {
    return change(frame, name, "", 0) / seconds_of(frame);
}

static double bound_of(const struct sample *sample) {
    char text[32];
    sample_label(sample, "le", text, sizeof(text));
    return strcmp(text, "+Inf") == 0 ? HUGE_VAL : strtod(text, NULL);
}

/* The bucket's labels are those of the series, and le. */
static bool bucket_of(const struct sample *sample, const char *series, const char *labels,
                      size_t labels_size) {
    size_t comma = labels_size > 0;
    return sample_is(sample, series) && sample->labels_size > labels_size + comma + 3 &&
           memcmp(sample->labels, labels, labels_size) == 0 &&
           memcmp(sample->labels + labels_size + comma, "le=", 3) == 0;
}

double frame_quantile(const struct frame *frame, const char *name, const char *labels,
                      size_t labels_size, double quantile) {
    double bounds[QUANTILE_SERIES], counts[QUANTILE_SERIES];
    size_t count = 0;
    char series[128];
    (void)snprintf(series, sizeof(series), "%s_bucket", name);
    for (size_t i = 0; i < frame->now->count && count < QUANTILE_SERIES; i++) {
        const struct sample *sample = &frame->now->samples[i];
        if (bucket_of(sample, series, labels, labels_size)) {
            bounds[count] = bound_of(sample);
            counts[count++] = change(frame, series, sample->labels, sample->labels_size);
        }
    }
    double total = count == 0 ? 0 : counts[count - 1], wanted = total * quantile;
    double low = 0, below = 0;
    for (size_t i = 0; i < count && total > 0; i++) {
        if (counts[i] >= wanted) {
            double inside = counts[i] - below;
            bool open = !isfinite(bounds[i]) || inside <= 0;
            return open ? low : low + (bounds[i] - low) * (wanted - below) / inside;
        }
        low = bounds[i];
        below = counts[i];
    }
    return -1;
}

/* ---- Writing ---- */

static const char *show_time(double seconds, char out[static 16]) {
    if (seconds < 0) {
        (void)snprintf(out, 16, "-");
    } else if (seconds < 1) {
        (void)snprintf(out, 16, "%.2f ms", seconds * 1000);
    } else {
        (void)snprintf(out, 16, "%.2f s", seconds);
    }
    return out;
}

static void print_durations(const struct frame *frame, const char *name, const struct sample *count,
                            const char *label, FILE *out) {
    char p50[16], p99[16];
    double rate = change(frame, name, count->labels, count->labels_size) / seconds_of(frame);
    char base[128];
    (void)snprintf(base, sizeof(base), "%.*s", (int)(strlen(name) - strlen("_count")), name);
    (void)fprintf(
        out, "  %-56.56s %9.1f %10s %10s\n", label, rate,
        show_time(frame_quantile(frame, base, count->labels, count->labels_size, 0.5), p50),
        show_time(frame_quantile(frame, base, count->labels, count->labels_size, 0.99), p99));
}

static void print_routes(const struct frame *frame, FILE *out) {
    static const char name[] = "rest_responses_duration_seconds_count";
    const struct sample *busiest[ROUTES_SHOWN];
    double rates[ROUTES_SHOWN];
    size_t count = 0;
    for (size_t i = 0; i < frame->now->count; i++) {
        const struct sample *sample = &frame->now->samples[i];
        double rate =
            sample_is(sample, name) ? change(frame, name, sample->labels, sample->labels_size) : 0;
        size_t at = count < ROUTES_SHOWN ? count : ROUTES_SHOWN;
        for (; at > 0 && rate > rates[at - 1]; at--) {
            if (at < ROUTES_SHOWN) {
                rates[at] = rates[at - 1];
                busiest[at] = busiest[at - 1];
            }
        }
        if (rate > 0 && at < ROUTES_SHOWN) {
            rates[at] = rate;
            busiest[at] = sample;
            count += count < ROUTES_SHOWN;
        }
    }
    (void)fprintf(out, "%-58s %9s %10s %10s\n", "ANSWERS", "/s", "p50", "p99");
    for (size_t i = 0; i < count; i++) {
        char method[16], endpoint[160], label[192];
        sample_label(busiest[i], "method", method, sizeof(method));
        sample_label(busiest[i], "endpoint", endpoint, sizeof(endpoint));
        (void)snprintf(label, sizeof(label), "%s %s", method, endpoint);
        print_durations(frame, name, busiest[i], label, out);
    }
}

static void print_reads(const struct frame *frame, FILE *out) {
    static const char name[] = "insula_read_duration_seconds_count";
    (void)fprintf(out, "READS BY ROWS OF THE TENANT\n");
    for (size_t i = 0; i < frame->now->count; i++) {
        const struct sample *sample = &frame->now->samples[i];
        char rows[64];
        if (sample_is(sample, name) &&
            change(frame, name, sample->labels, sample->labels_size) > 0) {
            sample_label(sample, "rows", rows, sizeof(rows));
            print_durations(frame, name, sample, rows, out);
        }
    }
}

static void print_head(const struct frame *frame, FILE *out) {
    double refused = 0;
    char text[32];
    time_t now = time(NULL);
    struct tm local;
    (void)localtime_r(&now, &local);
    (void)strftime(text, sizeof(text), "%H:%M:%S", &local);
    for (size_t i = 0; i < frame->now->count; i++) {
        const struct sample *sample = &frame->now->samples[i];
        if (sample_is(sample, "insula_requests_refused_total")) {
            refused +=
                change(frame, "insula_requests_refused_total", sample->labels, sample->labels_size);
        }
    }
    (void)fprintf(out, "insula top  %s  %s, over %.1f s\n", frame->url, text, seconds_of(frame));
    (void)fprintf(
        out, "requests %.1f/s  refused %.1f/s  slow %.1f/s  collections %.0f  tenants %.0f%s\n",
        frame_rate(frame, "insula_requests_total"), refused / seconds_of(frame),
        frame_rate(frame, "insula_slow_requests_total"),
        look_value(frame->now, "collections_total", "", 0, NULL),
        look_value(frame->now, "insula_tenants", "", 0, NULL),
        look_value(frame->now, "insula_writes_stopped", "", 0, NULL) > 0 ? "  WRITES ARE STOPPED"
                                                                         : "");
}

static void print_engine(const struct frame *frame, FILE *out) {
    char bytes[32], cold[32], p50[16], p99[16];
    static const char writes[] = "insula_log_write_duration_seconds";
    double unflushed = look_value(frame->now, "insula_lsn_durable", "", 0, NULL) -
                       look_value(frame->now, "insula_lsn_flushed", "", 0, NULL);
    (void)fprintf(out, "LOG    %.1f records/s  %s/s  %.1f syncs/s  write p50 %s p99 %s\n",
                  frame_rate(frame, "insula_log_records_total"),
                  cli_format_bytes((uint64_t)frame_rate(frame, "insula_log_bytes_total"), bytes),
                  frame_rate(frame, "insula_log_syncs_total"),
                  show_time(frame_quantile(frame, writes, "", 0, 0.5), p50),
                  show_time(frame_quantile(frame, writes, "", 0, 0.99), p99));
    (void)fprintf(out, "FLUSH  %.0f landed, %.0f records not yet in segments\n",
                  look_value(frame->now, "insula_flushes_total", "", 0, NULL),
                  unflushed > 0 ? unflushed : 0);
    (void)fprintf(out, "MERGE  %.0f landed, %.0f graphs built, %.0f runs in %.0f files\n",
                  look_value(frame->now, "insula_merges_total", "", 0, NULL),
                  look_value(frame->now, "insula_graphs_built_total", "", 0, NULL),
                  look_value(frame->now, "insula_runs", "", 0, NULL),
                  look_value(frame->now, "insula_files", "", 0, NULL));
    (void)fprintf(out, "CACHE  %.1f hits/s  %.1f misses/s  %s/s from disk  %.1f evictions/s\n",
                  frame_rate(frame, "insula_cache_hits_total"),
                  frame_rate(frame, "insula_cold_reads_total"),
                  cli_format_bytes((uint64_t)frame_rate(frame, "insula_cold_bytes_total"), cold),
                  frame_rate(frame, "insula_cache_evictions_total"));
}

static void print_budget(const struct frame *frame, FILE *out) {
    char used[32], limit[32];
    (void)fprintf(
        out, "BUDGET %s\n",
        cli_format_bytes(
            (uint64_t)look_value(frame->now, "insula_memory_budget_bytes", "", 0, NULL), used));
    for (size_t i = 0; i < frame->now->count; i++) {
        const struct sample *sample = &frame->now->samples[i];
        if (!sample_is(sample, "insula_memory_used_bytes")) {
            continue;
        }
        char purpose[32], bar[21] = "....................";
        double most = look_value(frame->now, "insula_memory_limit_bytes", sample->labels,
                                 sample->labels_size, NULL);
        double share = most > 0 ? sample->value / most : 0;
        sample_label(sample, "purpose", purpose, sizeof(purpose));
        for (size_t k = 0; k < 20; k++) {
            bar[k] = (double)k < share * 20 - 0.5 ? '#' : '.';
        }
        (void)fprintf(out, "  %-10s [%s] %10s of %s\n", purpose, bar,
                      cli_format_bytes((uint64_t)sample->value, used),
                      cli_format_bytes((uint64_t)most, limit));
    }
}

void frame_print(const struct frame *frame, FILE *out) {
    print_head(frame, out);
    print_routes(frame, out);
    print_reads(frame, out);
    /* What stands above and below takes some 32 lines. */
    frame_print_tenants(frame, frame->lines > 40 ? frame->lines - 32 : 8, out);
    print_engine(frame, out);
    print_budget(frame, out);
}
