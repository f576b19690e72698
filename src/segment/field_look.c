/* Which columns an extent has, without the rest of it. */
#include "base/status.h"
#include "segment/fields.h"
#include "segment/read_ahead.h"
#include "segment/segment_private.h"

#define LOOK_BYTES (INS_CHUNK_BYTES + SEGMENT_READ_SLACK)

static bool has_column(const struct field_table *table, const struct payload_column *column) {
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct payload_column *other = &table->columns[i];
        if (other->domain == column->domain && other->path.size == column->path.size &&
            memcmp(other->path.data, column->path.data, column->path.size) == 0) {
            return true;
        }
    }
    return false;
}

/* Tables of an extent are made as the schema's are, in one go: so each of the wanted ones is found
 * in the table of its number, or the extent is older than that schema. */
static bool has_all(const struct field_table *table, const struct payload_columns *wanted) {
    for (uint32_t i = 0; i < payload_columns_count(wanted); i++) {
        if (!has_column(table, payload_columns_at(wanted, i))) {
            return false;
        }
    }
    return true;
}

static ins_status read_table(ins_store *store, const struct extent *extent, uint32_t slot,
                             uint8_t *buffer, struct field_table *out, ins_error *error) {
    struct section section = extent_slot_section(extent, slot);
    struct block_key key = extent_chunk(extent, slot, 0);
    const uint8_t *bytes;
    ins_status status = segment_read_block(store, NULL, &key, buffer, &bytes, error);
    if (status != INS_OK) {
        return status;
    }
    size_t size = section.size < section.chunk_bytes ? section.size : section.chunk_bytes;
    return field_table_parse((struct slice){.data = bytes, .size = size}, section.size,
                             extent->row_count, out)
               ? INS_OK
               : ins_fail(error, INS_CORRUPT, "a table of field indexes is malformed");
}

ins_status extent_lacks_columns(ins_store *store, struct arena *arena, const struct extent *extent,
                                struct payload_columns *const *wanted, uint32_t table_count,
                                bool *out_lacks, ins_error *error) {
    uint8_t *buffer = arena_alloc(arena, INS_MEM_JOB, LOOK_BYTES);
    if (buffer == NULL) {
        return segment_out_of_memory(LOOK_BYTES, error);
    }
    bool lacks = false;
    ins_status status = INS_OK;
    for (uint32_t i = 0; i < table_count && status == INS_OK && !lacks; i++) {
        struct field_table table;
        uint32_t slot = extent_slot(extent, SECTION_FIELD, field_table_number(i));
        lacks = extent->small || slot == SLOT_NONE;
        if (!lacks) {
            status = read_table(store, extent, slot, buffer, &table, error);
            lacks = status == INS_OK && !has_all(&table, wanted[i]);
        }
    }
    arena_free(arena, INS_MEM_JOB, buffer, LOOK_BYTES);
    if (status == INS_OK || status == INS_CORRUPT) {
        *out_lacks = lacks || status == INS_CORRUPT; /* what is damaged is written anew, too */
        return INS_OK;
    }
    return status;
}
