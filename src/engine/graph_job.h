/* Graphs: a run that is large enough and has none is written anew with one. So is a run that lacks
 * field indexes, which were made later than it, and one whose codes or graph are damaged.
 *
 * An island whose runs change is looked at (graph_want) and may come into a queue, which islands
 * leave first that are searched meanwhile (graph_queue.h). One job at a time takes an island: it
 * reads the vectors of one run, builds their graphs in slices of a few milliseconds on the
 * background lane, so that flushes and merges go on between them, writes the run with its graphs,
 * and lands like a merge: by compare-and-swap of the run list. Until then merges leave that run and
 * those before it alone (island->runs_held).
 * Whether a run lacks field indexes only its extent tells: where a collection has some that were
 * made when it had files, a job of its own looks, once for each large run and start.
 * Memory: what building takes is lent by the cache (INS_MEM_GRAPH), at most half of it; a run that
 * would take more stays as it is, is scanned, and is counted as refused;
 * it is tried again when the cache's share has grown (graph_want_denied).
 * A job ends early, with nothing done, when the database stops, its island is gone, or the deadline
 * of an erasure wants the run merged. */
#ifndef INS_ENGINE_GRAPH_JOB_H
#define INS_ENGINE_GRAPH_JOB_H

#include "engine/engine_private.h"

enum graph_wish {
    GRAPH_NOTHING,
    GRAPH_LOOK,  /* whether it lacks field indexes */
    GRAPH_MAKE,  /* a graph; field indexes that it lacks come with it */
    GRAPH_RENEW, /* all that it has beside its rows */
};

/* ---- graph_want.c ---- */

enum graph_wish graph_wish_of(const struct ins_db *db, const struct island *island,
                              const struct run *run);
/* The largest of the runs that something is wanted of; UINT32_MAX: nothing is of any. */
uint32_t graph_choose_run(const struct ins_db *db, const struct island *island);
/* It is large, and lacks indexes of the schema, or nobody has looked yet. */
bool run_may_be_late(const struct schema *schema, const struct run *run);
/* After the island's runs have changed: queues it when something is wanted of one of them. */
void graph_want(struct ins_db *db, struct island *island);
/* The same for every island: after recovery. */
void graph_want_all(struct ins_db *db);
/* The cache would not lend a job of the run `bytes`. */
void graph_note_denied(struct ins_db *db, const struct island *island, const struct run *run,
                       uint64_t bytes);
/* Queues those again if the cache may lend more now: after each job, and when the budget has
 * changed. */
void graph_want_denied(struct ins_db *db);
/* After the schema of a collection has changed: what was refused is tried again. */
void graph_want_scope(struct ins_db *db, struct scope *scope);
/* As read_context.damage.found: warns, and has the run written anew. */
void graph_note_damage(void *context, struct island *island, const char *what);
/* The job under way ends as soon as it can, without a graph; it is chosen again when it fits. */
void graph_job_cancel(struct ins_db *db);
/* Bytes of the vector from which on a run is to have one; UINT64_MAX: never. */
uint64_t graph_bytes_due(const struct ins_db *db, bool tenant, const struct schema_vector *vector);
/* True when the vector's part of a run without a graph is large enough to have one; `rows`: that
 * have the vector, at most. */
bool graph_is_due(const struct ins_db *db, bool tenant, const struct schema_vector *vector,
                  uint64_t rows);

/* ---- graph_job.c ---- */

/* A stored row as walks compare it, [dim]: those of a cosine have a length of one. */
void graph_load_row(const struct schema_vector *vector, const void *stored, float *out);

/* Begins the next job when none is under way. */
void graph_job_kick(struct ins_db *db);

#endif
