/* `valgrind --tool=lackey --trace-mem=yes PROGRAM` into page walks and lines a query.
 *
 *     valgrind ... --log-fd=9 PROGRAM 9>&1 >REPORT | insula-trace RANGES
 *
 * RANGES is a file that the program writes before its first query: lines of "index|scratch|huge
 * BEGIN END" in hexadecimal, "huge all", and "size BYTES" of the index, in decimal. Queries begin
 * and end with stores to marks.h. Data alone is counted, no instructions: a search's code fits the
 * caches, and no peer's is larger. Lackey does not show prefetches; what they fetch in vain is not
 * counted, on either side. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marks.h"
#include "memory_model.h"

#define LINE_MAX_BYTES 256

static int complain(const char *what, const char *name) {
    (void)fprintf(stderr, "insula-trace: %s: %s\n", name, what);
    return 1;
}

static bool add_range(struct model *model, const char *line) {
    static const char *const kinds[MODEL_KINDS] = {"index", "scratch", "huge"};
    char name[16];
    uint64_t begin, end;
    if (strcmp(line, "huge all\n") == 0) {
        return model_range(model, MODEL_HUGE, 0, UINT64_MAX);
    }
    if (sscanf(line, "size %" SCNu64, &begin) == 1) {
        model_size(model, begin);
        return begin > 0;
    }
    if (sscanf(line, "%15s %" SCNx64 " %" SCNx64, name, &begin, &end) != 3) {
        return false;
    }
    for (int kind = 0; kind < MODEL_KINDS; kind++) {
        if (strcmp(name, kinds[kind]) == 0) {
            return model_range(model, (enum model_kind)kind, begin, end);
        }
    }
    return false;
}

static int read_ranges(struct model *model, const char *name) {
    char line[LINE_MAX_BYTES];
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        return complain(strerror(errno), name);
    }
    bool good = true;
    while (good && fgets(line, sizeof(line), file) != NULL) {
        good = add_range(model, line);
    }
    (void)fclose(file);
    return good ? 0 : complain("not a range", name);
}

/* " L 1ffefe8,8", " S ...", " M ...": false for other lines. */
static bool parse(const char *line, uint64_t *out_address, uint64_t *out_size) {
    if (line[0] != ' ' || (line[1] != 'L' && line[1] != 'S' && line[1] != 'M') || line[2] != ' ') {
        return false;
    }
    char *end;
    *out_address = strtoull(line + 3, &end, 16);
    if (*end != ',') {
        return false;
    }
    *out_size = strtoull(end + 1, &end, 10);
    return *end == '\n';
}

static int read_trace(struct model *model, const char *ranges) {
    char line[LINE_MAX_BYTES];
    uint64_t address, size;
    bool known = false;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (!parse(line, &address, &size)) {
            continue;
        }
        if (address == MARK_END) {
            model_end(model);
        } else if (address == MARK_BEGIN) {
            if (!known && read_ranges(model, ranges) != 0) {
                return 1;
            }
            known = true;
            model_begin(model);
        } else if (known && !model_access(model, address, size)) {
            return complain("a query touches too many lines", "trace");
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return complain("insula-trace RANGES < TRACE", "usage") + 1;
    }
    struct model *model = model_make();
    if (model == NULL) {
        return complain("no memory", "model");
    }
    int code = read_trace(model, argv[1]);
    struct model_counts counts = model_counts(model);
    if (code == 0 && counts.queries == 0) {
        code = complain("no query in it", "trace");
    }
    if (code == 0) {
        double queries = (double)counts.queries;
        (void)printf("{\"queries\":%" PRIu64 ",\"copies\":%" PRIu64 ",\"accesses\":%.1f,"
                     "\"lines\":%.1f,\"index_lines\":%.1f,\"pages\":%.1f,\"walks_4k\":%.2f,"
                     "\"walks_2m\":%.2f,\"l1_misses_4k\":%.2f,\"l1_misses_2m\":%.2f}\n",
                     counts.queries, model_copies(model), (double)counts.accesses / queries,
                     (double)counts.lines / queries, (double)counts.index_lines / queries,
                     (double)counts.pages / queries,
                     (double)counts.walks[MODEL_SMALL_PAGES] / queries,
                     (double)counts.walks[MODEL_HUGE_PAGES] / queries,
                     (double)counts.first_misses[MODEL_SMALL_PAGES] / queries,
                     (double)counts.first_misses[MODEL_HUGE_PAGES] / queries);
    }
    model_free(model);
    return code;
}
