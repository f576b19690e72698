#include "engine/heritage.h"

#include <string.h>

#include "base/id.h"

static void forget(struct heritage *heritage) {
    graph_elder_free(heritage->elder);
    heritage->elder = NULL;
}

void heritage_open(struct heritage *heritage, ins_store *store, struct arena *arena,
                   uint64_t incarnation, const struct vector_shape *shapes, uint32_t shape_count) {
    ins_error error;
    heritage->arena = arena;
    if (heritage->run.size_64 != 0 &&
        row_stream_open(store, arena, NULL, &heritage->run, heritage->file, incarnation, shapes,
                        shape_count, &heritage->stream, &error) != INS_OK) {
        heritage->stream = NULL;
    }
}

void heritage_close(struct heritage *heritage) {
    forget(heritage);
    row_stream_close(heritage->stream);
    heritage->stream = NULL;
}

/* To the elder's next row that has the vector. */
static void step(struct heritage *heritage) {
    ins_error error;
    ins_status status = INS_OK;
    do {
        status = row_stream_next(heritage->stream, &heritage->row, &heritage->end, &error);
    } while (status == INS_OK && !heritage->end &&
             (heritage->row.tombstone || heritage->row.vector == NULL));
    if (status != INS_OK) {
        forget(heritage);
        return;
    }
    heritage->value++;
}

/* False when the elder has no graph of the vector that is as good as a new one. */
static bool read_head(struct heritage *heritage, uint32_t vector_id, uint32_t dim,
                      const struct graph_options *options, struct graph_head *out) {
    const struct extent *extent = row_stream_extent(heritage->stream);
    struct extent_vector vector;
    struct slice bytes;
    enum row_type type;
    ins_error error;
    return extent_graph(extent, vector_id, &heritage->slots) &&
           extent_vector(extent, vector_id, &vector) && !vector.multi &&
           row_stream_bytes(heritage->stream, heritage->slots.head, 0, &bytes, &error) == INS_OK &&
           graph_head_parse(bytes, dim, vector.count, out, &type) && out->turns < GRAPH_TURNS_MAX &&
           out->metric == options->metric && out->build_effort == graph_build_effort(options);
}

void heritage_begin(struct heritage *heritage, const struct vector_shape *shapes, uint32_t vector,
                    const struct graph_options *options) {
    struct graph_head head;
    ins_error error;
    forget(heritage);
    if (heritage->stream == NULL) {
        return;
    }
    row_stream_rewind(heritage->stream, EXTENT_NEED_VECTOR, vector);
    if (!read_head(heritage, shapes[vector].id, options->dim, options, &head) ||
        graph_elder_make(head.count, head.turns, heritage->arena, INS_MEM_GRAPH, &heritage->elder,
                         &error) != INS_OK) {
        heritage->elder = NULL;
        return;
    }
    heritage->value_bytes = vector_bytes(&shapes[vector]);
    heritage->values = head.count;
    heritage->next = 0;
    heritage->value = UINT32_MAX; /* before the first */
    step(heritage);
}

void heritage_row(struct heritage *heritage, const ins_id *id, const void *values, uint32_t row) {
    while (heritage->elder != NULL && !heritage->end && id_compare(&heritage->row.id, id) < 0) {
        step(heritage);
    }
    if (heritage->elder != NULL && !heritage->end && heritage->value < heritage->values &&
        id_equal(&heritage->row.id, id) &&
        memcmp(heritage->row.vector, values, heritage->value_bytes) == 0) {
        graph_elder_row(heritage->elder, heritage->value, row);
    }
}

bool heritage_links(struct heritage *heritage, uint32_t rows) {
    for (uint32_t i = 0;
         i < rows && heritage->elder != NULL && heritage->next < heritage->values;) {
        struct slice bytes;
        ins_error error;
        uint64_t offset = (uint64_t)heritage->next * LINKS_BYTES;
        if (row_stream_bytes(heritage->stream, heritage->slots.links, offset, &bytes, &error) !=
            INS_OK) {
            forget(heritage);
            break;
        }
        for (size_t at = 0; at < bytes.size; at += LINKS_BYTES, i++) {
            graph_elder_links(heritage->elder, heritage->next++, bytes.data + at);
        }
    }
    return heritage->elder == NULL || heritage->next == heritage->values;
}

struct graph_elder *heritage_take(struct heritage *heritage) {
    struct graph_elder *elder = heritage->elder;
    heritage->elder = NULL;
    return elder;
}
