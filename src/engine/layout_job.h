/* Fast layouts of graphs, made for runs that are searched much (tenant/layouts.h).
 *
 * A search that has walked enough calls layout_wanted. One job at a time reads the run's links and
 * values from its file, makes the layout in slices of a few milliseconds on the background lane,
 * measures by searches near rows of its own how wide its walks must be, and puts it where searches
 * find it. Nothing is written. A job that finds no memory, damage, or that it is of no use has done
 * nothing; what is damaged a search will find. It ends early when the database stops.
 * Threads: begun and landed on the request lane; between them it is the background lane's. */
#ifndef INS_ENGINE_LAYOUT_JOB_H
#define INS_ENGINE_LAYOUT_JOB_H

#include "engine/engine_private.h"

/* As read_context.layouts.wanted. Begins the job unless one is under way: then the next walk asks
 * again. */
void layout_wanted(void *context, struct island *island, const struct layout_key *key);
/* Forgets layouts of runs that are gone; ends the job when the database stops. */
void layout_job_kick(struct ins_db *db);

#endif
