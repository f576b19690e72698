/* All rows of one extent in id order, tombstones among them, read with blocking reads: for merges
 * and recovery. One chunk of each needed section is held (INS_MEM_JOB); every block is verified. */
#ifndef INS_SEGMENT_ROW_STREAM_H
#define INS_SEGMENT_ROW_STREAM_H

#include "segment/read_ahead.h"
#include "segment/segment.h"

struct row_stream;

/* The run must have bytes. `vectors` [vector_count], borrowed: those that are asked for; what else
 * the extent has is passed over. INS_CORRUPT when one has another shape in the extent. `ahead`
 * serves small blocks and outlives the stream; NULL = each is read by itself. INS_FULL when the job
 * share is used up. */
INS_MUST_USE ins_status row_stream_open(ins_store *store, struct arena *arena,
                                        struct read_ahead *ahead, const struct run *run,
                                        uint64_t file, uint64_t incarnation,
                                        const struct vector_shape *vectors, uint32_t vector_count,
                                        struct row_stream **out_stream, ins_error *error);
void row_stream_close(struct row_stream *stream); /* takes NULL */
/* Bit i: some rows have vectors[i] and some do not: which is told by EXTENT_NEED_PRESENCE only. */
uint64_t row_stream_sparse(const struct row_stream *stream);
/* Back to the first row, for a pass as struct extent_source has them. */
void row_stream_rewind(struct row_stream *stream, enum extent_need need, uint32_t vector);
/* Next row; *out_end behind the last. What `out` points to lives until the next call. */
INS_MUST_USE ins_status row_stream_next(struct row_stream *stream, struct extent_row *out,
                                        bool *out_end, ins_error *error);
/* Bytes of a section as they lie, from `offset` to the end of their chunk; they live until the next
 * call or pass. */
INS_MUST_USE ins_status row_stream_bytes(struct row_stream *stream, uint32_t slot, uint64_t offset,
                                         struct slice *out, ins_error *error);
const struct extent *row_stream_extent(const struct row_stream *stream);

#endif
