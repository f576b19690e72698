/* Writing and finding the sections of graphs. */
#include "segment/graphs.h"

#include "index/graph_elder.h"
#include "segment/segment_private.h"

#define PUT_BYTES (64u << 10)

/* ---- Writing ---- */

static ins_status write_head(struct segment_writer *to, uint64_t extent_start, uint16_t vector,
                             const struct graph *graph, ins_error *error) {
    struct section section = {.kind = SECTION_GRAPH_HEAD,
                              .number = vector,
                              .encoding = ENCODING_PLAIN,
                              .chunk_bytes = layout_chunk_bytes(SECTION_GRAPH_HEAD)};
    struct graph_head head;
    struct section_stream stream;
    uint8_t bytes[GRAPH_HEAD_BYTES] = {0};
    graph_head_of(graph, &head);
    store_u32(bytes, head.dim);
    store_u32(bytes + 4, head.count);
    store_u32(bytes + 8, (uint32_t)head.metric);
    store_u32(bytes + 12, GRAPH_DEGREE);
    store_u64(bytes + 16, head.seed);
    store_u32(bytes + 24, head.sample_count);
    bytes[28] = (uint8_t)graph->options.type;
    bytes[29] = (uint8_t)head.turns;
    store_u16(bytes + 30, (uint16_t)graph->options.build_effort);
    ins_status status = stream_begin(&stream, to, extent_start, &section,
                                     graph_head_bytes(head.dim, head.sample_count), error);
    if (status == INS_OK) {
        status = stream_put(&stream, bytes, sizeof(bytes), error);
    }
    if (status == INS_OK) {
        status = stream_put(&stream, head.centre, (size_t)head.dim * 4, error);
    }
    if (status == INS_OK) {
        status = stream_put(&stream, head.sample, (size_t)head.sample_count * 4, error);
    }
    return status == INS_OK ? stream_end(&stream, error) : status;
}

static ins_status write_part(struct segment_writer *to, uint64_t extent_start,
                             enum section_kind kind, uint16_t vector, const struct row_blocks *part,
                             uint32_t count, ins_error *error) {
    struct section section = {.kind = (uint16_t)kind,
                              .number = vector,
                              .encoding = ENCODING_PLAIN,
                              .chunk_bytes = layout_graph_chunk_bytes((uint32_t)part->stride)};
    struct section_stream stream;
    ins_status status =
        stream_begin(&stream, to, extent_start, &section, (uint64_t)count * part->stride, error);
    uint32_t per_block = 1u << part->shift;
    for (uint32_t row = 0; status == INS_OK && row < count; row += per_block) {
        uint32_t rows = count - row < per_block ? count - row : per_block;
        status = stream_put(&stream, row_at(part, row), rows * part->stride, error);
    }
    return status == INS_OK ? stream_end(&stream, error) : status;
}

ins_status graphs_write(struct segment_writer *to, uint64_t extent_start,
                        const struct extent_source *source, const struct extent_counts *counts,
                        ins_error *error) {
    ins_status status = INS_OK;
    for (uint32_t i = 0; i < source->graph_count && status == INS_OK; i++) {
        const struct extent_graph *one = &source->graphs[i];
        const struct graph *graph = one->graph;
        uint16_t vector = source->vectors[one->vector].id;
        INS_ASSERT(graph->count == counts->vectors[one->vector]);
        status = write_head(to, extent_start, vector, graph, error);
        if (status == INS_OK) {
            status = write_part(to, extent_start, SECTION_CODES, vector, &graph->codes,
                                graph->count, error);
        }
        if (status == INS_OK) {
            status = write_part(to, extent_start, SECTION_CODE_FACTORS, vector, &graph->factors,
                                graph->count, error);
        }
        if (status == INS_OK) {
            status = write_part(to, extent_start, SECTION_GRAPH, vector, &graph->links,
                                graph->count, error);
        }
    }
    return status;
}

/* ---- Finding ---- */

bool extent_graph(const struct extent *extent, uint32_t vector_id, struct graph_slots *out) {
    uint32_t head = extent_slot(extent, SECTION_GRAPH_HEAD, vector_id);
    if (head == SLOT_NONE) {
        return false;
    }
    *out = (struct graph_slots){.head = head, /* extent_parse: they come together */
                                .codes = extent_slot(extent, SECTION_CODES, vector_id),
                                .factors = extent_slot(extent, SECTION_CODE_FACTORS, vector_id),
                                .links = extent_slot(extent, SECTION_GRAPH, vector_id)};
    return true;
}

