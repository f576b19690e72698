/* Several reads of objects under way at once.
 *
 * Path: the files are opened, direct aligned reads go to the kernel's queue (aio), at most
 * READS_IN_FLIGHT at a time, the rest is read in place. A read that did not come back whole, for
 * whatever reason, is done again by an ordinary one, which says what is wrong.
 * Without a queue (refused, or another thread has it) everything is read one after the other.
 * Why not io_uring: containers and hardened systems forbid it more often, and for direct reads of a
 * few pages there was nothing to gain over this. */
#include <errno.h>
#include <linux/aio_abi.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/directory_private.h"

void read_queue_init(struct read_queue *queue) {
    (void)pthread_mutex_init(&queue->lock, NULL);
    queue->kernel = 0;
    if (syscall(SYS_io_setup, READS_IN_FLIGHT, &queue->kernel) != 0) {
        queue->kernel = 0;
    }
}

void read_queue_fini(struct read_queue *queue) {
    if (queue->kernel != 0) {
        (void)syscall(SYS_io_destroy, queue->kernel);
    }
    (void)pthread_mutex_destroy(&queue->lock);
}

/* The ranges of one call and their files. */
struct many {
    struct directory_store *store;
    struct store_range *ranges;
    uint32_t count;
    struct open_file *files[STORE_RANGES_MAX]; /* NULL: could not be opened */
    struct open_file own[STORE_RANGES_MAX];
    bool whole[STORE_RANGES_MAX]; /* came back from the queue */
};

static bool same_file(const struct many *many, uint32_t i) {
    return i > 0 && strcmp(many->ranges[i].name, many->ranges[i - 1].name) == 0;
}

/* Neighbours of one name share a reader. */
static void open_files(struct many *many) {
    for (uint32_t i = 0; i < many->count; i++) {
        struct store_range *range = &many->ranges[i];
        many->whole[i] = false;
        if (same_file(many, i) && many->files[i - 1] != NULL) {
            many->files[i] = many->files[i - 1];
            continue;
        }
        range->status = object_file_take(many->store, range->name, &many->own[i], &many->files[i],
                                         range->error);
        if (range->status != INS_OK) {
            many->files[i] = NULL;
        }
    }
}

static void close_files(struct many *many) {
    for (uint32_t i = 0; i < many->count; i++) {
        if (many->files[i] != NULL && (i == 0 || many->files[i] != many->files[i - 1])) {
            object_file_release(many->store, many->files[i]);
        }
    }
}

static bool is_aligned(const struct store_range *range) {
    return (range->offset & (STORE_ALIGN - 1)) == 0 && (range->size & (STORE_ALIGN - 1)) == 0 &&
           ((uintptr_t)range->out & (STORE_ALIGN - 1)) == 0 && range->size > 0;
}

/* Waits for at least one; how many came. */
static uint32_t reap(struct many *many, unsigned long kernel) {
    struct io_event events[READS_IN_FLIGHT];
    long got;
    do {
        got = syscall(SYS_io_getevents, kernel, 1L, (long)READS_IN_FLIGHT, events, NULL);
    } while (got < 0 && errno == EINTR);
    INS_ASSERT(got > 0); /* nothing may come after we have left: the memory is others' then */
    for (long i = 0; i < got; i++) {
        uint64_t which = events[i].data;
        INS_ASSERT(which < many->count);
        many->whole[which] = events[i].res == (int64_t)many->ranges[which].size;
    }
    return (uint32_t)got;
}

static void read_queued(struct many *many, unsigned long kernel) {
    uint32_t in_flight = 0;
    bool refused = false;
    for (uint32_t i = 0; i < many->count && !refused; i++) {
        const struct store_range *range = &many->ranges[i];
        if (many->files[i] == NULL || !many->files[i]->direct || !is_aligned(range)) {
            continue;
        }
        while (in_flight >= READS_IN_FLIGHT) {
            in_flight -= reap(many, kernel);
        }
        struct iocb request = {.aio_data = i,
                               .aio_lio_opcode = IOCB_CMD_PREAD,
                               .aio_fildes = (uint32_t)many->files[i]->fd,
                               .aio_buf = (uintptr_t)range->out,
                               .aio_nbytes = range->size,
                               .aio_offset = (int64_t)range->offset};
        struct iocb *requests[1] = {&request};
        long sent;
        do {
            sent = syscall(SYS_io_submit, kernel, 1L, requests);
        } while (sent < 0 && errno == EINTR);
        refused = sent != 1;
        in_flight += !refused;
    }
    while (in_flight > 0) {
        in_flight -= reap(many, kernel);
    }
}

static void read_rest(struct many *many) {
    for (uint32_t i = 0; i < many->count; i++) {
        struct store_range *range = &many->ranges[i];
        const struct open_file *file = many->files[i];
        if (file == NULL) {
            continue;
        }
        int result = many->whole[i] ? 0
                                    : file_read(file->fd, file->direct, range->out, range->size,
                                                range->offset);
        range->status =
            object_read_status(result, range->name, range->offset, range->size, range->error);
    }
}

void object_get_many(ins_store *handle, struct store_range *ranges, uint32_t count) {
    INS_ASSERT(count <= STORE_RANGES_MAX);
    struct many many = {.store = directory_of(handle), .ranges = ranges, .count = count};
    struct read_queue *queue = &many.store->reads;
    open_files(&many);
    if (queue->kernel != 0 && pthread_mutex_trylock(&queue->lock) == 0) {
        read_queued(&many, queue->kernel);
        (void)pthread_mutex_unlock(&queue->lock);
    }
    read_rest(&many);
    close_files(&many);
}
