/* The tenants that took most time since the last look, and what else they took. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/top/top.h"

#define TENANTS_MAX 128u /* the server shows fewer: 16 a resource */
#define NAME_WIDTH 40u

enum column { TIME, READS, ROWS, COLD, WRITTEN, WORK, COLUMNS };

static const char *const series[COLUMNS] = {[TIME] = "insula_top_tenant_time_seconds",
                                            [READS] = "insula_top_tenant_reads",
                                            [ROWS] = "insula_top_tenant_rows",
                                            [COLD] = "insula_top_tenant_cold_bytes",
                                            [WRITTEN] = "insula_top_tenant_written_rows",
                                            [WORK] = "insula_top_tenant_background_seconds"};

struct tenant {
    const struct sample *sample; /* one of its own, for its labels */
    double rates[COLUMNS];
};

struct tenants {
    struct tenant items[TENANTS_MAX];
    size_t count;
};

static struct tenant *tenant_of(struct tenants *tenants, const struct sample *sample) {
    for (size_t i = 0; i < tenants->count; i++) {
        const struct sample *known = tenants->items[i].sample;
        if (known->labels_size == sample->labels_size &&
            memcmp(known->labels, sample->labels, known->labels_size) == 0) {
            return &tenants->items[i];
        }
    }
    if (tenants->count == TENANTS_MAX) {
        return NULL;
    }
    struct tenant *fresh = &tenants->items[tenants->count++];
    *fresh = (struct tenant){.sample = sample};
    return fresh;
}

/* One that was not there before has taken over another one's count: nothing is known of it yet. */
static void gather(const struct frame *frame, struct tenants *tenants) {
    double seconds = frame->now->at_s - frame->before->at_s;
    for (size_t i = 0; i < frame->now->count; i++) {
        const struct sample *sample = &frame->now->samples[i];
        for (int column = 0; column < COLUMNS; column++) {
            if (!sample_is(sample, series[column])) {
                continue;
            }
            bool known;
            double before = look_value(frame->before, series[column], sample->labels,
                                       sample->labels_size, &known);
            struct tenant *tenant = tenant_of(tenants, sample);
            if (known && tenant != NULL && seconds > 0 && sample->value > before) {
                tenant->rates[column] = (sample->value - before) / seconds;
            }
        }
    }
}

static int order(const void *left, const void *right) {
    const struct tenant *a = left, *b = right;
    for (int column = 0; column < COLUMNS; column++) {
        if (a->rates[column] != b->rates[column]) {
            return a->rates[column] < b->rates[column] ? 1 : -1;
        }
    }
    return 0;
}

/* What a terminal would obey is shown as '?'; a name is cut between characters. */
static void plain(char *name) {
    size_t size = strlen(name);
    for (size_t i = 0; i < size; i++) {
        name[i] = (unsigned char)name[i] < ' ' || name[i] == 127 ? '?' : name[i];
    }
    if (size > NAME_WIDTH) {
        size = NAME_WIDTH;
        while (size > 0 && ((unsigned char)name[size] & 0xc0) == 0x80) {
            size--;
        }
        name[size] = '\0';
    }
    for (size_t i = 0; i + 1 < size; i++) { /* control characters of Latin-1, in two bytes */
        if ((unsigned char)name[i] == 0xc2 && (unsigned char)name[i + 1] < 0xa0) {
            name[i] = name[i + 1] = '?';
        }
    }
}

static void print_one(const struct tenant *tenant, FILE *out) {
    char collection[256], shard[256], name[256], label[800], cold[32];
    sample_label(tenant->sample, "collection", collection, sizeof(collection));
    sample_label(tenant->sample, "shard", shard, sizeof(shard));
    sample_label(tenant->sample, "tenant", name, sizeof(name));
    (void)snprintf(label, sizeof(label), "%s%s%s%s%s", collection, shard[0] == '\0' ? "" : "[",
                   shard, shard[0] == '\0' ? "" : "]", name[0] == '\0' ? "" : " ");
    (void)snprintf(label + strlen(label), sizeof(label) - strlen(label), "%s", name);
    plain(label);
    (void)fprintf(out, "  %-*s %6.1f%% %9.1f %11.0f %9s/s %9.1f %6.1f%%\n", (int)NAME_WIDTH, label,
                  tenant->rates[TIME] * 100, tenant->rates[READS], tenant->rates[ROWS],
                  cli_format_bytes((uint64_t)tenant->rates[COLD], cold), tenant->rates[WRITTEN],
                  tenant->rates[WORK] * 100);
}

void frame_print_tenants(const struct frame *frame, unsigned most, FILE *out) {
    struct tenants tenants = {.count = 0};
    gather(frame, &tenants);
    qsort(tenants.items, tenants.count, sizeof(tenants.items[0]), order);
    (void)fprintf(out, "%-*s %7s %9s %11s %11s %9s %7s\n", (int)NAME_WIDTH + 2,
                  "TENANTS (collection[shard] tenant)", "time", "reads/s", "rows/s", "from disk",
                  "written/s", "jobs");
    for (size_t i = 0; i < tenants.count && i < most; i++) {
        bool idle = true;
        for (int column = 0; column < COLUMNS; column++) {
            idle &= tenants.items[i].rates[column] <= 0;
        }
        if (!idle) {
            print_one(&tenants.items[i], out);
        }
    }
}
