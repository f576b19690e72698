/* What a traced program tells whoever reads the trace: a store to one of these addresses. */
#ifndef INS_BENCH_MARKS_H
#define INS_BENCH_MARKS_H

/* A page of its own, low enough for valgrind to leave it to the program, and not where any loader
 * puts things. */
#define MARKS_AT 0x700000000ull
#define MARKS_BYTES 4096u
#define MARK_BEGIN (MARKS_AT + 0) /* a query begins */
#define MARK_END (MARKS_AT + 64)  /* and ends */
#define IMAGE_AT 0x800000000ull   /* where the memory of an index is mapped */

#endif
