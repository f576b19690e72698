/* What a program that is measured by `./dev why` answers on its standard input: subject.py in C.
 *
 * Path: main() fills the functions and calls subject_run(), which reads a command a line ("create
 * A B", "fill A B", "open A B", "first A B", "search N B", "quit"), does it tenant by tenant, and
 * answers one line of JSON each.
 * Failure: a function that fails leaves errno; the operation ends there and says how far it came.
 */
#ifndef INS_BENCH_BASELINES_SUBJECT_H
#define INS_BENCH_BASELINES_SUBJECT_H

#include <stdbool.h>
#include <stdint.h>

#define SUBJECT_DIM 128u
#define SUBJECT_POINTS 10u /* a tenant; a point's id is tenant * SUBJECT_POINTS + its number */
#define SUBJECT_TENANTS_MAX 1000000u

struct subject_point {
    uint64_t id;
    float vector[SUBJECT_DIM];
};

struct subject {
    void *context;
    bool (*create)(void *context, uint32_t tenant);
    bool (*fill)(void *context, uint32_t tenant, const struct subject_point points[SUBJECT_POINTS]);
    bool (*open)(void *context, uint32_t tenant);
    bool (*search)(void *context, uint32_t tenant, const float query[SUBJECT_DIM],
                   uint64_t *out_id);
};

/* Reads commands until "quit" or the end of the input; a program's exit code. */
int subject_run(const struct subject *subject);

/* The id of the row of `points` with the largest dot product: the search of all C subjects. */
uint64_t subject_nearest(const struct subject_point points[SUBJECT_POINTS],
                         const float query[SUBJECT_DIM]);

/* Raises RLIMIT_NOFILE to what the machine allows. */
void subject_raise_limits(void);

#endif
