/* Moves: which ids were written to the old collection since they were copied. */
#include <stdlib.h>

#include "base/id.h"
#include "engine/move.h"

void move_note(struct move *move, const ins_id *id) {
    /* The next page begins with this id or before it, and nothing of it is read yet. */
    if (!move->all_read && !move->reader.open && id_compare(id, &move->from) >= 0) {
        return;
    }
    struct move_notes *last = move->notes_last;
    if (last == NULL || last->count == MOVE_NOTES) {
        last = arena_alloc(move->operation.db->arena, INS_MEM_QUERY, sizeof(*last));
        if (last == NULL) {
            move->notes_lost = true;
            return;
        }
        last->next = NULL;
        last->count = last->taken = 0;
        *(move->notes_last == NULL ? &move->notes : &move->notes_last->next) = last;
        move->notes_last = last;
    }
    last->ids[last->count++] = *id;
    move->noted++;
}

static void drop_first_notes(struct move *move) {
    struct move_notes *first = move->notes;
    move->noted -= first->count - first->taken;
    move->notes = first->next;
    move->notes_last = first->next == NULL ? NULL : move->notes_last;
    arena_free(move->operation.db->arena, INS_MEM_QUERY, first, sizeof(*first));
}

static int order_ids(const void *left, const void *right) {
    return id_compare(left, right);
}

void move_notes_take(struct move *move, uint32_t capacity) {
    move->wanted = 0;
    while (move->notes != NULL && move->wanted < capacity) {
        struct move_notes *first = move->notes;
        if (first->taken == first->count) {
            drop_first_notes(move);
            continue;
        }
        move->ids[move->wanted++] = first->ids[first->taken++];
        move->noted--;
    }
    qsort(move->ids, move->wanted, sizeof(ins_id), order_ids);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < move->wanted; i++) {
        if (distinct == 0 || !id_equal(&move->ids[i], &move->ids[distinct - 1])) {
            move->ids[distinct++] = move->ids[i];
        }
    }
    move->wanted = distinct;
}

void move_notes_forget(struct move *move) {
    while (move->notes != NULL) {
        drop_first_notes(move);
    }
    move->noted = 0;
    move->notes_lost = false;
}
