#!/usr/bin/env python3
"""./dev gates [--quick] [--build DIR] [ID]...

Measures the figures that the issues ask for and says whether each is reached. Without an ID all;
"1.3" takes 1.3a, 1.3b and 1.3c. The default follows bench/README.md: slices of 10 s, 7 turns;
--quick: 2 s, 3 turns, for a look. Appends a line to bench/history/gates.jsonl (--no-history: not).
Exit code: 0 also when a figure falls short, 1 when something could not be measured."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import ann
import cpu
import memory
import world
import writers
from harness import Others, Result, Setup, Skip

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OTHERS_MAX = 0.1  # of the machine; above it a figure says more about the others
GATES = {
    "1.1": memory.gate_1_1,
    "1.2": memory.gate_1_2,
    "1.3a": writers.gate_http,
    "1.3b": writers.gate_syncs,
    "1.3c": writers.gate_rival,
    "1.4": cpu.gate_1_4,
    "1.5": cpu.gate_1_5,
    "3.5": ann.gate_3_5,
    "4.8": memory.gate_4_8,
    "4.9": memory.gate_4_9,
    **world.gates(),
}


def chosen(ids):
    if not ids:
        return list(GATES)
    names = [name for name in GATES if any(name == one or name.startswith(one + ".") or
                                           name.rstrip("abc") == one for one in ids)]
    unknown = [one for one in ids if not any(name.startswith(one) for name in GATES)]
    if unknown or not names:
        sys.exit(f"gates: no gate {', '.join(unknown or ids)}; there are {', '.join(GATES)}")
    return names


def first_line(path, key):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return "unknown"


def machine():
    return {"cpu": first_line("/proc/cpuinfo", "model name"), "cores": os.cpu_count(),
            "memory": first_line("/proc/meminfo", "MemTotal"), "kernel": platform.release()}


def commit():
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True,
                              text=True).stdout.strip()
    return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno")
                                                     else "")


def show(result):
    spread = f"({result.spread})" if result.spread else ""
    print(f"{result.gate:5} {result.what:66} {result.target:>11} {result.measured:>9} "
          f"{spread:24} {result.verdict}", flush=True)


def measure(name, setup):
    """All lines of a gate; whether it could be measured."""
    lines = []
    others = Others()
    try:
        for result in GATES[name](setup):
            show(result)
            lines.append(result)
    except Skip as reason:
        lines.append(Result(name, "", "", "-", f"skipped ({reason})"))
        show(lines[-1])
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        lines.append(Result(name, "not measured", "", "-", f"failed: {error}"))
        show(lines[-1])
        return lines, False
    share = others.share()
    for line in lines:
        line.values["others_cpu"] = round(share, 3)
    if share > OTHERS_MAX:
        print(f"{name:5} other work took {share:.0%} of the machine meanwhile: take it again when "
              "it is quiet", flush=True)
    return lines, True


def record(lines, setup):
    entry = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit(), "machine": machine(),
        "load": os.getloadavg()[0],
        "parameters": {"slice_s": setup.slice_s, "slices": setup.slices},
        "results": [{"gate": one.gate, "what": one.what, "target": one.target,
                     "measured": one.measured, "spread": one.spread, "verdict": one.verdict,
                     "values": one.values} for one in lines],
    }
    history = ROOT / "bench" / "history"
    history.mkdir(exist_ok=True)
    with open(history / "gates.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="./dev gates", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("id", nargs="*", help="1.1, 1.2, 1.3, 1.3a, ...")
    parser.add_argument("--quick", action="store_true", help="short slices, fewer turns")
    parser.add_argument("--build", default=str(ROOT / "build"), help="build directory")
    parser.add_argument("--no-history", action="store_true")
    options = parser.parse_args()
    names = chosen(options.id)
    good, lines = True, []
    # Below the build directory: on the disk of the repository, and never in it.
    with tempfile.TemporaryDirectory(prefix="gates-", dir=options.build) as directory:
        setup = Setup(options.build, options.quick, directory)
        print(f"Slices of {setup.slice_s:.0f} s, {setup.slices} turns"
              f"{' (quick)' if setup.quick else ''}; load of the machine before: "
              f"{os.getloadavg()[0]:.1f}")
        for name in names:
            found, measured = measure(name, setup)
            lines += found
            good = good and measured
        if not options.no_history:
            record(lines, setup)
    verdicts = [one.verdict.split(" (")[0].split(":")[0] for one in lines]
    print(", ".join(f"{verdicts.count(one)} {one}" for one in dict.fromkeys(verdicts)))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
