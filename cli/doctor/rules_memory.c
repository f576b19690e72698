/* Memory: huge pages, the budget, swapping, control groups. */
#include <math.h>
#include <string.h>

#include "cli/doctor/rules.h"

#define MIB 1048576.0
/* Second-level data TLBs of today's servers have 1,024 to 3,072 entries. */
#define TLB_ENTRIES 1536.0

#define THP_PATH "/sys/kernel/mm/transparent_hugepage/enabled"

static bool thp_never(const struct sight *sight, struct finding *out) {
    if (strcmp(text_of(sight, TEXT_THP), "never") != 0 || now(sight, FACT_HUGE_TOTAL) > 0) {
        return false;
    }
    out->severity = 72;
    SAY(out->what, "The machine gives no huge pages: transparent ones are off, none are reserved.");
    SAY(out->how, THP_PATH " says never; HugePages_Total of /proc/meminfo is 0.");
    SAY(out->cost, "The arena lies on 4 KiB pages: random reads of vectors and graphs take 1.4 to "
                   "2.8 times as "
                   "long, and page tables grow to 2 MiB a GiB.");
    SAY(out->todo, "echo madvise > " THP_PATH ", then restart insula (insula tune writes the "
                   "script with its undo).");
    propose(out, THP_PATH, "never", "madvise");
    return true;
}

static bool huge_share(const struct sight *sight, struct finding *out) {
    double arena = now(sight, FACT_ARENA_COMMITTED), huge = now(sight, FACT_HUGE);
    bool plain = strcmp(text_of(sight, TEXT_ARENA_PAGES), "4 KiB") == 0;
    if (!(arena > 64 * MIB) || !(huge < 0.8 * arena || plain) ||
        strcmp(text_of(sight, TEXT_THP), "never") == 0) {
        return false;
    }
    out->severity = scaled(arena / MIB, 64, 8192, 45, 68);
    SAY(out->what, "Only %s of the arena's %s lie on huge pages.", bytes_text(huge),
        bytes_text(arena));
    SAY(out->how,
        "AnonHugePages in smaps_rollup of process %.0f against memory_active_bytes; the "
        "server took %s pages.",
        now(sight, FACT_PID), text_of(sight, TEXT_ARENA_PAGES));
    SAY(out->cost, "What lies on 4 KiB pages is read 1.4 to 2.8 times slower at random.");
    SAY(out->todo,
        "Memory is fragmented, or huge pages were allowed after the start: restart "
        "insula; to be sure of them reserve %.0f pages (vm.nr_hugepages).",
        ceil(now(sight, FACT_BUDGET) / (2 * MIB)));
    return true;
}

static bool tlb_reach(const struct sight *sight, struct finding *out) {
    double loads = since(sight, FACT_TLB_LOADS), misses = since(sight, FACT_TLB_MISSES);
    if (!(loads > 1e6) || !(misses / loads > 0.01)) {
        return false;
    }
    double share = 100 * misses / loads, huge = now(sight, FACT_HUGE);
    double plain = now(sight, FACT_RESIDENT) - huge;
    out->severity = scaled(share, 1, 10, 40, 80);
    SAY(out->what, "%.1f %% of data reads miss the TLB.", share);
    SAY(out->how,
        "perf counters of process %.0f over %.0f s; a TLB of %.0f entries reaches %s on "
        "4 KiB pages and %s on 2 MiB pages; the process has %s on the first, %s on the "
        "second.",
        now(sight, FACT_PID), sight->seconds, TLB_ENTRIES, bytes_text(TLB_ENTRIES * 4096),
        bytes_text(TLB_ENTRIES * 2 * MIB), bytes_text(plain), bytes_text(huge));
    SAY(out->cost, "A miss walks the page tables: 10 to 100 ns at each hop of a graph search.");
    SAY(out->todo, plain > huge
                       ? "Allow huge pages (" THP_PATH ") and restart, or run one process "
                         "instead of many."
                       : "The working set is past the TLB's reach on huge pages too: fewer "
                         "tenants on this machine, or one with a larger TLB.");
    return true;
}

static bool over_group(const struct sight *sight, struct finding *out) {
    double limit = now(sight, FACT_CGROUP_MEMORY_MAX), budget = now(sight, FACT_BUDGET);
    if (!(budget > 0.9 * limit)) {
        return false;
    }
    out->severity = budget > limit ? 94 : 82;
    SAY(out->what, "The memory budget, %s, %s the control group's limit, %s.", bytes_text(budget),
        budget > limit ? "is above" : "leaves no room below", bytes_text(limit));
    SAY(out->how,
        "insula_memory_budget_bytes against memory.max (version %.0f) of the process's "
        "group.",
        now(sight, FACT_CGROUP_VERSION));
    SAY(out->cost, "When the arena fills up the kernel kills the process: all tenants at once.");
    SAY(out->todo, "Start with --memory-budget %.0fM, or raise the group's limit to %s.",
        floor(limit * 0.8 / MIB), bytes_text(budget * 1.25));
    return true;
}

