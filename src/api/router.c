/* Which operation a method and a path name: every route of Qdrant 1.19's documents, the legacy ones
 * that its clients still call, and Insula's own under /insula.
 *
 * A route without a handler is an operation that this version does not have: 501 with its name.
 * Order matters where a literal and a parameter compete for one place: the literal comes first. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"
#include "base/assert.h"

#define C "/collections/{c}"

static const struct route routes[] = {
    /* Service */
    {API_GET, "/", "show the version", service_root, NULL},
    {API_GET, "/healthz", "health", service_health, NULL},
    {API_GET, "/livez", "liveness", service_health, NULL},
    {API_GET, "/readyz", "readiness", NULL, service_ready},
    {API_GET, "/telemetry", "telemetry", NULL, service_telemetry},
    {API_GET, "/metrics", "Prometheus metrics", NULL, service_metrics},
    {API_GET, "/issues", "list issues", NULL, NULL},
    {API_DELETE, "/issues", "clear issues", NULL, NULL},
    {API_GET, "/quotas", "show quotas", NULL, NULL},
    {API_PUT, "/quotas", "set quotas", NULL, NULL},
    {API_GET, "/insula/stats", "statistics", NULL, service_stats},
    {API_GET, "/insula/budget", "show the memory budget", NULL, budget_get},
    {API_PUT, "/insula/budget", "set the memory budget", NULL, budget_set},
    {API_POST, "/insula/flush", "flush", NULL, service_flush},
    {API_POST, "/insula/erasures", "begin an erasure", NULL, erasure_begin},
    {API_GET, "/insula/erasures/{n}", "ask whether something is erased", NULL, erasure_get},
    /* Collections */
    {API_GET, "/collections", "list collections", NULL, collections_list},
    {API_POST, "/collections/aliases", "update aliases", NULL, aliases_change},
    {API_GET, "/aliases", "list aliases", NULL, aliases_list},
    {API_GET, C, "get a collection", NULL, collection_get},
    {API_PUT, C, "create a collection", NULL, collection_create},
    {API_PATCH, C, "update a collection", NULL, collection_update},
    {API_DELETE, C, "delete a collection", NULL, collection_delete},
    {API_GET, C "/exists", "collection exists", NULL, collection_exists},
    {API_GET, C "/aliases", "list aliases of a collection", NULL, collection_aliases},
    {API_GET, C "/optimizations", "list optimizations", NULL, collection_optimizations},
    {API_GET, C "/memory", "memory of a collection", NULL, NULL},
    {API_PUT, C "/vectors/{v}", "create a named vector", NULL, vector_create},
    {API_DELETE, C "/vectors/{v}", "delete a named vector", NULL, vector_delete},
    {API_PUT, C "/index", "create a field index", NULL, index_create},
    {API_DELETE, C "/index/{f}", "delete a field index", NULL, index_delete},
    {API_POST, C "/truncate_unapplied_wal", "truncate the log", NULL, NULL},
    /* Points */
    {API_GET, C "/points/{id}", "get a point", NULL, point_get},
    {API_POST, C "/points", "get points", NULL, points_get},
    {API_PUT, C "/points", "upsert points", NULL, points_upsert},
    {API_POST, C "/points/delete", "delete points", NULL, points_delete},
    {API_PUT, C "/points/vectors", "update vectors", NULL, vectors_update},
    {API_POST, C "/points/vectors/delete", "delete vectors", NULL, vectors_delete},
    {API_POST, C "/points/payload", "set payload", NULL, payload_set},
    {API_PUT, C "/points/payload", "overwrite payload", NULL, payload_overwrite},
    {API_POST, C "/points/payload/delete", "delete payload", NULL, payload_delete},
    {API_POST, C "/points/payload/clear", "clear payload", NULL, payload_clear},
    {API_POST, C "/points/batch", "batch update of points", NULL, points_batch},
    {API_POST, C "/points/scroll", "scroll points", NULL, points_scroll},
    {API_POST, C "/points/count", "count points", NULL, points_count},
    {API_POST, C "/facet", "facet", NULL, points_facet},
    /* Insula's own */
    {API_GET, C "/tenants", "list tenants", NULL, tenants_list},
    {API_POST, C "/tenants", "list tenants", NULL, tenants_scroll},
    {API_GET, C "/tenants/{t}", "get a tenant", NULL, tenant_get},
    {API_DELETE, C "/tenants/{t}", "delete a tenant", NULL, tenant_delete},
    {API_POST, C "/tenants/{t}/rename", "rename a tenant", NULL, tenant_rename},
    {API_GET, C "/tenants/{t}/quota", "get a tenant's quota", NULL, quota_get},
    {API_PUT, C "/tenants/{t}/quota", "set a tenant's quota", NULL, quota_set},
    {API_DELETE, C "/tenants/{t}/quota", "delete a tenant's quota", NULL, quota_delete},
    {API_GET, C "/tenants/{t}/usage", "usage of a tenant", NULL, usage_get},
    {API_GET, C "/tenants/{t}/export", "export a tenant", NULL, tenant_export},
    {API_POST, C "/tenants/{t}/import", "import a tenant", NULL, tenant_import},
    {API_PUT, C "/tenants/{t}/import", "import a tenant", NULL, tenant_import},
    {API_POST, C "/tenants/{t}/copy", "copy a tenant", NULL, tenant_copy},
    {API_POST, C "/copy", "copy a collection that is a tenant", NULL, tenant_copy},
    {API_GET, C "/export", "export a collection that is a tenant", NULL, tenant_export},
    {API_POST, C "/import", "import a collection that is a tenant", NULL, tenant_import},
    {API_PUT, C "/import", "import a collection that is a tenant", NULL, tenant_import},
    {API_GET, C "/quota", "get the quota of all tenants", NULL, quota_get},
    {API_PUT, C "/quota", "set the quota of all tenants", NULL, quota_set},
    {API_DELETE, C "/quota", "delete the quota of all tenants", NULL, quota_delete},
    {API_POST, C "/tenants/{t}/warm", "warm a tenant", NULL, tenant_warm},
    {API_POST, C "/warm", "warm a collection", NULL, tenant_warm},
    {API_GET, C "/usage", "usage of a collection", NULL, usage_get},
    /* Search */
    {API_POST, C "/points/query", "query points", NULL, points_query},
    {API_POST, C "/points/query/batch", "batch query", NULL, points_query_batch},
    {API_POST, C "/points/query/groups", "grouped query", NULL, points_query_groups},
    {API_POST, C "/points/search/matrix/pairs", "distance matrix (pairs)", NULL, NULL},
    {API_POST, C "/points/search/matrix/offsets", "distance matrix (offsets)", NULL, NULL},
    {API_POST, C "/points/search", "search points", NULL, points_search},
    {API_POST, C "/points/search/batch", "batch search", NULL, points_search_batch},
    {API_POST, C "/points/search/groups", "grouped search", NULL, points_search_groups},
    {API_POST, C "/points/recommend", "recommend points", NULL, points_recommend},
    {API_POST, C "/points/recommend/batch", "batch recommendation", NULL, points_recommend_batch},
    {API_POST, C "/points/recommend/groups", "grouped recommendation", NULL,
     points_recommend_groups},
    {API_POST, C "/points/discover", "discover points", NULL, points_discover},
    {API_POST, C "/points/discover/batch", "batch discovery", NULL, points_discover_batch},
    /* Snapshots */
    {API_POST, C "/snapshots/upload", "recover from an uploaded snapshot", NULL, NULL},
    {API_PUT, C "/snapshots/recover", "recover from a snapshot", NULL, NULL},
    {API_GET, C "/snapshots", "list snapshots of a collection", NULL, NULL},
    {API_POST, C "/snapshots", "create a snapshot of a collection", NULL, NULL},
    {API_DELETE, C "/snapshots/{s}", "delete a snapshot of a collection", NULL, NULL},
    {API_GET, C "/snapshots/{s}", "download a snapshot of a collection", NULL, NULL},
    {API_GET, "/snapshots", "list snapshots", NULL, NULL},
    {API_POST, "/snapshots", "create a snapshot", NULL, NULL},
    {API_DELETE, "/snapshots/{s}", "delete a snapshot", NULL, NULL},
    {API_GET, "/snapshots/{s}", "download a snapshot", NULL, NULL},
    {API_GET, C "/shards/{n}/snapshot", "download a shard's snapshot", NULL, NULL},
    {API_POST, C "/shards/{n}/snapshots/upload", "recover a shard from an upload", NULL, NULL},
    {API_PUT, C "/shards/{n}/snapshots/recover", "recover a shard", NULL, NULL},
    {API_GET, C "/shards/{n}/snapshots", "list snapshots of a shard", NULL, NULL},
    {API_POST, C "/shards/{n}/snapshots", "create a snapshot of a shard", NULL, NULL},
    {API_DELETE, C "/shards/{n}/snapshots/{s}", "delete a snapshot of a shard", NULL, NULL},
    {API_GET, C "/shards/{n}/snapshots/{s}", "download a snapshot of a shard", NULL, NULL},
    {API_POST, C "/shards/{n}/snapshot/partial/create", "create a partial snapshot", NULL, NULL},
    {API_POST, C "/shards/{n}/snapshot/partial/recover", "recover a partial snapshot", NULL, NULL},
    {API_POST, C "/shards/{n}/snapshot/partial/recover_from", "recover partially", NULL, NULL},
    {API_GET, C "/shards/{n}/snapshot/partial/manifest", "partial snapshot manifest", NULL, NULL},
    /* Distributed */
    {API_PUT, C "/shards", "create a shard key", NULL, shard_key_create},
    {API_GET, C "/shards", "list shard keys", NULL, shard_keys_list},
    {API_POST, C "/shards/delete", "delete a shard key", NULL, shard_key_delete},
    {API_POST, C "/shards/{n}/points", "get points of a shard", NULL, NULL},
    {API_POST, C "/shards/{n}/points/scroll", "scroll a shard", NULL, NULL},
    {API_POST, C "/shards/{n}/points/count", "count points of a shard", NULL, NULL},
    {API_POST, C "/shards/{n}/cleanup", "clean up a shard", NULL, NULL},
    {API_GET, "/cluster", "cluster status", service_cluster, NULL},
    {API_GET, "/cluster/telemetry", "cluster telemetry", NULL, NULL},
    {API_POST, "/cluster/recover", "recover the cluster", NULL, NULL},
    {API_DELETE, "/cluster/peer/{p}", "remove a peer", NULL, NULL},
    {API_GET, "/cluster/metadata/keys", "list cluster metadata", NULL, NULL},
    {API_GET, "/cluster/metadata/keys/{k}", "get cluster metadata", NULL, NULL},
    {API_PUT, "/cluster/metadata/keys/{k}", "set cluster metadata", NULL, NULL},
    {API_DELETE, "/cluster/metadata/keys/{k}", "delete cluster metadata", NULL, NULL},
    {API_GET, C "/cluster", "cluster status of a collection", NULL, collection_cluster},
    {API_POST, C "/cluster", "change the cluster of a collection", NULL, cluster_change},
    /* Diagnosis */
    {API_POST, "/audit/logs", "audit logs", NULL, NULL},
    {API_GET, "/profiler/slow_requests", "slow requests", NULL, NULL},
    {API_GET, "/logger", "show the logger", NULL, NULL},
    {API_POST, "/logger", "change the logger", NULL, NULL},
    {API_GET, "/stacktrace", "stack traces", NULL, NULL},
    {API_GET, "/debugger", "show the debugger", NULL, NULL},
    {API_PATCH, "/debugger", "change the debugger", NULL, NULL},
};

