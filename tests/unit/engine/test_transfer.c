/* Tenants' files: what goes out comes in again, bit for bit, and nothing that is damaged does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/portable.h"
#include "tests/unit/engine/fixture.h"

#define FILE_MAX ((size_t)8 << 20)

struct file {
    char *bytes;
    size_t size;
};

static const ins_vector_params vectors[] = {
    {.name = {"", 0}, .dim = 3, .distance = INS_DISTANCE_COSINE, .datatype = INS_FLOAT32},
    {.name = {"half", 4}, .dim = 5, .distance = INS_DISTANCE_COSINE, .datatype = INS_FLOAT16},
    {.name = {"many", 4},
     .dim = 2,
     .distance = INS_DISTANCE_DOT,
     .datatype = INS_UINT8,
     .multi = true}};

static void make(struct fixture *fixture, const char *name, const char *field) {
    ins_collection_request request = {
        .collection = text(name), .vectors = vectors, .vector_count = 3};
    do_ok(fixture, ins_collection_create, &request);
    if (field != NULL) {
        request.field = text(field);
        request.schema = text("{\"type\":\"keyword\",\"is_tenant\":true}");
        request.is_tenant = true;
        do_ok(fixture, ins_index_create, &request);
    }
}

static float some(uint64_t seed) {
    return (float)((seed * 2654435761u >> 7) % 1999) / 100.0f - 9.0f;
}

/* Points with some of the vectors, number or UUID, with payload or without. */
static void fill(struct fixture *fixture, const char *name, const char *tenant, uint64_t from,
                 uint64_t count) {
    for (uint64_t id = from; id < from + count; id++) {
        float plain[3], half[5], many[3][2];
        char payload[96];
        for (uint64_t i = 0; i < 3; i++) {
            plain[i] = some(id * 31 + i);
            many[i][0] = (float)(id % 250);
            many[i][1] = (float)i;
        }
        for (uint64_t i = 0; i < 5; i++) {
            half[i] = some(id * 77 + i);
        }
        ins_vector named[3] = {
            {.name = text(""), .values = plain, .dim = 3},
            {.name = text("half"), .values = half, .dim = 5},
            {.name = text("many"), .values = many[0], .dim = 2, .rows = (uint32_t)(1 + id % 3)}};
        (void)snprintf(payload, sizeof(payload), "{\"n\":%llu,\"who\":\"%s\",\"t\":[\"x\",1.50]}",
                       (unsigned long long)id, tenant);
        ins_point point = {.id = {.low = id, .is_uuid = id % 5 == 0},
                           .vectors = named + id % 2,
                           .vector_count = (uint32_t)(3 - id % 2),
                           .payload = tenant[0] != '\0' ? text(payload) : (ins_text){0}};
        ins_points_request request = {.collection = text(name), .points = &point, .point_count = 1};
        do_ok(fixture, ins_points_upsert, &request);
    }
}

static struct file export_tenant(struct fixture *fixture, const char *name, const char *tenant) {
    struct file file = {.bytes = malloc(FILE_MAX)};
    ins_export state = {0};
    ins_export_request request = {.collection = text(name), .state = &state};
    request.name = tenant != NULL ? text(tenant) : (ins_text){0};
    bool more = true;
    assert_non_null(file.bytes);
    while (more) {
        ins_call call;
        assert_int_equal(run(fixture, ins_tenant_export, &request, &call), INS_OK);
        assert_true(file.size + call.bytes.size <= FILE_MAX);
        memcpy(file.bytes + file.size, call.bytes.data, call.bytes.size);
        file.size += call.bytes.size;
        more = call.found;
        ins_call_release(&call);
    }
    return file;
}

static ins_status import_file(struct fixture *fixture, const char *name, const char *tenant,
                              struct file file, bool merge, uint64_t *out_count) {
    ins_import_request request = {
        .collection = text(name), .bytes = {file.bytes, file.size}, .merge = merge};
    request.name = tenant != NULL ? text(tenant) : (ins_text){0};
    ins_call call;
    ins_status status = run(fixture, ins_tenant_import, &request, &call);
    if (out_count != NULL) {
        *out_count = call.count;
    }
    ins_call_release(&call);
    return status;
}

/* The frames behind the head but for the end, which have no name of who gave them. */
static void assert_same_blocks(struct file left, struct file right) {
    size_t left_head = PORTABLE_FRAME_BYTES + *(const uint32_t *)(const void *)(left.bytes + 12);
    size_t right_head = PORTABLE_FRAME_BYTES + *(const uint32_t *)(const void *)(right.bytes + 12);
    size_t end = PORTABLE_FRAME_BYTES + PORTABLE_END_BYTES;
    assert_int_equal(left.size - left_head, right.size - right_head);
    assert_memory_equal(left.bytes + left_head, right.bytes + right_head,
                        left.size - left_head - end);
}

