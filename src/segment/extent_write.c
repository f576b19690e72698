/* Writing an island's extent: small ones are made whole in memory (extent_small.c), large ones
 * section by section (extent_large.c).
 *
 * The counts are known. What cannot be small without its payload is large; else the payload is
 * measured, and the extent built in place when it is small after all. */
#include "segment/segment_private.h"

/* Payload bytes of all rows, or some number above INS_SMALL_EXTENT_BYTES_MAX. */
static ins_status measure_payload(const struct extent_source *source, uint64_t *out_bytes,
                                  ins_error *error) {
    struct source_walk walk;
    ins_status status = walk_begin(&walk, source, EXTENT_NEED_PAYLOAD, 0, error);
    *out_bytes = 0;
    while (status == INS_OK && *out_bytes <= INS_SMALL_EXTENT_BYTES_MAX) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        *out_bytes += walk.row.payload.size;
    }
    return status;
}

ins_status extent_write_rows(struct segment_writer *writer, const struct extent_source *source,
                             const struct extent_counts *counts, struct run *out_run,
                             ins_error *error) {
    uint64_t row_count = (uint64_t)counts->rows + counts->tombstones;
    uint64_t size = small_rows_layout(&writer->sections, source, counts, 0);
    if (layout_is_small(size, row_count) && counts->rows != 0) {
        uint64_t payload_bytes;
        ins_status status = measure_payload(source, &payload_bytes, error);
        if (status != INS_OK) {
            return status;
        }
        size = small_rows_layout(&writer->sections, source, counts, payload_bytes);
    }
    return layout_is_small(size, row_count) && source->graph_count == 0
               ? small_rows_write(writer, source, counts, size, out_run, error)
               : large_rows_write(writer, source, counts, out_run, error);
}
