/* Goal: replay tells a torn tail from damage, and finds every flipped or cut byte that matters.
 * Method: logs written by the real writer, copied into an image, changed there, and checked. */
#include "rig.h"

static ins_store *store_open(void) {
    struct store_memory_options options = {.seed = 1};
    ins_store *store;
    assert_int_equal(store_memory_open(&options, &store), INS_OK);
    return store;
}

static int setup(void **state) {
    struct rig *rig = malloc(sizeof(*rig));
    rig_init(rig, store_open(), 1);
    rig->options.file_bytes = 256u << 10;
    assert_int_equal(rig_open(rig, 0, NULL), INS_OK);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    rig_drop(rig);
    rig_fini(rig);
    ins_store_close(rig->store);
    free(rig);
    return 0;
}

/* One batch of `count` records. */
static void batch(struct rig *rig, size_t count, uint32_t size) {
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(rig_write(rig, size, NULL), 0);
    }
    queue_pump(&rig->queue);
    assert_int_equal(rig->outstanding, 0);
}

static void test_torn_tail(void **state) {
    /* Goal: a last frame that is cut at any sector, or of which any sector is missing, is a torn
     * tail: the batches before it are there. Method: every cut; the bytes behind are zeros, then
     * stale bytes of an earlier life. */
    struct rig *rig = *state;
    batch(rig, 3, 100);
    batch(rig, 5, 2000);
    batch(rig, 20, 1000);
    struct image image;
    struct frames frames;
    struct wal_replay_result result;
    ins_error error;
    image_take(&image, rig->sink);
    image_frames(&image, 0, &frames);
    assert_int_equal(frames.count, 3);
    size_t at = frames.at[2], size = frames.size[2];
    uint8_t *file = image.bytes[0], *whole = malloc(size);
    memcpy(whole, file + at, size);
    for (size_t cut = 0; cut <= size; cut += 512) {
        for (int stale = 0; stale < 2; stale++) {
            memcpy(file + at, whole, cut);
            memset(file + at + cut, stale * 0x5a, size - cut);
            assert_int_equal(image_check(&image, 0, &result, &error), INS_OK);
            assert_int_equal(result.last_lsn, cut == size ? 28 : 8);
            assert_int_equal(result.torn_tail, cut > 0 && cut < size);
        }
    }
    for (size_t hole = 0; hole < size; hole += 512) {
        memcpy(file + at, whole, size);
        memset(file + at + hole, 0xa5, 512);
        assert_int_equal(image_check(&image, 0, &result, &error), INS_OK);
        assert_int_equal(result.last_lsn, 8);
    }
    free(whole);
    image_fini(&image);
}

/* Offsets that stand for each class of bytes of a frame at `at`. */
static size_t frame_regions(size_t at, size_t size, size_t out[64]) {
    const size_t fields[] = {0,   3,   4,   8,   16,  23,  24,  31, /* frame header */
                             32,  36,  38,  40,  44,  48,  56,  64,  72, 76, 80, 95, /* batch */
                             96,  103,                                               /* shards */
                             104, 108, 112, 114, 116, 118, 120, 128, /* record header */
                             136, 200};                              /* data */
    size_t count = 0;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        out[count++] = at + fields[i];
    }
    const size_t from_end[] = {1, 16, 17, 100, 500}; /* hash, padding */
    for (size_t i = 0; i < sizeof(from_end) / sizeof(from_end[0]); i++) {
        out[count++] = at + size - from_end[i];
    }
    return count;
}