/* Goal: a tenant's file made anew from where it was imported is the same, byte for byte, whatever
 * lies in memory or in segments, under another name, in another collection.
 * Method: 2,500 points of three kinds of vectors, half of them flushed, some patched or deleted. */
static void test_round_trip(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    make(&fixture, "c", "who");
    make(&fixture, "d", "who");
    make(&fixture, "plain", NULL);
    fill(&fixture, "c", "other", 90000, 10);
    fill(&fixture, "c", "anna", 0, 1200);
    do_ok(&fixture, ins_flush, NULL);
    fill(&fixture, "c", "anna", 1200, 1300);
    ins_id gone[] = {{.low = 7}, {.low = 1300, .is_uuid = true}, {.low = 1999}};
    ins_points_request request = {.collection = text("c"), .ids = gone, .id_count = 3};
    do_ok(&fixture, ins_points_delete, &request);
    ins_id patched[] = {{.low = 8}, {.low = 2001}};
    request = (ins_points_request){
        .collection = text("c"), .ids = patched, .id_count = 2, .change = text("{\"new\":true}")};
    do_ok(&fixture, ins_points_set_payload, &request);
    struct file file = export_tenant(&fixture, "c", "anna");
    uint64_t count = 0;
    assert_int_equal(import_file(&fixture, "d", "berta", file, false, &count), INS_OK);
    assert_int_equal(count, 2497);
    assert_int_equal(count_where(&fixture, "d", "berta"), 2497);
    struct file again = export_tenant(&fixture, "d", "berta");
    assert_same_blocks(file, again);
    free(again.bytes);
    /* To the same name it must be said; then nothing changes. */
    assert_int_equal(import_file(&fixture, "d", "berta", file, false, &count), INS_EXISTS);
    assert_int_equal(import_file(&fixture, "d", "berta", file, true, &count), INS_OK);
    do_ok(&fixture, ins_flush, NULL);
    fixture_restart(&fixture);
    again = export_tenant(&fixture, "d", "berta");
    assert_same_blocks(file, again);
    free(again.bytes);
    /* To a collection without tenants: the field comes along. */
    assert_int_equal(import_file(&fixture, "plain", NULL, file, false, NULL), INS_OK);
    assert_int_equal(count_where(&fixture, "plain", "anna"), 2497);
    again = export_tenant(&fixture, "plain", NULL);
    /* From there they carry a name: it is that tenant's, or nobody's. Ids that another tenant has
     * stay there. */
    assert_int_equal(import_file(&fixture, "d", "anna", again, false, NULL), INS_EXISTS);
    assert_int_equal(count_where(&fixture, "d", "berta"), 2497);
    ins_tenants_request berta = {.collection = text("d"), .name = text("berta")};
    do_ok(&fixture, ins_tenant_delete, &berta);
    assert_int_equal(import_file(&fixture, "d", "anna", again, false, NULL), INS_OK);
    assert_int_equal(import_file(&fixture, "d", "clara", again, false, NULL), INS_INVALID);
    assert_int_equal(count_where(&fixture, "d", "clara"), 0);
    free(again.bytes);
    free(file.bytes);
    fixture_close(&fixture);
}

/* Goal: a damaged or cut file changes nothing and is refused by its block.
 * Method: every byte of the frames' headers, and some of their bodies, turned; every cut. */
static void test_damage(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    make(&fixture, "c", "who");
    make(&fixture, "d", "who");
    fill(&fixture, "c", "anna", 0, 12);
    struct file file = export_tenant(&fixture, "c", "anna");
    ins_import_request request = {
        .collection = text("d"), .name = text("anna"), .bytes = {file.bytes, file.size}};
    for (size_t at = 0; at < file.size; at += at % 3 + 1) {
        ins_call call = {0};
        file.bytes[at] ^= 0x10;
        assert_int_equal(ins_wait(fixture.db, ins_tenant_import, &request, &call), INS_INVALID);
        assert_non_null(strstr(call.error.message, "block"));
        ins_call_release(&call);
        file.bytes[at] ^= 0x10;
    }
    for (size_t size = 0; size < file.size; size += size % 5 + 1) {
        ins_call call = {0};
        request.bytes.size = size;
        assert_int_equal(ins_wait(fixture.db, ins_tenant_import, &request, &call), INS_INVALID);
        ins_call_release(&call);
    }
    assert_int_equal(count_where(&fixture, "d", "anna"), 0);
    assert_int_equal(import_file(&fixture, "d", "anna", file, false, NULL), INS_OK);
    assert_int_equal(count_where(&fixture, "d", "anna"), 12);
    free(file.bytes);
    fixture_close(&fixture);
}

