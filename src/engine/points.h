/* Between the files of points' operations. */
#ifndef INS_ENGINE_POINTS_H
#define INS_ENGINE_POINTS_H

#include "insula.h"

struct island;

enum points_kind {
    POINTS_UPSERT,
    POINTS_DELETE,
    POINTS_SET_PAYLOAD,
    POINTS_OVERWRITE_PAYLOAD,
    POINTS_DELETE_PAYLOAD,
    POINTS_CLEAR_PAYLOAD,
    POINTS_UPDATE_VECTORS,
    POINTS_DELETE_VECTORS,
    POINTS_KINDS
};

/* A change of many records has a row in the catalog from its first record to its last. */
struct points_intent {
    ins_text row; /* its payload, which the first record carries */
    uint64_t key; /* 0: not written yet */
    bool ends;    /* the next record is the last one */
};

/* For whom a write works. */
struct points_context {
    uint64_t unless_newer; /* by filter: ids written above this LSN stay; 0 = by ids */
    uint64_t ticket;       /* its place among those that wait for ids; 0: as it comes */
    /* Tenants' islands to drop in the same record. */
    struct island *const *drops;
    size_t drop_count;
    struct points_intent *intent; /* NULL: this write is all there is */
    uint64_t island; /* where ids are within tenants: of all points; 0: as the request says */
    bool own_only;   /* an id that another tenant has is not taken from it: INS_EXISTS */
    bool as_stored;  /* its vectors are stored ones: bit for bit, those of a cosine normalised */
    /* Runs once when the write has its place behind those before it: its rows are in the memtable,
     * or it found nothing to write. Not when it fails. May be NULL. */
    void (*ordered)(void *user);
    void *user;
};

/* As ins_points_get; `scope_keys` [id_count]: the scope of each id, or NULL for any. */
void points_get_start(ins_db *db, const ins_points_request *request, const uint64_t *scope_keys,
                      ins_call *call);
void points_write_start(ins_db *db, enum points_kind kind, const ins_points_request *request,
                        const struct points_context *context, ins_call *call);
/* Those whose kind takes ids go by filter when the request has one. */
/* A change that was under way when the process ended: it will go on. INS_CORRUPT, INS_FULL. */
struct change_row;
INS_MUST_USE ins_status points_filter_resume(ins_db *db, const struct change_row *row,
                                             ins_error *error);
/* Posts all of them. */
void points_filters_start(ins_db *db);
void points_filter_start(ins_db *db, enum points_kind kind, const ins_points_request *request,
                         const struct points_context *context, ins_call *call);
#endif
