/* Quotas as the settings of a collection have them:
 *
 *   "quotas": {"d": quota, "t" + tenant: quota, "s" + shard key: quota, "n" + its digits: quota}
 *   quota: {"queries_per_second": number, ..., "priority": "high" | "low", "pin": true, "ttl":
 *   seconds, "ttl_from": seconds seen (seen.h)}; what is not there has no limit
 *
 * "d" is of all that have none of their own. */
#ifndef INS_ENGINE_QUOTA_TEXT_H
#define INS_ENGINE_QUOTA_TEXT_H

#include "base/json_write.h"
#include "base/limits.h"
#include "insula.h"

#define QUOTA_KEY_MAX (INS_TENANT_BYTES_MAX + 2u)
#define QUOTA_KEY_RAW_MAX (QUOTA_KEY_MAX * 6 + 2) /* every byte escaped, in quotes */

/* The object "quotas" of the settings' text; false: there is none. */
bool quotas_in(ins_text settings, ins_text *out);
/* One quota's object; *out holds zeros before. */
void quota_parse(ins_text object, ins_quota *out);
void quota_write(struct json_writer *writer, const ins_quota *quota);
/* A key of "quotas", given raw: its bytes. 0: it is none that was made here. */
size_t quota_key_decode(ins_text raw, char out[static QUOTA_KEY_RAW_MAX]);
/* Of the settings' text. The shortest time to live in it, 0: there is none; all memory floors
 * together. */
void quotas_sum(ins_text settings, uint64_t *out_ttl_least, uint64_t *out_floor_bytes);
/* What tenants without a quota of their own have; false: there is none. */
bool quotas_default(ins_text settings, ins_quota *out);
/* The next quota of a single tenant from the *index-th member on, which is raised. False: there is
 * none. */
bool quotas_tenant_at(ins_text settings, size_t *index, char out_name[static INS_TENANT_BYTES_MAX],
                      size_t *out_size, ins_quota *out_quota);

#endif
