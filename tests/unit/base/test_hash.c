/* Hashes. Goal: hash64 and hash128 are XXH3 at every size and alignment, whichever of the library's
 * variants computes them, and crc32c is Castagnoli's. Method: compared with the library's plain
 * functions, and with the published check value of CRC-32C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <xxhash.h>

#include "base/hash.h"

#define LARGE (1u << 20)

static void check(const uint8_t *data, size_t size) {
    XXH128_hash_t expected = XXH3_128bits(data, size);
    struct hash128 hash = hash128(data, size);
    assert_true(hash.low == expected.low64);
    assert_true(hash.high == expected.high64);
    assert_true(hash64(data, size) == XXH3_64bits(data, size));
    assert_true(hash64_seed(data, size, 7) == XXH3_64bits_withSeed(data, size, 7));
}

static void test_equal_at_all_sizes(void **state) {
    (void)state;
    uint8_t *data = malloc(LARGE + 64);
    assert_non_null(data);
    for (size_t i = 0; i < LARGE + 64; i++) {
        data[i] = (uint8_t)hash_u64(i);
    }
    for (size_t size = 0; size <= 2100; size++) {
        check(data + size % 64, size);
    }
    for (size_t size = 4096; size <= LARGE; size *= 2) {
        check(data, size);
        check(data + 13, size + 1);
    }
    free(data);
}

static void test_crc_check_value(void **state) {
    (void)state;
    assert_int_equal(crc32c("123456789", 9), 0xe3069283u);
    assert_int_equal(crc32c(NULL, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_at_all_sizes),
        cmocka_unit_test(test_crc_check_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
