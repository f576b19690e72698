/* Changes by filter: the points that pass, chunk by chunk. */
#include "base/id.h"
#include "base/status.h"
#include "engine/names.h"
#include "engine/points_filter.h"
#include "tenant/page.h"

#define FILTER_STEP 1024u /* points looked at; then others get the lane */

static uint32_t chunk_of(const struct points_filter *self) {
    uint32_t asked = self->operation.db->options.change_points;
    return asked > 0 && asked < FILTER_CHUNK ? asked : FILTER_CHUNK;
}

static ins_status open_page(struct points_filter *self, ins_error *error) {
    struct operation *operation = &self->operation;
    ins_status status = INS_OK;
    self->page_count = self->page_next = 0;
    if (!self->reader.open) {
        status = reader_open(&self->reader, &operation->db->reading, self->island,
                             wal_next_lsn(operation->db->wal) - 1, &operation->pool,
                             &operation->waiter, error);
    }
    if (status == INS_OK) {
        status = reader_load(&self->reader, error);
    }
    if (status == INS_OK) {
        status = page_points(&self->reader, &self->from, self->places, PAGE_MAX, &self->page_count,
                             error);
    }
    self->page_last = status == INS_OK && self->page_count < PAGE_MAX;
    return status;
}

static ins_status look(struct points_filter *self, const struct place *place, ins_error *error) {
    bool match = true;
    if (self->filter != NULL) {
        ins_status status = place_matches(&self->reader, place, self->filter, self->path,
                                          self->operation.db->parser, &match, error);
        if (status != INS_OK) {
            return status;
        }
    }
    ins_id id = reader_id(&self->reader, place);
    reader_trim(&self->reader, place);
    if (match) {
        self->ids[self->id_count++] = id;
        self->chunk_island = self->scope->schema->ids_by_tenant ? self->island->incarnation : 0;
    }
    self->island_end = !id_after(&id, &self->from);
    return INS_OK;
}

/* INS_OK when the chunk is full or the island at its end. */
static ins_status gather_island(struct points_filter *self, ins_error *error) {
    for (uint32_t done = 0; self->id_count < chunk_of(self) && !self->island_end; done++) {
        ins_status status = INS_OK;
        if (!self->reader.open || self->page_next == self->page_count) {
            status = done < FILTER_STEP ? open_page(self, error) : INS_AGAIN;
        }
        if (status == INS_OK && self->page_next < self->page_count) {
            status = look(self, &self->places[self->page_next], error);
            self->page_next += status == INS_OK;
        }
        if (status != INS_OK) {
            return status;
        }
        self->island_end |= self->page_next == self->page_count && self->page_last;
    }
    return INS_OK;
}

static void enter_island(struct points_filter *self, struct island *island) {
    self->island = island;
    island_pin(island);
    self->from = id_number(0);
    self->island_end = false;
    self->page_count = self->page_next = 0;
}

ins_status filter_gather(struct points_filter *self, ins_error *error) {
    for (uint32_t islands = 0; !self->all_seen && self->id_count < chunk_of(self); islands++) {
        if (islands_walk_lost(&self->walk)) {
            return scopes_gone(self->operation.db, self->request, error);
        }
        if (islands == FILTER_STEP) {
            return INS_AGAIN;
        }
        if (self->island == NULL) {
            struct island *island = islands_walk_next(&self->walk, &self->filter, &self->path);
            self->all_seen = island == NULL;
            if (island == NULL) {
                break;
            }
            enter_island(self, island);
            if (self->id_count > 0 && self->scope->schema->ids_by_tenant) {
                return INS_OK; /* a chunk is of one tenant: this one's is the next */
            }
        }
        ins_status status = gather_island(self, error);
        if (status != INS_OK) {
            return status;
        }
        if (self->island_end) {
            filter_leave_island(self);
        }
    }
    return INS_OK;
}
