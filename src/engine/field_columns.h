/* What large extents of a collection are indexed by: the fields of its schema as columns. */
#ifndef INS_ENGINE_FIELD_COLUMNS_H
#define INS_ENGINE_FIELD_COLUMNS_H

#include "segment/fields.h"
#include "tenant/island.h"

/* Columns of the schema that was asked for last: islands of one file mostly share theirs. */
struct field_columns {
    struct pool pool;
    const struct schema *schema; /* kept by the caller */
    bool made;
    uint32_t table_count;
    struct payload_columns *tables[FIELD_TABLES_MAX];
};

/* Whether an index is of that type: "keyword", or {"type": "keyword", ...}. */
bool field_type_is(ins_text schema, const char *name);
void field_columns_init(struct field_columns *columns, struct arena *arena);
void field_columns_fini(struct field_columns *columns);
/* Fills tables and table_count; none when the schema is NULL, has no such fields, or memory is out:
 * an extent without an index is right, only slower. */
void field_columns_of(struct field_columns *columns, const struct schema *schema);

#endif
