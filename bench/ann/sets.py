"""The sets of real vectors, and the file that keeps what was measured on them."""

import datetime
import gzip
import json
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
SETS = {  # name: metric, type, base, query, truth
    "sift128": ("l2", "u8", "sift128.base.u8bin", "sift128.query.u8bin", "sift128.l2.gt"),
    "fashion784": ("l2", "u8", "fashion784.base.u8bin.gz", "fashion784.query.u8bin",
                   "fashion784.l2.gt"),
    "words100": ("cos", "f16", "words100.base.f16bin", "words100.query.f16bin", "words100.cos.gt"),
    "deb512": ("cos", "f16", "deb512.base.f16bin", "deb512.query.f16bin", "deb512.cos.gt"),
    # Made by `insula-bench ann-set`: the largest tenant of the made world, 1,000,000 x 128.
    "world1m": ("cos", "f32", "base", "query", "truth"),
}
DEFAULT = [name for name in SETS if name != "world1m"]  # that one takes long, and is asked for by name


def missing(name):
    """Why the set cannot be had, or nothing."""
    there = name == "world1m" or all((DATA / file).exists() for file in SETS[name][2:])
    return "" if there else "its files are not in ../shared/data"


def made(build):
    """The folder of the set that is made, once for a build directory."""
    folder = Path(build) / "sets" / "world1m"
    if not (folder / "truth").exists():  # written last
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([Path(build) / "bench" / "insula-bench", "ann-set", folder], check=True)
    return folder


def files_of(name, build, folder):
    """Base, query and truth; `folder`: for what has to be unpacked."""
    if name == "world1m":
        return [made(build) / file for file in SETS[name][2:]]
    base, query, truth = (DATA / file for file in SETS[name][2:])
    if base.suffix == ".gz":
        plain = folder / base.stem
        if not plain.exists():
            with gzip.open(base) as source, open(plain, "wb") as target:
                shutil.copyfileobj(source, target)
        base = plain
    return [base, query, truth]


def append(entry):
    """A line of bench/history/ann.jsonl."""
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, check=False,
                            capture_output=True, text=True).stdout.strip()
    line = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "commit": commit, **entry}
    with open(ROOT / "bench" / "history" / "ann.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
