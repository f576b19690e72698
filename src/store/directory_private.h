/* What the files of the directory store share.
 *
 * PATH/objects/  NAME with '+' for '/'     committed objects
 * PATH/tmp/      numbers                   objects and cells being made; emptied at open
 * PATH/cells/    NAME                      two slots each (cell.h)
 * PATH/log/      <16 hex digits>.log, spare-N
 *
 * Lock order: cells.lock or log.lock or cache.lock, never two of them. */
#ifndef INS_STORE_DIRECTORY_PRIVATE_H
#define INS_STORE_DIRECTORY_PRIVATE_H

#include <pthread.h>
#include <sys/types.h>

#include "store/cell.h"
#include "store/store.h"

/* ---- Open files for reading: bounded, however many objects there are --------------------------
 */

#define FD_CACHE_SLOTS 64 /* cold reads of the same segments do not open each time */

struct open_file {
    char name[STORE_NAME_MAX + 1]; /* empty: the slot is free */
    int fd;
    bool direct;  /* O_DIRECT */
    bool cached;  /* lies in the cache, or belongs to one reader */
    bool removed; /* close when the last reader lets go */
    uint32_t readers;
    uint64_t used_at;
};

struct fd_cache {
    pthread_mutex_t lock;
    /* under lock */
    struct open_file slots[FD_CACHE_SLOTS];
    uint64_t tick;
    uint64_t removal_count; /* a file opened before a removal is not cached after it */
};

/* ---- Reads in flight (directory_many.c)
 * -------------------------------------------------------------------------- */

#define READS_IN_FLIGHT 8u /* more than some eight random reads make each of them slower */

struct read_queue {
    pthread_mutex_t lock; /* whoever has it has the queue; others read one after the other */
    unsigned long kernel; /* the kernel's name for it; 0: there is none */
};
void read_queue_init(struct read_queue *queue);
void read_queue_fini(struct read_queue *queue);

/* ---- Cells
 * --------------------------------------------------------------------------------------- */

#define CELLS_MAX 8 /* the manifest is one; nothing here grows with tenants */

struct directory_cell {
    char name[STORE_NAME_MAX + 1]; /* empty: free */
    int fd;
    uint64_t version;          /* of the newest whole slot */
    uint32_t used[CELL_SLOTS]; /* bytes of each slot that may be non-zero; whole pages */
    bool failed;               /* a write or sync failed: what it holds is not known any more */
};

/* ---- The log's files
 * ----------------------------------------------------------------------------- */

#define LOG_SPARES_MAX 2

struct directory_log {
    struct log_sink sink;
    /* the log lane's (rotate, append) */
    int current_fd;
    bool current_direct;
    uint64_t current_bytes;
    uint8_t *header_page; /* 4 KiB, aligned for direct writes */
    /* under lock */
    pthread_mutex_t lock;
    uint64_t spares[LOG_SPARES_MAX]; /* numbers of spare-N that lie ready */
    uint32_t spare_count;
    uint64_t next_spare;
    int read_fd; /* of read_id */
    uint64_t read_id;
};

struct directory_store {
    ins_store store; /* first: the handle outside */
    char *path;      /* for messages */
    int root_fd, objects_fd, tmp_fd, cells_fd, log_fd;
    _Atomic uint64_t next_tmp;
    /* A failed sync of a directory may have lost its renames, and a later sync that succeeds does
     * not bring them back: nothing is committed after one. */
    _Atomic bool sync_failed;
    struct fd_cache cache;
    struct read_queue reads;
    pthread_mutex_t cells_lock;
    struct directory_cell cells[CELLS_MAX]; /* under cells_lock */
    struct directory_log log;
};

static inline struct directory_store *directory_of(ins_store *store) {
    return (struct directory_store *)(void *)store;
}

#define DIRECTORY_FILE_NAME_MAX 128

/* ---- directory_file.c: system calls with their loops and words --------------------------------
 */

/* Opens relative to `directory_fd`; with `direct` first with O_DIRECT, and without it where the
 * file system refuses. -1 and errno on failure. */
int file_open(int directory_fd, const char *name, int flags, bool direct, bool *out_direct);
/* Writes all; 0 or errno. */
int file_write(int fd, const void *data, size_t size, uint64_t offset);
/* Writes `size` zero bytes; 0 or errno. */
int file_write_zeros(int fd, uint64_t offset, uint64_t size);
/* Reads exactly `size` bytes, with bounces where a direct descriptor needs alignment.
 * 0, errno, or -1 when the file ends before. */
int file_read(int fd, bool direct, void *out, size_t size, uint64_t offset);
/* fsync of a directory; counts; remembers a failure for good. */
ins_status directory_sync(struct directory_store *store, int directory_fd, const char *what,
                          _Atomic uint64_t *sync_count, ins_error *error);
/* INS_IO when an earlier sync of a directory failed. */
ins_status directory_usable(struct directory_store *store, ins_error *error);
/* Renames without replacing. 0 or errno; EEXIST when the name is taken. */
int file_rename_new(int from_fd, const char *from, int to_fd, const char *to);
/* Calls visit for each regular file in the directory; stops at the first status but INS_OK. */
typedef ins_status (*file_visit)(void *context, const char *name, ins_error *error);
ins_status directory_each(int directory_fd, file_visit visit, void *context, ins_error *error);

/* ---- Parts
 * ------------------------------------------------------------------------------------------ */

void object_file_name(const char *name, char out[static DIRECTORY_FILE_NAME_MAX]);
ins_status object_put_begin(ins_store *store, const char *name, struct store_writer **out_writer,
                            ins_error *error);
ins_status object_put_append(struct store_writer *writer, const void *data, size_t size,
                             ins_error *error);
ins_status object_put_commit(struct store_writer *writer, ins_error *error);
void object_put_abort(struct store_writer *writer);
ins_status object_list(ins_store *store, const char *prefix,
                       ins_status (*visit)(void *context, const char *name, uint64_t size),
                       void *context, ins_error *error);
ins_status object_remove(ins_store *store, const char *name, ins_error *error);

ins_status object_get(ins_store *store, const char *name, uint64_t offset, void *out, size_t size,
                      ins_error *error);
/* Several of them under way at once where the system can do that (directory_many.c). */
void object_get_many(ins_store *store, struct store_range *ranges, uint32_t count);
/* An object's file with one more reader, until object_file_release; `own` is where it lives when it
 * does not go into the cache. */
ins_status object_file_take(struct directory_store *store, const char *name, struct open_file *own,
                            struct open_file **out, ins_error *error);
void object_file_release(struct directory_store *store, struct open_file *file);
/* A read's result, as file_read gives it, in words. */
ins_status object_read_status(int result, const char *name, uint64_t offset, size_t size,
                              ins_error *error);
ins_status object_size(ins_store *store, const char *name, uint64_t *out_size, ins_error *error);
void fd_cache_init(struct fd_cache *cache);
void fd_cache_fini(struct fd_cache *cache); /* no reader is left */
void fd_cache_forget(struct fd_cache *cache, const char *name);

ins_status cell_file_load(ins_store *store, const char *name, uint8_t *out, size_t capacity,
                          size_t *out_size, uint64_t *out_version, ins_error *out_damage,
                          ins_error *error);
ins_status cell_file_swap(ins_store *store, const char *name, uint64_t expected, const void *data,
                          size_t size, ins_error *error);
void cell_files_close(struct directory_store *store);

ins_status directory_log_open(struct directory_store *store, ins_error *error);
void directory_log_close(struct directory_store *store);

#endif
