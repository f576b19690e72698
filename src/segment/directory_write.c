/* Writing an id directory run: blocks, index, filter.
 *
 * Path: a small one is measured and built in memory; a large one takes a pass for the blocks, one
 * for the index (the encoder gives the same blocks again), one to count the filter's partitions
 * and one per group of partitions whose keys are held at a time.
 * Memory (INS_MEM_JOB): 160 KiB of pending entries, 4 MiB to build a partition, 1 MiB a partition
 * of the group. */
#include "segment/segment_private.h"

#define GROUP_MAX 4u /* partitions whose keys are gathered in one pass */

struct directory_write {
    struct segment_writer *writer;
    const struct extent_source *source;
    const struct extent_counts *counts;
    uint64_t start; /* of the extent in the file (large) */
    struct directory_encoder *encoder;
    struct directory_entry *pending;
    /* where emitted blocks and index entries go */
    struct section_stream *stream; /* large */
    uint8_t *block_at, *index_at;  /* small */
    uint32_t block_limit;          /* measuring stops above it */
    uint64_t block_bytes;
    /* filter */
    uint32_t partition_count;
    uint32_t *partition_keys; /* [partition_count] keys of each */
    struct fuse_geometry geometry;
    struct fuse_builder *builder;
    uint64_t *keys[GROUP_MAX]; /* [FUSE_KEYS_MAX] each, or keys_capacity */
    uint32_t key_counts[GROUP_MAX];
    uint32_t group_size;
    size_t keys_bytes;
    uint8_t *partition; /* [geometry.bytes] */
};

static void *job_alloc(struct directory_write *write, size_t size) {
    return arena_alloc(write->writer->arena, INS_MEM_JOB, size);
}

static void job_free(struct directory_write *write, void *memory, size_t size) {
    arena_free(write->writer->arena, INS_MEM_JOB, memory, size);
}

/* ---- Passes of the encoder --------------------------------------------------------------------
 */

static ins_status emit_measure(void *context, const uint8_t *block, uint32_t size,
                               const struct directory_index_entry *index, ins_error *error) {
    struct directory_write *write = context;
    (void)index;
    (void)error;
    INS_ASSERT(block != NULL);
    write->block_bytes += size;
    return INS_OK;
}

static ins_status emit_small(void *context, const uint8_t *block, uint32_t size,
                             const struct directory_index_entry *index, ins_error *error) {
    struct directory_write *write = context;
    (void)error;
    memcpy(write->block_at, block, size);
    write->block_at += size;
    store_u64(write->index_at, index->key);
    store_u32(write->index_at + 8, index->word);
    write->index_at += DIRECTORY_INDEX_BYTES;
    return INS_OK;
}

static ins_status emit_block(void *context, const uint8_t *block, uint32_t size,
                             const struct directory_index_entry *index, ins_error *error) {
    struct directory_write *write = context;
    (void)index;
    return stream_put(write->stream, block, size, error);
}

static ins_status emit_index(void *context, const uint8_t *block, uint32_t size,
                             const struct directory_index_entry *index, ins_error *error) {
    struct directory_write *write = context;
    (void)block;
    (void)size;
    uint8_t entry[DIRECTORY_INDEX_BYTES];
    store_u64(entry, index->key);
    store_u32(entry + 8, index->word);
    return stream_put(write->stream, entry, sizeof(entry), error);
}

typedef ins_status (*emit_function)(void *context, const uint8_t *block, uint32_t size,
                                    const struct directory_index_entry *index, ins_error *error);

/* Encodes all rows; stops without an error when more than block_limit blocks came. */
static ins_status encode_pass(struct directory_write *write, emit_function emit, bool want_blocks,
                              ins_error *error) {
    struct directory_encoder *encoder = write->encoder;
    directory_encoder_init(encoder, write->pending, want_blocks);
    encoder->emit = emit;
    encoder->context = write;
    uint32_t seen = 0;
    struct source_walk walk;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_KEYS, 0, error);
    while (status == INS_OK && encoder->block_count <= write->block_limit) {
        status = walk_next(&walk, error);
        if (status != INS_OK) {
            break;
        }
        if (walk.end) {
            INS_ASSERT(seen == write->counts->rows);
            return directory_encoder_finish(encoder, error);
        }
        struct directory_entry entry = {.id = walk.row.id, .incarnation = walk.row.incarnation};
        status = directory_encoder_add(encoder, &entry, error);
        seen++;
    }
    return status;
}

/* ---- Filter -----------------------------------------------------------------------------------
 */

static void filter_free(struct directory_write *write) {
    fuse_builder_destroy(write->builder);
    for (uint32_t i = 0; i < GROUP_MAX; i++) {
        job_free(write, write->keys[i], write->keys_bytes);
    }
    job_free(write, write->partition_keys, write->partition_count * sizeof(uint32_t));
    job_free(write, write->partition, write->geometry.bytes);
}

