/* What the files of the store over objects share. */
#ifndef INS_STORE_OBJECTS_PRIVATE_H
#define INS_STORE_OBJECTS_PRIVATE_H

#include "store/objects.h"

#define OBJECTS_PREFIX_BYTES 2u /* "o-" and its like */

struct objects_log {
    struct log_sink sink; /* first */
    /* log lane */
    uint64_t current_id, current_bytes; /* 0 before the first rotate */
    bool failed;                        /* a rotate may have happened: none is tried again */
};

struct objects_store {
    ins_store store; /* first: the handle outside */
    ins_store *below;
    struct objects_log log;
    _Atomic bool cells_failed; /* a swap may have happened: none is tried again until a restart */
};

static inline struct objects_store *objects_of(ins_store *store) {
    return (struct objects_store *)(void *)store;
}

extern const struct log_sink_ops objects_log_ops;

/* Puts `size` bytes as one object; counts. INS_EXISTS when the name is taken. */
ins_status objects_put(struct objects_store *store, const char *name, const void *data, size_t size,
                       ins_error *error);
/* The number of 16 hex digits that `text` is; false when it is anything else. */
bool objects_parse_number(const char *text, uint64_t *out_number);

ins_status objects_cell_load(ins_store *store, const char *name, uint8_t *out, size_t capacity,
                             size_t *out_size, uint64_t *out_version, ins_error *out_damage,
                             ins_error *error);
ins_status objects_cell_swap(ins_store *store, const char *name, uint64_t expected,
                             const void *data, size_t size, ins_error *error);

#endif
