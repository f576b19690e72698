/* Patches: changes of payload, and of one vector among several, that leave the other vectors where
 * they are. Method: points whose vectors and payload follow from small numbers are changed in every
 * order of changes, flushes and restarts; a model of two arrays says what every read must find. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_private.h"
#include "tests/unit/engine/fixture.h"

enum { POINTS = 300, LONG_DIM = 1536, SHORT_DIM = 2 };

struct model {
    struct fixture fixture;
    uint32_t longs[POINTS], shorts[POINTS], marks[POINTS]; /* what each is made of */
    bool without_payload[POINTS];
    ins_point points[POINTS];
    ins_vector vectors[POINTS][2];
    float values[POINTS][LONG_DIM + SHORT_DIM];
    char payloads[POINTS][160];
};

static float long_value(uint32_t seed, uint32_t i) {
    return (float)((seed * 7 + i * 3) % 101);
}

static void fill(struct model *model, uint32_t i) {
    float *values = model->values[i];
    for (uint32_t k = 0; k < LONG_DIM; k++) {
        values[k] = long_value(model->longs[i], k);
    }
    values[LONG_DIM] = (float)model->shorts[i];
    values[LONG_DIM + 1] = 1;
    model->vectors[i][0] = (ins_vector){text("long"), values, LONG_DIM, 0};
    model->vectors[i][1] = (ins_vector){text("short"), values + LONG_DIM, SHORT_DIM, 0};
    (void)snprintf(model->payloads[i], sizeof(model->payloads[i]),
                   "{\"text\":\"some eighty bytes that stay as they are, whatever becomes of "
                   "the mark\",\"mark\":%u}",
                   model->marks[i]);
    model->points[i] = (ins_point){.id = {.low = i},
                                   .vectors = model->vectors[i],
                                   .vector_count = 2,
                                   .payload = text(model->payloads[i])};
}

static ins_points_request request_of(void) {
    return (ins_points_request){.collection = text("notes")};
}

static struct model *model_open(void) {
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    fixture_open(&model->fixture);
    ins_vector_params vectors[] = {{.name = text("long"),
                                    .dim = LONG_DIM,
                                    .distance = INS_DISTANCE_EUCLID,
                                    .datatype = INS_FLOAT32},
                                   {.name = text("short"),
                                    .dim = SHORT_DIM,
                                    .distance = INS_DISTANCE_EUCLID,
                                    .datatype = INS_FLOAT32}};
    ins_collection_request collection = {
        .collection = text("notes"), .vectors = vectors, .vector_count = 2};
    do_ok(&model->fixture, ins_collection_create, &collection);
    for (uint32_t i = 0; i < POINTS; i++) {
        model->longs[i] = model->shorts[i] = i;
        fill(model, i);
    }
    ins_points_request request = request_of();
    request.points = model->points;
    request.point_count = POINTS;
    do_ok(&model->fixture, ins_points_upsert, &request);
    return model;
}

static void model_close(struct model *model) {
    fixture_close(&model->fixture);
    free(model);
}

/* ---- Changes: of every `step`-th point from `first` on ---- */

static size_t take_ids(uint32_t first, uint32_t step, ins_id *ids) {
    size_t count = 0;
    for (uint32_t i = first; i < POINTS; i += step) {
        ids[count++] = (ins_id){.low = i};
    }
    return count;
}

static void set_mark(struct model *model, uint32_t first, uint32_t step, uint32_t mark) {
    ins_id ids[POINTS];
    char change[40];
    (void)snprintf(change, sizeof(change), "{\"mark\":%u}", mark);
    ins_points_request request = request_of();
    request.ids = ids;
    request.id_count = take_ids(first, step, ids);
    request.change = text(change);
    do_ok(&model->fixture, ins_points_set_payload, &request);
    for (uint32_t i = first; i < POINTS; i += step) {
        model->marks[i] = mark;
        model->without_payload[i] = false;
    }
}

static void clear(struct model *model, uint32_t first, uint32_t step) {
    ins_id ids[POINTS];
    ins_points_request request = request_of();
    request.ids = ids;
    request.id_count = take_ids(first, step, ids);
    do_ok(&model->fixture, ins_points_clear_payload, &request);
    for (uint32_t i = first; i < POINTS; i += step) {
        model->without_payload[i] = true;
    }
}