static void test_flips(void **state) {
    /* Goal: a flip of any byte of a frame that has a frame behind it is damage, named with its file
     * and offset; in the last frame it is a torn tail. Method: every class of bytes of every frame,
     * in all files, one at a time. */
    struct rig *rig = *state;
    for (int i = 0; i < 30; i++) {
        batch(rig, (size_t)i % 4 + 1, 5000 - (uint32_t)i);
    }
    struct image image;
    struct frames frames;
    struct wal_replay_result result;
    ins_error error;
    image_take(&image, rig->sink);
    assert_int_equal(image.count, 2);
    uint64_t last_lsn = rig->durable_lsn;
    for (size_t file = 0; file < image.count; file++) {
        image_frames(&image, file, &frames);
        for (size_t frame = 0; frame < frames.count; frame++) {
            size_t regions[64];
            size_t count = frame_regions(frames.at[frame], frames.size[frame], regions);
            bool last = file + 1 == image.count && frame + 1 == frames.count;
            for (size_t i = 0; i < count; i++) {
                for (unsigned mask = 1; mask < 256; mask <<= 3) {
                    image.bytes[file][regions[i]] ^= (uint8_t)mask;
                    ins_status status = image_check(&image, 0, &result, &error);
                    image.bytes[file][regions[i]] ^= (uint8_t)mask;
                    if (last) {
                        assert_int_equal(status, INS_OK);
                        assert_true(result.last_lsn < last_lsn);
                        assert_true(result.torn_tail);
                        continue;
                    }
                    assert_int_equal(status, INS_CORRUPT);
                    char place[80];
                    (void)snprintf(place, sizeof(place), "%016llx is damaged at offset %zu:",
                                   (unsigned long long)image.files[file].file_id, frames.at[frame]);
                    assert_non_null(strstr(error.message, place));
                }
            }
        }
    }
    assert_int_equal(image_check(&image, 0, &result, &error), INS_OK);
    assert_int_equal(result.last_lsn, last_lsn);
    image_fini(&image);
}

static void test_every_byte(void **state) {
    /* Goal: no byte of a header or a frame escapes. Method: flip each one of a small log in turn.
     */
    struct rig *rig = *state;
    batch(rig, 2, 301);
    batch(rig, 1, 50);
    struct image image;
    struct frames frames;
    struct wal_replay_result result;
    ins_error error;
    image_take(&image, rig->sink);
    image_frames(&image, 0, &frames);
    size_t last = frames.at[1], end = last + frames.size[1];
    for (size_t at = 0; at < end; at++) {
        image.bytes[0][at] ^= 0x10;
        ins_status status = image_check(&image, 0, &result, &error);
        image.bytes[0][at] ^= 0x10;
        assert_int_equal(status, at < last ? INS_CORRUPT : INS_OK);
        assert_true(status != INS_OK || result.last_lsn == 2);
    }
    image_fini(&image);
}

static void test_cuts(void **state) {
    /* Goal: a cut file is damage, at any place. Method: some sizes of the first and the last file.
     */
    struct rig *rig = *state;
    for (int i = 0; i < 10; i++) {
        batch(rig, 10, 3000);
    }
    struct image image;
    struct wal_replay_result result;
    ins_error error;
    image_take(&image, rig->sink);
    assert_true(image.count >= 2);
    for (size_t file = 0; file < image.count; file++) {
        uint64_t size = image.files[file].size_bytes;
        const uint64_t cuts[] = {0, 1, 4095, 4096, 4097, 100000, size - 4096, size - 1};
        for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
            image.files[file].size_bytes = cuts[i];
            assert_int_equal(image_check(&image, 0, &result, &error), INS_CORRUPT);
            char name[20];
            (void)snprintf(name, sizeof(name), "%016llx",
                           (unsigned long long)image.files[file].file_id);
            assert_non_null(strstr(error.message, name));
        }
        image.files[file].size_bytes = size;
    }
    image_fini(&image);
}

static void image_remove(struct image *image, size_t file) {
    free(image->bytes[file]);
    image->count--;
    for (size_t i = file; i < image->count; i++) {
        image->bytes[i] = image->bytes[i + 1];
        image->files[i] = image->files[i + 1];
    }
}

