#include "engine/seen.h"

#include <string.h>

#include "engine/text.h"

#define SECOND_NS 1000000000ull

void seen_pass(struct seen *seen, uint64_t ns) {
    seen->rest_ns += ns;
    seen->seconds += seen->rest_ns / SECOND_NS;
    seen->rest_ns %= SECOND_NS;
}

/* The mark without which the others tell most: what it covers would be of the next one's time, so
 * the gap that it leaves is weighed by its age. Never the first, whose gap has no beginning, nor
 * the last. */
static uint32_t least_mark(const struct seen *seen) {
    uint32_t least = 1;
    double best = 0;
    for (uint32_t i = 1; i + 1 < seen->count; i++) {
        uint64_t gap = seen->marks[i + 1].seconds - seen->marks[i - 1].seconds;
        uint64_t age = seen->seconds - seen->marks[i + 1].seconds + 1;
        double weight = (double)gap / (double)age;
        if (i == 1 || weight < best) {
            best = weight;
            least = i;
        }
    }
    return least;
}

void seen_mark(struct seen *seen, uint64_t lsn) {
    uint64_t now = seen->seconds + (seen->rest_ns > 0);
    if (seen->count > 0 && lsn <= seen->marks[seen->count - 1].lsn) {
        return;
    }
    seen->marks[seen->count++] = (struct seen_mark){.lsn = lsn, .seconds = now};
    if (seen->count <= SEEN_MARKS_MAX) {
        return;
    }
    uint32_t least = least_mark(seen);
    seen->count--;
    memmove(&seen->marks[least], &seen->marks[least + 1],
            (seen->count - least) * sizeof(seen->marks[0]));
}

uint64_t seen_of(const struct seen *seen, uint64_t lsn) {
    uint32_t low = 0, high = seen->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (seen->marks[middle].lsn < lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < seen->count ? seen->marks[low].seconds : seen->seconds + (seen->rest_ns > 0);
}

/* ---- Its row ---- */

ins_text seen_row(struct pool *pool, const struct seen *seen) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "e");
    json_write_key(&writer, "n");
    json_write_u64(&writer, seen->seconds);
    json_write_key(&writer, "m");
    json_write_begin_array(&writer);
    for (uint32_t i = 0; i < seen->count; i++) {
        json_write_u64(&writer, seen->marks[i].lsn);
        json_write_u64(&writer, seen->marks[i].seconds);
    }
    json_write_end_array(&writer);
    json_write_end_object(&writer);
    return text_written(&writer);
}

static bool next_number(struct json_iterator *iterator, uint64_t *out) {
    struct json_value value;
    if (!json_next(iterator, &value) || !json_is_unsigned(value)) {
        return false;
    }
    *out = json_unsigned(value);
    return true;
}

bool seen_apply(struct seen *seen, struct json_value root) {
    struct seen next = {.seconds = 0};
    struct json_value marks;
    if (!json_get_u64(root, "n", &next.seconds) || !json_get(root, "m", &marks) ||
        json_type_of(marks) != JSON_ARRAY || json_count(marks) % 2 != 0 ||
        json_count(marks) > 2ul * SEEN_MARKS_MAX) {
        return false;
    }
    size_t count = json_count(marks) / 2;
    struct json_iterator iterator = json_begin(marks);
    struct seen_mark before = {0};
    for (size_t i = 0; i < count; i++) {
        struct seen_mark mark;
        bool good = next_number(&iterator, &mark.lsn) && next_number(&iterator, &mark.seconds) &&
                    mark.lsn > before.lsn && mark.seconds >= before.seconds &&
                    mark.seconds <= next.seconds + 1;
        if (!good) {
            return false;
        }
        next.marks[next.count++] = before = mark;
    }
    *seen = next;
    return true;
}