/* Counts the keys of each partition; all get the size that the fullest one needs. */
static ins_status count_partitions(struct directory_write *write, ins_error *error) {
    uint32_t most = write->counts->rows;
    write->partition_count = fuse_partition_count(most);
    size_t size = write->partition_count * sizeof(uint32_t);
    write->partition_keys = arena_alloc_zero(write->writer->arena, INS_MEM_JOB, size);
    if (write->partition_keys == NULL) {
        return segment_out_of_memory(size, error);
    }
    write->partition_keys[0] = most;
    if (write->partition_count > 1) {
        write->partition_keys[0] = 0;
        most = 0;
        struct source_walk walk;
        ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_KEYS, 0, error);
        while (status == INS_OK) {
            status = walk_next(&walk, error);
            if (status != INS_OK || walk.end) {
                break;
            }
            uint32_t partition = fuse_partition_of(id_hash(&walk.row.id), write->partition_count);
            uint32_t keys = ++write->partition_keys[partition];
            most = keys > most ? keys : most;
        }
        if (status != INS_OK) {
            return status;
        }
    }
    write->geometry = fuse_geometry_for(most < FUSE_KEYS_MAX ? most : FUSE_KEYS_MAX);
    write->keys_bytes = (most < FUSE_KEYS_MAX ? most : FUSE_KEYS_MAX) * sizeof(uint64_t);
    return INS_OK;
}

/* One buffer of keys is needed; up to GROUP_MAX save passes. */
static ins_status filter_alloc(struct directory_write *write, ins_error *error) {
    write->partition = job_alloc(write, write->geometry.bytes);
    if (write->partition == NULL) {
        return segment_out_of_memory(write->geometry.bytes, error);
    }
    ins_status status =
        fuse_builder_create(write->writer->arena, &write->geometry, &write->builder, error);
    if (status != INS_OK) {
        return status;
    }
    uint32_t wanted = write->partition_count < GROUP_MAX ? write->partition_count : GROUP_MAX;
    while (write->group_size < wanted) {
        write->keys[write->group_size] = job_alloc(write, write->keys_bytes);
        if (write->keys[write->group_size] == NULL) {
            break;
        }
        write->group_size++;
    }
    return write->group_size == 0 ? segment_out_of_memory(write->keys_bytes, error) : INS_OK;
}

/* Gathers the keys of partitions [first, first + group_size) in one pass. */
static ins_status gather_keys(struct directory_write *write, uint32_t first, ins_error *error) {
    memset(write->key_counts, 0, sizeof(write->key_counts));
    struct source_walk walk;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_KEYS, 0, error);
    while (status == INS_OK) {
        status = walk_next(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        uint64_t hash = id_hash(&walk.row.id);
        uint32_t slot = fuse_partition_of(hash, write->partition_count) - first;
        if (slot < write->group_size && write->key_counts[slot] < FUSE_KEYS_MAX) {
            write->keys[slot][write->key_counts[slot]++] = hash;
        }
    }
    return status;
}

static void build_partition(struct directory_write *write, uint32_t partition, uint32_t slot,
                            uint8_t *out) {
    if (write->partition_keys[partition] > FUSE_KEYS_MAX) {
        fuse_saturate(out, write->geometry.bytes); /* ids chosen to crowd one partition */
        return;
    }
    INS_ASSERT(write->key_counts[slot] == write->partition_keys[partition]);
    fuse_build(write->builder, write->keys[slot], write->key_counts[slot], out);
}

