/* CPU, scheduler, limits of the kernel. */
#include <string.h>

#include "cli/doctor/rules.h"

static bool descriptors(const struct sight *sight, struct finding *out) {
    double used = now(sight, FACT_DESCRIPTORS), limit = now(sight, FACT_DESCRIPTOR_LIMIT);
    if (!(limit < 4096) && !(used > 0.8 * limit)) {
        return false;
    }
    out->severity = used > 0.8 * limit ? 90 : 71;
    SAY(out->what, "The process may open %.0f descriptors and has %.0f open.", limit, used);
    SAY(out->how, "Max open files in /proc/%.0f/limits; entries of /proc/%.0f/fd.",
        now(sight, FACT_PID), now(sight, FACT_PID));
    SAY(out->cost, "A client past the limit is turned away. Insula needs one a connection and some "
                   "twenty for files, whatever the number of tenants.");
    SAY(out->todo, "ulimit -n 65536 before the start (LimitNOFILE=65536 in a systemd unit).");
    return true;
}

static bool mappings(const struct sight *sight, struct finding *out) {
    double used = now(sight, FACT_MAPS), limit = now(sight, FACT_MAP_LIMIT);
    if (!(used > 0.5 * limit)) {
        return false;
    }
    out->severity = scaled(used / limit, 0.5, 0.9, 60, 89);
    SAY(out->what, "The process has %.0f of %.0f possible mappings.", used, limit);
    SAY(out->how, "Lines of /proc/%.0f/maps against vm.max_map_count.", now(sight, FACT_PID));
    SAY(out->cost, "At the limit mmap fails: shards and collections do not open any more.");
    SAY(out->todo, "Raise vm.max_map_count; better, an engine that does not map a tenant.");
    char from[64];
    SAY(from, "%.0f", limit);
    propose(out, "/proc/sys/vm/max_map_count", from, "1048576");
    return true;
}

static bool processes(const struct sight *sight, struct finding *out) {
    double used = now(sight, FACT_CGROUP_PIDS_NOW), limit = now(sight, FACT_CGROUP_PIDS_MAX);
    if (!(used > 0.8 * limit)) {
        return false;
    }
    out->severity = 76;
    SAY(out->what, "%.0f of %.0f threads that the control group allows are in use.", used, limit);
    SAY(out->how, "pids.current against pids.max.");
    SAY(out->cost, "New threads and processes are refused.");
    SAY(out->todo, "Raise pids.max (TasksMax in systemd, --pids-limit of a container).");
    return true;
}

static bool throttled(const struct sight *sight, struct finding *out) {
    double share = 100 * since(sight, FACT_CGROUP_THROTTLED) / since(sight, FACT_CGROUP_PERIODS);
    if (!(share > 5)) {
        return false;
    }
    out->severity = scaled(share, 5, 50, 62, 91);
    SAY(out->what, "The control group's CPU quota, %.1f CPUs, stopped it in %.0f %% of periods.",
        now(sight, FACT_CGROUP_CPUS), share);
    SAY(out->how, "nr_throttled of cpu.stat over %.0f s.", sight->seconds);
    SAY(out->cost,
        "All threads stand still for the rest of each such period: up to 100 ms of p99.");
    SAY(out->todo, "Raise the quota, or remove it and use cpu.weight.");
    return true;
}

static bool run_queue(const struct sight *sight, struct finding *out) {
    double wait = since(sight, FACT_RUN_WAIT_NS), run = since(sight, FACT_RUN_NS);
    double share = 100 * wait / (wait + run);
    if (!(run / sight->seconds > 2e7) || !(share > 15)) {
        return false;
    }
    out->severity = scaled(share, 15, 70, 56, 85);
    SAY(out->what, "The process waits for a CPU %.0f %% of the time that it wants one.", share);
    SAY(out->how,
        "schedstat of its threads: %.0f ms of waiting and %.0f ms of running a second; "
        "%.0f forced switches a second; CPU pressure %.0f %%.",
        wait / sight->seconds / 1e6, run / sight->seconds / 1e6,
        second(sight, FACT_SWITCHES_FORCED), now(sight, FACT_PSI_CPU));
    SAY(out->cost, "Every request waits in the run queue before it is even read.");
    SAY(out->todo,
        "Something else uses the CPUs: move it, give insula more weight (nice, "
        "cpu.weight), or add CPUs (now %.0f).",
        now(sight, FACT_CPUS));
    return true;
}

static bool traced(const struct sight *sight, struct finding *out) {
    if (!(now(sight, FACT_TRACER) > 0)) {
        return false;
    }
    out->severity = 93;
    SAY(out->what, "Process %.0f traces the server (a debugger, strace).", now(sight, FACT_TRACER));
    SAY(out->how, "TracerPid of /proc/%.0f/status.", now(sight, FACT_PID));
    SAY(out->cost, "Each system call stops twice: several times slower.");
    SAY(out->todo, "End the tracer.");
    return true;
}

