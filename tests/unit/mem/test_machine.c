/* Goal: the machine's memory is the smallest limit that holds for us; the resident set is ours.
 * Method: made-up trees of /proc and of control groups in a temporary folder; then the real ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mem/mem_private.h"

static char root[64], proc[80], cgroup[80];

/* Writes a file below the root, making the folders on the way. */
static void put(const char *name, const char *text) {
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state) {
    (void)state;
    (void)strcpy(root, "/tmp/insula-machine-XXXXXX");
    if (mkdtemp(root) == NULL) {
        return -1;
    }
    (void)snprintf(proc, sizeof(proc), "%s/proc", root);
    (void)snprintf(cgroup, sizeof(cgroup), "%s/cgroup", root);
    put("proc/meminfo", "MemTotal:        1000 kB\nMemFree:  10 kB\n");
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int teardown(void **state) {
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static uint64_t machine(void) {
    return mem_machine_bytes_at(proc, cgroup);
}

static void test_no_groups(void **state) {
    (void)state; /* Goal: without groups MemTotal counts. Method: no file; an empty one; noise. */
    assert_int_equal(machine(), 1000 * 1024);
    put("proc/self/cgroup", "");
    assert_int_equal(machine(), 1000 * 1024);
    put("proc/self/cgroup", "nonsense\n5\n:\n::\n7:memory\n3:cpu,mem:/x\n");
    assert_int_equal(machine(), 1000 * 1024);
}

static void test_version_2(void **state) {
    (void)state; /* Goal: the smallest of a group and its parents. Method: max, then limits. */
    put("proc/self/cgroup", "0::/a/b\n");
    put("cgroup/a/b/memory.max", "max\n");
    assert_int_equal(machine(), 1000 * 1024);
    put("cgroup/a/memory.max", "400000\n");
    assert_int_equal(machine(), 400000);
    put("cgroup/a/b/memory.max", "300000\n");
    assert_int_equal(machine(), 300000);
    put("proc/self/cgroup", "0::/a/unmounted\n");
    assert_int_equal(machine(), 400000);
    put("cgroup/memory.max", "200000\n");
    put("proc/self/cgroup", "0::/\n");
    assert_int_equal(machine(), 200000);
}

static void test_version_1(void **state) {
    (void)state; /* Goal: the memory controller's path, also among others. Method: as above. */
    put("proc/self/cgroup", "9:name=systemd:/z\n4:cpu,memory:/a/b\n0::/\n");
    put("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(machine(), 1000 * 1024);
    put("cgroup/memory/a/b/memory.limit_in_bytes", "500000\n");
    assert_int_equal(machine(), 500000);
    put("proc/self/cgroup", "4:memory:/\n");
    assert_int_equal(machine(), 1000 * 1024);
    put("cgroup/memory/memory.limit_in_bytes", "100000\n");
    assert_int_equal(machine(), 100000);
}

static void test_odd_trees(void **state) {
    (void)state; /* Goal: no answer is 0, never a crash. Method: no meminfo; an endless path. */
    char line[1200];
    memset(line, 'x', sizeof(line));
    (void)memcpy(line, "0::/", 4);
    line[1010] = '\n';
    line[1011] = '\0';
    put("proc/self/cgroup", line);
    assert_int_equal(machine(), 1000 * 1024);
    put("proc/meminfo", "");
    assert_int_equal(machine(), 0);
    put("proc/self/cgroup", "0::/\n");
    put("cgroup/memory.max", "12345\n");
    assert_int_equal(machine(), 12345);
}

static void test_real(void **state) {
    (void)state; /* Goal: the real figures are sane. Method: touching 32 MiB shows. */
    assert_true(mem_machine_bytes() > 64 * INS_MIB);
    uint64_t before = mem_resident_bytes();
    assert_true(before > 256 * INS_KIB);
    assert_true(before < mem_machine_bytes());
    char *block = malloc(32 * INS_MIB);
    assert_non_null(block);
    for (size_t i = 0; i < 32 * INS_MIB; i += 1024) {
        ((volatile char *)block)[i] = 1;
    }
    assert_true(mem_resident_bytes() >= before + 28 * INS_MIB);
    free(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version_2, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version_1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_trees, setup, teardown),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
