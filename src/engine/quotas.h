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

/* Of the settings' text. The shortest time to live in it; 0: there is none. */
uint64_t quotas_ttl_least(ins_text settings);
/* What tenants without a quota of their own have; false: there is none. */
bool quotas_default(ins_text settings, ins_quota *out);
/* The next quota of a single tenant from the *index-th member on, which is raised. False: there is
 * none. */
bool quotas_tenant_at(ins_text settings, size_t *index, char out_name[static INS_TENANT_BYTES_MAX],
                      size_t *out_size, ins_quota *out_quota);

#endif