/* Of the short vectors alone. */
static void update_short(struct model *model, uint32_t first, uint32_t step, uint32_t add) {
    ins_point *points = calloc(POINTS, sizeof(*points));
    size_t count = 0;
    for (uint32_t i = first; i < POINTS; i += step) {
        model->shorts[i] += add;
        fill(model, i);
        points[count++] =
            (ins_point){.id = {.low = i}, .vectors = &model->vectors[i][1], .vector_count = 1};
    }
    ins_points_request request = request_of();
    request.points = points;
    request.point_count = count;
    do_ok(&model->fixture, ins_points_update_vectors, &request);
    free(points);
}

static void flush(struct model *model) {
    do_ok(&model->fixture, ins_flush, NULL);
}

/* ---- Reads ---- */

static const float *named(const ins_point *point, const char *name, uint32_t dim) {
    for (uint32_t i = 0; i < point->vector_count; i++) {
        if (point->vectors[i].name.size == strlen(name) &&
            memcmp(point->vectors[i].name.data, name, strlen(name)) == 0) {
            assert_int_equal(point->vectors[i].dim, dim);
            return point->vectors[i].values;
        }
    }
    fail_msg("point %llu lacks vector %s", (unsigned long long)point->id.low, name);
    return NULL;
}

static void expect_point(const struct model *model, const ins_point *point) {
    uint32_t i = (uint32_t)point->id.low;
    const float *values = named(point, "long", LONG_DIM);
    for (uint32_t k = 0; k < LONG_DIM; k++) {
        assert_true(values[k] == long_value(model->longs[i], k));
    }
    assert_true(named(point, "short", SHORT_DIM)[0] == (float)model->shorts[i]);
    char mark[24];
    (void)snprintf(mark, sizeof(mark), "\"mark\":%u}", model->marks[i]);
    if (model->without_payload[i]) {
        assert_int_equal(point->payload.size, 2);
    } else {
        size_t size = strlen(mark);
        assert_true(point->payload.size > size);
        assert_memory_equal(point->payload.data + point->payload.size - size, mark, size);
    }
}

static void expect_scroll(struct model *model) {
    ins_points_request request = request_of();
    request.limit = POINTS + 1;
    request.payload.kind = INS_SELECT_ALL;
    request.with_vector = true;
    ins_call call;
    assert_int_equal(run(&model->fixture, ins_points_scroll, &request, &call), INS_OK);
    assert_int_equal(call.points.count, POINTS);
    for (uint32_t i = 0; i < POINTS; i++) {
        assert_int_equal(call.points.items[i].id.low, i);
        expect_point(model, &call.points.items[i]);
    }
    ins_call_release(&call);
}

/* The nearest of those with the mark (`mark` UINT32_MAX: of all), by the short or the long vector:
 * each of them exactly once, with the score of the vector that counts. */
static void expect_query(struct model *model, const char *vector, uint32_t mark) {
    ins_value value = {.kind = INS_VALUE_INTEGER, .integer = mark};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = text("mark"), .values = &value, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    bool is_long = strcmp(vector, "long") == 0;
    float query[LONG_DIM] = {0};
    ins_points_request request = request_of();
    request.vector = query;
    request.dim = is_long ? LONG_DIM : SHORT_DIM;
    request.vector_name = text(vector);
    request.limit = POINTS + 1;
    request.filter = mark == UINT32_MAX ? NULL : &filter;
    request.payload.kind = INS_SELECT_ALL;
    request.with_vector = true;
    query[is_long ? 0 : 1] = is_long ? 50 : 1;
    ins_call call;
    assert_int_equal(run(&model->fixture, ins_points_query, &request, &call), INS_OK);
    bool seen[POINTS] = {false};
    size_t expected = 0;
    for (uint32_t i = 0; i < POINTS; i++) {
        bool marked = !model->without_payload[i] && model->marks[i] == mark;
        expected += mark == UINT32_MAX || marked;
    }
    assert_int_equal(call.points.count, expected);
    for (size_t k = 0; k < call.points.count; k++) {
        const ins_point *point = &call.points.items[k];
        assert_false(seen[point->id.low]);
        seen[point->id.low] = true;
        expect_point(model, point);
        if (!is_long) {
            assert_true(point->score == (float)model->shorts[point->id.low]);
        }
    }
    ins_call_release(&call);
    assert_int_equal(run(&model->fixture, ins_points_count, &request, &call), INS_OK);
    assert_int_equal(call.count, expected);
    ins_call_release(&call);
}

