#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor/doctor.h"

static const char *level_of(const struct finding *finding) {
    return finding->severity >= SEVERITY_PROBLEM   ? "problem"
           : finding->severity >= SEVERITY_WARNING ? "warning"
                                                   : "note";
}

/* Words of `text` in lines of some 88 columns behind `indent` spaces. */
static void print_wrapped(const char *label, const char *text) {
    int column = printf("   %-6s ", label);
    int indent = column;
    for (const char *at = text; *at != '\0';) {
        int size = (int)strcspn(at, " ");
        if (column + size > 92 && column > indent) {
            (void)printf("\n%*s", indent, "");
            column = indent;
        }
        column += printf("%.*s%s", size, at, at[size] == '\0' ? "" : " ");
        at += size + (at[size] == ' ');
    }
    (void)printf("\n");
}

static void print_unseen(const struct sight *sight) {
    if (isnan(sight->second.of[FACT_BUDGET])) {
        (void)printf("No server answered: nothing is said about its memory, log and clients.\n");
    }
    if (isnan(sight->second.of[FACT_PID])) {
        (void)printf("No process was looked at (give --pid, or the URL of a server here).\n");
    } else if (isnan(sight->second.of[FACT_TLB_LOADS])) {
        (void)printf("TLB misses cannot be counted here (%s).\n",
                     sight->second.text[TEXT_TLB_REASON]);
    }
    if (sight->second.text[TEXT_DEVICE][0] == '\0') {
        (void)printf("The disk was not looked at (give --data DIR).\n");
    }
}

void report_text(const struct sight *sight, const struct finding *findings, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        const struct finding *each = &findings[i];
        (void)printf("%u. %s: %s [%s]\n", i + 1, level_of(each), each->what, each->id);
        print_wrapped("seen", each->how);
        print_wrapped("costs", each->cost);
        print_wrapped("do", each->todo);
        (void)printf("\n");
    }
    if (count == 0) {
        (void)printf("Nothing holds this machine back.\n");
    }
    print_unseen(sight);
}

/* ---- JSON ---- */

static void print_string(const char *text) {
    (void)putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            (void)printf("\\%c", *at);
        } else if (*at < 0x20) {
            (void)printf("\\u%04x", *at);
        } else {
            (void)putchar(*at);
        }
    }
    (void)putchar('"');
}

static void print_number(double value) {
    (void)(isfinite(value) ? printf("%.17g", value) : printf("null"));
}

static void print_member(const char *key, const char *text, const char *after) {
    (void)printf("\"%s\":", key);
    print_string(text);
    (void)printf("%s", after);
}

static void print_finding(const struct finding *finding) {
    (void)printf("{");
    print_member("id", finding->id, ",");
    print_member("level", level_of(finding), ",");
    (void)printf("\"severity\":%.1f,", finding->severity);
    print_member("what", finding->what, ",");
    print_member("how", finding->how, ",");
    print_member("cost", finding->cost, ",");
    print_member("todo", finding->todo, ",\"changes\":[");
    for (unsigned i = 0; i < finding->change_count; i++) {
        (void)printf(i == 0 ? "{" : ",{");
        print_member("path", finding->changes[i].path, ",");
        print_member("from", finding->changes[i].from, ",");
        print_member("to", finding->changes[i].to, "}");
    }
    (void)printf("]}");
}

void report_json(const struct sight *sight, const struct finding *findings, unsigned count) {
    (void)printf("{\"findings\":[");
    for (unsigned i = 0; i < count; i++) {
        (void)printf(i == 0 ? "\n" : ",\n");
        print_finding(&findings[i]);
    }
    (void)printf("],\n\"seconds\":");
    print_number(sight->seconds);
    (void)printf(",\"facts\":{");
    for (unsigned i = 0; i < FACT_COUNT; i++) {
        (void)printf("%s\"%s\":", i == 0 ? "" : ",", fact_name((enum fact)i));
        print_number(sight->second.of[i]);
    }
    for (unsigned i = 0; i < TEXT_COUNT; i++) {
        (void)printf(",");
        print_member(fact_text_name((enum fact_text)i), sight->second.text[i], "");
    }
    (void)printf("}}\n");
}

/* ---- The script ---- */

void report_script(const struct finding *findings, unsigned count) {
    unsigned changes = 0;
    (void)printf(
        "#!/bin/sh\n# What insula tune proposes for this machine. Nothing is set until you "
        "run it as root:\n#   sh tune.sh          sets, until the next boot\n"
        "#   sh tune.sh undo     puts back what was there\n"
        "set -eu\n[ \"${1:-}\" = undo ] && undo=1 || undo=0\n"
        "put() { # PATH OLD NEW\n    if [ \"$undo\" = 1 ]; then value=$2; else value=$3; fi\n"
        "    echo \"$value\" >\"$1\"\n    echo \"$1 = $value\"\n}\n");
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < findings[i].change_count; k++) {
            const struct change *change = &findings[i].changes[k];
            (void)printf("\n# %s\nput '%s' '%s' '%s'\n", findings[i].what, change->path,
                         change->from, change->to);
            changes++;
        }
    }
    (void)printf(changes == 0 ? "\n# Nothing to change.\n" : "");
}
