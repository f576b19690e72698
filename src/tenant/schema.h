/* What a collection's points are made of: vectors, indexed fields, the tenant field.
 *
 * A schema is interned by its text and never changes; a collection changes by getting another one.
 * Ids of vectors are never reused within a collection, so a row or a section that was written by an
 * older schema is understood by the ids that it names: those that the schema lacks are ignored. */
#ifndef INS_TENANT_SCHEMA_H
#define INS_TENANT_SCHEMA_H

#include "index/vectors.h"
#include "payload/payload.h"
#include "tenant/table.h"

/* Whether extents get graphs of a vector (engine/schema_graph.c). */
enum layout_wish { LAYOUT_BY_USE, LAYOUT_ALWAYS, LAYOUT_NEVER }; /* hnsw_config.inline_storage */

struct vector_graph {
    bool common, tenants;    /* in common islands, in those of tenants */
    uint16_t effort;         /* of building */
    uint64_t bytes_min;      /* of values in an extent: below it is scanned */
    enum layout_wish layout; /* the fast one, in memory (layouts.h) */
};

struct schema_vector {
    struct vector_shape shape;
    ins_distance distance;
    struct vector_graph graph;
    bool rough;        /* its quantization has fewer than 4 bits: codes need not be as sure */
    ins_text name;     /* "" = the unnamed one; slices of the schema's text */
    ins_text settings; /* JSON object */
};

struct schema_field {
    ins_text name;   /* slices of the schema's text */
    ins_text schema; /* JSON as the client gave it */
    bool is_tenant, islands;
    bool
        late; /* made when extents had been written: large ones may lack it until they are merged */
};

struct schema {
    struct table_node node;     /* by text */
    struct table_node key_node; /* by key, while it has one */
    uint64_t key;               /* of its catalog row; 0 = none is written yet */
    struct schema *dead_next;   /* without references, until no operation is under way */
    uint32_t refs;
    uint32_t users; /* collections that have it, as writers see them */
    uint32_t vector_count;
    struct schema_vector *vectors; /* [vector_count], ascending by id */
    uint32_t vector_next;          /* the id of the next vector that is added */
    uint32_t field_count;
    struct schema_field *fields; /* [field_count] */
    uint32_t text_size;
    char *text;            /* canonical JSON: the key of interning; all else is parsed from it */
    ins_text settings;     /* slice of text */
    uint64_t ttl_least;    /* seconds, of the tenants' times to live; 0 = none has one. And */
    uint64_t floor_bytes;  /* of their memory floors, in all: as the settings say */
    bool has_tenant_field; /* islands are formed by this path */
    bool tenant_is_uuid;
    bool ids_by_tenant;              /* points are known by tenant and id: no id directory */
    ins_text tenant_text;            /* the path as it was given */
    struct payload_path tenant_path; /* slices of text */
};

static inline struct schema *schema_hold(struct schema *schema) {
    schema->refs++;
    return schema;
}

/* NULL when there is none of that name; name absent = the unnamed one. */
const struct schema_vector *schema_vector_named(const struct schema *schema, ins_text name);
/* NULL when there is none of that id. `schema` may be NULL. */
const struct schema_vector *schema_vector_of(const struct schema *schema, uint32_t id);
/* True when rows of this schema may have these vectors: vectors_check was true. */
bool schema_has_packed(const struct schema *schema, const uint8_t *packed, uint32_t count);
/* Bytes of a point that has all vectors, packed; of multivectors one row. */
uint32_t schema_packed_bytes_max(const struct schema *schema);
/* Bytes that a value of the vector may have, so that a point with all of them fits
 * INS_VECTOR_BYTES_MAX: each multivector has room for a row and an equal share of what is left. */
uint32_t schema_value_bytes_max(const struct schema *schema, const struct schema_vector *vector);

/* ---- The vectors of a row that is about to be written ----
 *
 * row_vectors_begin; then row_vectors_keep with what the old row has (reader_vectors), if that is
 * to stay; then what changes, by row_vectors_take and row_vectors_set; then a row of row->count
 * vectors in row->bytes is prepared, and row_vectors_put fills it. What was given stays borrowed
 * until then.
 */
struct row_vectors {
    const struct schema *schema;
    uint32_t count, bytes; /* as they will be packed */
    bool as_stored;        /* values came from stored vectors: those of a cosine are normalised */
    struct row_vector {    /* of schema->vectors[i]; both NULL: the row lacks it */
        const void *stored;
        const float *values;
        uint32_t dim; /* numbers of either */
    } items[INS_VECTORS_MAX];
};

void row_vectors_begin(struct row_vectors *row, const struct schema *schema);
/* Those that the schema still has. */
void row_vectors_keep(struct row_vectors *row, const struct vector_ref *old, uint32_t count);
/* `values` [dim], finite, whole rows of the vector; NULL: the row will lack the vector. */
void row_vectors_set(struct row_vectors *row, const struct schema_vector *vector,
                     const float *values, uint32_t dim);
/* All that the point gives. INS_INVALID when a name or a dimension is wrong, a multivector has no
 * rows or too many. */
INS_MUST_USE ins_status row_vectors_take(struct row_vectors *row, const ins_point *point,
                                         ins_error *error);
/* INS_INVALID when the row has more than INS_VECTOR_BYTES_MAX: with old vectors that stay, from
 * before the collection had as many. */
INS_MUST_USE ins_status row_vectors_check(const struct row_vectors *row, ins_error *error);
/* `rows` of `dim` numbers, rows 0: a plain vector, as a value of this one or a query near it.
 * INS_INVALID says why they are not; *out_dim: all their numbers. */
INS_MUST_USE ins_status vector_check_dim(const struct schema_vector *vector, uint32_t dim,
                                         uint32_t rows, uint32_t *out_dim, ins_error *error);
/* After row_vectors_take by the same schema: INS_INVALID when a value is not finite, or beyond its
 * vector's datatype. */
INS_MUST_USE ins_status point_vectors_check(const struct schema *schema, const ins_point *point,
                                            ins_error *error);
/* Into memrow_vectors of a row with row->count vectors in row->bytes. */
void row_vectors_put(const struct row_vectors *row, void *out);

#endif
