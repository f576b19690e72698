"""Memory traffic of a query, counted: page walks and distinct cache lines, beside hnswlib.

Each index is built and asked at the least effort with RECALL, then mapped into a process of its own
that valgrind looks at (tool lackey); insula-trace reads the trace through a pipe. bench/trace/ says
what is counted. Instructions and prefetches are not."""

import json
import subprocess
import tempfile
from pathlib import Path

from sets import SETS, append, files_of, missing

RECALL = 0.95
SUBJECTS = {"compact": "insula-traced", "fast": "insula-traced", "hnswlib": "insula-traced-hnswlib"}
WALKS_MAX = {"compact": 1 / 3, "fast": 1 / 8}  # of hnswlib's on 4 KiB pages
LINES_MAX = 1 / 2


def finish(process, name):
    if process.wait() != 0:
        raise RuntimeError(f"{name} failed with {process.returncode}")


def trace(programs, program, image):
    """Counts a query of the index in the file `image`, and the sum of the traced answers."""
    ranges = image.with_suffix(".ranges")
    answers = image.with_suffix(".answers")
    with open(answers, "wb") as output, subprocess.Popen(
            # The trace goes where errors go; nothing else is written there.
            ["valgrind", "-q", "--tool=lackey", "--trace-mem=yes", "--log-fd=2", programs / program,
             "run", image, ranges], stdout=output, stderr=subprocess.PIPE) as traced:
        reader = subprocess.run([programs / "insula-trace", ranges], stdin=traced.stderr,
                                stdout=subprocess.PIPE, text=True, check=False)
        traced.stderr.close()
        finish(traced, program)
    if reader.returncode != 0:
        raise RuntimeError(f"insula-trace failed with {reader.returncode}")
    return json.loads(reader.stdout), json.loads(answers.read_text())["answers"]


def measure_one(build, subject, name, folder):
    programs = build / "bench"
    metric, kind = SETS[name][:2]
    image = folder / subject
    made = subprocess.run([programs / SUBJECTS[subject], "make", subject, metric, kind,
                           *files_of(name, build, folder), str(RECALL), image],
                          stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        raise RuntimeError(f"{SUBJECTS[subject]} make failed with {made.returncode}")
    known = json.loads(made.stdout)
    counts, answers = trace(programs, SUBJECTS[subject], image)
    if answers != known["answers"]:
        raise RuntimeError(f"{subject}: the traced search answered otherwise than the one before")
    image.unlink()
    return {"effort": known["effort"], "recall": known["recall"], **counts}


def measure(build, name):
    """Counts a query by subject."""
    with tempfile.TemporaryDirectory(dir=build) as folder:
        return {subject: measure_one(Path(build), subject, name, Path(folder))
                for subject in SUBJECTS}


def verdicts(counts):
    """(subject, what, ratio, the most that is allowed): ours over hnswlib's on 4 KiB pages."""
    theirs = counts["hnswlib"]
    for subject, walks_max in WALKS_MAX.items():
        mine = counts[subject]
        yield subject, "page walks", mine["walks_2m"] / theirs["walks_4k"], walks_max
        yield subject, "cache lines", mine["lines"] / theirs["lines"], LINES_MAX


def table(build, names):
    print("a query at recall 0.95: effort, recall, cache lines, page walks on 4 KiB pages and on 2 MiB pages")
    results = {}
    for name in names:
        if missing(name):
            print(f"{name:11} skipped: {missing(name)}")
            continue
        results[name] = measure(build, name)
        for subject, one in results[name].items():
            print(f"{name:11} {subject:8} {one['effort']:5} {one['recall']:.4f} {one['lines']:8.0f} "
                  f"{one['walks_4k']:8.1f} {one['walks_2m']:8.1f}", flush=True)
        for subject, what, ratio, most in verdicts(results[name]):
            print(f"{name:11} {subject:8} {what} over hnswlib's: {ratio:.3f} (<= {most:.3f})  "
                  f"{'pass' if ratio <= most else 'short'}", flush=True)
    if results:
        append({"traffic": results})
