/* Checking a file: every byte is either hashed by its parent or must be zero, and every extent lies
 * where the rules put it.
 *
 * Path: size, trailer, header page; then the directory is walked, and each extent with it; then the
 * gaps of the tables. What is damaged is reported, and the walk goes on where that is possible.
 * Failure: INS_CORRUPT when anything was reported; INS_EXHAUSTED without memory. */
#include <stdarg.h>
#include <stdio.h>

#include "segment/segment_private.h"

void check_damage(struct check *check, const char *format, ...) {
    char text[INS_ERROR_MESSAGE_MAX];
    int used = snprintf(text, sizeof(text), "%s: ", check->name);
    INS_ASSERT(used > 0);
    INS_ASSERT((size_t)used < sizeof(text));
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, sizeof(text) - (size_t)used, format, arguments);
    va_end(arguments);
    check->damaged = true;
    if (check->report != NULL) {
        check->report(check->report_context, true, text);
    }
}

/* An error of a read is a finding; one that says nothing about the file is passed on. */
static ins_status check_status(struct check *check, ins_status status, const ins_error *error,
                               ins_error *out_error) {
    if (status == INS_OK) {
        return INS_OK;
    }
    if (status == INS_EXHAUSTED) {
        if (out_error != NULL) {
            *out_error = *error;
        }
        return status;
    }
    check_damage(check, "%s", error->message);
    return INS_OK;
}

/* Reports when [begin, end) of the file is not zero. */
static void check_zero(struct check *check, uint64_t begin, uint64_t end, const char *what) {
    while (begin < end) {
        uint64_t left = end - begin;
        size_t part = left < INS_CHUNK_BYTES ? (size_t)left : INS_CHUNK_BYTES;
        const uint8_t *bytes;
        ins_error error;
        if (segment_read(check->store, check->name, check->info->size_bytes, begin, part,
                         check->buffer, &bytes, &error) != INS_OK) {
            check_damage(check, "%s at %llu: %s", what, (unsigned long long)begin, error.message);
            return;
        }
        for (size_t i = 0; i < part; i++) {
            if (bytes[i] != 0) {
                check_damage(check, "%s at %llu: not zero", what, (unsigned long long)(begin + i));
                return;
            }
        }
        begin += part;
    }
}

bool check_block(struct check *check, const struct block_key *key, const char *what,
                 uint8_t *buffer, const uint8_t **out) {
    ins_error error;
    ins_status status = segment_read(check->store, check->name, check->info->size_bytes,
                                     key->offset, key->size, buffer, out, &error);
    if (status != INS_OK) {
        check_damage(check, "%s at %llu: %s", what, (unsigned long long)key->offset, error.message);
        return false;
    }
    if (hash64(*out, key->size) != key->hash) {
        check_damage(check, "%s at %llu, %u bytes: hash does not match", what,
                     (unsigned long long)key->offset, key->size);
        return false;
    }
    return true;
}

/* ---- Extents -----------------------------------------------------------------------------------
 */

static void check_place(struct check *check, uint64_t offset, uint64_t size, bool small) {
    if (offset != layout_place(check->end, size, small)) {
        check_damage(check, "extent at %llu: not where it belongs behind %llu",
                     (unsigned long long)offset, (unsigned long long)check->end);
    }
    if (offset > check->end) {
        check_zero(check, check->end, offset, "gap between extents");
    }
    check->end = offset + size > check->end ? offset + size : check->end;
}

/* The sections' places: no overlap, zero between them, pages for large ones. Small extents lie in
 * memory; of large ones the gaps are read, which overwrites nothing but check->buffer's use below.
 */
