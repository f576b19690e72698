/* What the files of the simulator's store share.
 *
 * Every kind of state is kept twice: as a reader sees it, and as the disk would give it back after
 * a power cut. The two differ only after calls that failed on the way and after removals, which are
 * not synced; a call that returned INS_OK has made them equal. Threads: one lock around everything.
 */
#ifndef INS_STORE_MEMORY_PRIVATE_H
#define INS_STORE_MEMORY_PRIVATE_H

#include <pthread.h>

#include "store/cell.h"
#include "store/store.h"

#define SECTOR_BYTES 512u

struct memory_bytes { /* seen and durable content, of one size */
    uint8_t *seen, *durable;
    size_t size;
};

struct memory_object {
    struct memory_object *next;
    char name[STORE_NAME_MAX + 1];
    struct memory_bytes bytes;
    bool name_durable; /* the rename into place was synced */
    bool removed;      /* not seen any more; comes back at a crash unless that was synced */
};

struct store_writer {
    struct store_writer *next;
    struct memory_store *store;
    char name[STORE_NAME_MAX + 1];
    uint8_t *data;
    size_t size, capacity;
    bool ended; /* the last, unaligned piece was written */
    bool dead;  /* the machine restarted under it */
};

struct memory_cell {
    struct memory_cell *next;
    char name[STORE_NAME_MAX + 1];
    struct memory_bytes slots[CELL_SLOTS]; /* images from the slot's start; zero behind them */
    bool name_durable;
    bool failed; /* as in the directory store: not written again until a restart */
};

struct memory_log_file {
    struct memory_log_file *next; /* ascending id */
    uint64_t id;
    struct memory_bytes bytes;
    bool name_durable;
    bool removed;
};

#define MEMORY_SPARES_MAX 2

struct memory_log {
    struct log_sink sink;
    struct memory_log_file *files;
    struct memory_log_file *current;
    struct memory_bytes spares[MEMORY_SPARES_MAX];
    uint32_t spare_count;
};

struct memory_faults {
    uint64_t calls, write_calls;
    uint64_t fail_call; /* number of the call that fails; 0 = none */
    bool only_writes, sticky;
    ins_status status;
};

struct memory_store {
    ins_store store; /* first: the handle outside */
    pthread_mutex_t lock;
    /* all under lock */
    uint64_t random_state;
    struct memory_faults faults;
    struct memory_object *objects;
    struct store_writer *writers;
    struct memory_cell *cells;
    struct memory_log log;
    bool objects_only; /* constant */
    bool sync_failed;  /* as in the directory store: nothing is committed until a restart */
};

static inline struct memory_store *memory_of(ins_store *store) {
    return (struct memory_store *)(void *)store;
}

void memory_lock(struct memory_store *store);
void memory_unlock(struct memory_store *store);

/* ---- memory_bytes.c
 * ------------------------------------------------------------------------------- */

/* A number below `bound` (> 0), from the seed. */
uint64_t memory_random(struct memory_store *store, uint64_t bound);
/* Counts a call; the injected failure when its turn has come. `what` is for the message. */
ins_status memory_call(struct memory_store *store, bool is_write, const char *what,
                       ins_error *error);
/* Zeros, both copies. False when memory is out. */
bool memory_bytes_init(struct memory_bytes *bytes, size_t size);
void memory_bytes_fini(struct memory_bytes *bytes);
/* Grows with zeros, never shrinks. */
bool memory_bytes_grow(struct memory_bytes *bytes, size_t size);
/* Writes both copies: a durable write. */
void memory_bytes_write(struct memory_bytes *bytes, size_t offset, const void *data, size_t size);
/* What a failed write may have left: any choice of its 512-byte sectors, seen but not durable. */
void memory_bytes_tear(struct memory_store *store, struct memory_bytes *bytes, size_t offset,
                       const void *data, size_t size);
/* After a power cut: each unit of `unit` bytes that was not durable is kept or lost. */
void memory_bytes_crash(struct memory_store *store, struct memory_bytes *bytes, size_t unit);
/* After a restart of the process: what is seen counts as durable, since open syncs it. */
void memory_bytes_settle(struct memory_bytes *bytes);
bool memory_bytes_flip(struct memory_bytes *bytes, uint64_t offset, uint8_t mask);
bool memory_bytes_cut(struct memory_bytes *bytes, uint64_t size);

/* ---- Parts
 * ------------------------------------------------------------------------------------------ */

extern const struct log_sink_ops memory_log_ops;

ins_status memory_cell_load(ins_store *store, const char *name, uint8_t *out, size_t capacity,
                            size_t *out_size, uint64_t *out_version, ins_error *out_damage,
                            ins_error *error);
ins_status memory_cell_swap(ins_store *store, const char *name, uint64_t expected, const void *data,
                            size_t size, ins_error *error);

/* Restart, under lock: after a power cut, or only of the process. */
void memory_objects_restart(struct memory_store *store, bool power_cut);
void memory_cells_restart(struct memory_store *store, bool power_cut);
void memory_log_restart(struct memory_store *store, bool power_cut);
void memory_objects_free(struct memory_store *store);
void memory_cells_free(struct memory_store *store);
void memory_log_free(struct memory_store *store);

ins_status memory_put_begin(ins_store *store, const char *name, struct store_writer **out_writer,
                            ins_error *error);
ins_status memory_put_append(struct store_writer *writer, const void *data, size_t size,
                             ins_error *error);
ins_status memory_put_commit(struct store_writer *writer, ins_error *error);
void memory_put_abort(struct store_writer *writer);
ins_status memory_get(ins_store *store, const char *name, uint64_t offset, void *out, size_t size,
                      ins_error *error);
ins_status memory_size(ins_store *store, const char *name, uint64_t *out_size, ins_error *error);
ins_status memory_list(ins_store *store, const char *prefix,
                       ins_status (*visit)(void *context, const char *name, uint64_t size),
                       void *context, ins_error *error);
ins_status memory_remove(ins_store *store, const char *name, ins_error *error);

#endif
