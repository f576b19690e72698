/* The second look of a scan over codes: candidates whose signs leave them in doubt, by their 4-bit
 * codes, before their values are read.
 *
 * Path: codes_refine brings the chunks of codes in which the candidates lie, a few at a time, and
 * leaves those whose nearer bound still says that they may be near enough.
 * Failure: codes that cannot be read leave all in doubt, and are not looked at again. */
#include <float.h>
#include <math.h>

#include "base/assert.h"
#include "base/status.h"
#include "query/search_private.h"

#define CHUNKS 8u /* of codes that are held at once */
#define CHUNK_WORTH                                                                                \
    16u               /* candidates of one that is not at hand: their values take as long to read */
#define COST_PARTS 4u /* 4-bit codes that take as long as one row of floats */

void codes_refine_begin(struct search *search) {
    struct search_codes *codes = &search->codes;
    codes->refining = codes->fine && codes->count > 0;
    codes->refined = codes->kept = 0;
}

/* Candidates from `at` on that lie in one chunk. */
static uint32_t of_chunk(const struct search *search, uint32_t at, uint32_t chunk) {
    const struct search_codes *codes = &search->codes;
    uint32_t end = at;
    while (end < codes->count && search->candidates[end] / codes->layout.chunk_rows == chunk) {
        end++;
    }
    return end - at;
}

/* INS_OK with no bytes: they are not at hand, and not worth bringing for so few. */
static ins_status bring_chunk(struct search *search, uint32_t at, uint32_t chunk,
                              const uint8_t **out_data, ins_error *error) {
    uint32_t slot = search->codes.slots.codes;
    ins_status status =
        reader_chunk_at_hand(search->reader, search->run, slot, chunk, out_data, error);
    if (status != INS_AGAIN) {
        return status;
    }
    *out_data = NULL;
    return of_chunk(search, at, chunk) < CHUNK_WORTH
               ? INS_OK
               : reader_chunk(search->reader, search->run, slot, chunk, out_data, error);
}

/* The codes of the next candidates, NULL where they are not looked at; all their chunks are asked
 * for before the first wait. */
static ins_status bring(struct search *search, const uint8_t **rows, uint32_t *out_count,
                        ins_error *error) {
    const struct search_codes *codes = &search->codes;
    const struct scan_layout *layout = &codes->layout;
    uint32_t chunk = UINT32_MAX, chunks = 0, count = 0;
    const uint8_t *data = NULL;
    ins_status result = INS_OK;
    for (uint32_t i = codes->refined; i < codes->count && count < CODE4_BOUND_ROWS; i++) {
        uint32_t row = search->candidates[i];
        if (row / layout->chunk_rows != chunk) {
            if (chunks++ == CHUNKS) {
                break;
            }
            chunk = row / layout->chunk_rows;
            ins_status status = bring_chunk(search, i, chunk, &data, error);
            if (status != INS_OK && status != INS_AGAIN) {
                return status;
            }
            result = status == INS_AGAIN ? INS_AGAIN : result;
        }
        if (result == INS_OK) {
            uint32_t left = search->run_vector.count - chunk * layout->chunk_rows;
            uint32_t stored = left < layout->chunk_rows ? left : layout->chunk_rows;
            rows[count] = data == NULL
                              ? NULL
                              : data + scan_layout_fine(layout, stored, row % layout->chunk_rows);
        }
        count++;
    }
    *out_count = count;
    return result;
}

/* Bounds of rows with codes; of others the least of all. Returns how many have codes. */
static uint32_t look(const struct search *search, const uint8_t **rows, uint32_t count,
                     float *bounds) {
    uint16_t places[CODE4_BOUND_ROWS];
    float found[CODE4_BOUND_ROWS];
    uint32_t looked = 0;
    for (uint32_t i = 0; i < count; i++) {
        bounds[i] = -FLT_MAX;
        if (rows[i] != NULL) {
            places[looked] = (uint16_t)i;
            rows[looked++] = rows[i];
        }
    }
    scan_query_fine_bounds(&search->codes.query, rows, looked, search->vector->shape.dim, found);
    for (uint32_t i = 0; i < looked; i++) {
        bounds[places[i]] = found[i];
    }
    return looked;
}

static void keep(struct search *search, uint32_t candidate, float bound) {
    struct search_codes *codes = &search->codes;
    search->candidates[codes->kept] = search->candidates[candidate];
    search->tile->fine[codes->kept++] = bound;
}

static void end(struct search *search) {
    struct search_codes *codes = &search->codes;
    codes->count = codes->kept;
    codes->refining = false;
    reader_release_chunks(search->reader, search->run, codes->slots.codes, UINT32_MAX);
}

ins_status codes_refine(struct search *search, float to_beat, uint64_t *budget, ins_error *error) {
    struct search_codes *codes = &search->codes;
    const uint8_t *rows[CODE4_BOUND_ROWS];
    float bounds[CODE4_BOUND_ROWS];
    while (codes->refined < codes->count) {
        uint32_t count = 0;
        ins_error wrong = {0};
        ins_status status = bring(search, rows, &count, &wrong);
        if (status == INS_CORRUPT || status == INS_IO) {
            codes_note_damage(search, status, &wrong);
            codes->fine = false;
            for (; codes->refined < codes->count; codes->refined++) {
                keep(search, codes->refined, -FLT_MAX);
            }
            break;
        }
        if (status != INS_OK) {
            if (error != NULL) {
                *error = wrong;
            }
            return status;
        }
        uint32_t looked = look(search, rows, count, bounds);
        for (uint32_t i = 0; i < count; i++) {
            if (!(bounds[i] > to_beat)) { /* what is no number is compared */
                keep(search, codes->refined + i, isnan(bounds[i]) ? -FLT_MAX : bounds[i]);
            }
        }
        codes->refined += count;
        search->reader->context->codes.rows_fine += looked;
        uint64_t cost = 1 + count / COST_PARTS;
        search->rows_scanned += cost;
        budget_charge(budget, cost);
        reader_release_chunks(search->reader, search->run, codes->slots.codes, UINT32_MAX);
    }
    end(search);
    return INS_OK;
}

void codes_choose_seeds(struct search *search, uint32_t most) {
    struct search_codes *codes = &search->codes;
    struct codes_tile *tile = search->tile;
    struct topk_hit memory[CODES_SEEDS_MAX], evicted;
    bool was_full;
    struct topk best;
    if (codes->count <= most) {
        return;
    }
    topk_init(&best, memory, most);
    for (uint32_t i = 0; i < codes->count; i++) {
        struct topk_hit hit = {.distance = tile->fine[i], .slot = i, .key = search->candidates[i]};
        if (hit.distance <= topk_bound(&best)) {
            (void)topk_offer(&best, hit, &evicted, &was_full);
        }
    }
    for (uint32_t i = 0; i < codes->count; i++) { /* the others come again, when their turn is */
        tile->bounds[search->candidates[i] - codes->first] = tile->fine[i];
    }
    for (uint32_t i = 0; i < best.count; i++) {
        uint32_t row = search->candidates[memory[i].slot];
        tile->bounds[row - codes->first] = INFINITY;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < codes->count; i++) {
        uint32_t row = search->candidates[i];
        if (tile->bounds[row - codes->first] == INFINITY) {
            search->candidates[kept++] = row;
        }
    }
    codes->count = kept;
}
