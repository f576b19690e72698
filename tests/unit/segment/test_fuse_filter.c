/* The fuse filter: never a false no, few false yeses, few bits, and no read outside. */
#include "segment_kit.h"

#include <stdio.h>
#include <string.h>

#include "segment/segment_private.h"

static uint64_t *make_keys(uint32_t count, uint64_t seed) {
    uint64_t *keys = malloc((count + 1) * sizeof(*keys));
    assert_non_null(keys);
    for (uint32_t i = 0; i < count; i++) {
        ins_id id = id_number(seed * 1000000007ull + i);
        keys[i] = id_hash(&id);
    }
    return keys;
}

static uint8_t *build(struct kit *kit, uint64_t *keys, uint32_t count, uint32_t *out_size) {
    struct fuse_geometry geometry = fuse_geometry_for(count);
    struct fuse_builder *builder;
    uint8_t *partition = malloc(geometry.bytes);
    assert_non_null(partition);
    assert_int_equal(fuse_builder_create(kit->arena, &geometry, &builder, NULL), INS_OK);
    fuse_build(builder, keys, count, partition);
    fuse_builder_destroy(builder);
    *out_size = geometry.bytes;
    return partition;
}

/* Goal: every key is found, whatever their number. Method: sizes around the segment bounds. */
static void test_no_false_negative(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    static const uint32_t counts[] = {1,   2,    3,    4,     5,     7,     10,    33,
                                      100, 1000, 4097, 10000, 11530, 20381, 67901, 131072};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint32_t size;
        uint64_t *keys = make_keys(counts[i], i + 1);
        uint8_t *partition = build(&kit, keys, counts[i], &size);
        assert_int_not_equal(load_u32(partition + 8), 0); /* not saturated */
        for (uint32_t key = 0; key < counts[i]; key++) {
            assert_true(fuse_test(partition, size, keys[key]));
        }
        free(partition);
        free(keys);
    }
    kit_close(&kit);
}

/* Goal: false once in 4,096. Method: 4 M foreign keys; six standard deviations (31 each) allowed.
 */
static void test_false_positive_rate(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    static const uint32_t counts[] = {1000, 10000, 131072};
    for (size_t i = 0; i < 3; i++) {
        uint32_t size;
        uint64_t *keys = make_keys(counts[i], 5);
        uint8_t *partition = build(&kit, keys, counts[i], &size);
        uint32_t yes = 0;
        for (uint32_t probe = 0; probe < 4u << 20; probe++) {
            ins_id id = id_number((1ull << 60) + probe);
            yes += fuse_test(partition, size, id_hash(&id)) ? 1 : 0;
        }
        print_message("%u keys: %u false of 4 Mi (1 in %.0f), %.2f bits a key\n", counts[i], yes,
                      4194304.0 / (double)yes, 8.0 * (double)size / (double)counts[i]);
        assert_in_range(yes, 1024 - 200, 1024 + 200);
        free(partition);
        free(keys);
    }
    kit_close(&kit);
}

/* Goal: filter, index and header stay within 16 bits an id from 10,000 ids on. Method: the formula
 * for every count of one partition, with the index of UUIDs: 19 bytes each, 214 a block. */
static void test_bits(void **state) {
    (void)state;
    double worst = 0;
    uint32_t at = 0;
    for (uint32_t count = 10000; count <= FUSE_KEYS_MAX; count++) {
        uint32_t blocks = count / 214 + 1;
        uint64_t header = align_up(layout_header_bytes(3, blocks / 4 + 3), 64);
        uint64_t bytes =
            fuse_geometry_for(count).bytes + blocks * (uint64_t)DIRECTORY_INDEX_BYTES + header;
        double bits = 8 * (double)bytes / (double)count;
        if (bits > worst) {
            worst = bits;
            at = count;
        }
    }
    print_message("worst: %.2f bits an id, at %u ids\n", worst, at);
    assert_true(worst <= 16.0);
}

