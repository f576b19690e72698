/* A request about a tenant as one about its points: the collection, and the filter or the shard key
 * that names it. */
#ifndef INS_ENGINE_TENANT_ABOUT_H
#define INS_ENGINE_TENANT_ABOUT_H

#include "engine/quotas.h"

struct tenant_about {
    ins_points_request points; /* points into this struct */
    ins_shard_key key;
    ins_filter filter;
    ins_condition condition;
    ins_value value;
    bool is_tenant; /* of a value of the tenant field */
};

/* `name`: what quota_name said of the request. Texts are copied into `pool`. */
INS_MUST_USE ins_status tenant_about_init(struct tenant_about *about, struct pool *pool,
                                          const ins_tenants_request *request,
                                          const struct account_name *name, ins_error *error);

#endif
