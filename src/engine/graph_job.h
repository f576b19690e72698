/* Graphs: a run that is large enough and has none is written anew with one.
 *
 * An island whose runs change is looked at (graph_want) and may come into a queue, which islands
 * leave first that are searched meanwhile (graph_queue.h). One job at a time takes an island: it
 * reads the vectors of one run, builds their graphs in slices of a few milliseconds on the
 * background lane, so that flushes and merges go on between them, writes the run with its graphs,
 * and lands like a merge: by compare-and-swap of the run list. Until then merges leave that run and
 * those before it alone (island->runs_held).
 * Memory: what building takes is lent by the cache (INS_MEM_GRAPH), at most half of it; a run that
 * would take more stays without a graph, is scanned, and is counted as refused.
 * A job ends early, with nothing done, when the database stops, its island is gone, or the deadline
 * of an erasure wants the run merged. */
#ifndef INS_ENGINE_GRAPH_JOB_H
#define INS_ENGINE_GRAPH_JOB_H

#include "engine/engine_private.h"

/* After the island's runs have changed: queues it when one of them is to have a graph. */
void graph_want(struct ins_db *db, struct island *island);
/* The same for every island: after recovery. */
void graph_want_all(struct ins_db *db);
/* After the settings of a collection have changed: what was refused is tried again. */
void graph_want_scope(struct ins_db *db, struct scope *scope);
/* Begins the next job when none is under way. */
void graph_job_kick(struct ins_db *db);
/* True when the vector's part of a run without a graph is large enough to have one; `rows`: that
 * have the vector, at most. */
/* Bytes of the vector from which on a run is to have one; UINT64_MAX: never. */
uint64_t graph_bytes_due(const struct ins_db *db, bool tenant, const struct schema_vector *vector);
bool graph_is_due(const struct ins_db *db, bool tenant, const struct schema_vector *vector,
                  uint64_t rows);

#endif
