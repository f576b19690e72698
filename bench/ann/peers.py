"""Peers beside hnswlib: packages of pinned versions, in a virtual environment of the build directory.

A peer is a process (peer.py) that answers when it is its turn, so that all rivals are measured in
the same rounds. What does not install or run is a line with the reason."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "why"))
import packages  # noqa: E402

PEERS = {  # name: package, version
    "faiss-hnsw": ("faiss-cpu", "1.15.1"),
    "faiss-hnsw-sq8": ("faiss-cpu", "1.15.1"),
    "faiss-ivf-pq": ("faiss-cpu", "1.15.1"),
    "usearch": ("usearch", "2.26.6"),
    "symphonyqg": ("rabitqlib", "0.7.1"),
    "svs-f16": ("scalable-vs", "0.5.0"),
    "vsag": ("pyvsag", "0.18.5"),
    "ngt": ("ngt", "2.8.0.post1"),
    "glass": ("glassppy", "1.0.5"),
}


class Peer:
    """Builds when it is made; RuntimeError with the reason when it cannot."""

    def __init__(self, name, python, files, folder):
        self.name, self.points = name, []
        self.folder = tempfile.TemporaryDirectory(dir=folder)
        self.errors = open(Path(self.folder.name) / "errors", "w+", encoding="utf-8")
        metric, kind, base, query, truth = files
        command = [python, "-B", Path(__file__).with_name("peer.py"), name, metric, kind, base, query, truth,
                   self.folder.name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True)
        self.built = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.stop()
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines()
            raise RuntimeError(said[-1][:120] if said else f"ended with {self.process.returncode}")
        return json.loads(line)

    def turn(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.points.append(self.answer())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()

    def rival(self):
        curve = []
        for turns in zip(*self.points):
            cpu_us = statistics.median(point["cpu_us"] for point in turns)
            curve.append({**turns[0], "cpu_us": cpu_us, "qps": round(1e6 / cpu_us, 1)})
        return {"name": self.name, **self.built, "curve": curve}


def begin(build, files, folder):
    """All peers that build; the others' reasons by name."""
    peers, reasons = [], {}
    for name, (package, version) in PEERS.items():
        python, reason = packages.provide(Path(build) / "peers", package, version)
        if python is not None:
            try:
                peers.append(Peer(name, python, files, folder))
            except (RuntimeError, OSError) as error:
                reason = str(error)
        if reason:
            reasons[name] = reason
    return peers, reasons


def take_turns(rounds, program, peers, reasons):
    """`program`: insula-bench ann --turns, built. A peer that fails is out, with its reason."""
    for _ in range(rounds):
        for line in program.stdout:
            if line == "turn\n":
                break
        for peer in list(peers):
            try:
                peer.turn()
            except (RuntimeError, OSError) as error:
                peers.remove(peer)
                reasons[peer.name] = str(error)
        try:
            program.stdin.write("go\n")
            program.stdin.flush()
        except BrokenPipeError:  # it has failed, and its exit code says so
            break
    for peer in peers:
        peer.stop()
    program.communicate()
