/* Heads and chunked bodies of requests, as the server reads them.
 *
 * Properties: a head is found at the same place, or refused, however its bytes are cut; what a
 * parsed head points to lies inside it; a head that passed has none of what proxies read
 * differently; a chunked body gives the same bytes in one piece as in many. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "server/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX (64u << 10)

struct collected {
    size_t size;
    char data[BODY_MAX];
};

static bool collect(void *context, const char *data, size_t size) {
    struct collected *collected = context;
    if (size > BODY_MAX - collected->size) {
        return false;
    }
    memcpy(collected->data + collected->size, data, size);
    collected->size += size;
    return true;
}

static void check_inside(ins_text text, const char *data, size_t size) {
    INS_ASSERT(text.data >= data && text.data + text.size <= data + size);
}

static void check_strict(const char *data, size_t size) {
    INS_ASSERT(memchr(data, '\0', size) == NULL);
    for (size_t i = 0; i < size; i++) {
        INS_ASSERT(data[i] != '\r' || (i + 1 < size && data[i + 1] == '\n'));
        INS_ASSERT(data[i] != '\n' || (i != 0 && data[i - 1] == '\r'));
        if (data[i] == '\n' && i + 1 < size) {
            INS_ASSERT(data[i + 1] != ' ' && data[i + 1] != '\t');
        }
    }
}

/* In pieces of `step` bytes; the outcome and where the head ends. */
static enum head_result scan_in_pieces(const char *data, size_t size, size_t step,
                                       size_t *out_size) {
    struct head_scan scan = {0};
    struct head_error error;
    enum head_result result = HEAD_MORE;
    for (size_t have = 0; have < size && result == HEAD_MORE;) {
        have = size - have < step ? size : have + step;
        result = head_scan(&scan, data, have, out_size, &error);
    }
    return result;
}

static bool feed_in_pieces(struct chunks *chunks, const char *data, size_t size, size_t step,
                           size_t *out_taken) {
    bool malformed = false;
    size_t at = 0;
    while (at < size && !chunks->complete && !chunks->refused && !malformed) {
        size_t piece = size - at < step ? size - at : step;
        at += chunks_feed(chunks, data + at, piece, &malformed);
    }
    *out_taken = at;
    return malformed;
}

static void check_chunks(const llhttp_t *parser, const char *data, size_t size) {
    static struct collected whole, pieces;
    struct chunks at_once, one_by_one;
    size_t taken = 0, taken_pieces = 0;
    whole.size = pieces.size = 0;
    chunks_init(&at_once, parser, collect, &whole);
    chunks_init(&one_by_one, parser, collect, &pieces);
    bool bad = feed_in_pieces(&at_once, data, size, size == 0 ? 1 : size, &taken);
    bool bad_pieces = feed_in_pieces(&one_by_one, data, size, 3, &taken_pieces);
    INS_ASSERT(bad == bad_pieces);
    INS_ASSERT(at_once.complete == one_by_one.complete);
    if (!bad && !at_once.refused && !one_by_one.refused) {
        INS_ASSERT(taken == taken_pieces);
        INS_ASSERT(whole.size == pieces.size);
        INS_ASSERT(memcmp(whole.data, pieces.data, whole.size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const char *data = (const char *)bytes;
    size_t head_size = 0, again = 0;
    struct head head;
    struct head_error error = {0};
    llhttp_t parser;
    enum head_result result = scan_in_pieces(data, size, size == 0 ? 1 : size, &head_size);
    INS_ASSERT(scan_in_pieces(data, size, 1, &again) == result);
    if (result != HEAD_DONE) {
        return 0;
    }
    INS_ASSERT(head_size == again && head_size <= size);
    check_strict(data, head_size);
    if (!head_parse(&parser, data, head_size, &head, &error)) {
        INS_ASSERT(error.http >= 400 && error.message != NULL);
        return 0;
    }
    check_inside(head.path, data, head_size);
    check_inside(head.query, data, head_size);
    INS_ASSERT(!head.chunked || head.content_length == 0);
    if (head.chunked) {
        check_chunks(&parser, data + head_size, size - head_size);
    }
    return 0;
}
