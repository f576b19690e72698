#include "cli/doctor/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

double now(const struct sight *sight, enum fact fact) {
    return sight->second.of[fact];
}

double since(const struct sight *sight, enum fact fact) {
    return sight->second.of[fact] - sight->first.of[fact];
}

double second(const struct sight *sight, enum fact fact) {
    return since(sight, fact) / sight->seconds;
}

const char *text_of(const struct sight *sight, enum fact_text text) {
    return sight->second.text[text];
}

double scaled(double value, double from, double to, double low, double high) {
    double share = (value - from) / (to - from);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return low + share * (high - low);
}

void say(char *out, size_t capacity, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE: clang 14 misses va_start */
    (void)vsnprintf(out, capacity, format, arguments);
    va_end(arguments);
}

void propose(struct finding *out, const char *path, const char *from, const char *to) {
    if (out->change_count < CHANGES_MAX) {
        struct change *change = &out->changes[out->change_count++];
        SAY(change->path, "%s", path);
        SAY(change->from, "%s", from);
        SAY(change->to, "%s", to);
    }
}

const char *bytes_text(double bytes) {
    static char texts[4][32];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    return cli_format_bytes(bytes > 0 ? (uint64_t)bytes : 0, text);
}

static int worse_first(const void *left, const void *right) {
    const struct finding *a = left, *b = right;
    return a->severity < b->severity ? 1 : a->severity > b->severity ? -1 : strcmp(a->id, b->id);
}

unsigned rules_run(const struct sight *sight, struct finding out[static FINDINGS_MAX]) {
    static const struct rule *const tables[] = {memory_rules, machine_rules, disk_rules,
                                                client_rules};
    unsigned count = 0;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct rule *rule = tables[i]; rule->id != NULL && count < FINDINGS_MAX;
             rule++) {
            memset(&out[count], 0, sizeof(out[count]));
            out[count].id = rule->id;
            count += rule->look(sight, &out[count]);
        }
    }
    qsort(out, count, sizeof(out[0]), worse_first);
    return count;
}
