"""Gate 1.4: flat search against reading.  Gate 1.5: CPU of a request against nginx's."""

import contextlib
import statistics

from harness import Result, in_turns, insula, nginx, ratio, run, worker_of


def gate_1_4(setup):
    command = [setup.program("bench/insula-flat-scan"), "--slices", str(setup.slices * 3)]
    lines = run(command, setup.directory).splitlines()
    for line in lines:
        words = line.split()
        if words[:2] == ["gate", "1.4"] and len(words) == 4:
            worst = float(words[3])
            yield Result("1.4", f"flat search of {int(words[2]):,} rows over reading them",
                         ">= 0.8", words[3], worst >= 0.8, "worst of the metrics",
                         {"rows": int(words[2]), "ratio": worst})


def gate_1_5(setup):
    for style in ("key", "collection"):
        yield from requests(setup, style)


def requests(setup, style):
    searches = ("search-8", "search-100")
    with setup.folder("gate-1.5") as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(insula(setup, folder / "data"))
        runs = {}

        def ask(kind, url, pid, *options):
            return setup.bench("requests", "--url", url, "--pid", pid, "--kind", kind, "--style",
                               style, "--seconds", setup.slice_s, "--warmup", 0.5, *options)

        for kind in searches:
            ask(kind, server.url, server.pid, "--setup-only")
            runs[kind] = lambda kind=kind: ask(kind, server.url, server.pid, "--no-setup")
        runs["healthz"] = lambda: ask("healthz", server.url, server.pid)
        if style == "key":
            (folder / "nginx").mkdir()
            peer = stack.enter_context(nginx(setup, folder / "nginx"))
            worker = worker_of(peer.pid)
            runs["nginx"] = lambda: ask("healthz", peer.url, worker)
        slices = in_turns(setup.slices, **runs)
    cpu = {name: [one["cpu_us"] for one in values] for name, values in slices.items()}
    values = {name + "_us": statistics.median(times) for name, times in cpu.items()}
    values.update({name + "_per_s": statistics.median(one["requests_per_s"] for one in runs)
                   for name, runs in slices.items()})
    lines = [("healthz", "nginx", 1.4)] if style == "key" else []
    lines += [("search-8", "healthz", 1.6), ("search-100", "healthz", 2.2)]
    for above, below, target in lines:
        middle, spread = ratio(cpu[above], cpu[below])
        what = above if above == "healthz" else f"{above} (tenant = {style})"
        yield Result("1.5", f"CPU of {what} over {below}", f"<= {target}", f"{middle:.2f}",
                     middle <= target, spread, values)
