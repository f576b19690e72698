/* The disk under the data. */
#include <string.h>

#include "cli/doctor/rules.h"

static bool stopped(const struct sight *sight, struct finding *out) {
    if (now(sight, FACT_WRITES_STOPPED) != 1) {
        return false;
    }
    out->severity = 100;
    SAY(out->what, "Writes are stopped: the log could not be written or synced.");
    SAY(out->how, "insula_writes_stopped is 1; GET /readyz says the reason.");
    SAY(out->cost, "Every write is answered with 503; reads go on at the last durable state.");
    SAY(out->todo,
        "Mend the disk (space, cables, mount), then restart insula: it replays the log.");
    return true;
}

static bool damaged(const struct sight *sight, struct finding *out) {
    double extents = now(sight, FACT_EXTENTS_DAMAGED);
    if (!(extents > 0)) {
        return false;
    }
    out->severity = 93;
    SAY(out->what, "Bytes on the disk have changed: graphs or codes of %.0f extents were damaged.",
        extents);
    SAY(out->how, "insula_extents_damaged_total since the server began; it told each on its "
                  "standard error, and /insula/stats says the last one's place.");
    SAY(out->cost,
        "No answer: these are scanned until they are written anew, which begins at once. "
        "But what changed here may change in rows, which nothing can make again.");
    SAY(out->todo, "Look at the device (dmesg, smartctl) and the memory, stop the server, run "
                   "insula check on its directory, and start it: the count begins anew.");
    return true;
}

static bool slow_writes(const struct sight *sight, struct finding *out) {
    double writes = since(sight, FACT_DISK_WRITES) + since(sight, FACT_DISK_FLUSHES);
    double wait = (since(sight, FACT_DISK_WRITE_MS) + since(sight, FACT_DISK_FLUSH_MS)) / writes;
    if (!(writes > 10) || !(wait > 10)) {
        return false;
    }
    out->severity = scaled(wait, 10, 200, 60, 92);
    SAY(out->what, "The disk takes %.0f ms for a write or a flush.", wait);
    SAY(out->how,
        "/proc/diskstats of %s over %.0f s: %.0f writes and flushes a second, busy %.0f %% "
        "of the time, %.1f in the queue.",
        text_of(sight, TEXT_DEVICE), sight->seconds, writes / sight->seconds,
        second(sight, FACT_DISK_BUSY_MS) / 10, second(sight, FACT_DISK_QUEUE_MS) / 1000);
    SAY(out->cost,
        "Every acknowledged write waits for one; Insula itself syncs %.0f times a second, "
        "whatever the number of tenants.",
        second(sight, FACT_LOG_SYNCS));
    SAY(out->todo, "Look who else writes to it (iotop), raise the volume's IOPS limit, or put the "
                   "data on a local NVMe disk.");
    return true;
}

static bool slow_reads(const struct sight *sight, struct finding *out) {
    double reads = since(sight, FACT_DISK_READS);
    double wait = since(sight, FACT_DISK_READ_MS) / reads;
    if (!(reads > 10) || !(wait > 10)) {
        return false;
    }
    out->severity = scaled(wait, 10, 100, 57, 83);
    SAY(out->what, "The disk takes %.0f ms for a read.", wait);
    SAY(out->how, "/proc/diskstats of %s: %.0f reads a second, busy %.0f %% of the time.",
        text_of(sight, TEXT_DEVICE), reads / sight->seconds, second(sight, FACT_DISK_BUSY_MS) / 10);
    SAY(out->cost, "The first query of a tenant that is not in memory waits for one or two.");
    SAY(out->todo, "Raise the budget so that fewer are needed, or use a faster disk.");
    return true;
}

