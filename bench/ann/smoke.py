"""Test: `insula-bench ann` on small sets of every metric and type, and what it says to bad files.

Method: rows and queries drawn by seed, truth by brute force here; recall at the largest effort must
be near 1, figures must be there.
usage: smoke.py BUILD [traced]"""

import json
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(sys.argv[1]) / "bench" / "insula-bench"
ROWS, QUERIES, K, DIM = 400, 20, 10, 24
CODES = {"f32": "f", "f16": "e", "u8": "B"}


def draw(random_source, kind):
    if kind == "u8":
        return [random_source.randrange(256) for _ in range(DIM)]
    values = [random_source.gauss(0, 1) for _ in range(DIM)]
    return list(struct.unpack(f"<{DIM}e", struct.pack(f"<{DIM}e", *values)))


def unit(row):
    norm = sum(value * value for value in row) ** 0.5
    return [value / norm for value in row]


def distance(metric, a, b):
    if metric == "l2":
        return sum((x - y) ** 2 for x, y in zip(a, b))
    if metric == "cos":
        a, b = unit(a), unit(b)
    product = sum(x * y for x, y in zip(a, b))
    return 1 - product if metric == "cos" else -product


def write_rows(path, kind, rows):
    with open(path, "wb") as file:
        file.write(struct.pack("<II", len(rows), DIM))
        for row in rows:
            file.write(struct.pack(f"<{DIM}{CODES[kind]}", *row))


def write_truth(path, metric, rows, queries):
    lists = [sorted((distance(metric, query, row), i) for i, row in enumerate(rows))[:K]
             for query in queries]
    with open(path, "wb") as file:
        file.write(struct.pack("<II", len(queries), K))
        for near in lists:
            file.write(struct.pack(f"<{K}I", *(i for _, i in near)))
        for near in lists:
            file.write(struct.pack(f"<{K}f", *(d for d, _ in near)))


def run(folder, metric, kind, *options):
    return subprocess.run(
        [BENCH, "ann", "--base", folder / "base", "--query", folder / "query", "--truth",
         folder / "truth", "--metric", metric, "--type", kind, "--rounds", "1", "--json",
         folder / "json", *options], capture_output=True, text=True, check=False)


def check_set(folder, metric, kind):
    source = random.Random(f"{metric} {kind}")
    rows = [draw(source, kind) for _ in range(ROWS)]
    queries = [draw(source, kind) for _ in range(QUERIES)]
    write_rows(folder / "base", kind, rows)
    write_rows(folder / "query", kind, queries)
    write_truth(folder / "truth", metric, rows, queries)
    result = run(folder, metric, kind)
    assert result.returncode == 0, result.stderr
    report = json.loads((folder / "json").read_text())
    rival, scan = report["rivals"][0], report["scan"]["curve"]
    assert scan[-1]["recall"] >= 0.97, (metric, kind, scan[-1])
    assert scan[0]["recall"] <= scan[-1]["recall"]
    for layout in report["rivals"]:
        assert layout["curve"][-1]["recall"] >= 0.99, (metric, kind, layout["name"], layout["curve"][-1])
    assert [layout["name"] for layout in report["rivals"]] == (["compact"] if metric == "ip" else ["compact", "fast"])
    assert all(point["cpu_us"] > 0 for point in rival["curve"])
    assert rival["bytes"] > ROWS * DIM


def check_filters(folder):
    """Goal: every way is measured in each case, with a verdict. Method: the scan and the way that is taken find
    nearly all of so few rows."""
    result = run(folder, "l2", "f32", "--filters")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("no filter: effort") == 2, result.stdout
    cases = [line.split() for line in result.stdout.splitlines() if line.startswith("effort")]
    assert len(cases) > 2 * 3 * 8, len(cases)  # of the 66 those that a row passes
    for line in cases:
        recall = {way: float(line[line.index(way) + 1]) for way in ("walk", "scan", "pick", "taken")}
        assert recall["pick"] == 1 and recall["scan"] > 0.9 and recall["taken"] > 0.8, line
        assert line[-1] in ("ok", "SLOW", "MISSES"), line


def check_threads(folder):
    """Goal: both layouts are asked by two threads, and what a query costs then is told."""
    result = run(folder, "l2", "f32", "--threads", "2")
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines() if line.startswith("2 threads:")]
    assert [line[2] for line in lines] == ["compact", "fast"], result.stdout
    assert all(0.2 < float(line[-3].rstrip(",")) < 20 and float(line[-1]) > 0 for line in lines), lines