uint64_t extent_graph_bytes(const struct extent *extent, const struct graph_slots *slots) {
    return extent_slot_section(extent, slots->head).size +
           extent_slot_section(extent, slots->codes).size +
           extent_slot_section(extent, slots->factors).size +
           extent_slot_section(extent, slots->links).size;
}

bool graph_head_parse(struct slice bytes, uint32_t dim, uint32_t count, struct graph_head *out,
                      enum row_type *out_type) {
    if (bytes.size < GRAPH_HEAD_BYTES) {
        return false;
    }
    uint32_t sample = load_u32(bytes.data + 24), type = bytes.data[28];
    uint32_t metric = load_u32(bytes.data + 8);
    if (load_u32(bytes.data) != dim || load_u32(bytes.data + 4) != count ||
        load_u32(bytes.data + 12) != GRAPH_DEGREE || sample == 0 || sample > GRAPH_SAMPLE_MAX ||
        type > ROW_U8 || bytes.data[29] > GRAPH_TURNS_MAX ||
        (metric != INDEX_DOT && metric != INDEX_L2) ||
        bytes.size != graph_head_bytes(dim, sample)) {
        return false;
    }
    const void *numbers = bytes.data + GRAPH_HEAD_BYTES;
    *out = (struct graph_head){.dim = dim,
                               .count = count,
                               .sample_count = sample,
                               .metric = (enum index_metric)metric,
                               .turns = bytes.data[29],
                               .build_effort = load_u16(bytes.data + 30),
                               .seed = load_u64(bytes.data + 16),
                               .centre = numbers,
                               .sample = (const uint32_t *)numbers + dim};
    *out_type = (enum row_type)type;
    return true;
}

/* ---- What extent_parse demands ---- */

/* A part has as many rows as the vector has values, in chunks of a power of two of them. */
static bool part_right(const struct extent *extent, uint32_t slot, uint64_t count,
                       uint32_t stride) {
    if (slot == SLOT_NONE) {
        return false;
    }
    struct section section = extent_slot_section(extent, slot);
    return section.size == count * stride &&
           section.chunk_bytes == layout_graph_chunk_bytes(stride);
}

static const char *parse_graph(const struct extent *extent, uint32_t vector_id) {
    struct graph_slots slots;
    struct extent_vector vector;
    if (!extent_graph(extent, vector_id, &slots)) {
        return "a part of a graph without its head";
    }
    if (!extent_vector(extent, vector_id, &vector)) {
        return "a graph without values";
    }
    uint32_t width = layout_encoding_bytes(extent_slot_section(extent, vector.slot).encoding);
    uint32_t dim = vector.row_bytes / width;
    uint64_t head_bytes = extent_slot_section(extent, slots.head).size;
    if (head_bytes <= graph_head_bytes(dim, 0) ||
        head_bytes > graph_head_bytes(dim, GRAPH_SAMPLE_MAX) || vector.count > GRAPH_ROWS_MAX ||
        !part_right(extent, slots.codes, vector.count, code4_bytes(dim)) ||
        !part_right(extent, slots.factors, vector.count, sizeof(struct code_factors)) ||
        !part_right(extent, slots.links, vector.count, LINKS_BYTES)) {
        return "a graph that contradicts its values";
    }
    return NULL;
}

const char *graphs_parse(const struct extent *extent, bool expected) {
    bool any = false;
    const char *wrong = NULL;
    for (uint32_t i = 0; extent->numbered && i < extent->section_count && wrong == NULL; i++) {
        struct section section = extent_slot_section(extent, SECTION_SLOTS + i);
        if (section.kind == SECTION_GRAPH_HEAD || section.kind == SECTION_CODES ||
            section.kind == SECTION_CODE_FACTORS || section.kind == SECTION_GRAPH) {
            any = true;
            wrong = parse_graph(extent, section.number);
        }
    }
    return wrong != NULL ? wrong : any == expected ? NULL : "graphs differ from the directory's";
}