static bool not_durable(const struct sight *sight, struct finding *out) {
    const char *type = text_of(sight, TEXT_FILESYSTEM);
    if (strcmp(type, "tmpfs") != 0 && strcmp(type, "ramfs") != 0) {
        return false;
    }
    out->severity = 81;
    SAY(out->what, "The data directory %.120s lies in memory (%s).", text_of(sight, TEXT_DATA),
        type);
    SAY(out->how, "Its mount in /proc/self/mountinfo.");
    SAY(out->cost, "A restart of the machine loses everything that was acknowledged, and the files "
                   "take memory beside the budget.");
    SAY(out->todo, "Start with --data on a disk.");
    return true;
}

static bool barriers_off(const struct sight *sight, struct finding *out) {
    const char *options = text_of(sight, TEXT_MOUNT_OPTIONS);
    if (strstr(options, "nobarrier") == NULL && strstr(options, "barrier=0") == NULL) {
        return false;
    }
    out->severity = 86;
    SAY(out->what, "The file system is mounted without write barriers.");
    SAY(out->how, "Mount options of %.100s: %.120s.", text_of(sight, TEXT_DATA), options);
    SAY(out->cost, "A sync returns before the disk has the bytes: a power cut loses acknowledged "
                   "writes.");
    SAY(out->todo, "Remount with barrier=1, unless the disk's cache has a battery.");
    return true;
}

static bool far_filesystem(const struct sight *sight, struct finding *out) {
    const char *type = text_of(sight, TEXT_FILESYSTEM);
    bool network = strncmp(type, "nfs", 3) == 0 || strcmp(type, "cifs") == 0 ||
                   strncmp(type, "fuse", 4) == 0 || strcmp(type, "9p") == 0;
    if (!network && strcmp(type, "overlay") != 0) {
        return false;
    }
    out->severity = network ? 59 : 40;
    SAY(out->what, "The data directory lies on %s.", type);
    SAY(out->how, "The mount of %.200s in /proc/self/mountinfo.", text_of(sight, TEXT_DATA));
    SAY(out->cost, "%s",
        network ? "Each sync is a round trip, and what it promises depends on the "
                  "server's settings."
                : "It is a container's own layer: gone with the container, and "
                  "slower to write.");
    SAY(out->todo, "%s",
        network ? "Use a local disk or a block volume." : "Mount a volume there (docker run -v).");
    return true;
}

static bool space(const struct sight *sight, struct finding *out) {
    double left = now(sight, FACT_DISK_FREE), all = now(sight, FACT_DISK_BYTES);
    double share = 100 * left / all;
    if (!(share < 10) && !(left < 2.0 * (1u << 30))) {
        return false;
    }
    out->severity = scaled(share, 10, 1, 63, 95);
    SAY(out->what, "The disk has %s left of %s (%.0f %%).", bytes_text(left), bytes_text(all),
        share);
    SAY(out->how, "statvfs of %.200s.", text_of(sight, TEXT_DATA));
    SAY(out->cost, "Merges need room for what they write; when it ends, writes are refused.");
    SAY(out->todo, "Free some, or grow the volume; keep as much free as the largest tenant has.");
    return true;
}

static bool inodes(const struct sight *sight, struct finding *out) {
    double left = now(sight, FACT_INODES_FREE), all = now(sight, FACT_INODES);
    if (!(all > 0) || !(left / all < 0.05)) {
        return false;
    }
    out->severity = 78;
    SAY(out->what, "The file system has %.0f inodes left of %.0f.", left, all);
    SAY(out->how, "statvfs of %.200s.", text_of(sight, TEXT_DATA));
    SAY(out->cost, "No file can be made although there is space. Insula has some hundred files; "
                   "something else has the rest.");
    SAY(out->todo, "Find the directory with the many files, or make the file system anew.");
    return true;
}

