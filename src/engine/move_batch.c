/* Moves: the next points, or the points of ids that were written again, into memory. */
#include "base/id.h"
#include "engine/move.h"
#include "tenant/page.h"

static uint32_t batch_points(const struct move *move) {
    uint32_t asked = move->operation.db->options.change_points;
    return asked != 0 && asked < MOVE_BATCH ? asked : MOVE_BATCH;
}

static ins_status open_reader(struct move *move, ins_error *error) {
    struct operation *operation = &move->operation;
    return reader_open(&move->reader, &operation->db->reading, move->source->common, UINT64_MAX,
                       &operation->pool, &operation->waiter, error);
}

ins_status move_batch_begin(struct move *move, bool notes, ins_error *error) {
    ins_status status = INS_OK;
    if (!move->reader.open) {
        status = open_reader(move, error);
        if (status == INS_OK && notes) {
            move_notes_take(move, batch_points(move));
        }
    }
    if (status == INS_OK) {
        status = reader_load(&move->reader, error);
    }
    if (status == INS_OK && !notes) {
        status = page_points(&move->reader, &move->from, move->places, batch_points(move),
                             &move->wanted, error);
        move->last_page = move->wanted < batch_points(move);
    }
    move->next = 0;
    move->gathered = status == INS_OK;
    return status;
}

void move_batch_end(struct move *move) {
    reader_close(&move->reader);
    pool_fini(&move->pool);
    move->point_count = move->gone_count = move->wanted = move->next = 0;
    move->sent = 0;
    move->gathered = false;
}

ins_status move_batch_take(struct move *move, ins_error *error) {
    while (move->next < move->wanted && move->pool.used_bytes < MOVE_BATCH_BYTES) {
        struct place place = {0};
        const ins_id *id = &move->ids[move->next];
        bool found = true;
        if (move->is_page) {
            place = move->places[move->next];
        } else {
            found = reader_find(&move->reader, id, &place);
        }
        if (!found) {
            move->gone[move->gone_count++] = *id;
        } else {
            ins_status status = point_take(&move->reader, &place, NULL, &move->fields, &move->pool,
                                           &move->points[move->point_count], error);
            if (status != INS_OK) {
                return status;
            }
            reader_trim(&move->reader, &place);
            move->point_count++;
        }
        move->next++;
    }
    return INS_OK;
}

void move_batch_close(struct move *move) {
    bool cut = move->next < move->wanted;
    if (move->is_page) {
        if (move->next > 0) {
            ins_id last = reader_id(&move->reader, &move->places[move->next - 1]);
            move->all_read = !id_after(&last, &move->from) || (move->last_page && !cut);
        } else {
            move->all_read = true;
        }
        move->copied += move->next;
    } else {
        for (uint32_t i = move->next; i < move->wanted; i++) {
            move_note(move, &move->ids[i]); /* while the reader is open: nothing is left out */
        }
    }
    reader_close(&move->reader);
    move->sent = 0;
    move->piece = move->point_count;
}
