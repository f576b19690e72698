#include "index/max_sim.h"

#include <math.h>

#include "index/vectors.h"

void max_sim_init(struct max_sim *sim, const struct flat *flat, uint32_t query_rows,
                  uint32_t query_bytes, float *best) {
    *sim = (struct max_sim){.flat = *flat,
                            .query = flat->query,
                            .query_rows = query_rows,
                            .query_bytes = query_bytes,
                            .best = best};
}

void max_sim_begin(struct max_sim *sim) {
    for (uint32_t i = 0; i < sim->query_rows; i++) {
        sim->best[i] = INFINITY;
    }
    sim->row = 0;
    sim->next = 0;
}

/* The piece against the query's row number sim->next. */
static void compare(struct max_sim *sim, const void *piece, uint32_t count) {
    float distances[FLAT_BATCH], best = sim->best[sim->next];
    sim->flat.query = sim->query + (size_t)sim->next * sim->query_bytes;
    flat_distances(&sim->flat, piece, sim->flat.dim, count, distances);
    for (uint32_t i = 0; i < count; i++) {
        best = distances[i] < best ? distances[i] : best;
    }
    sim->best[sim->next] = best;
}

bool max_sim_rows(struct max_sim *sim, const void *rows, uint32_t count, uint64_t *budget) {
    size_t row_bytes = (size_t)sim->flat.dim * datatype_bytes(sim->flat.datatype);
    while (sim->row < count) {
        uint32_t left = count - sim->row, piece = left < FLAT_BATCH ? left : FLAT_BATCH;
        for (; sim->next < sim->query_rows; sim->next++) {
            if (*budget == 0) {
                return false;
            }
            compare(sim, (const uint8_t *)rows + sim->row * row_bytes, piece);
            *budget -= piece < *budget ? piece : *budget;
        }
        sim->next = 0;
        sim->row += piece;
    }
    sim->row = 0;
    return true;
}

float max_sim_distance(const struct max_sim *sim) {
    double sum = 0;
    for (uint32_t i = 0; i < sim->query_rows; i++) {
        sum += (double)sim->best[i];
    }
    return (float)sum;
}
