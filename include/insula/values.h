/* What points are made of: ids, vectors, payloads; and filters over them. Part of insula.h: include
 * that. */
#ifndef INSULA_VALUES_H
#define INSULA_VALUES_H

#include "insula/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ins_id {
    uint64_t high; /* 0 for a number; a UUID's first 8 bytes, big-endian value */
    uint64_t low;  /* the number; a UUID's last 8 bytes */
    bool is_uuid;  /* numbers order before UUIDs */
} ins_id;

typedef enum ins_distance {
    INS_DISTANCE_COSINE = 1, /* vectors are normalised when they are stored; score = dot */
    INS_DISTANCE_DOT = 2,
    INS_DISTANCE_EUCLID = 3,    /* score = Euclidean distance; smaller is nearer */
    INS_DISTANCE_MANHATTAN = 4, /* score = sum of the differences; smaller is nearer */
} ins_distance;

/* What a vector's numbers are stored as; values go in and out as floats. A query's vector is
 * rounded in the same way before it is compared. */
typedef enum ins_datatype {
    INS_FLOAT32 = 1,
    INS_FLOAT16 = 2, /* rounded to the nearest IEEE half; values from 65520 on are refused */
    INS_UINT8 = 3,   /* cut to 0 .. 255, without their fraction; cosine does not normalise them */
} ins_datatype;

typedef struct ins_text {
    const char *data; /* UTF-8, not terminated; NULL = absent */
    size_t size;
} ins_text;

/* A part of a collection that was created with `sharded`. 5 and "5" are two keys. */
typedef struct ins_shard_key {
    ins_text text; /* from 1 to 255 bytes; absent: the key is a number */
    uint64_t number;
} ins_shard_key;

typedef struct ins_value { /* of a condition */
    enum { INS_VALUE_TEXT, INS_VALUE_INTEGER, INS_VALUE_BOOL } kind;
    ins_text text;
    int64_t integer;
    bool boolean;
} ins_value;

typedef struct ins_filter ins_filter;

typedef struct ins_bound { /* of a range */
    enum { INS_BOUND_NONE, INS_BOUND_INTEGER, INS_BOUND_NUMBER, INS_BOUND_DATETIME } kind;
    int64_t integer; /* compared exactly, also with numbers that have a fraction */
    double number;
    ins_text datetime; /* RFC 3339, also without offset (UTC), seconds or time of day; microseconds
                          count */
} ins_bound;

/* Conditions on a field: `key` is the path of a payload field, "a.b"; "a[].b" and "a[0]" select in
 * arrays, keys with dots are quoted: "\"a.b\".c". A path may select many values: one that passes is
 * enough. A selected array passes as soon as one of its elements does. */
typedef enum ins_condition_kind {
    INS_MATCH_ANY,     /* a value equal to one of `values` (match value: one of them) */
    INS_MATCH_EXCEPT,  /* a value, not null, that is none of `values` */
    INS_RANGE,         /* a number, or the text of a moment, within gt, gte, lt, lte: the bounds are
                          all numbers or all moments; without bounds any number passes */
    INS_VALUES_COUNT,  /* elements of an array (of another value 1, of null and nothing 0) within
                          gt, gte, lt, lte, which are integers */
    INS_IS_EMPTY,      /* nothing there but null and [] */
    INS_IS_NULL,       /* null, or an array that holds null */
    INS_HAS_ID,        /* one of `ids` */
    INS_HAS_VECTOR,    /* the point has the vector `vector`; "" is the unnamed one */
    INS_SLICE,         /* SipHash-2-4 (key 0) of the id, modulo slice_total, is slice_index */
    INS_NESTED_FILTER, /* `filter` as a condition */
    INS_NESTED_ELEMENT /* an object in the array at `key` passes `filter` alone; its keys begin in
                          that object; conditions on ids and vectors pass nothing there */
} ins_condition_kind;

typedef struct ins_condition {
    ins_condition_kind kind;
    ins_text key;
    const ins_value *values; /* texts, integers and bools mixed as you like */
    size_t value_count;
    ins_bound gt, gte, lt, lte;
    const ins_id *ids;
    size_t id_count;
    ins_text vector;
    uint32_t slice_index, slice_total; /* index below total */
    const ins_filter *filter;
} ins_condition;

/* All of must, none of must_not, one of should unless should is empty, at least min_count of
 * min_should. */
struct ins_filter {
    const ins_condition *must, *should, *must_not, *min_should;
    size_t must_count, should_count, must_not_count, min_should_count;
    size_t min_count; /* 0: there is no min_should */
};

typedef struct ins_selector { /* which payload fields an answer carries */
    enum { INS_SELECT_NONE, INS_SELECT_ALL, INS_SELECT_INCLUDE, INS_SELECT_EXCLUDE } kind;
    const ins_text *keys;
    size_t key_count;
} ins_selector;

typedef struct ins_vector { /* a named vector of a point */
    ins_text name;
    const float *values; /* [dim], or [rows][dim] */
    uint32_t dim;
    uint32_t rows; /* above 0: a multivector's, of so many rows */
} ins_vector;

/* A point may lack any of its collection's vectors: it is then not found by a search in that
 * vector, but by everything else. */
typedef struct ins_point {
    ins_id id;
    const float *vector;       /* the unnamed vector, [dim]; NULL = none (answers: not asked for) */
    uint32_t dim, rows;        /* rows: as ins_vector has them */
    const ins_vector *vectors; /* the named ones; name "" is the unnamed one's as well */
    uint32_t vector_count;
    float score;                    /* answers of a query */
    ins_text payload;               /* a JSON object as text; absent = none */
    uint64_t version;               /* answers: LSN of the write */
    const ins_shard_key *shard_key; /* answers: where it lies; NULL: the collection has none */
} ins_point;

#ifdef __cplusplus
}
#endif
#endif
