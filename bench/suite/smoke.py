#!/usr/bin/env python3
"""The made world's workloads, tiny, against a real server: so that they do not rot.

    smoke.py BUILD STYLE

Goal: each workload ends well, its answers are right, it reports what docs/benchmarks.md shows, and
a run that was cut off goes on where it was. Method: `report` at scale tiny, parts of a second each;
then its report.json is read, and a second run must keep what is there."""

import json
import pathlib
import subprocess
import sys
import tempfile

WANTED = {
    "load": ["points_per_s", "cpu_ratio", "resident_settled_mib", "disk_mib", "point_bytes"],
    "steady": ["search_p99_ms", "recall_size0", "lateness_p99_ms", "server_rss_mib"],
    "storm": ["points_per_s", "write_p99_ms", "amplification_log", "amplification_all",
              "read_back", "verified"],
    "cold": ["cold_p50_us", "direct_p50_us", "device_reads", "direct_reads"],
    "promise": ["few_tenants", "few_points", "few_points_asked", "p50_ms_ratio", "p99_ms_ratio", "many_rate", "few_rate"],
    "isolation": ["tried"],
    "filter": ["recall_none", "recall_far", "p99_two_ms"],
    "overload": ["rate_p99_50ms", "goodput_ratio", "accepted_p99_ms", "fair_judged"],
    "noisy": ["queries_ratio", "upserts_ratio", "filtered_ratio", "create_ratio", "slow_ratio",
              "upserts_points_per_s", "create_points_per_s", "slow_echo_p99_ms"],
    "squeeze": ["at100_warm_p99_ms", "at12_budget_mib", "again_resident_mib", "resident_over"],
    "churn": ["made_per_s", "ghosts_asked", "resident_growth", "descriptors_growth"],
    "aging": ["replaced", "recall_loss", "disk_growth", "resident_growth"],
    "restart": ["first_answer_s", "idle_rss_mib", "verified", "written"],
}
ZERO = ["foreign", "wrong", "stale", "requests_failed", "lost", "extra", "halves",
        "read_back_wrong", "count_difference", "ghosts", "churn_failed", "failures"]


def run(build, *arguments):
    command = [str(pathlib.Path(build).resolve() / "bench/insula-bench"), *map(str, arguments)]
    return subprocess.run(command, cwd=build, capture_output=True, text=True)


def fail(text):
    sys.exit("smoke: " + text)


def check(workload, style):
    name = workload["workload"]
    wanted = [] if name == "cold" and style != "key" else WANTED.get(name, [])
    missing = [key for key in wanted if workload.get(key) is None]
    if missing:
        fail(f"{name}: no {', '.join(missing)} in {workload}")
    for key in ZERO:
        if workload.get(key, 0) != 0:
            fail(f"{name}: {key} is {workload[key]}")
    for key, value in workload.items():
        if "recall" in key and isinstance(value, float) and value < 0.9:
            fail(f"{name}: {key} is {value}")


def main():
    build, style = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="suite-", dir=build) as data:
        options = ["report", "--scale", "tiny", "--style", style, "--data", data, "--seconds", 0.6,
                   "--warmup", 0.1, "--memory-budget", 256 << 20, "--json"]
        done = run(build, *options)
        if done.returncode != 0:
            fail(done.stderr)
        report = json.loads((pathlib.Path(data) / "report.json").read_text())
        names = [workload["workload"] for workload in report["workloads"]]
        if set(names) != set(WANTED):
            fail(f"want {sorted(WANTED)}, got {names}")
        for workload in report["workloads"]:
            check(workload, style)
        html = (pathlib.Path(data) / "report.html").read_text()
        if "<svg" not in html or "Targets" not in (pathlib.Path(data) / "report.md").read_text():
            fail("a document is not whole")
        again = run(build, *options)
        if again.returncode != 0 or again.stderr.count("are kept") != len(WANTED):
            fail("a second run does not go on where the first ended: " + again.stderr)


if __name__ == "__main__":
    main()