static void check_gaps(struct check *check, const struct extent *extent, uint64_t begin,
                       uint64_t end, uint8_t *scratch) {
    uint64_t at = begin;
    for (;;) {
        struct section found = {0};
        const struct section *next = NULL;
        for (uint32_t i = 0; i < extent->section_count; i++) {
            struct section section = extent_slot_section(extent, SECTION_SLOTS + i);
            if (section.offset >= at && (next == NULL || section.offset < next->offset)) {
                found = section;
                next = &found;
            }
        }
        uint64_t stop = next == NULL ? end : next->offset;
        if (extent->small) {
            if (!bytes_all_zero(extent->header + at, (size_t)(stop - at))) {
                check_damage(check, "padding in the extent at %llu: not zero",
                             (unsigned long long)extent->offset);
            }
        } else {
            uint8_t *kept = check->buffer;
            check->buffer = scratch;
            check_zero(check, extent->offset + at, extent->offset + stop, "padding of sections");
            check->buffer = kept;
        }
        if (next == NULL) {
            return;
        }
        if (!extent->small && next->size > INS_SMALL_EXTENT_BYTES &&
            (extent->offset + next->offset) % SEGMENT_PAGE != 0) {
            check_damage(check, "section at %llu: not on a page",
                         (unsigned long long)(extent->offset + next->offset));
        }
        at = next->offset + next->size;
    }
}

/* Sections that overlap would be skipped by check_gaps: their bytes must add up. */
static void check_overlap(struct check *check, const struct extent *extent) {
    for (uint32_t i = 0; i < extent->section_count; i++) {
        struct section a = extent_slot_section(extent, SECTION_SLOTS + i);
        for (uint32_t other = 0; other < i; other++) {
            struct section b = extent_slot_section(extent, SECTION_SLOTS + other);
            if (a.offset < b.offset + b.size && b.offset < a.offset + a.size) {
                check_damage(check, "extent at %llu: sections %u and %u overlap",
                             (unsigned long long)extent->offset, b.kind, a.kind);
            }
        }
    }
}

static ins_status check_sections(struct check *check, const struct extent *extent,
                                 uint32_t header_bytes, ins_error *error) {
    size_t scratch_bytes = INS_CHUNK_BYTES + SEGMENT_READ_SLACK;
    uint8_t *scratch = NULL;
    check_overlap(check, extent);
    if (extent->small) {
        uint32_t table = load_u16(extent->header + 68);
        check_gaps(check, extent, layout_header_bytes(table, 0), extent->size, NULL);
    } else {
        scratch = arena_alloc(check->arena, INS_MEM_JOB, scratch_bytes);
        if (scratch == NULL) {
            return segment_out_of_memory(scratch_bytes, error);
        }
        uint64_t used =
            layout_header_bytes(load_u16(extent->header + 68), load_u32(extent->header + 64));
        if (!bytes_all_zero(extent->header + used, (size_t)(header_bytes - used))) {
            check_damage(check, "padding of the header of the extent at %llu: not zero",
                         (unsigned long long)extent->offset);
        }
        check_gaps(check, extent, 0, extent->size - header_bytes, scratch);
    }
    arena_free(check->arena, INS_MEM_JOB, scratch, scratch_bytes);
    return INS_OK;
}

static ins_status check_extent(void *context, const struct run_entry *entry, ins_error *error) {
    struct check *check = context;
    const struct run *run = &entry->run;
    struct block_key block;
    if (!run_first_block(run, check->info->file, &block)) {
        return INS_OK;
    }
    uint64_t offset = (uint64_t)run->offset_64 * 64;
    check_place(check, offset, (uint64_t)run->size_64 * 64, (run->flags & RUN_SMALL) != 0);
    const uint8_t *bytes;
    if (!check_block(check, &block, (run->flags & RUN_SMALL) != 0 ? "extent" : "extent header",
                     check->buffer, &bytes)) {
        return INS_OK;
    }
    struct extent extent;
    ins_error wrong;
    if (extent_parse(run, check->info->file, (struct slice){.data = bytes, .size = block.size},
                     entry->incarnation, &extent, &wrong) != INS_OK) {
        check_damage(check, "%s", wrong.message);
        return INS_OK;
    }
    if (extent.version_low != entry->version_low || extent.version_high != entry->version_high) {
        check_damage(check, "extent at %llu: versions differ from the directory's",
                     (unsigned long long)offset);
    }
    ins_status status = check_sections(check, &extent, block.size, error);
    if (status != INS_OK) {
        return status;
    }
    return (run->flags & RUN_DIRECTORY) != 0 ? check_directory_run(check, &extent, error)
                                             : check_rows(check, &extent, error);
}

