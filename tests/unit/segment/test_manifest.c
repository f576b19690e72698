/* The manifest: encoding, and that no flipped or cut byte gets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segment/segment.h"

#define FILES 5u

static struct segment_info files[FILES];

static struct manifest example(void) {
    struct manifest manifest = {.flushed_lsn = 77,
                                .log_lsn = 78,
                                .erased_lsn = 76,
                                .next_file = 1000,
                                .files = files,
                                .file_count = FILES};
    memset(manifest.database_id, 0xab, 16);
    for (uint32_t i = 0; i < FILES; i++) {
        files[i] = (struct segment_info){.file = 3 + (uint64_t)i * 10,
                                         .size_bytes = 8192 + (uint64_t)i * 4096,
                                         .trailer_hash = 0x1234567890abcdefull + i,
                                         .extent_count = i * 7};
        memset(files[i].random_id, (int)i + 1, 16);
    }
    return manifest;
}

static uint8_t *encode(const struct manifest *manifest, size_t *out_size) {
    *out_size = manifest_size(manifest);
    uint8_t *bytes = malloc(*out_size);
    assert_non_null(bytes);
    manifest_encode(manifest, bytes);
    return bytes;
}

/* Goal: what is encoded is decoded. Method: all fields compared, with no file and with some. */
static void test_round_trip(void **state) {
    (void)state;
    for (uint32_t count = 0; count <= FILES; count += FILES) {
        struct manifest manifest = example();
        manifest.file_count = count;
        size_t size;
        uint8_t *bytes = encode(&manifest, &size);
        struct segment_info out_files[FILES];
        struct manifest out;
        assert_int_equal(manifest_decode(bytes, size, out_files, FILES, &out, NULL), INS_OK);
        assert_memory_equal(out.database_id, manifest.database_id, 16);
        assert_int_equal(out.flushed_lsn, 77);
        assert_int_equal(out.log_lsn, 78);
        assert_int_equal(out.erased_lsn, 76);
        assert_int_equal(out.next_file, 1000);
        assert_int_equal(out.file_count, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(out_files[i].file, files[i].file);
            assert_memory_equal(out_files[i].random_id, files[i].random_id, 16);
            assert_int_equal(out_files[i].size_bytes, files[i].size_bytes);
            assert_int_equal(out_files[i].trailer_hash, files[i].trailer_hash);
            assert_int_equal(out_files[i].extent_count, files[i].extent_count);
        }
        free(bytes);
    }
}

/* Goal: damage is found. Method: every bit flipped, every length cut. */
static void test_damage(void **state) {
    (void)state;
    struct manifest manifest = example();
    struct segment_info out_files[FILES];
    struct manifest out;
    size_t size;
    uint8_t *bytes = encode(&manifest, &size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(manifest_decode(bytes, size, out_files, FILES, &out, NULL), INS_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(manifest_decode(bytes, cut, out_files, FILES, &out, NULL), INS_CORRUPT);
    }
    free(bytes);
}

static void expect_refused(size_t at, uint64_t word, size_t word_size, uint32_t capacity,
                           const char *says) {
    struct manifest manifest = example();
    struct segment_info out_files[FILES];
    struct manifest out;
    ins_error error = {0};
    size_t size;
    uint8_t *bytes = encode(&manifest, &size);
    memcpy(bytes + at, &word, word_size);
    struct hash128 hash = hash128(bytes, size - 16);
    store_u64(bytes + size - 16, hash.low);
    store_u64(bytes + size - 8, hash.high);
    assert_int_equal(manifest_decode(bytes, size, out_files, capacity, &out, &error), INS_CORRUPT);
    assert_non_null(strstr(error.message, says));
    free(bytes);
}

/* Goal: words that a right hash covers are still judged. Method: each invariant broken in turn. */
static void test_invariants(void **state) {
    (void)state;
    expect_refused(0, 'X', 1, FILES, "format");
    expect_refused(8, 2, 4, FILES, "format");
    expect_refused(12, FILES - 1, 4, FILES, "do not match");
    expect_refused(12, UINT32_MAX, 4, FILES, "do not match");
    expect_refused(12, FILES, 4, FILES - 1, "do not match");
    expect_refused(56, 78, 8, FILES, "erased up to record 78");
    expect_refused(40, 43, 8, FILES, "file numbers");     /* next_file == last file */
    expect_refused(64 + 48, 3, 8, FILES, "file numbers"); /* equal to the one before */
    expect_refused(64 + 24, 8193, 8, FILES, "impossible size");
    expect_refused(64 + 24, 0, 8, FILES, "impossible size");
    expect_refused(64 + 24, 1ull << 62, 8, FILES, "impossible size");
    expect_refused(64 + 40, UINT32_MAX, 4, FILES, "counts or flags");
    expect_refused(64 + 44, 1, 4, FILES, "counts or flags");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_invariants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
