/* The values that a path selects in a payload, one after the other. */
#include <string.h>

#include "payload/payload_private.h"

struct values_walk {
    const struct payload_path *path;
    bool (*visit)(void *context, ins_text value);
    void *context;
};

static bool visit_elements(const struct values_walk *walk, ins_text array) {
    struct json_text_iterator elements = json_text_begin(array);
    ins_text element;
    while (json_text_next(&elements, &element)) {
        if (!walk->visit(walk->context, element)) {
            return false;
        }
    }
    return true;
}

/* Depth: the parts of a path, PAYLOAD_PATH_PARTS_MAX. */
static bool walk_from(const struct values_walk *walk, ins_text value, uint32_t part) {
    const struct payload_path *path = walk->path;
    if (part == path->part_count) {
        return value.data[0] == '[' ? visit_elements(walk, value)
                                    : walk->visit(walk->context, value);
    }
    ins_text member;
    if (path->kinds[part] == PART_KEY) {
        return value.data[0] != '{' || !json_text_get_last(value, path->parts[part], &member) ||
               walk_from(walk, member, part + 1);
    }
    if (value.data[0] != '[') {
        return true;
    }
    uint64_t wanted = UINT64_MAX;
    if (path->kinds[part] == PART_INDEX && !json_text_unsigned(path->parts[part], &wanted)) {
        return true;
    }
    struct json_text_iterator elements = json_text_begin(value);
    for (uint64_t i = 0; json_text_next(&elements, &member); i++) {
        if ((path->kinds[part] == PART_ALL || i == wanted) && !walk_from(walk, member, part + 1)) {
            return false;
        }
    }
    return true;
}

void payload_values(ins_text payload, const struct payload_path *path,
                    bool (*visit)(void *context, ins_text value), void *context) {
    struct values_walk walk = {.path = path, .visit = visit, .context = context};
    if (payload.size > 0) {
        (void)walk_from(&walk, payload, 0);
    }
}
