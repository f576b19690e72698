#!/usr/bin/env python3
"""./dev why [--small] [--no-install] [--only TEXT] [--build DIR]

What a tenant costs when it is an object of the operating system or of an engine (a mapping, a process,
a log, a shard, a collection, a table), and what it costs in Insula, each measured the same way in the
same run; see measure.py. Five to ten minutes. The table is printed and written to why.md in the build
directory, all figures to why.json. Rivals of the Python package index are installed into a virtual
environment in the build directory; a row that cannot be had says why.
--small: a few tenants and nothing from the network, to see that everything works.
Exit code 1 when a row that needs nothing but the build could not be measured."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import log
import rows
import table
from measure import Broken, measure

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SMALL = (10, 30)


class Setup:
    def __init__(self, build, install, folder):
        self.build = pathlib.Path(build).resolve()
        self.install, self.folder = install, pathlib.Path(folder).resolve()
        self.baselines = ROOT / "bench" / "baselines"
        self.python = sys.executable


def progress(text):
    print(text, file=sys.stderr, flush=True)


def machine():
    """One line; what the figures belong to."""
    cpu = next((line.split(":", 1)[1].strip() for line in
                pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT,
                            capture_output=True, text=True).stdout.strip()
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    return (f"{day}, commit {commit}, {cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux "
            f"{platform.release()}, load before {os.getloadavg()[0]:.1f}")


def one(setup, row, searches):
    """A line of the table, its values, and whether it was measured."""
    if row.reason is not None:
        return table.without(row.name, row.reason), {"name": row.name, "reason": row.reason}, False
    try:
        sizes = []
        for tenants in row.sizes:
            progress(f"{row.name}: {tenants:,} tenants")
            size = measure(row.command, tenants, setup.folder / "data", searches)
            if not size.ok():
                raise Broken(size.stopped)
            sizes.append(size)
        if sizes[1].tenants <= sizes[0].tenants:
            raise Broken(sizes[0].stopped or "no more tenants at the larger size")
        return *table.line(row.name, *sizes, table.limits()), True
    except (Broken, OSError, ValueError) as failure:
        reason = str(failure)
        return table.without(row.name, reason), {"name": row.name, "reason": reason}, False


def write(setup, head, tenants, logs, values):
    text = head + "\n\nWhat one more tenant of ten points (128 dimensions) costs:\n\n"
    text += table.markdown(table.COLUMNS, tenants)
    text += "\n" + table.markdown(log.COLUMNS, logs)
    (setup.build / "why.md").write_text(text, encoding="utf-8")
    (setup.build / "why.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
    print(text, end="")


def main():
    parser = argparse.ArgumentParser(prog="./dev why", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build"), help="build directory")
    parser.add_argument("--no-install", action="store_true", help="only packages that are there")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", default="", help="only rows whose name holds TEXT")
    options = parser.parse_args()
    head = machine()
    good, tenants, values = True, [], []
    # Below the build directory: on the disk of the repository, and never in it.
    with tempfile.TemporaryDirectory(prefix="why-", dir=options.build) as folder:
        setup = Setup(options.build, not options.no_install, folder)
        chosen = rows.own(setup, SMALL, SMALL) if options.small else rows.all_rows(setup)
        for row in chosen:
            if options.only.lower() in row.name.lower():
                cells, found, measured = one(setup, row, 100 if options.small else 2000)
                tenants.append(cells)
                values.append(found)
                good = good and (measured or not row.needed)
        logs = list(log.rows(setup, *((64, 0.2) if options.small else (1000, 3))))
        good = good and all("writes_per_s" in found for _, found in logs)
        write(setup, head, tenants, [cells for cells, _ in logs],
              {"machine": head, "tenants": values, "logs": [one for _, one in logs]})
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