#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))
_Static_assert(ROUTE_COUNT <= ROUTES_MAX, "the router's index holds every route");

size_t route_count(void) {
    return ROUTE_COUNT;
}

const struct route *route_at(size_t index) {
    INS_ASSERT(index < ROUTE_COUNT);
    return &routes[index];
}

/* Next segment at *at, without empty ones; false at the end. */
static bool segment_next(const char **at, const char *end, ins_text *out_segment) {
    while (*at != end && **at == '/') {
        (*at)++;
    }
    if (*at == end) {
        return false;
    }
    const char *slash = memchr(*at, '/', (size_t)(end - *at));
    const char *stop = slash == NULL ? end : slash;
    *out_segment = (ins_text){*at, (size_t)(stop - *at)};
    *at = stop;
    return true;
}

bool path_split(ins_text path, struct path *out_path) {
    const char *at = path.data;
    const char *end = path.data + path.size;
    ins_text segment;
    out_path->count = 0;
    while (segment_next(&at, end, &segment)) {
        if (out_path->count == PATH_SEGMENTS_MAX) {
            return false;
        }
        out_path->segments[out_path->count++] = segment;
    }
    return true;
}

void router_init(struct router *router) {
    size_t filled = 0;
    for (size_t count = 0; count <= PATH_SEGMENTS_MAX; count++) {
        router->first[count] = (uint16_t)filled;
        for (size_t i = 0; i < ROUTE_COUNT; i++) {
            struct path pattern;
            ins_text text = {routes[i].pattern, strlen(routes[i].pattern)};
            INS_ASSERT(path_split(text, &pattern));
            if (pattern.count == count) {
                router->patterns[filled] = pattern;
                router->routes[filled++] = &routes[i];
            }
        }
    }
    INS_ASSERT(filled == ROUTE_COUNT);
    router->first[PATH_SEGMENTS_MAX + 1] = (uint16_t)filled;
}

