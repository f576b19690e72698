/* Ids within tenants (decision 0040): collections whose points are known by tenant and id.
 *
 * They have no id directory. A point lies in its tenant's island or nowhere; nothing lies in the
 * common one. Whatever takes ids, or answers with points, is about one tenant. */
#ifndef INS_ENGINE_POINTS_OWN_H
#define INS_ENGINE_POINTS_OWN_H

#include "engine/points_write.h"
#include "engine/walk.h"

/* Before a schema with these settings counts: a sharded collection has no such ids, and a
 * collection that is there keeps what it was made with. INS_INVALID. */
INS_MUST_USE ins_status own_check_settings(const struct schema *old, bool sharded,
                                           const struct schema *next, ins_error *error);
/* A read of points: INS_INVALID unless its filter names one tenant, where ids are within tenants.
 * *out_tenant: that one, or data NULL; borrowed of the walk's pool. */
INS_MUST_USE ins_status own_check_walk(const struct islands_walk *walk, ins_text *out_tenant,
                                       ins_error *error);
/* Whom a request by ids means: `name` as points hold it, in the pool. INS_INVALID: it is absent
 * where ids are within tenants, or given where they are not. */
INS_MUST_USE ins_status own_name(const struct scope *collection, struct pool *pool, ins_text name,
                                 ins_text *out, ins_error *error);

/* ---- Writes ---- */

/* Once, when the targets' payloads are known. */
INS_MUST_USE ins_status own_check(struct points_write *self, ins_error *error);
/* Instead of asking a directory: the island of each target's tenant, as writers see it. */
void own_locate(struct points_write *self);
/* The row of this target goes to `home`, and the point lies in `old`. INS_INVALID: it would be
 * another tenant's. */
INS_MUST_USE ins_status own_check_home(const struct points_write *self, const struct target *target,
                                       const struct island *old, const struct island *home,
                                       ins_error *error);
/* For sorting targets: by id, then tenant, then place in the request. */
int own_order(const void *left, const void *right);
bool own_same(const struct target *left, const struct target *right);

#endif
