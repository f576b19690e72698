/* Garbage of the catalog: rows of what went with its collection.
 *
 * A drop is one row, the scope's tombstone; the rows of its tenants and shard keys stay. A merge
 * that takes the catalog's oldest run sees its state at one LSN. A row that names a scope which has
 * no row in that state belongs to what was dropped: keys are never used twice, and a scope's row is
 * written before those that name it. Its key is smaller than theirs, so one pass over the rows
 * tells.
 * Memory: 8 bytes a scope and a row that goes, INS_MEM_JOB. Without it, or beyond KEYS_MAX, garbage
 * stays for the next merge. */
#include "engine/catalog.h"
#include "engine/merge_private.h"

#define KEYS_PER_PIECE 8192u
#define PIECE_BYTES (KEYS_PER_PIECE * sizeof(uint64_t))
#define KEYS_MAX (KEY_PIECES_MAX * KEYS_PER_PIECE)

static bool keys_add(struct key_list *list, struct arena *arena, uint64_t key) {
    uint32_t piece = list->count / KEYS_PER_PIECE;
    if (list->count == KEYS_MAX) {
        return false;
    }
    if (list->count % KEYS_PER_PIECE == 0) {
        list->pieces[piece] = arena_alloc(arena, INS_MEM_JOB, PIECE_BYTES);
        if (list->pieces[piece] == NULL) {
            return false;
        }
    }
    list->pieces[piece][list->count++ % KEYS_PER_PIECE] = key;
    return true;
}

bool key_list_has(const struct key_list *list, uint64_t key) {
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t at = list->pieces[middle / KEYS_PER_PIECE][middle % KEYS_PER_PIECE];
        if (at == key) {
            return true;
        }
        *(at < key ? &low : &high) = at < key ? middle + 1 : middle;
    }
    return false;
}

void key_list_free(struct key_list *list, struct arena *arena) {
    uint32_t pieces = (list->count + KEYS_PER_PIECE - 1) / KEYS_PER_PIECE;
    for (uint32_t i = 0; i < pieces; i++) {
        arena_free(arena, INS_MEM_JOB, list->pieces[i], PIECE_BYTES);
    }
    list->count = 0;
}

/* False: no room to remember it. */
static bool sort_row(struct merge_rows *rows, struct key_list *scopes,
                     const struct extent_row *row) {
    ins_text payload = {.data = (const char *)row->payload.data, .size = row->payload.size};
    uint64_t scope;
    enum catalog_row_kind kind = catalog_row_kind(payload, &scope);
    bool garbage = kind >= CATALOG_ROW_SHARD && !key_list_has(scopes, scope);
    struct arena *arena = rows->db->arena;
    if (garbage) {
        (void)keys_add(&rows->garbage, arena, row->id.low); /* else it goes with the next merge */
        return true;
    }
    bool is_scope = kind == CATALOG_ROW_SCOPE || kind == CATALOG_ROW_SHARD;
    return !is_scope || keys_add(scopes, arena, row->id.low);
}

ins_status merge_catalog_sort(struct merge_rows *rows, ins_error *error) {
    struct key_list scopes = {.count = 0};
    bool room = true;
    ins_status status = merge_rows_rewind(rows, EXTENT_NEED_PAYLOAD, 0, error);
    for (bool end = false; status == INS_OK && room && !end;) {
        struct extent_row row;
        status = merge_rows_next(rows, &row, &end, error);
        if (status == INS_OK && !end) {
            room = sort_row(rows, &scopes, &row);
        }
    }
    key_list_free(&scopes, rows->db->arena);
    if (!room) { /* some scopes are not known: nothing can be told */
        key_list_free(&rows->garbage, rows->db->arena);
    }
    return status;
}