/* From the last segment to the first: the last ones tell routes apart soonest. */
static bool pattern_match(const struct path *pattern, const struct path *path) {
    for (size_t i = path->count; i-- != 0;) {
        const ins_text *want = &pattern->segments[i];
        const ins_text *got = &path->segments[i];
        if (want->data[0] != '{' &&
            (want->size != got->size || memcmp(want->data, got->data, want->size) != 0)) {
            return false;
        }
    }
    return true;
}

static const char *method_text(enum api_method method) {
    static const char *const texts[] = {"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OTHER"};
    return texts[method];
}

/* The methods that a path takes, of a bit each in `methods`. */
static void allow_write(char out_allow[static ALLOW_MAX], uint32_t methods) {
    size_t size = 0;
    for (enum api_method method = API_GET; method < API_OTHER; method++) {
        if ((methods >> method & 1u) != 0) {
            int added = snprintf(out_allow + size, ALLOW_MAX - size, "%s%s", size == 0 ? "" : ", ",
                                 method_text(method));
            size += (size_t)added;
            INS_ASSERT(size < ALLOW_MAX);
        }
    }
}

enum route_found route_find(const struct router *router, enum api_method method,
                            const struct path *path, const struct route **out_route,
                            char out_allow[static ALLOW_MAX]) {
    enum api_method wanted = method == API_HEAD ? API_GET : method;
    uint32_t allowed = 0;
    out_allow[0] = '\0';
    size_t end = router->first[path->count + 1];
    for (size_t i = router->first[path->count]; i < end; i++) {
        if (!pattern_match(&router->patterns[i], path)) {
            continue;
        }
        if (router->routes[i]->method == wanted) {
            *out_route = router->routes[i];
            return ROUTE_FOUND;
        }
        allowed |= 1u << router->routes[i]->method;
    }
    allow_write(out_allow, allowed);
    return allowed == 0 ? ROUTE_NO_PATH : ROUTE_NO_METHOD;
}

ins_text route_param(const struct route *route, const struct path *path, size_t index) {
    const char *pattern = route->pattern;
    const char *end = pattern + strlen(pattern);
    ins_text want;
    for (size_t i = 0; segment_next(&pattern, end, &want); i++) {
        if (want.data[0] == '{' && index-- == 0) {
            INS_ASSERT(i < path->count);
            return path->segments[i];
        }
    }
    return (ins_text){NULL, 0};
}

bool route_takes_tenant(const struct route *route) {
    static const route_start takes[] = {point_get,      points_get,    points_batch,
                                        points_upsert,  points_delete, vectors_update,
                                        vectors_delete, payload_set,   payload_overwrite,
                                        payload_delete, payload_clear};
    for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
        if (route->start == takes[i]) {
            return true;
        }
    }
    return false;
}

bool route_takes_incarnation(const struct route *route) {
    static const route_start takes[] = {
        tenant_copy,   tenant_export,     tenant_import,  tenant_get,     tenant_delete,
        tenant_rename, points_upsert,     points_delete,  vectors_update, vectors_delete,
        payload_set,   payload_overwrite, payload_delete, payload_clear};
    for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
        if (route->start == takes[i]) {
            return true;
        }
    }
    return false;
}