static void test_missing_files(void **state) {
    /* Goal: a missing file whose records are wanted is damage; files left before a gap are stepped
     * over when what follows is enough. Method: take out the middle, the first, all; a file under
     * another's name. */
    struct rig *rig = *state;
    for (int i = 0; i < 30; i++) {
        batch(rig, 10, 2500);
    }
    struct image image;
    struct wal_replay_result result;
    ins_error error;
    image_take(&image, rig->sink);
    assert_true(image.count >= 3);
    struct wal_file_header third;
    assert_null(wal_file_header_decode(image.bytes[2], &third));
    uint64_t last_lsn = rig->durable_lsn;

    image.files[1].file_id = 100; /* its header says 2 */
    assert_int_equal(image_check(&image, 0, &result, &error), INS_CORRUPT);
    image.files[1].file_id = 2;
    image_remove(&image, 1);
    assert_int_equal(image_check(&image, 0, &result, &error), INS_CORRUPT);
    assert_non_null(strstr(error.message, "missing"));
    assert_int_equal(image_check(&image, third.first_lsn - 2, &result, &error), INS_CORRUPT);
    assert_int_equal(image_check(&image, third.first_lsn - 1, &result, &error), INS_OK);
    assert_int_equal(result.last_lsn, last_lsn);
    image_remove(&image, 0);
    assert_int_equal(image_check(&image, third.first_lsn - 1, &result, &error), INS_OK);
    assert_int_equal(image_check(&image, last_lsn + 5, &result, &error), INS_OK);
    assert_int_equal(result.last_lsn, last_lsn + 5);
    while (image.count > 0) {
        image_remove(&image, 0);
    }
    assert_int_equal(image_check(&image, 0, &result, &error), INS_OK);
    assert_int_equal(image_check(&image, 1, &result, &error), INS_CORRUPT);
    image_fini(&image);
}

static void test_torn_before_later_file(void **state) {
    /* Goal: a torn tail stays one after the restart that dropped it, when newer files follow; the
     * loss of the batch before it does not pass for one. Method: tear, restart, write, check; then
     * flip the last whole batch of the old file. */
    struct rig *rig = *state;
    batch(rig, 3, 500);
    batch(rig, 3, 500);
    store_memory_fail_at(rig->store, 1, true, INS_IO, false);
    batch(rig, 5, 3000);
    assert_int_equal(rig->failed_calls, 1);
    rig_drop(rig);
    store_memory_kill(rig->store);
    /* Tear it for certain: the seed may have kept all or nothing. */
    (void)store_memory_flip(rig->store, "log:1", 4096 * 3 + 50, 1);
    assert_int_equal(rig_open(rig, 0, NULL), INS_OK);
    assert_int_equal(rig->replayed, 6);
    batch(rig, 4, 100);
    struct image image;
    struct frames frames;
    struct wal_replay_result result;
    ins_error error;
    image_take(&image, rig->sink);
    assert_int_equal(image_check(&image, 0, &result, &error), INS_OK);
    assert_int_equal(result.last_lsn, 10);
    assert_false(result.torn_tail);
    image_frames(&image, 0, &frames);
    assert_int_equal(frames.count, 2);
    image.bytes[0][frames.at[1] + 300] ^= 1;
    assert_int_equal(image_check(&image, 0, &result, &error), INS_CORRUPT);
    assert_non_null(strstr(error.message, "offset 8192"));
    memset(image.bytes[0] + frames.at[1], 0, frames.size[1]); /* not even its beginning is left */
    assert_int_equal(image_check(&image, 0, &result, &error), INS_CORRUPT);
    image_fini(&image);
}

static void test_lost_empty_batch(void **state) {
    /* Goal: the header of a file without a batch guards the end of the file before it, also when
     * what is lost there is a batch without a record. Method: a clean stop, an opening that writes
     * nothing, and each of the two last batches lost in turn. */
    struct rig *rig = *state;
    batch(rig, 3, 500);
    rig_stop(rig);
    assert_int_equal(rig_open(rig, 0, NULL), INS_OK);
    struct image image;
    struct frames frames;
    struct wal_replay_result result;
    ins_error error;
    image_take(&image, rig->sink);
    assert_int_equal(image.count, 2);
    image_frames(&image, 0, &frames);
    assert_int_equal(frames.count, 2);
    assert_int_equal(image_check(&image, 0, &result, &error), INS_OK);
    image.bytes[0][frames.at[1] + 70] ^= 1;
    assert_int_equal(image_check(&image, 0, &result, &error), INS_CORRUPT);
    assert_non_null(strstr(error.message, "next file"));
    memset(image.bytes[0] + frames.at[0], 0, frames.size[0] + frames.size[1]);
    assert_int_equal(image_check(&image, 0, &result, &error), INS_CORRUPT);
    image_fini(&image);
}

