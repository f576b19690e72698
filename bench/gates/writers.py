"""Gate 1.3: one log for all tenants."""

import contextlib
import statistics

from harness import Result, Skip, in_turns, insula, insula_without_log, loop_file_system, ratio, run

BUDGET = 2 << 30
RIVAL_TENANTS = 1000


def over_http(setup, server, tenants, *options):
    return setup.bench("writers", "--url", server.url, "--pid", server.pid, "--tenants", tenants,
                       *options)


def gate_http(setup):
    """T = 10,000 against T = 1, and against the same with a log that drops everything."""
    with setup.folder("gate-1.3a") as folder, contextlib.ExitStack() as stack:
        servers = {
            "one": (stack.enter_context(insula(setup, folder / "one", "--memory-budget", BUDGET)), 1),
            "many": (stack.enter_context(insula(setup, folder / "many", "--memory-budget", BUDGET)),
                     10000),
            "dropped": (stack.enter_context(insula_without_log(setup, folder / "dropped", BUDGET)),
                        10000),
        }
        for server, tenants in servers.values():
            over_http(setup, server, tenants, "--warmup", 1, "--seconds", 3)  # all tenants there
        slices = in_turns(setup.slices, **{
            name: lambda server=server, tenants=tenants: over_http(
                setup, server, tenants, "--no-setup", "--warmup", 0.5, "--seconds", setup.slice_s)
            for name, (server, tenants) in servers.items()})
    rates = {name: [one["writes_per_s"] for one in values] for name, values in slices.items()}
    values = {name + "_per_s": statistics.median(rate) for name, rate in rates.items()}
    values["many_p99_us"] = statistics.median(one["p99_us"] for one in slices["many"])
    for below, target, what in (("one", 0.9, "1 tenant"), ("dropped", 0.7, "a log that drops")):
        middle, spread = ratio(rates["many"], rates[below])
        yield Result("1.3a", f"HTTP: writes/s at 10,000 tenants over {what}", f">= {target}",
                     f"{middle:.3f}", middle >= target, spread, values)


def in_process(setup, tenants, seconds, *options):
    warmup = 10 if tenants > 10000 else 2  # every tenant is made in it
    return setup.bench("writers", "--tenants", tenants, "--warmup", warmup, "--seconds", seconds,
                       "--memory-budget", BUDGET, *options)


def gate_syncs(setup):
    """Syncs/s do not depend on tenants; the program's count is the kernel's."""
    runs = in_turns(setup.slices, one=lambda: in_process(setup, 1, setup.slice_s),
                    many=lambda: in_process(setup, 50000, setup.slice_s))
    syncs = {name: [one["syncs_per_s"] for one in values] for name, values in runs.items()}
    middle, spread = ratio(syncs["many"], syncs["one"])
    values = {
        "one_syncs_per_s": statistics.median(syncs["one"]),
        "many_syncs_per_s": statistics.median(syncs["many"]),
        "one_writes_per_s": statistics.median(one["writes_per_s"] for one in runs["one"]),
        "many_writes_per_s": statistics.median(one["writes_per_s"] for one in runs["many"]),
        "many_p99_us": statistics.median(one["p99_us"] for one in runs["many"]),
    }
    yield Result("1.3b", "in process: syncs/s at 50,000 tenants over those at 1", "0.8 .. 1.2",
                 f"{middle:.3f}", 0.8 <= middle <= 1.2, spread, values)
    yield from kernel_count(setup)


def kernel_count(setup):
    try:
        with loop_file_system(setup) as mount:
            runs = {tenants: in_process(setup, tenants, setup.slice_s, "--data",
                                        mount / f"t{tenants}") for tenants in (1, 50000)}
    except Skip as reason:
        yield Result("1.3b", "program's syncs over the kernel's", "0.95 .. 1.05", "-",
                     f"skipped ({reason})")
        return
    for tenants, one in runs.items():
        if one["device_flushes"] in (None, 0):
            yield Result("1.3b", f"program's syncs over the kernel's, {tenants} tenants",
                         "0.95 .. 1.05", "-", "skipped (the kernel counts no flushes here)")
            continue
        share = (one["syncs"] + one["file_syncs"]) / one["device_flushes"]
        yield Result("1.3b", f"program's syncs over the kernel's, {tenants} tenants",
                     "0.95 .. 1.05", f"{share:.3f}", 0.95 <= share <= 1.05, "", one)
    one = runs[1]
    yield Result("1.3c", "device writes per acknowledged write, 1 tenant", "<= 0.01",
                 f"{one['device_writes_per_ack']:.5f}", one["device_writes_per_ack"] <= 0.01)
    one = runs[50000]
    yield Result("1.3c", "device writes per acknowledged write, 50,000 tenants", "<= 0.01",
                 f"{one['device_writes_per_ack']:.5f}", one["device_writes_per_ack"] <= 0.01)


def rival(setup, threads, *options):
    text = run([setup.program("bench/insula-log-per-tenant"), "--tenants", str(RIVAL_TENANTS),
                "--threads", str(threads), "--seconds", str(setup.slice_s), *options],
               setup.directory)
    return float(text.split()[2])


def log_alone(setup):
    with setup.folder("gate-1.3c") as folder:
        text = run([setup.program("bench/insula-log-commit"), "--data", str(folder / "log"),
                    "--writers", "1000", "--seconds", str(setup.slice_s)], setup.directory)
    return float(text.split()[2])


def gate_rival(setup):
    """Against one zero-filled log per tenant, the best of its numbers of threads."""
    threads = (1, 4, 16, 64)
    runs = {f"rival_{count}": lambda count=count: rival(setup, count) for count in threads}
    slices = in_turns(
        setup.slices, log=lambda: log_alone(setup),
        engine=lambda: in_process(setup, RIVAL_TENANTS, setup.slice_s)["writes_per_s"], **runs)
    best = max((name for name in slices if name.startswith("rival_")),
               key=lambda name: statistics.median(slices[name]))
    values = {name + "_per_s": statistics.median(rates) for name, rates in slices.items()}
    for name, what, target in (("log", "the log alone", 30), ("engine", "the whole engine", 8)):
        middle, spread = ratio(slices[name], slices[best])
        yield Result("1.3c", f"{what} over a log per tenant ({best[6:]} threads)",
                     f">= {target}", f"{middle:.2f}", middle >= target, spread, values)


def gate_1_3(setup):
    for part in (gate_http, gate_syncs, gate_rival):
        yield from part(setup)
