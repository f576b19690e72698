"""Gate 1.1: what a tenant that is not used costs.  Gate 1.2: making them, and a restart.
Gate 4.8: a million of them.  Gate 4.9: what a server that nobody asks does."""

import pathlib
import signal
import statistics
import time

from harness import Result, insula

COUNT, FROM = 50000, 10000
BYTES_MAX, DISK_MAX, ALL_MIB_MAX = 512, 2048, 128e6 / (1 << 20)


MANY, MANY_MIB_MAX, MANY_START_S_MAX = 1000000, 576, 10.0
MANY_BUDGET = 6 << 30  # the catalog's share holds a million
IDLE_MAX, IDLE_SETTLE_S, IDLE_S = 10.0, 5, 20


def collections(setup, server, style, *options, count=COUNT):
    return setup.bench("collections", "--url", server.url, "--pid", server.pid, "--style", style,
                       "--collections", count, "--from", FROM, "--seconds", setup.slice_s / 4,
                       *options)


def slope(gate, what, values):
    more = {name: values[name] for name in ("descriptors", "mappings", "threads", "timers")}
    text = "/".join(f"{more[name]:.0f}" for name in more)
    yield Result(gate, f"{what}: bytes each resident", f"<= {BYTES_MAX}",
                 f"{values['resident_bytes_each']:.0f}",
                 values["resident_bytes_each"] <= BYTES_MAX,
                 f"catalog {values['catalog_bytes_each']:.0f}", values)
    yield Result(gate, f"{what}: MiB in all", f"<= {ALL_MIB_MAX:.0f}",
                 f"{values['resident_mib']:.0f}", values["resident_mib"] <= ALL_MIB_MAX)
    yield Result(gate, f"{what}: more descriptors/mappings/threads/timers", "0/0/0/0", text,
                 all(value <= 0 for value in more.values()),
                 f"segments open: {values['segment_descriptors']:.0f}")


def disk_bytes(data):
    """Segments (their directories within) and the manifest's used pages; the log is not a tenant's."""
    total = 0
    for part in ("objects", "cells"):
        for path in pathlib.Path(data, part).iterdir():
            total += min(path.stat().st_blocks * 512, path.stat().st_size)
    return total


def gate_1_1(setup):
    with setup.folder("gate-1.1") as folder:
        with insula(setup, folder / "empty") as server:
            values = collections(setup, server, "collection")
        yield from slope("1.1", "empty collections", values)
        for style in ("collection", "key"):
            with insula(setup, folder / style) as server:
                values = collections(setup, server, style, "--points", 1, "--flush")
                values["disk_bytes_each"] = disk_bytes(folder / style) / COUNT
            yield from slope("1.1", f"one point each ({style})", values)
            yield Result("1.1", f"one point each ({style}): bytes on disk", f"<= {DISK_MAX}",
                         f"{values['disk_bytes_each']:.0f}",
                         values["disk_bytes_each"] <= DISK_MAX)


def restart(setup, folder, style, how):
    data = folder / f"{style}-{how.name}"
    with insula(setup, data) as server:
        collections(setup, server, style, "--points", 1)
        server.end(how)
    program = setup.program("insula", "cli/insula")
    runs = [setup.bench("start", "--server", program, "--data", data, "--style", style,
                        "--collections", COUNT)]
    if how == signal.SIGTERM:  # after a kill only the first start has a log to replay
        runs += [setup.bench("start", "--server", program, "--data", data, "--style", style,
                             "--collections", COUNT) for _ in range(setup.slices - 1)]
    answers = [one["answer_s"] for one in runs]
    limit = max(1.0, 4 * statistics.median(one["read_s"] for one in runs))
    return Result("1.2", f"restart ({style}, {how.name}): first right answer, s",
                  f"<= {limit:.2f}", f"{statistics.median(answers):.3f}",
                  statistics.median(answers) <= limit,
                  f"{min(answers):.3f} .. {max(answers):.3f}", runs[0])


def gate_1_2(setup):
    with setup.folder("gate-1.2") as folder:
        with insula(setup, folder / "made") as server:
            values = collections(setup, server, "collection")
        yield Result("1.2", "created durably over /healthz at 64 connections", ">= 0.25",
                     f"{values['ratio']:.3f}", values["ratio"] >= 0.25,
                     f"{values['ratio_min']:.3f} .. {values['ratio_max']:.3f}", values)
        for how in (signal.SIGTERM, signal.SIGKILL):
            yield restart(setup, folder, "collection", how)
        yield restart(setup, folder, "key", signal.SIGKILL)


def wake_ups(pid):
    """Context switches that its threads asked for, so far."""
    return sum(int(line.split()[1]) for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status")
               for line in status.read_text().splitlines()
               if line.startswith("voluntary_ctxt_switches"))


def idle(server):
    time.sleep(IDLE_SETTLE_S)
    before = wake_ups(server.pid)
    time.sleep(IDLE_S)
    return (wake_ups(server.pid) - before) / IDLE_S


def gate_4_8(setup):
    """Also 4.9 with a million: what the start left to do in the background is done then, or counts."""
    with setup.folder("gate-4.8") as folder:
        with insula(setup, folder / "data", "--memory-budget", MANY_BUDGET) as server:
            values = collections(setup, server, "collection", count=MANY)
        yield Result("4.8", "a million empty collections: MiB in all", f"<= {MANY_MIB_MAX}",
                     f"{values['resident_mib']:.0f}", values["resident_mib"] <= MANY_MIB_MAX,
                     f"{values['resident_bytes_each']:.0f} bytes each", values)
        begin = time.monotonic()
        with insula(setup, folder / "data", "--memory-budget", MANY_BUDGET) as server:
            start_s = time.monotonic() - begin  # it answers /readyz
            yield Result("4.8", "a million empty collections: restart until ready, s",
                         f"<= {MANY_START_S_MAX:.0f}", f"{start_s:.2f}", start_s <= MANY_START_S_MAX)
            rate = idle(server)
            yield Result("4.9", "idle with a million: wake-ups/s of all threads",
                         f"<= {IDLE_MAX:.0f}", f"{rate:.1f}", rate <= IDLE_MAX)


def gate_4_9(setup):
    with setup.folder("gate-4.9") as folder, insula(setup, folder / "data") as server:
        rate = idle(server)
        yield Result("4.9", "idle: wake-ups/s of all threads", f"<= {IDLE_MAX:.0f}", f"{rate:.1f}",
                     rate <= IDLE_MAX)
