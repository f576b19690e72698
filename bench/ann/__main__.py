"""`./dev bench-ann`: the index beside hnswlib on real sets, interleaved, one thread.

usage: bench/ann BUILD [--rounds N] [--traffic] [SET]...
--traffic: page walks and cache lines a query instead, counted (traffic.py).
Sets lie beside the project in ../shared/data; one that is absent is skipped with that reason. All
sets together are also drawn, as docs/ann.png."""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import plot
import traffic
from sets import DATA, ROOT, SETS, append, missing, unpacked

PLOT = ROOT / "docs" / "ann.png"
SCAN_TARGETS = {  # of the exact scan's time: recall, at most
    "sift128": (0.95, 0.08), "fashion784": (0.99, 0.03),
}
TARGETS = {  # by layout: bytes of hnswlib's, queries/s of hnswlib's at recall 0.95 and 0.99
    "compact": {"sift128": (0.6, 1.8, 1.7), "fashion784": (0.4, 2.5, 2.2),
                "words100": (0.6, 1.8, 1.5), "deb512": (0.65, 2.0, 1.8)},
    "fast": {"sift128": (1.6, 2.6, 2.9), "fashion784": (1.4, 4.0, 4.5),
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


def measure(build, name, rounds, folder):
    metric, kind, base, query, truth = SETS[name]
    output = folder / "ann.json"
    subprocess.run([build / "bench" / "insula-bench", "ann", "--base", unpacked(base, folder),
                    "--query", DATA / query, "--truth", DATA / truth, "--metric", metric, "--type",
                    kind, "--rounds", str(rounds), "--peer", "--json", output], check=True,
                   stdout=subprocess.DEVNULL)
    return json.loads(output.read_text())


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
    parser.add_argument("--traffic", action="store_true", help="page walks and cache lines a query, counted")
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    options = parser.parse_args()
    unknown = [name for name in options.sets if name not in SETS]
    if unknown:
        parser.error(f"no set {unknown[0]}; there are {', '.join(SETS)}")
    if options.traffic:
        return traffic.table(options.build, options.sets or SETS)
    print(f"{'set':11} {'layout':7} {'rows':>7} {'dim':>5}  bytes / hnswlib  build CPU / hnswlib  queries/s over "
          "hnswlib's at recall 0.95, 0.99, 0.999; of the scan: its CPU time over the exact scan's")
    results = {}
    for name in options.sets or SETS:
        if missing(name):
            print(f"{name:11} skipped: {missing(name)}")
            continue
        with tempfile.TemporaryDirectory(dir=options.build) as folder:
            results[name] = measure(options.build, name, options.rounds, Path(folder))
        for layout in TARGETS:
            row(name, results[name], layout)
        scan_row(name, results[name])
    if len(results) == len(SETS):
        plot.draw(results, PLOT)
    if results:
        append({"sets": results})


main()
