/* How the server is used, and the two failures that Insula exists to remove, seen on other engines
 * beside it. */
#include <stdio.h>
#include <string.h>

#include "cli/doctor/rules.h"

static bool small_batches(const struct sight *sight, struct finding *out) {
    double upserts = second(sight, FACT_UPSERTS), points = second(sight, FACT_UPSERT_POINTS);
    double each = points / upserts;
    if (!(upserts > 50) || !(each < 4)) {
        return false;
    }
    out->severity = scaled(upserts, 50, 5000, 33, 57);
    SAY(out->what, "Clients upsert %.1f points a request, %.0f requests a second.", each, upserts);
    SAY(out->how, "insula_upserts_total and insula_upsert_points_total over %.0f s.",
        sight->seconds);
    SAY(out->cost,
        "A request of one point costs some 10 times the CPU of a point in a batch of 100.");
    SAY(out->todo, "Collect points: upload_points(batch_size=256) in the Python client, or several "
                   "tenants' points of a collection in one upsert.");
    return true;
}

static bool no_keep_alive(const struct sight *sight, struct finding *out) {
    double requests = second(sight, FACT_REQUESTS), made = second(sight, FACT_CONNECTIONS_MADE);
    if (!(made > 20) || !(requests / made < 4)) {
        return false;
    }
    out->severity = scaled(made, 20, 2000, 35, 65);
    SAY(out->what, "Clients make a new connection for every %.1f requests, %.0f a second.",
        requests / made, made);
    SAY(out->how, "insula_requests_total and insula_connections_total over %.0f s.",
        sight->seconds);
    SAY(out->cost, "A handshake costs more than a small search, and used up ports wait a minute.");
    SAY(out->todo,
        "Keep one client object a process (it keeps its connections); proxies: keepalive "
        "to the upstream, HTTP/1.1.");
    return true;
}

static bool filters_one_by_one(const struct sight *sight, struct finding *out) {
    double rows = second(sight, FACT_FILTERED_ROWS), reads = second(sight, FACT_FILTERED_READS);
    if (!(rows > 20000) || !(rows / reads > 2000)) {
        return false;
    }
    out->severity = scaled(rows, 2e4, 2e6, 44, 73);
    SAY(out->what, "Filters look at %.0f rows a query one by one: a field they name has no index.",
        rows / reads);
    SAY(out->how,
        "insula_filtered_rows_total rises by %.0f a second, insula_filtered_reads_total "
        "by %.0f.",
        rows, reads);
    SAY(out->cost, "Such a row costs 20 to 200 ns; an index answers with the matches alone.");
    SAY(out->todo, "PUT /collections/{name}/index with the fields that filters name; the tenant's "
                   "with is_tenant: true.");
    return true;
}

static bool collection_a_tenant(const struct sight *sight, struct finding *out) {
    double collections = now(sight, FACT_COLLECTIONS), tenants = now(sight, FACT_TENANTS);
    if (!(collections > 1000) || !(tenants < 2 * collections)) {
        return false;
    }
    out->severity = 10;
    SAY(out->what, "There are %.0f collections: it seems a collection is a tenant here.",
        collections);
    SAY(out->how, "collections_total and insula_tenants.");
    SAY(out->cost,
        "Nothing in Insula, where a collection is a row of a table; on other engines each "
        "is a shard with files, mappings and a log.");
    SAY(out->todo, "Nothing. One collection with an is_tenant key lets one request reach several "
                   "tenants, if that is wanted.");
    return true;
}

/* ---- Other engines ---- */

#define PER_TENANT_PROCESSES 32u
#define PER_TENANT_LOGS 64u

static const struct engine_group *worst_group(const struct sight *sight,
                                              double (*badness)(const struct sight *sight,
                                                                const struct engine_group *group)) {
    const struct engine_group *worst = NULL;
    for (unsigned i = 0; i < sight->second.group_count; i++) {
        const struct engine_group *each = &sight->second.groups[i];
        if (badness(sight, each) > 0 &&
            (worst == NULL || badness(sight, each) > badness(sight, worst))) {
            worst = each;
        }
    }
    return worst;
}

