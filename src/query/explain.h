/* What a read tells of each place that it looks at (ins_call.explain): how, and why not otherwise.
 * Nothing happens when nobody asked. */
#ifndef INS_QUERY_EXPLAIN_H
#define INS_QUERY_EXPLAIN_H

#include "query/plan.h"

struct search;

/* The island's memtables come next, if it has any. */
void explain_memtables(const struct reader *reader);
/* Of an extent whose plan is entered every row comes next, or those that the plan leaves. */
void explain_sweep(const struct plan *plan, const struct filter *filter);
/* The same of a search, once it is known whether a graph serves. */
void explain_run(const struct search *search);
/* How the run is looked at when no graph is walked. */
enum ins_look explain_scan_look(const struct search *search);

#endif