/* Goal: the sizes leave enough room that some seed works early. Method: sizes all over the range,
 * those where most of a segment was dropped among them; the seed that was taken tells the tries. */
static void test_seeds(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    uint32_t most = 0;
    uint32_t total = 0;
    uint32_t builds = 0;
    for (uint32_t count = 2; count <= FUSE_KEYS_MAX; count += 1 + count / 29) {
        uint32_t size;
        uint64_t *keys = make_keys(count, count);
        uint8_t *partition = build(&kit, keys, count, &size);
        assert_int_not_equal(load_u32(partition + 8), 0);
        uint32_t tries = 1;
        while (load_u64(partition) != hash_u64(tries)) {
            tries++;
            assert_true(tries <= 64);
        }
        most = tries > most ? tries : most;
        total += tries;
        builds++;
        free(partition);
        free(keys);
    }
    print_message("seeds tried: %.2f on average, %u at most, of %u filters\n",
                  (double)total / (double)builds, most, builds);
    assert_true(most <= 24);
    kit_close(&kit);
}

/* Goal: equal hashes and hopeless sets do not hang. Method: a key twice; then more keys than
 * positions by lying about the geometry. */
static void test_hard_keys(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    uint32_t size;
    uint64_t *keys = make_keys(1000, 3);
    keys[500] = keys[4];
    keys[501] = keys[4];
    uint8_t *partition = build(&kit, keys, 1000, &size);
    assert_int_equal(load_u32(partition + 16), 998);
    for (uint32_t i = 0; i < 998; i++) {
        assert_true(fuse_test(partition, size, keys[i]));
    }
    free(partition);

    struct fuse_geometry geometry = fuse_geometry_for(900);
    geometry.segment_length /= 2;
    geometry.array_length /= 2; /* still room for the keys' buffers, but no solution */
    struct fuse_builder *builder;
    assert_true(geometry.array_length >= 400);
    assert_int_equal(fuse_builder_create(kit.arena, &geometry, &builder, NULL), INS_OK);
    partition = malloc(geometry.bytes);
    fuse_build(builder, keys, geometry.array_length, partition);
    fuse_builder_destroy(builder);
    assert_true(fuse_test(partition, geometry.bytes, 12345)); /* says yes to all */
    free(partition);
    free(keys);
    kit_close(&kit);
}

/* Goal: no bytes make a test read outside. Method: random partitions of exact size, random heads.
 */
static void test_hostile(void **state) {
    (void)state;
    for (uint32_t size = 0; size < 200; size++) {
        uint8_t *bytes = malloc(size + 1u);
        for (uint32_t round = 0; round < 300; round++) {
            for (uint32_t i = 0; i < size; i++) {
                bytes[i] = (uint8_t)hash_u64(size * 100000ull + round * 200 + i);
            }
            if (size >= 16) {
                store_u32(bytes + 8, 1u << (round % 8));
                store_u32(bytes + 12, round / 8);
            }
            uint8_t *exact = malloc(size == 0 ? 1 : size);
            memcpy(exact, bytes, size);
            (void)fuse_test(exact, size, hash_u64(round));
            free(exact);
        }
        free(bytes);
    }
}

/* Goal: want of memory is told and leaks nothing. Method: each allocation fails in turn. */
static void test_out_of_memory(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    struct fuse_geometry geometry = fuse_geometry_for(1000);
    for (uint64_t countdown = 1; countdown <= 6; countdown++) {
        struct fuse_builder *builder;
        arena_fail_at(kit.arena, countdown);
        assert_int_equal(fuse_builder_create(kit.arena, &geometry, &builder, NULL), INS_EXHAUSTED);
        assert_int_equal(kit_job_bytes(&kit), 0);
    }
    arena_fail_at(kit.arena, 0);
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_false_negative),
        cmocka_unit_test(test_false_positive_rate),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_hard_keys),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