/* PostgreSQL has a process a connection: as many as a pool makes are no sign of one a tenant. */
static double spaces_badness(const struct sight *sight, const struct engine_group *group) {
    bool pooled = strncmp(group->name, "postgres", 8) == 0;
    double by_count = group->processes >= (pooled ? 512u : PER_TENANT_PROCESSES)
                          ? (double)group->processes / 1000
                          : 0;
    double by_maps = group->maps_max / now(sight, FACT_MAP_LIMIT);
    by_maps = by_maps > 0.3 ? by_maps : 0;
    return by_count > by_maps ? by_count : by_maps;
}

static bool address_spaces(const struct sight *sight, struct finding *out) {
    const struct engine_group *group = worst_group(sight, spaces_badness);
    if (group == NULL) {
        return false;
    }
    out->severity = scaled(spaces_badness(sight, group), 0, 1, 74, 96);
    SAY(out->what,
        "Address spaces and TLB churn: %s has %u process%s with %.0f mappings, a tenant "
        "each or a few.",
        group->name, group->processes, group->processes == 1 ? "" : "es", group->maps);
    SAY(out->how,
        "/proc: %s resident, %s of page tables, %.0f threads, %.0f descriptors; the "
        "largest process has %.0f of %.0f mappings.",
        bytes_text(group->resident), bytes_text(group->page_tables), group->threads,
        group->descriptors, group->maps_max, now(sight, FACT_MAP_LIMIT));
    SAY(out->cost,
        "Each hop of a search touches pages that no TLB holds, each tenant's first touch "
        "costs a fault, and memory that is used up by one is lost to the others.");
    SAY(out->todo, "Not bigger machines: one address space for all tenants. Move them into one "
                   "collection with an is_tenant key, or to Insula, by changing the URL.");
    return true;
}

static double logs_badness(const struct sight *sight, const struct engine_group *group) {
    (void)sight;
    return group->logs >= PER_TENANT_LOGS ? group->logs : 0;
}

static bool log_contention(const struct sight *sight, struct finding *out) {
    const struct engine_group *group = worst_group(sight, logs_badness);
    if (group == NULL) {
        return false;
    }
    double writes = since(sight, FACT_DISK_WRITES) + since(sight, FACT_DISK_FLUSHES);
    double wait = (since(sight, FACT_DISK_WRITE_MS) + since(sight, FACT_DISK_FLUSH_MS)) / writes;
    bool slow = writes > 10 && wait > 5;
    out->severity = slow ? scaled(wait, 5, 100, 80, 97) : 67;
    SAY(out->what, "WAL contention: %s holds %u logs open, one a collection or shard.", group->name,
        group->logs);
    if (writes > 0) {
        SAY(out->how,
            "Links in /proc/PID/fd; the data's disk: %.0f writes and flushes a second at "
            "%.1f ms, %.1f in its queue.",
            writes / sight->seconds, wait, second(sight, FACT_DISK_QUEUE_MS) / 1000);
    } else {
        SAY(out->how, "Links in /proc/PID/fd (give --data to see its disk).");
    }
    SAY(out->cost, "Each log is synced by itself: the queue of the disk fills with small flushes, "
                   "and acknowledgements wait although nothing is wrong with the disk.");
    SAY(out->todo,
        "Not a faster disk: one log for all tenants. Put them into one collection with a "
        "tenant key, or move to Insula, by changing the URL.");
    return true;
}

const struct rule client_rules[] = {{"batches-small", small_batches},
                                    {"no-keep-alive", no_keep_alive},
                                    {"filters-unindexed", filters_one_by_one},
                                    {"collection-per-tenant", collection_a_tenant},
                                    {"address-spaces", address_spaces},
                                    {"wal-contention", log_contention},
                                    {NULL, NULL}};