static void test_stale_frames(void **state) {
    /* Goal: frames of a file's earlier life, valid to the last bit, are not read. Method: fill
     * files, release them, and see that a recycled one holds such frames behind its end; then put a
     * whole frame of the older file behind the newer one's end by hand. */
    struct rig *rig = *state;
    for (int i = 0; i < 40; i++) {
        batch(rig, 4, 5000);
    }
    uint64_t flushed = rig->durable_lsn;
    assert_int_equal(wal_truncate(rig->wal, flushed, NULL), INS_OK);
    for (int i = 0; i < 12; i++) {
        batch(rig, 4, 5000); /* into a recycled file */
    }
    batch(rig, 1, 10);
    struct image image;
    struct frames frames;
    struct wal_replay_result result;
    ins_error error;
    image_take(&image, rig->sink);
    size_t last = image.count - 1;
    image_frames(&image, last, &frames);
    size_t end = frames.at[frames.count - 1] + frames.size[frames.count - 1];
    bool stale = false;
    for (size_t at = end; at < image.files[last].size_bytes; at += 4096) {
        stale = stale || memcmp(image.bytes[last] + at, "INLF", 4) == 0;
    }
    assert_true(stale);
    assert_int_equal(image_check(&image, flushed, &result, &error), INS_OK);
    assert_int_equal(result.last_lsn, rig->durable_lsn);
    assert_false(result.torn_tail);
    if (last > 0) {
        image_frames(&image, 0, &frames);
        memcpy(image.bytes[last] + end, image.bytes[0] + frames.at[0], frames.size[0]);
        assert_int_equal(image_check(&image, flushed, &result, &error), INS_OK);
        assert_int_equal(result.last_lsn, rig->durable_lsn);
    }
    /* A batch of this life behind a gap is damage, though. */
    image_frames(&image, last, &frames);
    memset(image.bytes[last] + frames.at[0], 0, frames.size[0]);
    assert_int_equal(image_check(&image, flushed, &result, &error), INS_CORRUPT);
    image_fini(&image);
}

/* Hashes of file header and frames made right again after a change. */
static void rehash(uint8_t *file, size_t at, size_t size) {
    struct hash128 hash;
    if (size == 0) {
        hash = hash128(file, 4080);
        memcpy(file + 4080, &hash, 16);
        return;
    }
    uint8_t *frame = file + at;
    uint32_t bytes = load_u32(frame + 32 + 44);
    if (bytes >= 88 && bytes <= size - 48) {
        hash = hash128(frame + 32, bytes - 16);
        memcpy(frame + 32 + bytes - 16, &hash, 16);
    }
    hash = hash128(frame, size - 16);
    memcpy(frame + size - 16, &hash, 16);
}

