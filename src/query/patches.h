/* The patches of an island that lack the vector that is searched: each is looked at by itself, with
 * the vector that it inherits.
 *
 * A patch supersedes its older versions as any row does, so a scan of vectors, or a walk of a
 * graph, drops those and needs to know nothing of patches; what it drops comes back here, with the
 * payload and the version that count now. Merges keep patches few. Patches that have the vector
 * themselves are among the run's values, and left to the scan; those of memtables are all taken
 * here. Threads: the request lane. */
#ifndef INS_QUERY_PATCHES_H
#define INS_QUERY_PATCHES_H

#include "query/plan.h"
#include "tenant/reader.h"

#define PATCHES_ROW_COST 8u /* an id looked up in all sources, against a distance in a batch */

struct patches {
    struct reader *reader;
    const struct vector_shape *shape;
    const struct filter *filter; /* NULL: all */
    const struct payload_path *tenant_path;
    struct json_parser *parser;
    struct plan *plan; /* of the filter; the caller's, who needs it no more */
    uint32_t which;    /* memtable */
    const struct memrow *next_row;
    uint32_t run, next; /* run, and the next of its patches */
    bool in_run, has_vector;
    struct extent_vector vector; /* of the run, if it has some */
};

struct patched_row {
    struct place place; /* of the patch */
    ins_id id;
    struct vector_ref vector; /* data NULL: this one does not count or does not pass */
};

/* Sets where to begin; the caller has set the first six members. */
void patches_begin(struct patches *patches);
/* One patch, or one row of a memtable; *out_end: there is none left. Needs reader_load. INS_AGAIN
 * as in reader.h: the same one comes again. What row->vector.data points to stays until
 * reader_trim. */
INS_MUST_USE ins_status patches_next(struct patches *patches, struct patched_row *out,
                                     bool *out_end, ins_error *error);

#endif
