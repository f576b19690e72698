/* What `size` measures of one large tenant and of many small ones, for its arithmetic. */
#ifndef INS_BENCH_SIZE_H
#define INS_BENCH_SIZE_H

#include "bench.h"

struct size_constants {
    double points;         /* of the large tenant */
    bool graph;            /* it got one */
    double disk_point;     /* bytes of segments */
    double log_point;      /* bytes of the log */
    double written_point;  /* of the log, flushes and merges; an extent that gets a graph is written
                              once more */
    double write_us_point; /* CPU of the process, flush and graph included */
    double catalog_tenant; /* bytes of tables in memory, with one run */
    double cache_point;    /* bytes of the cache that warm searches came to hold */
    double search_us;      /* CPU of the process, mean, warm; making the query included */
    double search_rows;    /* walked over and scanned, median */
    double search_bytes;   /* in chunks pinned, median */
    double cold_ms, cold_bytes; /* the first search after a start: its time and what it read */
};

/* False: said on the standard error. */
bool size_measure(const struct bench_options *options, struct size_constants *out);

#endif
