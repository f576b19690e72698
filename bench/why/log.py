"""One log against a log per tenant: acknowledged writes, and what the device does for each."""

import json
import subprocess

from measure import Broken

COLUMNS = ["arrangement", "tenants, all written to", "acknowledged writes/s", "p50 / p99 us",
           "device writes each"]


def run(command, folder):
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise Broken(said[-1] if said else f"exit code {done.returncode}")
    return done.stdout


def writes(value):
    return "-" if value is None or value < 0 else f"{value:.3g}"


def one_log(setup, tenants, seconds):
    text = run([setup.build / "bench/insula-bench", "writers", "--json", "--tenants", tenants,
                "--writers", tenants, "--seconds", seconds, "--warmup", 1], setup.folder)
    found = json.loads(text)
    return [found["writes_per_s"], found["p50_us"], found["p99_us"],
            found["device_writes_per_ack"]]


def log_each(setup, tenants, seconds, threads):
    text = run([setup.build / "bench/insula-log-per-tenant", "--tenants", tenants, "--threads",
                threads, "--seconds", seconds], setup.folder)
    return [float(word) for word in text.splitlines()[-1].split()[2:]]


def rows(setup, tenants, seconds):
    runs = [(f"**Insula**, in process, {tenants:,} writers", lambda: one_log(setup, tenants, seconds))]
    runs += [(f"a log each, {threads} threads",
              lambda threads=threads: log_each(setup, tenants, seconds, threads))
             for threads in (16, 64)]
    for name, call in runs:
        try:
            rate, p50, p99, device = call()
        except Broken as reason:
            yield [name, f"{tenants:,}", f"not measured: {reason}", "", ""], {"name": name}
            continue
        yield ([name, f"{tenants:,}", f"{rate:,.0f}", f"{p50:,.0f} / {p99:,.0f}", writes(device)],
               {"name": name, "writes_per_s": rate, "p50_us": p50, "p99_us": p99,
                "device_writes": device})