static ins_status filter_stream(struct directory_write *write, struct section_stream *stream,
                                ins_error *error) {
    for (uint32_t first = 0; first < write->partition_count; first += write->group_size) {
        ins_status status = gather_keys(write, first, error);
        for (uint32_t slot = 0; slot < write->group_size && status == INS_OK; slot++) {
            if (first + slot < write->partition_count) {
                build_partition(write, first + slot, slot, write->partition);
                status = stream_put(stream, write->partition, write->geometry.bytes, error);
            }
        }
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

/* ---- Small -------------------------------------------------------------------------------------
 */

/* Size of the extent when it is small, with the sections placed. */
static uint64_t small_layout(struct directory_write *write) {
    uint32_t blocks = write->encoder->block_count;
    uint64_t end = layout_header_bytes(3, 0);
    struct section_list *list = &write->writer->sections;
    list->count = 0;
    uint64_t sizes[3] = {write->block_bytes, (uint64_t)blocks * DIRECTORY_INDEX_BYTES,
                         write->geometry.bytes};
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t offset = align_up(end, 8);
        list->items[list->count++] = (struct section){
            .present = true,
            .kind = (uint16_t)(SECTION_DIRECTORY + i),
            .encoding = i == 2 ? ENCODING_FUSE12 : ENCODING_PLAIN,
            .offset = offset,
            .size = sizes[i],
        };
        end = offset + sizes[i];
    }
    return align_up(end, 64);
}

static ins_status write_small(struct directory_write *write, uint64_t size, struct run *out_run,
                              ins_error *error) {
    struct segment_writer *writer = write->writer;
    uint8_t *build = writer->build;
    memset(build, 0, size);
    (void)extent_header_put(build, write->source, write->counts, &writer->sections, true, 0, size);
    write->block_at = build + writer->sections.items[0].offset;
    write->index_at = build + writer->sections.items[1].offset;
    ins_status status = encode_pass(write, emit_small, true, error);
    if (status == INS_OK) {
        status = filter_alloc(write, error);
    }
    if (status == INS_OK) {
        status = gather_keys(write, 0, error);
    }
    if (status != INS_OK) {
        return status;
    }
    build_partition(write, 0, 0, build + writer->sections.items[2].offset);
    return extent_finish_small(writer, write->source, write->counts, size, out_run, error);
}

/* ---- Large -------------------------------------------------------------------------------------
 */

static ins_status large_blocks(struct directory_write *write, enum section_kind kind,
                               emit_function emit, uint32_t chunk_bytes, ins_error *error) {
    struct section_stream stream;
    struct section section = {
        .kind = (uint16_t)kind, .encoding = ENCODING_PLAIN, .chunk_bytes = chunk_bytes};
    ins_status status = stream_begin(&stream, write->writer, write->start, &section, 0, error);
    if (status != INS_OK) {
        return status;
    }
    write->stream = &stream;
    status = encode_pass(write, emit, kind == SECTION_DIRECTORY, error);
    write->stream = NULL;
    return status == INS_OK ? stream_end(&stream, error) : status;
}

static ins_status large_filter(struct directory_write *write, ins_error *error) {
    uint64_t size = (uint64_t)write->geometry.bytes * write->partition_count;
    struct section_stream stream = {0};
    ins_status status = filter_alloc(write, error);
    if (status == INS_OK) {
        struct section section = {.kind = SECTION_FILTER,
                                  .encoding = ENCODING_FUSE12,
                                  .chunk_bytes = write->geometry.bytes};
        status = stream_begin(&stream, write->writer, write->start, &section, size, error);
    }
    if (status == INS_OK) {
        status = filter_stream(write, &stream, error);
    }
    return status == INS_OK ? stream_end(&stream, error) : status;
}

static ins_status write_large(struct directory_write *write, struct run *out_run,
                              ins_error *error) {
    struct segment_writer *writer = write->writer;
    writer->sections.count = 0;
    writer->hash_count = 0;
    write->start = layout_place(writer->end, 0, false);
    write->block_limit = UINT32_MAX - 1;
    ins_status status = sink_zero_to(writer, write->start, error);
    if (status == INS_OK) {
        status = large_blocks(write, SECTION_DIRECTORY, emit_block,
                              layout_directory_chunk_bytes(write->counts->rows), error);
    }
    if (status == INS_OK) {
        status = large_blocks(write, SECTION_DIRECTORY_INDEX, emit_index,
                              layout_chunk_bytes(SECTION_DIRECTORY_INDEX), error);
    }
    if (status == INS_OK) {
        status = large_filter(write, error);
    }
    if (status != INS_OK) {
        return status;
    }
    return extent_finish_large(writer, write->source, write->counts, write->start, out_run, error);
}

/* Measures up to the most blocks that a small extent can have. */
static ins_status write_measured(struct directory_write *write, struct run *out_run,
                                 ins_error *error) {
    write->block_limit = INS_SMALL_EXTENT_BYTES / INS_DIRECTORY_BLOCK;
    ins_status status = encode_pass(write, emit_measure, true, error);
    if (status == INS_OK) {
        status = count_partitions(write, error);
    }
    if (status != INS_OK) {
        return status;
    }
    bool measured = write->encoder->block_count <= write->block_limit;
    uint64_t size = small_layout(write);
    if (measured && layout_is_small(size, write->counts->rows)) {
        return write_small(write, size, out_run, error);
    }
    return write_large(write, out_run, error);
}

ins_status extent_write_directory(struct segment_writer *writer, const struct extent_source *source,
                                  const struct extent_counts *counts, struct run *out_run,
                                  ins_error *error) {
    size_t pending_bytes = DIRECTORY_BLOCK_ENTRIES_MAX * sizeof(struct directory_entry);
    struct directory_write write = {.writer = writer, .source = source, .counts = counts};
    INS_ASSERT(counts->rows != 0);
    write.encoder = job_alloc(&write, sizeof(*write.encoder));
    write.pending = job_alloc(&write, pending_bytes);
    ins_status status = INS_OK;
    if (write.encoder == NULL || write.pending == NULL) {
        status = segment_out_of_memory(pending_bytes, error);
    } else {
        status = write_measured(&write, out_run, error);
    }
    filter_free(&write);
    job_free(&write, write.pending, pending_bytes);
    job_free(&write, write.encoder, sizeof(*write.encoder));
    return status;
}