static bool out_of_memory_kills(const struct sight *sight, struct finding *out) {
    double kills = now(sight, FACT_CGROUP_OOM_KILLS);
    if (!(kills > 0)) {
        return false;
    }
    out->severity = since(sight, FACT_CGROUP_OOM_KILLS) > 0 ? 98 : 60;
    SAY(out->what, "The kernel has killed %.0f process%s in this control group for want of memory.",
        kills, kills > 1 ? "es" : "");
    SAY(out->how, "oom_kill of the group's memory events.");
    SAY(out->cost, "Each kill is a restart of everything in the group.");
    SAY(out->todo, "Give the group more memory, or the processes in it smaller budgets.");
    return true;
}

static bool resident_over(const struct sight *sight, struct finding *out) {
    double budget = now(sight, FACT_BUDGET), resident = now(sight, FACT_RESIDENT);
    if (!(resident > 1.05 * budget)) {
        return false;
    }
    out->severity = 88;
    SAY(out->what, "The process holds %s, its budget is %s.", bytes_text(resident),
        bytes_text(budget));
    SAY(out->how, "VmRSS of process %.0f against insula_memory_budget_bytes.",
        now(sight, FACT_PID));
    SAY(out->cost, "Whatever else the machine runs loses that memory.");
    SAY(out->todo, "This is a fault of Insula: please report it with a recording "
                   "(insula doctor --record DIR).");
    return true;
}

static bool budget_over_machine(const struct sight *sight, struct finding *out) {
    double budget = now(sight, FACT_BUDGET);
    double left = now(sight, FACT_MEMORY_AVAILABLE) + now(sight, FACT_RESIDENT);
    if (!(budget > left)) {
        return false;
    }
    out->severity = 84;
    SAY(out->what, "The memory budget, %s, is more than the machine has left, %s.",
        bytes_text(budget), bytes_text(left));
    SAY(out->how, "MemAvailable of /proc/meminfo and what the process already holds.");
    SAY(out->cost, "Filling it makes the machine swap, or the kernel kill a process.");
    SAY(out->todo, "Start with --memory-budget %.0fM, or end what else runs here.",
        floor(left * 0.8 / MIB));
    return true;
}

static bool swapped(const struct sight *sight, struct finding *out) {
    double swapped_out = now(sight, FACT_SWAPPED);
    if (!(swapped_out > MIB)) {
        return false;
    }
    out->severity = second(sight, FACT_SWAPPED_IN) > 10 ? 92 : 75;
    SAY(out->what, "%s of the process are in swap.", bytes_text(swapped_out));
    SAY(out->how, "VmSwap of process %.0f; the machine reads %.0f pages a second back.",
        now(sight, FACT_PID), second(sight, FACT_SWAPPED_IN));
    SAY(out->cost, "A search that touches such a page waits for the disk: milliseconds a page.");
    SAY(out->todo, "swapoff -a, or vm.swappiness = 1, and a budget that fits the machine.");
    propose(out, "/proc/sys/vm/swappiness", "60", "1");
    return true;
}

static bool swap_eager(const struct sight *sight, struct finding *out) {
    double swap = now(sight, FACT_SWAP_TOTAL), eager = now(sight, FACT_SWAPPINESS);
    if (!(swap > 0) || !(eager > 10)) {
        return false;
    }
    char from[64];
    out->severity = 20;
    SAY(out->what, "Swap is on (%s) and vm.swappiness is %.0f.", bytes_text(swap), eager);
    SAY(out->how, "/proc/meminfo and /proc/sys/vm/swappiness.");
    SAY(out->cost, "Under pressure the arena is swapped rather than file caches dropped.");
    SAY(out->todo, "Set vm.swappiness to 1.");
    SAY(from, "%.0f", eager);
    propose(out, "/proc/sys/vm/swappiness", from, "1");
    return true;
}

static bool commit_strict(const struct sight *sight, struct finding *out) {
    if (now(sight, FACT_OVERCOMMIT) != 2) {
        return false;
    }
    bool short_of = now(sight, FACT_COMMIT_LIMIT) < 2 * now(sight, FACT_BUDGET);
    out->severity = short_of ? 64 : 15;
    SAY(out->what, "The kernel promises no more memory than it has (vm.overcommit_memory = 2).");
    SAY(out->how, "/proc/sys/vm/overcommit_memory; CommitLimit is %s.",
        bytes_text(now(sight, FACT_COMMIT_LIMIT)));
    SAY(out->cost, "The arena is reserved whole at the start: it may be refused.");
    SAY(out->todo, "Set vm.overcommit_memory to 0, or keep twice the budget below CommitLimit.");
    propose(out, "/proc/sys/vm/overcommit_memory", "2", "0");
    return true;
}