/* ---- File ---------------------------------------------------------------------------------------
 */

static void check_header_page(struct check *check, const struct segment_trailer *trailer) {
    struct block_key key = {
        .file = check->info->file, .size = SEGMENT_PAGE, .hash = trailer->page_hash};
    const uint8_t *page;
    if (!check_block(check, &key, "header page", check->buffer, &page)) {
        return;
    }
    bool good = load_u64(page) == SEGMENT_HEADER_MAGIC &&
                load_u32(page + SEGMENT_MAGIC_BYTES) == SEGMENT_FORMAT &&
                load_u32(page + 12) == 0 && load_u64(page + PAGE_FILE) == check->info->file &&
                memcmp(page + PAGE_RANDOM, check->info->random_id, 16) == 0 &&
                bytes_all_zero(page + PAGE_ZERO, PAGE_HASH - PAGE_ZERO) &&
                load_u64(page + PAGE_HASH) == hash64(page, PAGE_HASH);
    if (!good) {
        check_damage(check, "header page at 0: fields differ from the manifest's");
    }
}

/* The zeros between and behind the tables. */
static void check_table_gaps(struct check *check, const struct segment_trailer *trailer) {
    uint64_t hashes = 8ull * (segment_piece_count(trailer->entry_count, SEGMENT_ENTRIES_PER_PIECE) +
                              segment_piece_count(trailer->scope_count, SEGMENT_SCOPES_PER_PIECE));
    check_zero(check, trailer->directory + (uint64_t)trailer->entry_count * SEGMENT_ENTRY_BYTES,
               trailer->scope_index, "gap behind the directory");
    check_zero(check, trailer->scope_index + (uint64_t)trailer->scope_count * SEGMENT_SCOPE_BYTES,
               trailer->table_hashes, "gap behind the scope index");
    check_zero(check, trailer->table_hashes + hashes,
               check->info->size_bytes - SEGMENT_TRAILER_BYTES, "gap before the trailer");
}

static ins_status check_file(struct check *check, ins_error *error) {
    const struct segment_info *info = check->info;
    ins_error wrong;
    uint64_t size;
    ins_status status = check->store->ops->size(check->store, check->name, &size, &wrong);
    if (status != INS_OK) {
        return check_status(check, status, &wrong, error);
    }
    if (size != info->size_bytes) {
        check_damage(check, "%llu bytes long instead of %llu", (unsigned long long)size,
                     (unsigned long long)info->size_bytes);
    }
    struct segment_trailer trailer = {0};
    status = segment_read_trailer(check->store, info, check->buffer, &trailer, &wrong);
    if (status != INS_OK) {
        return check_status(check, status, &wrong, error);
    }
    check_header_page(check, &trailer);
    check->end = SEGMENT_PAGE;
    status = segment_read_directory(check->store, check->arena, info, check_extent, check, &wrong);
    if (status == INS_OK) {
        check_zero(check, check->end, trailer.directory, "gap before the directory");
    } else {
        status = check_status(check, status, &wrong, error);
    }
    check_table_gaps(check, &trailer);
    return status;
}

ins_status segment_check(ins_store *store, struct arena *arena, const struct segment_info *info,
                         ins_check_report report, void *report_context, ins_error *error) {
    struct check check = {.store = store,
                          .arena = arena,
                          .info = info,
                          .report = report,
                          .report_context = report_context};
    segment_name(info->file, check.name);
    check.buffer = arena_alloc(arena, INS_MEM_JOB, CHECK_BUFFER_BYTES);
    if (check.buffer == NULL) {
        return segment_out_of_memory(CHECK_BUFFER_BYTES, error);
    }
    ins_status status = check_file(&check, error);
    arena_free(arena, INS_MEM_JOB, check.buffer, CHECK_BUFFER_BYTES);
    if (status == INS_OK && check.damaged) {
        return ins_fail(error, INS_CORRUPT, "%s is damaged", check.name);
    }
    return status;
}
