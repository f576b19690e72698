#!/usr/bin/env python3
"""Tiny runs of the workloads over HTTP against a real server, so that they do not rot.

    smoke.py BUILD

Goal: each workload ends well and reports what the gates read. Method: a server on a free port with
a temporary directory; a few tenants, a tenth of a second a slice."""

import sys
import tempfile

from harness import Setup, insula, insula_without_log

BUDGET = 256 << 20
SHORT = ("--seconds", 0.1, "--warmup", 0)


def check(name, values, *keys):
    missing = [key for key in keys if values.get(key) is None]
    if missing:
        sys.exit(f"{name}: no {', '.join(missing)} in {values}")


def main():
    with tempfile.TemporaryDirectory(prefix="smoke-", dir=sys.argv[1]) as directory:
        setup = Setup(sys.argv[1], True, directory)
        data = setup.directory / "data"
        with insula(setup, data, "--memory-budget", BUDGET) as server:
            where = ("--url", server.url, "--pid", server.pid, "--connections", 8)
            for style in ("key", "collection"):
                values = setup.bench("writers", *where, "--tenants", 20, "--style", style, *SHORT)
                check("writers", values, "writes_per_s", "p99_us", "syncs", "cpu_us_per_ack")
            for kind in ("healthz", "search-8", "search-100"):
                values = setup.bench("requests", *where, "--kind", kind, *SHORT)
                check(kind, values, "requests_per_s", "cpu_us")
            values = setup.bench("collections", *where, "--style", "collection", "--from", 100,
                                 "--collections", 300, "--seconds", 0.02, "--seed", 2)
            check("collections", values, "ratio", "resident_bytes_each", "timers")
            values = setup.bench("collections", *where, "--style", "key", "--from", 100,
                                 "--collections", 300, "--points", 1, "--flush", "--seed", 2)
            check("collections", values, "resident_bytes_each")
        values = setup.bench("start", "--server", setup.program("insula"), "--data", data,
                             "--collections", 300, "--seed", 2, "--memory-budget", BUDGET)
        check("start", values, "answer_s", "read_s")
        with insula_without_log(setup, setup.directory / "dropped", BUDGET) as server:
            check("writers", setup.bench("writers", "--url", server.url, *SHORT), "writes_per_s")


if __name__ == "__main__":
    main()
