#include <stdlib.h>
#include <string.h>

#include "cli/top/top.h"

/* Behind the closing brace of labels that begin at `at`; NULL: there is none in the line. Braces in
 * quotes are text. */
static char *labels_end(char *at) {
    bool quoted = false;
    for (; *at != '\0' && *at != '\n'; at++) {
        if (quoted && *at == '\\' && at[1] != '\0') {
            at++;
        } else if (*at == '"') {
            quoted = !quoted;
        } else if (*at == '}' && !quoted) {
            return at + 1;
        }
    }
    return NULL;
}

static bool line_parse(char *line, struct sample *out) {
    size_t name_size = strcspn(line, "{ \n");
    char *at = line + name_size;
    *out = (struct sample){.name = line, .name_size = name_size, .labels = at};
    if (*at == '{') {
        char *end = labels_end(at);
        if (end == NULL) {
            return false;
        }
        out->labels = at + 1;
        out->labels_size = (size_t)(end - at) - 2;
        at = end;
    }
    char *rest = at;
    out->value = *at == ' ' ? strtod(at, &rest) : 0;
    return name_size > 0 && line[0] != '#' && rest != at;
}

bool look_parse(struct look *look, const char *text, size_t size, double at_s) {
    size_t lines = 1;
    *look = (struct look){.text = malloc(size + 1), .at_s = at_s};
    for (size_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
    }
    lines = lines < TOP_SAMPLES_MAX ? lines : TOP_SAMPLES_MAX;
    look->samples = calloc(lines, sizeof(*look->samples));
    if (look->text == NULL || look->samples == NULL) {
        look_free(look);
        return false;
    }
    memcpy(look->text, text, size);
    look->text[size] = '\0';
    for (char *line = look->text; line != NULL && look->count < lines;) {
        char *end = strchr(line, '\n');
        look->count += line_parse(line, &look->samples[look->count]);
        line = end == NULL ? NULL : end + 1;
    }
    return true;
}

void look_free(struct look *look) {
    free(look->text);
    free(look->samples);
    *look = (struct look){.text = NULL};
}

bool sample_is(const struct sample *sample, const char *name) {
    return sample->name_size == strlen(name) && memcmp(sample->name, name, sample->name_size) == 0;
}

double look_value(const struct look *look, const char *name, const char *labels, size_t labels_size,
                  bool *out_found) {
    for (size_t i = 0; i < look->count; i++) {
        const struct sample *sample = &look->samples[i];
        if (sample->labels_size == labels_size && sample_is(sample, name) &&
            memcmp(sample->labels, labels, labels_size) == 0) {
            if (out_found != NULL) {
                *out_found = true;
            }
            return sample->value;
        }
    }
    if (out_found != NULL) {
        *out_found = false;
    }
    return 0;
}

void sample_label(const struct sample *sample, const char *label, char *out, size_t capacity) {
    size_t size = strlen(label), used = 0;
    const char *end = sample->labels + sample->labels_size;
    bool quoted = false, begins = true;
    out[0] = '\0';
    for (const char *at = sample->labels; at < end; at++) {
        if (begins && (size_t)(end - at) > size + 2 && memcmp(at, label, size) == 0 &&
            at[size] == '=') {
            for (at += size + 2; at < end && *at != '"' && used + 1 < capacity; at++) {
                bool escaped = *at == '\\' && at + 1 < end;
                at += escaped;
                out[used++] = *at == 'n' && escaped ? '\n' : *at;
            }
            out[used] = '\0';
            return;
        }
        if (quoted && *at == '\\') {
            at++;
            continue;
        }
        quoted ^= *at == '"';
        begins = !quoted && *at == ',';
    }
}