static void expect_all(struct model *model) {
    expect_scroll(model);
    expect_query(model, "short", UINT32_MAX);
    expect_query(model, "long", UINT32_MAX);
    expect_query(model, "short", 7);
    expect_query(model, "long", 8);
    cache_drop_all(model->fixture.db->cache);
    expect_query(model, "long", 7);
}

/* ---- Tests ---- */

static void note_finding(void *context, bool is_damage, const char *finding) {
    (void)context;
    if (is_damage) {
        fail_msg("%s", finding);
    }
}

/* Goal: a patch is right wherever it and what it inherits from lie: in one memtable, over a run, in
 * a run over a run, over another patch, after a restart that replays it. */
static void test_places(void **state) {
    (void)state;
    struct model *model = model_open();
    set_mark(model, 0, 3, 7); /* all in the memtable */
    expect_all(model);
    flush(model); /* which makes them whole */
    expect_all(model);
    set_mark(model, 0, 2, 8); /* over the run */
    update_short(model, 0, 5, 1000);
    expect_all(model);
    fixture_restart(&model->fixture);
    expect_all(model);
    flush(model); /* a run of patches over a run */
    expect_all(model);
    set_mark(model, 1, 4, 7);
    update_short(model, 0, 7, 1000); /* over patches of the run */
    clear(model, 0, 11);
    expect_all(model);
    flush(model);
    fixture_restart(&model->fixture);
    expect_all(model);
    set_mark(model, 0, 1, 7); /* as many dead rows as live ones: they are merged */
    flush(model);
    set_mark(model, 0, 1, 8);
    flush(model);
    expect_all(model);
    fixture_stop(&model->fixture);
    assert_int_equal(ins_check(model->fixture.store, note_finding, NULL, NULL), INS_OK);
    fixture_start(&model->fixture);
    expect_all(model);
    model_close(model);
}

/* Goal: a point that is changed again and again is no long chain. Method: many changes of one
 * vector in turn with changes of payload, in one memtable, then over a run. */
static void test_deep(void **state) {
    (void)state;
    struct model *model = model_open();
    for (int flushed = 0; flushed < 2; flushed++) {
        for (uint32_t i = 0; i < 40; i++) {
            update_short(model, 3, POINTS, 1);
            set_mark(model, 3, POINTS, i % 2 == 0 ? 7 : 8);
        }
        const struct ins_db *db = model->fixture.db;
        const struct memrow *row = NULL;
        for (const struct island_mem *mem =
                 db->reading.generations[db->reading.active_slot]->islands;
             mem != NULL; mem = mem->next) {
            ins_id id = {.low = 3};
            row = mem->incarnation == 1 ? row : memtable_find(mem, &id, UINT64_MAX);
        }
        assert_non_null(row);
        uint32_t steps = 0;
        for (; row != NULL; row = memrow_base(row)) {
            steps++;
        }
        assert_in_range(steps, 2, MEMROW_PATCH_DEPTH_MAX + 3);
        expect_all(model);
        flush(model);
        expect_all(model);
    }
    model_close(model);
}

/* Goal: a small change of a large point costs log bytes by the payload, not by the vectors.
 * Method: all points in one record, after a flush; the log's frame is shared by them. */
static void test_log_bytes(void **state) {
    (void)state;
    struct model *model = model_open();
    flush(model);
    ins_stats before, after;
    ins_db_stats(model->fixture.db, &before);
    set_mark(model, 0, 1, 12345);
    ins_db_stats(model->fixture.db, &after);
    uint64_t bytes = (after.log_bytes - before.log_bytes) / POINTS;
    print_message("%llu bytes of log a change\n", (unsigned long long)bytes);
    assert_in_range(bytes, 1, 200);
    flush(model);
    ins_db_stats(model->fixture.db, &before);
    assert_in_range((before.flush_bytes - after.flush_bytes) / POINTS, 1, 300);
    expect_all(model);
    model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_log_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
