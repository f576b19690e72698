"""`./dev bench-ann`: the index beside hnswlib and its peers on real sets, interleaved, one thread.

usage: bench/ann BUILD [--rounds N] [--no-peers] [--traffic] [SET]...
Packages of other libraries (peers.py) take turns in the same rounds.
--traffic: page walks and cache lines a query instead, counted (traffic.py).
Sets lie beside the project in ../shared/data; one that is absent is skipped with that reason. Without
a SET all of these, which are then also drawn, as docs/ann.png; world1m (a million rows) by its name
alone: it is made, once, and takes half an hour."""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import peers
import plot
import traffic
from sets import DEFAULT, ROOT, SETS, append, files_of, missing

PLOT = ROOT / "docs" / "ann.png"
SCAN_TARGETS = {  # of the exact scan's time: recall, at most
    "sift128": (0.95, 0.08), "fashion784": (0.99, 0.03),
}
TARGETS = {  # by layout: bytes of hnswlib's, queries/s of hnswlib's at recall 0.95 and 0.99
    "compact": {"sift128": (0.6, 1.8, 1.7), "world1m": (0.6, 1.8, 1.8), "fashion784": (0.4, 2.5, 2.2),
                "words100": (0.6, 1.8, 1.5), "deb512": (0.65, 2.0, 1.8)},
    "fast": {"sift128": (1.6, 2.6, 2.9), "world1m": (1.6, 2.5, 2.6), "fashion784": (1.4, 4.0, 4.5),
             "words100": (1.6, 2.5, 2.0), "deb512": (1.5, 3.0, 3.0)},
}


def cpu_at(curve, recall):
    before = None
    for point in curve:
        if point["recall"] >= recall:
            if before is None:
                return point["cpu_us"]
            share = (recall - before["recall"]) / (point["recall"] - before["recall"])
            return before["cpu_us"] + share * (point["cpu_us"] - before["cpu_us"])
        before = point
    return None


def measure(build, name, rounds, folder, with_peers):
    metric, kind = SETS[name][:2]
    output = folder / "ann.json"
    files = [metric, kind, *map(str, files_of(name, build, folder))]
    command = [build / "bench" / "insula-bench", "ann", "--base", files[2], "--query", files[3], "--truth", files[4],
               "--metric", metric, "--type", kind, "--rounds", str(rounds), "--peer", "--turns", "--json", output]
    others, reasons = peers.begin(build, files, folder) if with_peers else ([], {})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        peers.take_turns(rounds, program, others, reasons)
    if program.returncode != 0:
        raise RuntimeError(f"insula-bench ann failed with {program.returncode}")
    result = json.loads(output.read_text())
    result["rivals"] += [other.rival() for other in others]
    result["absent"] = reasons
    return result


def ratio(mine, theirs, recall):
    ours, peers = cpu_at(mine["curve"], recall), cpu_at(theirs["curve"], recall)
    return None if ours is None or peers is None else peers / ours


def row(name, result, layout):
    rivals = {rival["name"]: rival for rival in result["rivals"]}
    mine, theirs = rivals[layout], rivals["hnswlib"]
    bytes_ratio = mine["bytes"] / theirs["bytes"]
    build_ratio = mine["build_cpu_s"] / theirs["build_cpu_s"]
    speeds = [ratio(mine, theirs, recall) for recall in (0.95, 0.99, 0.999)]
    want_bytes, want_95, want_99 = TARGETS[layout][name]
    good = (bytes_ratio <= want_bytes and (speeds[0] or 0) >= want_95
            and (speeds[1] or 0) >= want_99 and build_ratio <= 0.6)
    figures = " ".join("   -  " if speed is None else f"{speed:6.2f}" for speed in speeds)
    print(f"{name:11} {layout:7} {result['rows']:7} {result['dim']:5}  {bytes_ratio:5.2f} (<= {want_bytes})"
          f"  {build_ratio:5.2f} (<= 0.6)  {figures}  (>= {want_95} / {want_99})"
          f"  {'pass' if good else 'short'}", flush=True)


def peer_rows(name, result):
    """What the peers do beside hnswlib, and Insula beside the best of them."""
    rivals = {rival["name"]: rival for rival in result["rivals"]}
    others = {key: rival for key, rival in rivals.items() if key not in TARGETS}
    for key, rival in others.items():
        if key == "hnswlib":
            continue
        speeds = [ratio(rival, rivals["hnswlib"], recall) for recall in (0.95, 0.99, 0.999)]
        figures = " ".join("   -  " if speed is None else f"{speed:6.2f}" for speed in speeds)
        print(f"{name:11} {key:14} {rival['bytes'] / rivals['hnswlib']['bytes']:5.2f}  "
              f"{rival['build_cpu_s'] / rivals['hnswlib']['build_cpu_s']:5.2f}  {figures}", flush=True)
    for key, reason in result["absent"].items():
        print(f"{name:11} {key:14} not measured: {reason}", flush=True)
    for recall in (0.95, 0.99):
        best = min((cpu, key) for key, rival in others.items() if (cpu := cpu_at(rival["curve"], recall)) is not None)
        own = min(((cpu, key) for key in TARGETS if key in rivals and
                   (cpu := cpu_at(rivals[key]["curve"], recall)) is not None), default=None)
        if own is not None:
            print(f"{name:11} at {recall} best peer {best[1]}; {own[1]} {best[0] / own[0]:.2f} of its queries/s "
                  f"(aim 1.15)", flush=True)


def scan_row(name, result):
    scan = result["scan"]
    shares = [cpu_at(scan["curve"], recall) for recall in (0.95, 0.99, 0.999)]
    shares = [None if cpu is None else cpu / scan["exact_us"] for cpu in shares]
    figures = " ".join("   -  " if share is None else f"{share:6.4f}" for share in shares)
    recall, most = SCAN_TARGETS.get(name, (None, None))
    verdict = ""
    if recall is not None:
        share = cpu_at(scan["curve"], recall) / scan["exact_us"]
        verdict = f"  (<= {most} at {recall})  {'pass' if share <= most else 'short'}"
    print(f"{name + ' scan':16} of exact: {figures}{verdict}; "
          f"{scan['pass_us'] * 1e3 / result['rows']:.2f} ns a row of codes, "
          f"{scan['exact_us'] * 1e3 / result['rows']:.1f} ns a row of floats", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench-ann")
    parser.add_argument("build", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-peers", action="store_true", help="hnswlib alone, no packages")
    parser.add_argument("--traffic", action="store_true", help="page walks and cache lines a query, counted")
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    options = parser.parse_intermixed_args()
    unknown = [name for name in options.sets if name not in SETS]
    if unknown:
        parser.error(f"no set {unknown[0]}; there are {', '.join(SETS)}")
    if options.traffic:
        return traffic.table(options.build, options.sets or DEFAULT)
    print(f"{'set':11} {'layout':7} {'rows':>7} {'dim':>5}  bytes / hnswlib  build CPU / hnswlib  queries/s over "
          "hnswlib's at recall 0.95, 0.99, 0.999; of the scan: its CPU time over the exact scan's")
    results = {}
    for name in options.sets or DEFAULT:
        if missing(name):
            print(f"{name:11} skipped: {missing(name)}")
            continue
        with tempfile.TemporaryDirectory(dir=options.build) as folder:
            results[name] = measure(options.build, name, options.rounds, Path(folder), not options.no_peers)
        for layout in TARGETS:
            row(name, results[name], layout)
        scan_row(name, results[name])
        peer_rows(name, results[name])
    if all(name in results for name in DEFAULT):
        plot.draw(results, PLOT)
    if results:
        append({"sets": results})


main()