static bool instructions(const struct sight *sight, struct finding *out) {
    if (now(sight, FACT_CPU_AVX2) != 0) {
        return false;
    }
    out->severity = 58;
    SAY(out->what, "The CPU, or the virtual machine, has no AVX2.");
    SAY(out->how, "flags of /proc/cpuinfo; the server uses \"%s\".", text_of(sight, TEXT_ISA));
    SAY(out->cost, "Distances take 4 to 16 times as long.");
    SAY(out->todo, "Choose a machine type, or a CPU model of the hypervisor, that has AVX2 or "
                   "better AVX-512.");
    return true;
}

static bool instructions_unused(const struct sight *sight, struct finding *out) {
    const char *isa = text_of(sight, TEXT_ISA);
    if (now(sight, FACT_CPU_AVX512) != 1 || isa[0] == '\0' || strstr(isa, "avx512") != NULL) {
        return false;
    }
    out->severity = 25;
    SAY(out->what, "The CPU has AVX-512, the server uses \"%s\".", isa);
    SAY(out->how, "flags of /proc/cpuinfo against insula_process_info.");
    SAY(out->cost, "Scans of short codes take up to twice as long.");
    SAY(out->todo, "Unset INSULA_ISA, or tell the hypervisor to pass the extension on.");
    return true;
}

static bool clock_slow(const struct sight *sight, struct finding *out) {
    const char *name = text_of(sight, TEXT_CLOCK_SOURCE);
    if (strcmp(name, "hpet") != 0 && strcmp(name, "acpi_pm") != 0 && strcmp(name, "jiffies") != 0) {
        return false;
    }
    out->severity = 48;
    SAY(out->what, "The kernel's clock is \"%s\".", name);
    SAY(out->how, "clocksource0/current_clocksource.");
    SAY(out->cost, "Reading it takes 1 us instead of 20 ns; a request reads it several times.");
    SAY(out->todo, "Let it be tsc or kvm-clock (boot parameter, hypervisor setting).");
    return true;
}

static bool governor(const struct sight *sight, struct finding *out) {
    const char *name = text_of(sight, TEXT_GOVERNOR);
    if (strcmp(name, "powersave") != 0 && strcmp(name, "conservative") != 0) {
        return false;
    }
    out->severity = 34;
    SAY(out->what, "CPUs run slowly to save power (\"%s\").", name);
    SAY(out->how, "cpu0/cpufreq/scaling_governor.");
    SAY(out->cost, "Short requests end before the frequency rises: up to twice the time.");
    SAY(out->todo, "cpupower frequency-set -g performance.");
    propose(out, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", name, "performance");
    return true;
}

static bool numa(const struct sight *sight, struct finding *out) {
    if (!(now(sight, FACT_NUMA_NODES) > 1)) {
        return false;
    }
    out->severity = now(sight, FACT_NUMA_BALANCING) > 0 ? 38 : 18;
    SAY(out->what, "The machine has %.0f memory nodes%s.", now(sight, FACT_NUMA_NODES),
        now(sight, FACT_NUMA_BALANCING) > 0 ? " and moves pages between them" : "");
    SAY(out->how, "sys/devices/system/node; kernel.numa_balancing.");
    SAY(out->cost, "A read of the other node's memory takes 1.5 to 2 times as long; balancing "
                   "unmaps pages to see who uses them.");
    SAY(out->todo, "One server a node (numactl --cpunodebind --membind), or numactl "
                   "--interleave=all; kernel.numa_balancing = 0.");
    if (now(sight, FACT_NUMA_BALANCING) > 0) {
        propose(out, "/proc/sys/kernel/numa_balancing", "1", "0");
    }
    return true;
}

static bool backlog(const struct sight *sight, struct finding *out) {
    double drops = since(sight, FACT_BACKLOG_DROPS);
    if (!(drops > 0) && !(now(sight, FACT_BACKLOG) < 512)) {
        return false;
    }
    char from[64];
    out->severity = drops > 0 ? 79 : 31;
    if (drops > 0) {
        SAY(out->what, "The kernel drops new connections: %.0f in %.0f s.", drops, sight->seconds);
    } else {
        SAY(out->what, "At most %.0f new connections may wait.", now(sight, FACT_BACKLOG));
    }
    SAY(out->how, "ListenOverflows of /proc/net/netstat; net.core.somaxconn = %.0f.",
        now(sight, FACT_BACKLOG));
    SAY(out->cost, "A dropped client tries again after a second, then after three.");
    SAY(out->todo, "Set net.core.somaxconn to 4096 and restart; let clients keep connections.");
    SAY(from, "%.0f", now(sight, FACT_BACKLOG));
    propose(out, "/proc/sys/net/core/somaxconn", from, "4096");
    return true;
}

const struct rule machine_rules[] = {{"descriptors-few", descriptors},
                                     {"mappings-near-limit", mappings},
                                     {"threads-near-limit", processes},
                                     {"cpu-quota", throttled},
                                     {"run-queue", run_queue},
                                     {"traced", traced},
                                     {"no-avx2", instructions},
                                     {"avx512-unused", instructions_unused},
                                     {"clock-slow", clock_slow},
                                     {"cpu-governor", governor},
                                     {"numa", numa},
                                     {"backlog", backlog},
                                     {NULL, NULL}};
