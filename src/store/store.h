/* Where bytes rest. Only what object storage has: put-if-absent, ranged get, list, delete.
 * The log sink and the manifest are interfaces of their own (log_sink.h, manifest in segment/).
 *
 * Implementations: directory.c (local files: tmp name, fdatasync, rename, directory sync; O_DIRECT
 * where the file system has it), memory.c (the simulator's: keeps unsynced state apart, loses it at
 * a crash, fails on purpose), objects.c (over another store's objects alone).
 * Names: [a-z0-9/._-]{1,100}, at most one '/', no leading dot.
 * Threads: every call may come from any lane; a writer belongs to one thread at a time.
 * Failure: INS_IO or INS_FULL with the name and the system's words; INS_NOT_FOUND; INS_EXISTS. */
#ifndef INS_STORE_STORE_H
#define INS_STORE_STORE_H

#include "base/bytes.h"
#include "insula.h"

#define STORE_NAME_MAX 100
#define STORE_ALIGN 4096u /* writers get pieces in multiples of this, but for the last */

struct store_writer; /* one object being put; nothing of it can be seen before commit */
struct log_sink;

/* One of several reads that may be under way together. */
struct store_range {
    const char *name;
    uint64_t offset;
    void *out;
    size_t size;
    ins_status status; /* set by the call */
    ins_error *error;  /* NULL: nobody wants to know */
};

struct store_ops {
    /* Begins to put an object. INS_EXISTS at commit (or here) when the name is taken. */
    ins_status (*put_begin)(ins_store *store, const char *name, struct store_writer **out_writer,
                            ins_error *error);
    /* Appends; `data` is aligned to 4 KiB and `size` a multiple of it except for the last piece. */
    ins_status (*put_append)(struct store_writer *writer, const void *data, size_t size,
                             ins_error *error);
    /* Durable and visible on INS_OK: one sync of the object, one of its directory. Frees the writer
     * in every case. After a failure the object may or may not be there: a later list tells. */
    ins_status (*put_commit)(struct store_writer *writer, ins_error *error);
    void (*put_abort)(struct store_writer *writer); /* takes NULL */

    /* Reads exactly `size` bytes at `offset` into `out`; INS_CORRUPT when the object is shorter.
     * Fastest when offset, size and out are multiples of 4 KiB (direct read), right always. */
    ins_status (*get)(ins_store *store, const char *name, uint64_t offset, void *out, size_t size,
                      ins_error *error);
    /* Several gets, in any order; each range gets a status of its own. NULL: one after the other.
     */
    void (*get_many)(ins_store *store, struct store_range *ranges, uint32_t count);
    ins_status (*size)(ins_store *store, const char *name, uint64_t *out_size, ins_error *error);
    /* Calls visit for every object whose name begins with `prefix`, in any order. visit may read
     * and remove objects. */
    ins_status (*list)(ins_store *store, const char *prefix,
                       ins_status (*visit)(void *context, const char *name, uint64_t size),
                       void *context, ins_error *error);
    /* INS_OK also when it was not there. */
    ins_status (*remove)(ins_store *store, const char *name, ins_error *error);

    /* A small object replaced by compare-and-swap: the manifest. `version` 0 = not there.
     * load: reads the newest whole version into out (capacity); *out_damage is set when a newer
     * copy was there but does not verify (torn at a power cut, or damaged; the text says which
     * place). swap: durable on INS_OK with version expected + 1, one sync; INS_EXISTS when the
     * version is not `expected`. */
    ins_status (*cell_load)(ins_store *store, const char *name, uint8_t *out, size_t capacity,
                            size_t *out_size, uint64_t *out_version, ins_error *out_damage,
                            ins_error *error);
    ins_status (*cell_swap)(ins_store *store, const char *name, uint64_t expected, const void *data,
                            size_t size, ins_error *error);

    /* The log's sink in this store; owned by the store. */
    struct log_sink *(*log_sink)(ins_store *store);
    void (*close)(ins_store *store);
};

struct ins_store {
    const struct store_ops *ops;
    _Atomic uint64_t sync_count;  /* fdatasync, fsync and direct synchronous writes, all files */
    _Atomic uint64_t write_bytes; /* to objects and cells, not the log */
    bool read_only;
};

#define STORE_CELL_BYTES_MAX (2u << 20)