/* Goal: vectors that do not fit are refused by name, size and metric. */
static void test_schema(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    make(&fixture, "c", "who");
    create(&fixture, "other", true);
    fill(&fixture, "c", "anna", 0, 3);
    struct file file = export_tenant(&fixture, "c", "anna");
    ins_import_request request = {
        .collection = text("other"), .name = text("anna"), .bytes = {file.bytes, file.size}};
    ins_call call;
    assert_int_equal(run(&fixture, ins_tenant_import, &request, &call), INS_INVALID);
    assert_string_equal(call.error.message,
                        "Wrong input: the file's vector `` has 3 numbers, Cosine, float32; the "
                        "collection's has 4, Dot, float32");
    ins_call_release(&call);
    request.collection = text("nowhere");
    assert_int_equal(run(&fixture, ins_tenant_import, &request, &call), INS_NOT_FOUND);
    ins_call_release(&call);
    request.collection = text("c");
    request.name = (ins_text){0};
    assert_int_equal(run(&fixture, ins_tenant_import, &request, &call), INS_INVALID);
    ins_call_release(&call);
    free(file.bytes);
    fixture_close(&fixture);
}

/* Goal: a tenant that is deleted and made again in the middle of an export ends it, and one in the
 * middle of a file's parts its import. */
static void test_incarnations(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    make(&fixture, "c", "who");
    fill(&fixture, "c", "anna", 0, 4);
    ins_export position = {0};
    ins_export_request request = {
        .collection = text("c"), .name = text("anna"), .state = &position};
    ins_call call;
    assert_int_equal(run(&fixture, ins_tenant_export, &request, &call), INS_OK);
    ins_call_release(&call);
    struct file file = export_tenant(&fixture, "c", "anna");
    ins_tenants_request tenant = {.collection = text("c"), .name = text("anna")};
    do_ok(&fixture, ins_tenant_delete, &tenant);
    assert_int_equal(run(&fixture, ins_tenant_export, &request, &call), INS_EXISTS);
    ins_call_release(&call);
    ins_import_request part = {.collection = text("c"),
                               .name = text("anna"),
                               .bytes = {file.bytes, file.size},
                               .part = true};
    assert_int_equal(run(&fixture, ins_tenant_import, &part, &call), INS_OK);
    part.incarnation = call.tenants[0].incarnation;
    assert_true(part.incarnation > position.incarnation);
    ins_call_release(&call);
    assert_int_equal(run(&fixture, ins_tenant_export, &request, &call), INS_EXISTS);
    ins_call_release(&call);
    do_ok(&fixture, ins_tenant_import, &part);
    do_ok(&fixture, ins_tenant_delete, &tenant);
    assert_int_equal(run(&fixture, ins_tenant_import, &part, &call), INS_EXISTS);
    ins_call_release(&call);
    free(file.bytes);
    fixture_close(&fixture);
}

static ins_points_request point_in(const ins_shard_key *key, ins_point *point, uint64_t id) {
    *point = (ins_point){.id = {.low = id}, .payload = text("{\"who\":\"anna\"}")};
    return (ins_points_request){.collection = text("s"),
                                .points = point,
                                .point_count = 1,
                                .shard_keys = key,
                                .shard_key_count = 1};
}

static uint64_t points_in(const ins_call *call) {
    return *(const uint32_t *)(const void *)(call->bytes.data + PORTABLE_FRAME_BYTES);
}

/* Goal: a tenant that gets its first points in another shard key, while it is exported or imported,
 * stays the same one; deleted everywhere and made again it is another one. */
