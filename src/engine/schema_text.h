/* Between schema.c and schema_vectors.c: the text of a schema, piece by piece. */
#ifndef INS_ENGINE_SCHEMA_TEXT_H
#define INS_ENGINE_SCHEMA_TEXT_H

#include "base/json.h"
#include "base/json_write.h"
#include "engine/catalog.h"

/* "Cosine", "float16"; and back, 0 for what is none. */
const char *schema_distance_name(ins_distance distance);
const char *schema_datatype_name(uint32_t datatype);
uint32_t schema_distance_number(struct json_value name);
uint32_t schema_datatype_number(struct json_value name);

/* Members "vectors" and "vector_next". */
void schema_write_vectors(struct json_writer *writer, const struct schema_draft *draft);
/* The same from the schema's text into schema->vectors, whose count is set. */
INS_MUST_USE ins_status schema_parse_vectors(struct schema *schema, struct json_value root,
                                             ins_text text, char **at, ins_error *error);
INS_MUST_USE ins_status schema_damaged(ins_error *error, const char *what);
/* Strings of a schema are decoded behind its text, in the same allocation. */
ins_text schema_keep(char **at, ins_text text);

/* Fills out->graph and out->rough from the settings in `root` and in `vector`; out->distance is
 * set. */
void schema_parse_graph(struct json_value root, struct json_value vector,
                        struct schema_vector *out);

#endif
