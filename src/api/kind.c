/* Reads, writes, and what is about the server itself: told apart by method and path alone, before a
 * request is looked into. */
#include <string.h>

#include "api/api_private.h"
#include "base/hash.h"

static bool segment_is(const struct path *path, size_t index, const char *text) {
    return index < path->count && path->segments[index].size == strlen(text) &&
           memcmp(path->segments[index].data, text, path->segments[index].size) == 0;
}

/* A POST that changes nothing. */
static bool post_reads(const struct path *path) {
    static const char *const reads[] = {"query",     "search",   "scroll", "count",
                                        "recommend", "discover", "groups"};
    if (segment_is(path, 2, "facet") || (segment_is(path, 2, "tenants") && path->count == 3) ||
        (segment_is(path, 2, "points") && path->count == 3)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        if (segment_is(path, 3, reads[i])) {
            return true;
        }
    }
    return false;
}

enum api_kind api_kind_of(enum api_method method, ins_text text, uint64_t *out_scope) {
    struct path path;
    bool known = path_split(text, &path);
    *out_scope = 0;
    if (!known || !segment_is(&path, 0, "collections")) {
        return API_SERVICE;
    }
    if (path.count > 1) {
        *out_scope = hash64(path.segments[1].data, path.segments[1].size);
    }
    bool reads =
        method == API_GET || method == API_HEAD || (method == API_POST && post_reads(&path));
    return reads ? API_READ : API_WRITE;
}