static bool scheduler(const struct sight *sight, struct finding *out) {
    const char *name = text_of(sight, TEXT_SCHEDULER), *wanted = NULL;
    if (now(sight, FACT_ROTATIONAL) == 0 &&
        (strcmp(name, "bfq") == 0 || strcmp(name, "cfq") == 0)) {
        wanted = "none";
    } else if (now(sight, FACT_ROTATIONAL) == 1 && strcmp(name, "bfq") == 0) {
        wanted = "mq-deadline";
    }
    if (wanted == NULL) {
        return false;
    }
    char path[128];
    out->severity = 41;
    SAY(out->what, "The I/O scheduler of %s is %s.", text_of(sight, TEXT_DEVICE), name);
    SAY(out->how, "queue/scheduler and queue/rotational of the device.");
    SAY(out->cost,
        "It holds requests back to be fair between processes; a sync waits for its turn.");
    SAY(out->todo, "Set it to %s.", wanted);
    SAY(path, "/sys/dev/block/%.32s/queue/scheduler", text_of(sight, TEXT_DEVICE));
    propose(out, path, name, wanted);
    return true;
}

static bool rotates(const struct sight *sight, struct finding *out) {
    if (now(sight, FACT_ROTATIONAL) != 1 || strncmp(text_of(sight, TEXT_DEVICE), "254:", 4) == 0 ||
        strncmp(text_of(sight, TEXT_DEVICE), "253:", 4) == 0) {
        return false; /* virtual disks say so whatever lies below */
    }
    out->severity = 36;
    SAY(out->what, "The data lie on a disk that turns.");
    SAY(out->how, "queue/rotational of %s is 1.", text_of(sight, TEXT_DEVICE));
    SAY(out->cost, "A sync takes 5 to 10 ms, a cold read as long.");
    SAY(out->todo, "Put the data on an SSD; until then expect some 100 syncs a second for all "
                   "tenants together.");
    return true;
}

static bool dirty_pages(const struct sight *sight, struct finding *out) {
    double share = now(sight, FACT_DIRTY_RATIO), memory = now(sight, FACT_MEMORY_TOTAL);
    if (now(sight, FACT_DIRTY_BYTES) != 0 || !(share * memory / 100 > 8.0 * (1u << 30))) {
        return false;
    }
    char from[64];
    out->severity = 22;
    SAY(out->what, "Other programs may pile up %s of unwritten pages.",
        bytes_text(share * memory / 100));
    SAY(out->how, "vm.dirty_ratio = %.0f of %s.", share, bytes_text(memory));
    SAY(out->cost, "When they are written at once, syncs of the log wait behind them for seconds. "
                   "Insula's own files do not go through that cache.");
    SAY(out->todo, "Set vm.dirty_bytes to 1 GiB.");
    SAY(from, "%.0f", now(sight, FACT_DIRTY_BYTES));
    propose(out, "/proc/sys/vm/dirty_bytes", from, "1073741824");
    return true;
}

static bool io_pressure(const struct sight *sight, struct finding *out) {
    double waited = now(sight, FACT_PSI_IO);
    if (!(waited > 30)) {
        return false;
    }
    out->severity = scaled(waited, 30, 90, 42, 69);
    SAY(out->what, "In %.0f %% of the last ten seconds something waited for a disk.", waited);
    SAY(out->how, "/proc/pressure/io, some avg10.");
    SAY(out->cost, "Cold tenants' first queries and writers' acknowledgements wait with it.");
    SAY(out->todo, "See what writes (iotop, pidstat -d), and give it another disk.");
    return true;
}

const struct rule disk_rules[] = {{"writes-stopped", stopped},
                                  {"extents-damaged", damaged},
                                  {"disk-writes-slow", slow_writes},
                                  {"disk-reads-slow", slow_reads},
                                  {"data-in-memory", not_durable},
                                  {"write-barriers-off", barriers_off},
                                  {"filesystem-far", far_filesystem},
                                  {"disk-full", space},
                                  {"inodes-few", inodes},
                                  {"io-scheduler", scheduler},
                                  {"disk-rotates", rotates},
                                  {"dirty-pages", dirty_pages},
                                  {"io-pressure", io_pressure},
                                  {NULL, NULL}};