static void test_lies(void **state) {
    /* Goal: bytes with right hashes and wrong contents are never believed: what makes no frame is a
     * torn tail, what makes one that contradicts itself or the chain is damage. Method: change one
     * field of the file header, or of the last of two frames (so that no chain gives it away), and
     * make the hashes right again. */
    struct rig *rig = *state;
    batch(rig, 2, 50);
    batch(rig, 2, 301);
    struct image image;
    struct wal_replay_result result;
    ins_error error;
    image_take(&image, rig->sink);
    uint8_t *file = image.bytes[0], *kept = malloc(image.files[0].size_bytes);
    memcpy(kept, file, image.files[0].size_bytes);
    enum place { HEADER, TORN, DAMAGE };
    const struct {
        size_t at;
        enum place place;
    } lies[] = {
        {0, HEADER},         /* magic */
        {8, HEADER},         /* version */
        {24, HEADER},        /* file id */
        {40, HEADER},        /* first LSN */
        {48, HEADER},        /* first batch */
        {64, HEADER},        /* previous hash */
        {80, HEADER},        /* file bytes */
        {0, TORN},           /* frame: magic */
        {4, TORN},           /* bytes */
        {8, TORN},           /* file id */
        {16, TORN},          /* salt */
        {24, TORN},          /* zero */
        {32, TORN},          /* batch: magic */
        {36, TORN},          /* version */
        {38, TORN},          /* shard count */
        {32 + 44, DAMAGE},   /* bytes: more than its records */
        {32 + 47, TORN},     /* bytes, far too many */
        {32 + 64, TORN},     /* shard list */
        {3000, TORN},        /* padding of the frame */
        {32 + 24, DAMAGE},   /* number */
        {32 + 32, DAMAGE},   /* first LSN */
        {32 + 40, DAMAGE},   /* count */
        {32 + 48, DAMAGE},   /* previous hash */
        {104, DAMAGE},       /* record: size */
        {106, DAMAGE},       /* size, beyond the frame */
        {108, DAMAGE},       /* crc */
        {115, DAMAGE},       /* flags unknown */
        {116, DAMAGE},       /* shard */
        {118, DAMAGE},       /* zero */
        {120, DAMAGE},       /* lsn */
        {136, DAMAGE},       /* data */
        {136 + 302, DAMAGE}, /* padding of the data */
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        memcpy(file, kept, image.files[0].size_bytes);
        bool header = lies[i].place == HEADER;
        file[lies[i].at + (header ? 0 : 8192)] ^= 1;
        rehash(file, 8192, header ? 0 : 4096);
        ins_status status = image_check(&image, 0, &result, &error);
        if (status != (lies[i].place == TORN ? INS_OK : INS_CORRUPT)) {
            print_error("lie %zu at %zu passed\n", i, lies[i].at);
            fail();
        }
        assert_true(status != INS_OK || result.last_lsn == 2);
    }
    const int flags[] = {1, 4, 5, 2,
                         7}; /* a second or last fragment without a first, and nonsense */
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        memcpy(file, kept, image.files[0].size_bytes);
        file[8192 + 114] = (uint8_t)flags[i];
        rehash(file, 8192, 4096);
        assert_int_equal(image_check(&image, 0, &result, &error), INS_CORRUPT);
    }
    /* A first fragment, and then another record of the same boot instead of the rest. */
    memcpy(file, kept, image.files[0].size_bytes);
    file[8192 + 114] = WAL_FRAGMENT | WAL_FIRST;
    file[8192 + 104 + 32 + 304 + 16] = 3; /* the second record takes the first one's LSN */
    rehash(file, 8192, 4096);
    assert_int_equal(image_check(&image, 0, &result, &error), INS_CORRUPT);
    assert_non_null(strstr(error.message, "before its last fragment"));
    free(kept);
    image_fini(&image);
}

static ins_status refuse(void *context, uint64_t lsn, uint16_t type, uint64_t scope,
                         struct slice data, ins_error *error) {
    (void)type;
    (void)scope;
    (void)data;
    (*(size_t *)context)++;
    return lsn == 2 ? INS_EXHAUSTED : (error->status = INS_OK);
}

static void test_visit_error(void **state) {
    /* Goal: an error of visit ends the replay and comes back. Method: refuse the second record. */
    struct rig *rig = *state;
    batch(rig, 5, 10);
    size_t calls = 0;
    struct wal_replay_result result;
    ins_error error;
    assert_int_equal(wal_check(rig->sink, 0, refuse, &calls, &result, &error), INS_EXHAUSTED);
    assert_int_equal(calls, 2);
    assert_int_equal(wal_check(rig->sink, 0, NULL, NULL, &result, &error), INS_OK);
    assert_int_equal(result.records, 5);
    assert_int_equal(result.bytes, 50);
}

#define ON_RIG(test)                                                                               \
    { #test, test, setup, teardown, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_RIG(test_torn_tail),
        ON_RIG(test_flips),
        ON_RIG(test_every_byte),
        ON_RIG(test_cuts),
        ON_RIG(test_missing_files),
        ON_RIG(test_torn_before_later_file),
        ON_RIG(test_lost_empty_batch),
        ON_RIG(test_stale_frames),
        ON_RIG(test_lies),
        ON_RIG(test_visit_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
