#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/directory_private.h"

#define BOUNCE_BYTES                                                                               \
    (64u << 10) /* on the stack: an unaligned read of a small extent is one call                   \
                 */
#define ZERO_PIECE_BYTES (1u << 20)

int file_open(int directory_fd, const char *name, int flags, bool direct, bool *out_direct) {
    const mode_t mode = 0640;
    if (direct) {
        int fd = openat(directory_fd, name, flags | O_CLOEXEC | O_DIRECT, mode);
        if (fd >= 0 || errno != EINVAL) {
            *out_direct = fd >= 0;
            return fd;
        }
        /* With O_CREAT | O_EXCL the refused open may have made the file. */
        flags &= ~O_EXCL;
    }
    *out_direct = false;
    return openat(directory_fd, name, flags | O_CLOEXEC, mode);
}

int file_write(int fd, const void *data, size_t size, uint64_t offset) {
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t written = pwrite(fd, at, size, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? errno : EIO;
        }
        at += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return 0;
}

int file_write_zeros(int fd, uint64_t offset, uint64_t size) {
    static const uint8_t zeros[ZERO_PIECE_BYTES]; /* never written, so no memory of its own */
    while (size > 0) {
        size_t piece = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);
        int result = file_write(fd, zeros, piece, offset);
        if (result != 0) {
            return result;
        }
        offset += piece;
        size -= piece;
    }
    return 0;
}

static bool aligned(uint64_t value) {
    return (value & (STORE_ALIGN - 1)) == 0;
}

/* One read as large as alignment allows; bytes that arrived in `out`, 0 at the end, or -1 and
 * errno. */
static ssize_t read_some(int fd, bool direct, uint8_t *out, size_t size, uint64_t offset) {
    if (!direct) {
        return pread(fd, out, size, (off_t)offset);
    }
    if (aligned(offset) && aligned((uintptr_t)out) && size >= STORE_ALIGN) {
        return pread(fd, out, size & ~(size_t)(STORE_ALIGN - 1), (off_t)offset);
    }
    _Alignas(STORE_ALIGN) uint8_t bounce[BOUNCE_BYTES];
    uint64_t begin = offset & ~(uint64_t)(STORE_ALIGN - 1);
    size_t skip = (size_t)(offset - begin);
    size_t want = size < sizeof(bounce) - skip ? size : sizeof(bounce) - skip;
    ssize_t got = pread(fd, bounce, (size_t)align_up(skip + want, STORE_ALIGN), (off_t)begin);
    if (got < 0 || (size_t)got <= skip) {
        return got < 0 ? -1 : 0;
    }
    size_t arrived = (size_t)got - skip < want ? (size_t)got - skip : want;
    memcpy(out, bounce + skip, arrived);
    return (ssize_t)arrived;
}

int file_read(int fd, bool direct, void *out, size_t size, uint64_t offset) {
    uint8_t *at = out;
    while (size > 0) {
        ssize_t got = read_some(fd, direct, at, size, offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : -1;
        }
        at += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

ins_status directory_sync(struct directory_store *store, int directory_fd, const char *what,
                          _Atomic uint64_t *sync_count, ins_error *error) {
    (*sync_count)++;
    if (fsync(directory_fd) != 0) {
        store->sync_failed = true;
        return ins_fail_errno(error, errno, "cannot sync directory %s/%s", store->path, what);
    }
    return INS_OK;
}

ins_status directory_usable(struct directory_store *store, ins_error *error) {
    if (store->sync_failed) {
        return ins_fail(error, INS_IO,
                        "an earlier sync of a directory in %s failed; nothing more is written "
                        "until a restart",
                        store->path);
    }
    return INS_OK;
}

int file_rename_new(int from_fd, const char *from, int to_fd, const char *to) {
    if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    /* The file system lacks the flag: a link never replaces. */
    if (linkat(from_fd, from, to_fd, to, 0) != 0) {
        return errno;
    }
    return unlinkat(from_fd, from, 0) == 0 ? 0 : errno;
}

ins_status directory_each(int directory_fd, file_visit visit, void *context, ins_error *error) {
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        ins_status status = ins_fail_errno(error, errno, "cannot list a directory of the store");
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    ins_status status = INS_OK;
    while (status == INS_OK) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            if (errno != 0) {
                status = ins_fail_errno(error, errno, "cannot list a directory of the store");
            }
            break;
        }
        if (entry->d_name[0] != '.') {
            status = visit(context, entry->d_name, error);
        }
    }
    (void)closedir(stream);
    return status;
}