static bool cache_small(const struct sight *sight, struct finding *out) {
    double cold = since(sight, FACT_COLD_READS), hits = since(sight, FACT_CACHE_HITS);
    double share = 100 * cold / (cold + hits);
    if (!(cold / sight->seconds > 20) || !(share > 5) ||
        !(now(sight, FACT_CACHE_USED) > 0.8 * now(sight, FACT_CACHE_LIMIT))) {
        return false;
    }
    out->severity = scaled(share, 5, 50, 45, 74);
    SAY(out->what,
        "The budget is too small for what is asked: %.0f %% of blocks come from the disk.", share);
    SAY(out->how, "insula_cold_reads_total rises by %.0f a second; the cache is full at %s.",
        second(sight, FACT_COLD_READS), bytes_text(now(sight, FACT_CACHE_USED)));
    SAY(out->cost, "Each is one direct read, 0.1 to 1 ms, before the answer.");
    SAY(out->todo, "Raise --memory-budget (now %s); the machine has %s left.",
        bytes_text(now(sight, FACT_BUDGET)), bytes_text(now(sight, FACT_MEMORY_AVAILABLE)));
    return true;
}

static bool memtable_full(const struct sight *sight, struct finding *out) {
    double used = now(sight, FACT_MEMTABLE_USED), limit = now(sight, FACT_MEMTABLE_LIMIT);
    if (!(used > 0.9 * limit)) {
        return false;
    }
    out->severity = 66;
    SAY(out->what, "Writes come faster than they are flushed: the memtables are full (%s).",
        bytes_text(used));
    SAY(out->how, "insula_memory_used_bytes{purpose=\"memtable\"} against its limit, %s.",
        bytes_text(limit));
    SAY(out->cost, "Writers are slowed to the speed of the flush.");
    SAY(out->todo, "A faster disk, or a larger --memory-budget for longer bursts.");
    return true;
}

static bool major_faults(const struct sight *sight, struct finding *out) {
    double faults = second(sight, FACT_FAULTS_MAJOR);
    if (!(faults > 10)) {
        return false;
    }
    out->severity = scaled(faults, 10, 1000, 55, 86);
    SAY(out->what, "The process waits for %.0f pages a second from the disk.", faults);
    SAY(out->how, "Major faults in /proc/%.0f/stat over %.0f s.", now(sight, FACT_PID),
        sight->seconds);
    SAY(out->cost, "A fault stops its thread for 0.1 to 10 ms, with all tenants behind it.");
    SAY(out->todo, "Memory is short: lower budgets, or more memory; look for swap.");
    return true;
}

static bool memory_pressure(const struct sight *sight, struct finding *out) {
    double waited = now(sight, FACT_PSI_MEMORY);
    if (!(waited > 5)) {
        return false;
    }
    out->severity = scaled(waited, 5, 50, 58, 87);
    SAY(out->what, "In %.0f %% of the last ten seconds something waited for memory.", waited);
    SAY(out->how, "/proc/pressure/memory, some avg10.");
    SAY(out->cost, "Reclaim runs inside requests: pauses of milliseconds.");
    SAY(out->todo, "Lower --memory-budget, or end what else uses memory here.");
    return true;
}

static bool thp_direct(const struct sight *sight, struct finding *out) {
    if (strcmp(text_of(sight, TEXT_THP), "always") != 0 ||
        strcmp(text_of(sight, TEXT_THP_DEFRAG), "always") != 0) {
        return false;
    }
    out->severity = 32;
    SAY(out->what, "Every process stops to compact memory for huge pages.");
    SAY(out->how, "transparent_hugepage/enabled and /defrag both say always.");
    SAY(out->cost, "Allocations of any program pause for up to milliseconds.");
    SAY(out->todo, "Set defrag to madvise: Insula asks for its pages itself.");
    propose(out, "/sys/kernel/mm/transparent_hugepage/defrag", "always", "madvise");
    return true;
}

const struct rule memory_rules[] = {{"huge-pages-off", thp_never},
                                    {"huge-pages-few", huge_share},
                                    {"tlb-misses", tlb_reach},
                                    {"budget-over-cgroup", over_group},
                                    {"out-of-memory-kills", out_of_memory_kills},
                                    {"resident-over-budget", resident_over},
                                    {"budget-over-machine", budget_over_machine},
                                    {"swapped-out", swapped},
                                    {"swap-eager", swap_eager},
                                    {"overcommit-strict", commit_strict},
                                    {"cache-small", cache_small},
                                    {"memtable-full", memtable_full},
                                    {"major-faults", major_faults},
                                    {"memory-pressure", memory_pressure},
                                    {"huge-pages-compaction", thp_direct},
                                    {NULL, NULL}};
