"""Gate 3.7: what the workloads of the made world decide, at scale S (insula-bench report)."""

import json

from harness import Result, run

GATES = {  # key of a figure: what it is
    "load": {"cpu_ratio": "server's CPU a point over parse + normalise + 3 copies + checksum"},
    "overload": {"goodput_ratio": "searches answered at twice R over the peak",
                 "accepted_p99_ms": "p99 of the answered ones, ms"},
    "storm": {"amplification_log": "log over bytes of points",
              "amplification_flush": "log + flush over bytes of points",
              "amplification_all": "all sent to disk over bytes of points",
              "search_ratio": "search p99 beside writes over alone",
              "lost": "acknowledged writes that are lost"},
    "restart": {"lost": "acknowledged writes lost by kill -9",
                "halves": "requests of which a part is stored"},
    "churn": {"resident_growth": "resident, last third over second",
              "disk_growth": "disk, last third over second",
              "descriptors_growth": "descriptors, last third over second",
              "threads_growth": "threads, last third over second",
              "ghosts": "deleted tenants that answered"},
    "aging": {"recall_loss": "recall@10 lost", "disk_growth": "disk after over before"},
}


def gate_3_7(setup):
    with setup.folder("gate-3.7") as folder:
        short = ["--minutes", 2] if setup.quick else []
        run([setup.program("bench/insula-bench"), "report", "--scale", "S", "--data", str(folder),
             *map(str, short)], setup.directory)
        report = json.loads((folder / "report.json").read_text())
    for workload in report["workloads"]:
        name, targets = workload["workload"], workload.get("targets", {})
        foreign = workload.get("foreign", 0)
        if foreign:
            yield Result("3.7", f"{name}: hits of another tenant", "0", str(foreign), False)
        for key, what in GATES.get(name, {}).items():
            target = targets.get(key)
            if target is None:
                yield Result("3.7", f"{name}: {what}", "", "-", "skipped (the server does not tell)")
            else:
                yield Result("3.7", f"{name}: {what}", target["target"], f"{workload[key]:.4g}",
                             target["verdict"] == "pass")