/* The log's files. One frame is in flight at a time; a frame is durable when append returns INS_OK.
 * Files have an id, rising by one; each begins with a header that names its id and salt, so bytes
 * of a file's earlier life never pass for its own. */
struct log_sink {
    const struct log_sink_ops *ops;
    _Atomic uint64_t sync_count, write_bytes;
};

struct log_file {
    uint64_t file_id;
    uint64_t size_bytes;
};

struct log_sink_ops {
    /* File ids present, ascending, at most `capacity`; *out_count files in all. */
    ins_status (*files)(struct log_sink *sink, struct log_file *out_files, size_t capacity,
                        size_t *out_count, ins_error *error);
    /* Reads raw bytes of a file (header included) as the WAL's reader wants them. */
    ins_status (*read)(struct log_sink *sink, uint64_t file_id, uint64_t offset, void *out,
                       size_t size, ins_error *error);
    /* Makes sure that a zero-filled file of `file_bytes` lies ready as a spare, so that the next
     * rotate does not wait for it. Any lane. */
    ins_status (*prepare)(struct log_sink *sink, uint64_t file_bytes, ins_error *error);
    /* Begins file `file_id` with `header` (4 KiB): written, synced, renamed into place, directory
     * synced. Takes the spare when there is one. */
    ins_status (*rotate)(struct log_sink *sink, uint64_t file_id, uint64_t file_bytes,
                         const void *header, ins_error *error);
    /* Writes `size` bytes (a multiple of 4 KiB, 4 KiB-aligned memory) at `offset` of the current
     * file and makes them durable: O_DIRECT|O_DSYNC where possible, else write + fdatasync. */
    ins_status (*append)(struct log_sink *sink, uint64_t offset, const void *data, size_t size,
                         ins_error *error);
    /* Files below `file_id` are no longer needed: recycled as spares (at most 2 kept) or deleted.
     */
    ins_status (*release)(struct log_sink *sink, uint64_t file_id, ins_error *error);
    /* Deletes the spares: the bytes of their earlier lives are gone. Any lane. */
    ins_status (*forget)(struct log_sink *sink, ins_error *error);
};

/* Short forms that assert their arguments and count. */
ins_status store_get(ins_store *store, const char *name, uint64_t offset, void *out, size_t size,
                     ins_error *error);
/* At most STORE_RANGES_MAX, best in order of name and offset. */
#define STORE_RANGES_MAX 64u
void store_get_many(ins_store *store, struct store_range *ranges, uint32_t count);
ins_status store_remove(ins_store *store, const char *name, ins_error *error);
bool store_name_valid(const char *name);

/* The simulator's store. Everything in memory; deterministic from `seed`. */
struct store_memory_options {
    uint64_t seed;
    /* A twin of object storage: what happened is durable, a put that fails happened or not, and
     * cells and log are made of objects (objects.h). */
    bool objects_only;
};
ins_status store_memory_open(const struct store_memory_options *options, ins_store **out_store);
/* Power cut: what was not synced is kept, lost or torn at 4 KiB granularity (512 B sectors within a
 * log write), each by the seed. After it the store works again as a restarted machine's. */
void store_memory_crash(ins_store *store);
/* Kill of the process: what was written stays, synced or not; unfinished puts vanish. */
void store_memory_kill(ins_store *store);
/* The call number `countdown` from now (1 = the next; reads count apart when only_writes) fails
 * with `status`; `sticky`: all later ones too. A failing write may leave a prefix of its bytes
 * (short write). */
void store_memory_fail_at(ins_store *store, uint64_t countdown, bool only_writes, ins_status status,
                          bool sticky);
void store_memory_fail_off(ins_store *store);
uint64_t store_memory_calls(ins_store *store, bool only_writes);
/* Damage for tests: flips one bit, or cuts the object. `kind`: 0 object, 1 cell copy, 2 log file.
 */
bool store_memory_flip(ins_store *store, const char *name, uint64_t offset, uint8_t mask);
bool store_memory_truncate(ins_store *store, const char *name, uint64_t size);
/* Raw names for flip, truncate and read_raw (what is seen; false when it has not that many bytes):
 * objects by name, "cell:NAME:0|1", "log:FILE_ID". */
bool store_memory_read_raw(ins_store *store, const char *name, uint64_t offset, void *out,
                           size_t size);
ins_status store_memory_list_raw(ins_store *store,
                                 void (*visit)(void *context, const char *name, uint64_t size),
                                 void *context);

#endif
