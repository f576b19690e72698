#!/usr/bin/env python3
"""It holds when the machine is hostile: a server in a cage, under load, through all that goes wrong.

    soak.py PATH-OF-INSULA PATH-OF-CLOCK-LIBRARY [--seed N] [--rounds N | --minutes N] [--events EVENT ...]

Goal: whatever happens, an acknowledged write stays, a refused one leaves nothing, no read sees another tenant's
points, and the server serves again once the cause is gone.
Method: the server runs as nobody, on a root that is read-only, without huge pages, without io_uring, with 1,024
descriptors and in a control group of 512 MiB (cage.py). Writers that remember what was acknowledged (ledger.py) work
while one event after the other happens; after each the process is killed or stopped, `insula check` reads the
directory, another process starts on it, and all points are compared. How long a life lasts is counted in requests.
Events: kill, early (killed in the middle of a start), stop, stall (the device does not answer for 5 s), full (no space
is left), full_start (and a process starts on it), clock (the clock of the day jumps by years, both ways), small (the smallest budget that
there is, far below what was resident). Without --rounds or --minutes each happens once.
Exits 77 (skipped) with the reason where the machine forbids what it needs. A failure names the seed.
"""
import argparse
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import cage
import ledger

MIB = 1 << 20
GROUP_BYTES = 512 * MIB
BUDGETS = (256 * MIB, 320 * MIB, 384 * MIB)  # of the process; what the kernel charges comes on top
DISK_BYTES = 2048 * MIB  # sparse
DESCRIPTORS = 1024
STALL_S = 5.0
FAT_BYTES = 6000  # payloads that soon fill what is left
PATIENCE_S = 60.0  # for anything that has to happen at all, on a machine that others use too
YEAR_S = 365 * 86400


def until(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.005)


