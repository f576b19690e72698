"""Gate 3.5: memory traffic of a query, counted, beside hnswlib's (bench/ann/traffic.py)."""

import pathlib
import shutil
import sys

from harness import Result, Skip

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "ann"))
import sets  # noqa: E402
import traffic  # noqa: E402


def built_with_peers(setup):
    for build in (setup.build, setup.build.parent / "build-ann"):
        if (build / "bench" / "insula-traced-hnswlib").exists():
            return build
    raise Skip("./dev bench-ann builds it with hnswlib")


def gate_3_5(setup):
    build = built_with_peers(setup)
    if shutil.which("valgrind") is None:
        raise Skip("no valgrind")
    names = [name for name in sets.DEFAULT if not sets.missing(name)]
    if not names:
        raise Skip("no sets in ../shared/data")
    for name in names[:1] if setup.quick else names:
        counts = traffic.measure(build, name)
        for subject, what, ratio, most in traffic.verdicts(counts):
            yield Result("3.5", f"{name}: {what} a query over hnswlib's, {subject}", f"<= {most:.3f}",
                         f"{ratio:.3f}", ratio <= most, "", counts[subject])
