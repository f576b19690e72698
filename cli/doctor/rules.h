/* What is wrong, in words. A rule looks at two moments and fills in a finding, or says nothing.
 *
 * Severity: 0 .. 100; from 70 a problem (it loses requests or time now, or will), from 30 a
 * warning, below a note. The worst is told first, so severities are comparable over all rules: they
 * say how much of a request's time, or how soon an outage, is at stake. */
#ifndef INS_CLI_DOCTOR_RULES_H
#define INS_CLI_DOCTOR_RULES_H

#include "cli/doctor/facts.h"

#define SEVERITY_PROBLEM 70.0
#define SEVERITY_WARNING 30.0

struct sight {
    struct facts first, second;
    double seconds; /* between the two */
};

/* A setting of the kernel that would help: `insula tune` writes the script. */
struct change {
    char path[128], from[64], to[64];
};

#define CHANGES_MAX 2u

struct finding {
    const char *id;
    double severity;
    char what[256], how[320], cost[320], todo[400];
    struct change changes[CHANGES_MAX];
    unsigned change_count;
};

struct rule {
    const char *id;
    bool (*look)(const struct sight *sight, struct finding *out);
};

/* Rows of NULL end them. */
extern const struct rule memory_rules[], machine_rules[], disk_rules[], client_rules[];

#define FINDINGS_MAX 64u

/* All rules' findings, the worst first. */
unsigned rules_run(const struct sight *sight, struct finding out[static FINDINGS_MAX]);

double now(const struct sight *sight, enum fact fact);    /* of the second moment */
double since(const struct sight *sight, enum fact fact);  /* what a counter rose by */
double second(const struct sight *sight, enum fact fact); /* the same, a second */
const char *text_of(const struct sight *sight, enum fact_text text);
/* Severity between `low` and `high` as `value` goes from `from` to `to`. */
double scaled(double value, double from, double to, double low, double high);

void say(char *out, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define SAY(field, ...) say(field, sizeof(field), __VA_ARGS__)
void propose(struct finding *out, const char *path, const char *from, const char *to);

/* "2.0 GiB", in one of four buffers in turn: for the arguments of one SAY. */
const char *bytes_text(double bytes);

#endif
