/* Quotas: what tenants may use, kept in the settings of their collection. */
#ifndef INS_ENGINE_QUOTAS_H
#define INS_ENGINE_QUOTAS_H

#include "engine/accounts.h"

/* What counts for it; true: it has a quota of its own. Without any, all limits are 0. */
bool quota_of(const struct account_name *name, ins_quota *out);
/* Whom a request about a tenant means; an absent name: the collection. `for_write`: as writers see
 * it. INS_NOT_FOUND, INS_INVALID. */
INS_MUST_USE ins_status quota_name(struct ins_db *db, const ins_tenants_request *request,
                                   bool for_write, struct account_name *out, ins_error *error);

#endif