class Server:
    """One process after the other on the same directory, all in the cage."""

    def __init__(self, program, clock_library, descriptors=DESCRIPTORS):
        self.process, self.port, self.lives, self.cage = None, 0, 0, None
        self.disk = cage.Disk(DISK_BYTES)
        folder = self.disk.folder
        self.clock, self.output = os.path.join(folder, "clock"), os.path.join(folder, "output")
        try:
            self.cage = cage.Cage(self.disk.data, GROUP_BYTES, descriptors)
            self.program, self.preload = (shutil.copy(path, folder) for path in (program, clock_library))
            self.set_clock(0)
        except BaseException:
            self.remove()
            raise

    def set_clock(self, difference_s):
        with open(self.clock, "r+b" if os.path.exists(self.clock) else "wb") as file:
            file.write(struct.pack("=q", difference_s))

    def spawn(self, budget):
        environment = {"LD_PRELOAD": self.preload, "INSULA_CLOCK": self.clock, "PATH": "/usr/bin:/bin"}
        with open(self.output, "wb") as output:
            try:
                self.process = subprocess.Popen(
                    [self.program, "serve", "--data", self.disk.data, "--http-port", "0", "--memory-budget", str(budget)],
                    stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment, cwd="/",
                    preexec_fn=self.cage.enter)
            except subprocess.SubprocessError as error:
                raise cage.Forbidden("the cage: a step of it failed") from error
        self.lives += 1

    def said(self):
        with open(self.output, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _listens(self):
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}: {self.said()}"
        match = re.search(r"http://[^ ]*:(\d+)", self.said())
        self.port = int(match.group(1)) if match else 0
        return self.port != 0

    def start(self, budget):
        self.spawn(budget)
        until(self._listens, "a start")
        self.cage.prove(self.process.pid)

    def end(self, number):
        """Nothing but the signal may end it."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        wanted = -signal.SIGKILL if number == signal.SIGKILL else 0
        assert code == wanted, f"the server ended with {code}, not {wanted}: {self.said()}"
        assert self.cage.group.kills() == 0, "the kernel killed it: memory of the control group ran out"

    def check(self):
        done = subprocess.run([self.program, "check", self.disk.data], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"insula check: {done.stdout}{done.stderr}"

    def remove(self):
        self.disk.thaw()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.disk.remove()
        if self.cage is not None:
            self.cage.remove()


class Soak:
    def __init__(self, server, seed):
        self.server, self.random = server, random.Random(seed)
        self.load = ledger.Load(seed)
        self.told, self.budget = [], 0

    def _tell(self, text):
        self.told.append(text)

    def _work(self, least, most):
        """Until so many more writes were acknowledged."""
        goal = self.load.acknowledged() + self.random.randrange(least, most)

        def reached():
            assert self.server.process.poll() is None, f"the server ended by itself: {self.server.said()}"
            return self.load.acknowledged() >= goal or self.load.wrong
        until(reached, f"{most} acknowledged writes")

    def _serve(self):
        self.budget = self.random.choice(BUDGETS)
        self.server.start(self.budget)
        self.load.start(self.server.port)

    def _end(self, number):
        self.server.end(number)
        self.load.stop()

    def _life(self, least=20, most=300, number=signal.SIGKILL):
        self._serve()
        self._work(least, most)
        self._end(number)

    # -- events; each ends with no process running

    def begin(self):
        self.server.start(BUDGETS[0])
        ledger.create(self.server.port)
        self.load.start(self.server.port)
        self._work(20, 100)
        self._end(signal.SIGKILL)

    def kill(self):
        self._life()

    def early(self):
        self._life()
        self.server.spawn(BUDGETS[0])
        time.sleep(self.random.random() * 0.05)
        self.server.end(signal.SIGKILL)

    def stop(self):
        """Requests under way are answered or cut; what was acknowledged stays all the same."""
        self._life(number=signal.SIGTERM)

    def clock(self):
        self._serve()
        for _ in range(6):
            self.server.set_clock(self.random.choice((10 * YEAR_S, -40 * YEAR_S, 86400, -3600, 0)))
            self._work(10, 40)
        self._end(signal.SIGKILL)

    def small(self):
        """What was resident under the largest budget comes back under the smallest."""
        self.server.start(BUDGETS[-1])
        self.load.verify(self.server.port)
        self.server.end(signal.SIGKILL)
        self.server.start(BUDGETS[0])
        self.load.verify(self.server.port)
        self.load.start(self.server.port)
        self._work(20, 100)
        self._end(signal.SIGKILL)

    def stall(self):
        """Meanwhile no write is acknowledged, since none can be durable, but reads are answered; behind it writers go
        on where they stood."""
        self._serve()
        self._work(20, 100)
        self.server.disk.freeze()
        time.sleep(0.2)  # answers to what was durable before are on their way
        before, began, reads = self.load.acknowledged(), time.monotonic(), 0
        connection = ledger.Connection(self.server.port)
        while time.monotonic() - began < STALL_S:
            connection.ok("POST", "/collections/keyed/points/scroll", {"limit": 1})
            reads += 1
        during = self.load.acknowledged() - before
        killed = self.random.random() < 0.3
        if killed:
            self.server.process.kill()
        self.server.disk.thaw()
        assert during == 0, f"{during} writes were acknowledged while nothing could be written"
        assert reads > 50, f"{reads} reads were answered in {STALL_S} s"
        if not killed:
            self._work(20, 100)
        self._end(signal.SIGKILL)
        self._tell(f"{reads} reads in the stall")

    def full_start(self):
        """As full, and another process starts while there is no space."""
        self.full(restart=True)

    def full(self, restart=False):
        """Writes are refused with 507 and words, reads go on, and with room again so do writes, without a restart."""
        self._serve()
        self._work(20, 100)
        left, refused = self.random.choice((0, 300 << 10, 3 * MIB, 20 * MIB)), self.load.refused()
        self.server.disk.fill(left)
        self.load.fatten(FAT_BYTES)

        def refuses():
            if self.server.disk.free() > left:  # a flush let go of log files: the other program takes them as well
                self.server.disk.fill(0)
            return self.load.refused() > refused
        until(refuses, "a refusal of a write to a full disk")  # they wait 10 s first
        self.load.fatten(ledger.BLOB_BYTES)
        words = [writer.last_refusal for writer in self.load.writers if writer.last_refusal.startswith("507")]
        assert words and all(len(text) > 30 for text in words), words
        connection = ledger.Connection(self.server.port)
        connection.ok("POST", "/collections/keyed/points/scroll", {"limit": 1})
        if restart:
            self._end(signal.SIGKILL)
            self.server.start(self.budget)
            self.load.verify(self.server.port)
            self.load.start(self.server.port)
        self.server.disk.empty()
        self._work(20, 100)
        self._end(signal.SIGKILL)
        self._tell(words[0])

    def _verify(self):
        self.server.check()
        self.server.start(self.random.choice(BUDGETS))
        points = self.load.verify(self.server.port)
        self.server.end(self.random.choice((signal.SIGKILL, signal.SIGTERM)))
        return points

    def happen(self, event):
        began = time.monotonic()
        self.told = []
        getattr(self, event)()
        points = self._verify()
        print(f"{event}: {points} points are right, {self.load.acknowledged()} requests acknowledged and "
              f"{self.load.refused()} refused so far, {time.monotonic() - began:.1f} s" +
              "".join(f"; {text}" for text in self.told), flush=True)


EVENTS = ("kill", "stall", "full_start", "full", "clock", "small", "early", "stop")


def run(soak, options):
    end = time.monotonic() + 60 * options.minutes
    events = list(options.events)
    rounds = options.rounds or (0 if options.minutes else 1)
    soak.happen("begin")
    while rounds > 0 or time.monotonic() < end:
        rounds -= 1
        for event in soak.random.sample(events, len(events)):
            soak.happen(event)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("clock_library")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--events", nargs="+", choices=EVENTS, default=EVENTS)
    options = parser.parse_args()
    server, soak = None, None
    try:
        server = Server(options.program, options.clock_library)
        soak = Soak(server, options.seed)
        run(soak, options)
    except cage.Forbidden as reason:
        print(f"skipped: {reason}")
        return 77
    except Exception:
        print(f"failed with --seed {options.seed}", file=sys.stderr, flush=True)
        raise
    finally:
        if server is not None:
            server.remove()
        if soak is not None:
            soak.load.stopping.set()
            for thread in soak.load.threads:
                thread.join(PATIENCE_S)
    print(f"{server.lives} lives, {soak.load.acknowledged()} writes acknowledged, {soak.load.reads} searches; "
          f"seed {options.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
