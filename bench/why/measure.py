"""One arrangement at one number of tenants: two processes, looks at them from outside, a folder.

The first process makes the tenants, fills them and ends; the second opens them, searches in each
once, then in some at random. Everything is counted the same way for everybody: resident is the
proportional share of the pages in memory (Pss) with huge pages and page tables; anonymous is what of
it the kernel cannot drop and read again from a file; descriptors, mappings, threads and processes are
the kernel's, of the subject and all its descendants; files and bytes are those of its folder."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import threading

ANSWER_S_MAX = 300  # for one operation: a rival that hangs ends its row, not the run
SEARCHES = 2000
PROC = pathlib.Path("/proc")


class Broken(Exception):
    """A subject that cannot be measured; the text says why."""


def numbers(path, *keys):
    """Sum of the KiB behind "KEY:" in a file of such lines."""
    total = 0
    for line in path.read_text().splitlines():
        key, _, rest = line.partition(":")
        if key in keys:
            total += int(rest.split()[0])
    return total


def family(pid):
    """The process and its descendants."""
    found, rest = [], [pid]
    while rest:
        one = rest.pop()
        found.append(one)
        for task in (PROC / str(one) / "task").iterdir():
            rest += map(int, (task / "children").read_text().split())
    return found


def look(pids):
    sums = dict.fromkeys(["resident_kib", "anonymous_kib", "descriptors", "mappings", "threads",
                          "processes"], 0)
    for pid in [one for parent in pids for one in family(parent)]:
        path = PROC / str(pid)
        own_kib = numbers(path / "status", "HugetlbPages", "VmPTE")
        sums["resident_kib"] += own_kib + numbers(path / "smaps_rollup", "Pss")
        sums["anonymous_kib"] += own_kib + numbers(path / "smaps_rollup", "Pss_Anon")
        sums["descriptors"] += len(list((path / "fd").iterdir()))
        sums["mappings"] += (path / "maps").read_text().count("\n")
        sums["threads"] += numbers(path / "status", "Threads")
        sums["processes"] += 1
    return sums


def on_disk(folder):
    files = [one for one in pathlib.Path(folder).rglob("*") if one.is_file()]
    return {"files": len(files), "disk_kib": sum(one.stat().st_blocks for one in files) / 2}


def raise_limits():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Process:
    """A subject under way; leaving the context ends it."""

    def __init__(self, command, log):
        self.command, self.log = list(map(str, command)), log
        self.process, self.late = None, False

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def start(self):
        self.errors = open(self.log, "ab")
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=self.errors,
                                        preexec_fn=raise_limits, start_new_session=True)
        hello = self.read()
        self.pids, self.start_s, self.version = hello["pids"], hello["start_s"], hello["version"]
        return self

    def kill(self):
        """With all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def expire(self):
        self.late = True
        self.kill()

    def read(self):
        timer = threading.Timer(ANSWER_S_MAX, self.expire)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if self.late:
            raise Broken(f"no answer within {ANSWER_S_MAX} s")
        if not line:
            said = pathlib.Path(self.log).read_text(errors="replace").strip().splitlines()
            raise Broken(f"ended by itself: {said[-1][:200] if said else 'without a word'}")
        return json.loads(line)

    def ask(self, *words):
        with contextlib.suppress(BrokenPipeError):  # it ended; read() says how
            print(*words, file=self.process.stdin, flush=True)
        return self.read()

    def __exit__(self, *unused):
        if self.process is None:
            self.errors.close()
            return
        try:
            self.process.stdin.close()  # as good as "quit"
            self.process.wait(ANSWER_S_MAX)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class Size:
    """What was found at one number of tenants."""

    def __init__(self, wanted):
        self.wanted = self.tenants = wanted
        self.median_us, self.looks = {}, {}
        self.stopped = self.version = None

    def note(self, operation, answer):
        self.median_us[operation] = answer.get("p50_us", 0)
        if answer["error"] is not None:
            self.tenants = min(self.tenants, answer["done"])
            self.stopped = self.stopped or (f"{operation} stops at {answer['done']}: "
                                            f"{answer['error']}")

    def ok(self):
        return self.tenants > 0


def measure(command, tenants, folder, searches=SEARCHES):
    """`command(folder)` is the subject's command line. Raises Broken when it does not answer."""
    size = Size(tenants)
    log = str(folder) + ".log"
    folder.mkdir()
    try:
        with Process(command(folder), log) as process:
            size.version = process.version
            size.looks["none"] = look(process.pids)
            for operation in ("create", "fill"):
                if size.ok():
                    size.note(operation, process.ask(operation, 0, size.tenants))
        size.looks["disk"] = on_disk(folder)
        if size.ok():
            reopen(command, folder, log, size, searches)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return size


def reopen(command, folder, log, size, searches):
    with Process(command(folder), log) as process:
        size.start_s = process.start_s
        size.note("open", process.ask("open", 0, size.tenants))
        if not size.ok():
            return
        size.looks["open"] = look(process.pids)
        size.first = process.ask("first", 0, size.tenants)
        size.note("first", size.first)
        size.looks["served"] = look(process.pids)
        if size.ok():
            size.search = process.ask("search", searches, size.tenants)
            if size.search["error"] is not None:
                raise Broken(size.search["error"])
