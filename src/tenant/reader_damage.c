/* What is damaged and can be done without. */
#include <string.h>

#include "tenant/reader.h"

/* The run as the island lists it now; NULL: a merge has taken its place. */
static struct run *listed(const struct reader *reader, const struct run *run) {
    struct island *island = reader->island;
    for (uint32_t i = 0; i < island->run_count; i++) {
        if (island->runs[i].file_slot == run->file_slot &&
            island->runs[i].offset_64 == run->offset_64) {
            return &island->runs[i];
        }
    }
    return NULL;
}

void reader_note_damage(struct reader *reader, uint32_t run, const char *what) {
    struct read_context *context = reader->context;
    struct run *mine = &reader->runs[run].run, *run_now = listed(reader, mine);
    size_t size = strnlen(what, sizeof(context->damage.last) - 1);
    memcpy(context->damage.last, what, size);
    context->damage.last[size] = '\0';
    mine->flags |= RUN_DAMAGED;
    if (run_now == NULL || (run_now->flags & RUN_DAMAGED) != 0) {
        return;
    }
    run_now->flags |= RUN_DAMAGED;
    context->damage.runs++;
    if (context->damage.found != NULL) {
        context->damage.found(context->damage.context, reader->island, context->damage.last);
    }
}
