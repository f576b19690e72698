"""`./dev bench-ann`: the index beside hnswlib on real sets, interleaved, one thread.

usage: bench/ann BUILD [--rounds N] [SET]...
Sets lie beside the project in ../shared/data; one that is absent is skipped with that reason. All
sets together are also drawn, as docs/ann.png."""

import argparse
import datetime
import gzip
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import plot

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
PLOT = ROOT / "docs" / "ann.png"
SETS = {  # name: metric, type, base, query, truth
    "sift128": ("l2", "u8", "sift128.base.u8bin", "sift128.query.u8bin", "sift128.l2.gt"),
    "fashion784": ("l2", "u8", "fashion784.base.u8bin.gz", "fashion784.query.u8bin",
                   "fashion784.l2.gt"),
    "words100": ("cos", "f16", "words100.base.f16bin", "words100.query.f16bin", "words100.cos.gt"),
    "deb512": ("cos", "f16", "deb512.base.f16bin", "deb512.query.f16bin", "deb512.cos.gt"),
}
SCAN_TARGETS = {  # of the exact scan's time: recall, at most
    "sift128": (0.95, 0.08), "fashion784": (0.99, 0.03),
}
TARGETS = {  # by layout: bytes of hnswlib's, queries/s of hnswlib's at recall 0.95 and 0.99
    "compact": {"sift128": (0.6, 1.8, 1.7), "fashion784": (0.4, 2.5, 2.2),
                "words100": (0.6, 1.8, 1.5), "deb512": (0.65, 2.0, 1.8)},
    "fast": {"sift128": (1.6, 2.6, 2.9), "fashion784": (1.4, 4.0, 4.5),
             "words100": (1.6, 2.5, 2.0), "deb512": (1.5, 3.0, 3.0)},
}


def unpacked(name, folder):
    path = DATA / name
    if path.suffix != ".gz":
        return path
    plain = folder / path.stem
    with gzip.open(path) as source, open(plain, "wb") as target:
        shutil.copyfileobj(source, target)
    return plain


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
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    options = parser.parse_args()
    unknown = [name for name in options.sets if name not in SETS]
    if unknown:
        parser.error(f"no set {unknown[0]}; there are {', '.join(SETS)}")
    print(f"{'set':11} {'layout':7} {'rows':>7} {'dim':>5}  bytes / hnswlib  build CPU / hnswlib  queries/s over "
          "hnswlib's at recall 0.95, 0.99, 0.999; of the scan: its CPU time over the exact scan's")
    results = {}
    for name in options.sets or SETS:
        if not all((DATA / file).exists() for file in SETS[name][2:]):
            print(f"{name:11} skipped: its files are not in ../shared/data")
            continue
        with tempfile.TemporaryDirectory(dir=options.build) as folder:
            results[name] = measure(options.build, name, options.rounds, Path(folder))
        for layout in TARGETS:
            row(name, results[name], layout)
        scan_row(name, results[name])
    if len(results) == len(SETS):
        plot.draw(results, PLOT)
    if results:
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, check=False,
                                capture_output=True, text=True).stdout.strip()
        line = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "commit": commit, "sets": results}
        with open(ROOT / "bench" / "history" / "ann.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


main()