def check_turns(folder):
    """Goal: a round waits for its line; a peer that cannot build is a reason, not a failure of the run."""
    import peers  # pylint: disable=import-outside-toplevel
    command = [BENCH, "ann", "--base", folder / "base", "--query", folder / "query", "--truth", folder / "truth",
               "--metric", "l2", "--type", "f32", "--rounds", "2", "--turns", "--json", folder / "json"]
    done = subprocess.run(command, input="go\n", capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "--turns" in done.stderr, done.stderr
    (folder / "json").unlink()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        peers.take_turns(2, program, [], {})
    assert program.returncode == 0
    assert json.loads((folder / "json").read_text())["rounds"] == 2
    try:
        peers.Peer("none", sys.executable, ["l2", "f32", folder / "base", folder / "query", folder / "truth"], folder)
        raise AssertionError("a peer that is not there was built")
    except RuntimeError as error:
        assert str(error), error


def check_made_set(folder):
    """Goal: the made tenant's files fit `ann`, and its truth is right. Method: some distances here, recall there."""
    done = subprocess.run([BENCH, "ann-set", folder / "made", "1000", "20"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    base, query, truth = ((folder / "made" / name).read_bytes() for name in ("base", "query", "truth"))
    assert struct.unpack_from("<II", base) == (1000, 128) and struct.unpack_from("<II", truth) == (20, 100)
    rows = [struct.unpack_from("<128f", base, 8 + 512 * row) for row in range(1000)]
    asked = struct.unpack_from("<128f", query, 8)
    near = sorted((1 - sum(a * b for a, b in zip(asked, row)), i) for i, row in enumerate(rows))[:10]
    assert list(struct.unpack_from("<10I", truth, 8)) == [i for _, i in near]
    told = struct.unpack_from("<10f", truth, 8 + 20 * 100 * 4)
    assert all(abs(a - b) < 1e-6 for a, (b, _) in zip(told, near)), (told, near)
    result = run(folder / "made", "cos", "f32")
    assert result.returncode == 0, result.stderr
    assert json.loads((folder / "made" / "json").read_text())["rivals"][0]["curve"][-1]["recall"] >= 0.99
    for words in ((folder / "made", "99"), (folder / "made", "1000", "0"), ()):
        done = subprocess.run([BENCH, "ann-set", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "usage" in done.stderr, (words, done.stderr)
    done = subprocess.run([BENCH, "ann-set", folder / "none" / "deeper", "100", "1"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and "deeper" in done.stderr, done.stderr


def check_refusals(folder):
    for options, says in (
            (("l2", "f32", "--threads", "1"), "--threads"),
            (("l2", "f64"), "--type"), (("hamming", "f32"), "--metric"),
            (("l2", "f32", "--base", folder / "none"), "none"),
            (("l2", "f32", "--truth", folder / "query"), "too few"),
            (("l2", "f32", "--limit", "0"), "--limit")):
        result = run(folder, *options)
        assert result.returncode != 0 and says in result.stderr, (options, result.stderr)
    data = (folder / "base").read_bytes()
    (folder / "base").write_bytes(data[:-1])
    result = run(folder, "l2", "f32")
    assert result.returncode != 0 and "shorter" in result.stderr, result.stderr


def reads_trace(folder, ranges, trace):
    (folder / "ranges").write_text(ranges)
    return subprocess.run([BENCH.parent / "insula-trace", folder / "ranges"], input=trace, text=True,
                          capture_output=True, check=False)


def check_trace_reader(folder):
    """Goal: lines of a trace are understood, what is none is refused. Method: traces written here."""
    begin, end = " S 700000000,4\n", " S 700000040,4\n"
    trace = ("==1== noise\nI  04000,3\n L 10000,8\n" + begin + " L 2003c,8\n M 20000,4\nI  04003,3\n S 21000,1\n"
             + end + " L 90000,8\n" + begin + " L 20000,8\n" + end)
    result = reads_trace(folder, "index 20000 30000\nhuge 20000 30000\nsize 3221225472\n", trace)
    assert result.returncode == 0, result.stderr
    counts = json.loads(result.stdout)
    assert (counts["queries"], counts["copies"], counts["accesses"]) == (2, 2, 2), counts
    assert (counts["lines"], counts["pages"]) == (2.0, 1.5), counts  # (3 + 1) / 2, (2 + 1) / 2
    assert (counts["walks_4k"], counts["walks_2m"]) == (1.5, 1.0), counts  # a copy a query
    for ranges, trace, says in (("", "", "no query"), ("index 2 1\n", begin, "not a range"),
                                ("heap 1 2\n", begin, "not a range"), ("size 0\n", begin, "not a range")):
        result = reads_trace(folder, ranges, trace)
        assert result.returncode != 0 and says in result.stderr, (ranges, result.stderr)


def check_traced(folder):
    """Goal: the mapped index answers as the one that was built. Method: the sums that both runs print."""
    traced = BENCH.parent / "insula-traced"
    for layout in ("compact", "fast"):
        made = subprocess.run([traced, "make", layout, "l2", "f32", folder / "base", folder / "query",
                               folder / "truth", "0.9", folder / "image"], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        asked = subprocess.run([traced, "run", folder / "image", folder / "ranges"], capture_output=True, text=True,
                               check=False)
        assert asked.returncode == 0, asked.stderr
        assert json.loads(asked.stdout)["answers"] == json.loads(made.stdout)["answers"], (made.stdout, asked.stdout)
        assert {line.split()[0] for line in (folder / "ranges").read_text().splitlines()} == {
            "index", "huge", "scratch", "size"}
    (folder / "image").write_bytes(b"x" * 8192)
    for words, says in ((["run", folder / "image", folder / "ranges"], "not an image"),
                        (["run", folder / "none", folder / "ranges"], "no queries"), (["go"], "usage")):
        result = subprocess.run([traced, *words], capture_output=True, text=True, check=False)
        assert result.returncode != 0 and says in result.stderr, (words, result.stderr)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for metric in ("l2", "cos", "ip"):
            for kind in CODES:
                check_set(folder, metric, kind)
        check_set(folder, "l2", "f32")
        check_filters(folder)
        check_threads(folder)
        check_turns(folder)
        check_made_set(folder)
        check_trace_reader(folder)
        if sys.argv[2:] == ["traced"]:  # not with sanitizers: they want the addresses
            check_traced(folder)
        check_refusals(folder)
    print("nine sets, six refusals")


main()