static void test_shard_keys(void **state) {
    (void)state;
    struct fixture fixture;
    const ins_shard_key keys[2] = {{.text = text("x")}, {.text = text("y")}};
    fixture_open(&fixture);
    ins_collection_request make_it = {
        .collection = text("s"), .dim = 4, .distance = INS_DISTANCE_DOT, .sharded = true};
    do_ok(&fixture, ins_collection_create, &make_it);
    make_it.field = text("who");
    make_it.schema = text("{\"type\":\"keyword\",\"is_tenant\":true}");
    make_it.is_tenant = true;
    do_ok(&fixture, ins_index_create, &make_it);
    for (int i = 0; i < 2; i++) {
        make_it.shard_key = keys[i];
        do_ok(&fixture, ins_shard_key_create, &make_it);
    }
    ins_point point;
    ins_points_request put = point_in(&keys[0], &point, 1);
    do_ok(&fixture, ins_points_upsert, &put);
    ins_export position = {0};
    ins_export_request request = {
        .collection = text("s"), .name = text("anna"), .state = &position};
    ins_call call;
    assert_int_equal(run(&fixture, ins_tenant_export, &request, &call), INS_OK);
    ins_call_release(&call);
    ins_export behind_head = position;
    put = point_in(&keys[1], &point, 2);
    do_ok(&fixture, ins_points_upsert, &put);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(run(&fixture, ins_tenant_export, &request, &call), INS_OK);
        assert_true(call.found);
        assert_int_equal(points_in(&call), 1);
        ins_call_release(&call);
    }
    assert_int_equal(run(&fixture, ins_tenant_export, &request, &call), INS_OK);
    assert_false(call.found);
    ins_call_release(&call);
    /* Whoever knew it by its first island may still ask for it, and bring it parts. */
    struct file file = export_tenant(&fixture, "s", "anna");
    ins_export fresh = {0};
    request.state = &fresh;
    request.incarnation = position.incarnation;
    do_ok(&fixture, ins_tenant_export, &request);
    ins_import_request part = {.collection = text("s"),
                               .name = text("anna"),
                               .bytes = {file.bytes, file.size},
                               .part = true,
                               .incarnation = position.incarnation};
    do_ok(&fixture, ins_tenant_import, &part);
    part.incarnation += 1000; /* nobody's yet */
    assert_int_equal(run(&fixture, ins_tenant_import, &part, &call), INS_EXISTS);
    ins_call_release(&call);
    part.incarnation = position.incarnation;
    ins_tenants_request tenant = {.collection = text("s"), .name = text("anna")};
    do_ok(&fixture, ins_tenant_delete, &tenant);
    do_ok(&fixture, ins_points_upsert, &put);
    position = behind_head;
    request.state = &position;
    assert_int_equal(run(&fixture, ins_tenant_export, &request, &call), INS_EXISTS);
    ins_call_release(&call);
    assert_int_equal(run(&fixture, ins_tenant_import, &part, &call), INS_EXISTS);
    ins_call_release(&call);
    free(file.bytes);
    fixture_close(&fixture);
}

/* Goal: a copy is what was copied, under another name, in the same collection or another one; what
 * cannot be says so and leaves no note; a restart finds nothing to do. */
static void test_copy(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    make(&fixture, "c", "who");
    make(&fixture, "plain", NULL);
    create(&fixture, "other", true);
    fill(&fixture, "c", "anna", 0, 1300);
    do_ok(&fixture, ins_flush, NULL);
    fill(&fixture, "c", "anna", 1300, 100);
    ins_copy_request copy = {.collection = text("c"), .name = text("anna"), .to = text("berta")};
    ins_call call;
    assert_int_equal(run(&fixture, ins_tenant_copy, &copy, &call),
                     INS_INVALID); /* ids are unique */
    ins_call_release(&call);
    make(&fixture, "d", "who");
    struct file file = export_tenant(&fixture, "c", "anna");
    for (uint32_t i = 0; i < 2; i++) {
        copy.to_collection = i == 0 ? text("plain") : text("d");
        copy.to = i == 0 ? (ins_text){0} : text("berta");
        assert_int_equal(run(&fixture, ins_tenant_copy, &copy, &call), INS_OK);
        assert_int_equal(call.count, 1400);
        ins_call_release(&call);
        assert_int_equal(run(&fixture, ins_tenant_copy, &copy, &call), INS_EXISTS);
        ins_call_release(&call);
    }
    struct file again = export_tenant(&fixture, "d", "berta");
    assert_same_blocks(file, again);
    free(again.bytes);
    free(file.bytes);
    copy.to_collection = text("other");
    assert_int_equal(run(&fixture, ins_tenant_copy, &copy, &call), INS_INVALID);
    ins_call_release(&call);
    copy.name = text("nobody");
    assert_int_equal(run(&fixture, ins_tenant_copy, &copy, &call), INS_NOT_FOUND);
    ins_call_release(&call);
    fixture_restart(&fixture);
    assert_int_equal(count_where(&fixture, "plain", "anna"), 1400);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_schema),     cmocka_unit_test(test_incarnations),
        cmocka_unit_test(test_copy),       cmocka_unit_test(test_shard_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
