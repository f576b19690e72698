"""What a program that is measured by `./dev why` answers on its standard input.

A subject keeps one thing a tenant: a shard, a collection, a table. `run` reads one command a line
and answers one line of JSON each. Only calls of the subject are timed: vectors are made beforehand.

    create A B    makes the tenants A to B - 1, empty         {"done", "error", "p50_us", "p99_us"}
    fill A B      adds POINTS points to each, durable
    open A B      opens those made by an earlier process
    first A B     one search in each
    search N B    N searches, each in a tenant below B at random
    quit

A search asks for the vector of a point that was stored and must find that point first: a wrong
answer ends the operation with an error. subject.c is the same for programs in C."""

import json
import math
import os
import random
import sys
import time

DIM = 128
POINTS = 10  # a tenant; the id of a point is tenant * POINTS + its number
POOL = 997   # vectors; more than POINTS, so that those of one tenant differ
LIMIT = 10   # hits asked for


class Subject:
    """One rival. An operation on a tenant fails by raising."""

    package = None  # of the Python package index, whose version is reported

    def __init__(self, folder):
        self.folder = folder

    def pids(self):
        """The processes to look at; their descendants count too."""
        return [os.getpid()]

    def create(self, tenant):
        raise NotImplementedError

    def fill(self, tenant, ids, vectors):
        raise NotImplementedError

    def open(self, tenant):
        raise NotImplementedError

    def search(self, tenant, vector):
        """The id of the nearest of LIMIT hits."""
        raise NotImplementedError

    def close(self):
        pass


def pool():
    source = random.Random(1)
    vectors = []
    for _ in range(POOL):
        vector = [source.gauss(0, 1) for _ in range(DIM)]
        norm = math.sqrt(sum(value * value for value in vector))
        vectors.append([value / norm for value in vector])
    return vectors


def quantile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


class Loop:
    def __init__(self, subject):
        self.subject, self.pool, self.random = subject, pool(), random.Random(2)

    def vector(self, tenant, number):
        return self.pool[(tenant * POINTS + number) % POOL]

    def fill(self, tenant):
        ids = [tenant * POINTS + number for number in range(POINTS)]
        vectors = [self.vector(tenant, number) for number in range(POINTS)]
        start = time.perf_counter()
        self.subject.fill(tenant, ids, vectors)
        return time.perf_counter() - start

    def search(self, tenant):
        number = self.random.randrange(POINTS)
        vector = self.vector(tenant, number)
        start = time.perf_counter()
        found = self.subject.search(tenant, vector)
        taken = time.perf_counter() - start
        if int(found) != tenant * POINTS + number:
            raise ValueError(f"tenant {tenant}: point {found} instead of "
                             f"{tenant * POINTS + number}")
        return taken

    def timed(self, call):
        def one(tenant):
            start = time.perf_counter()
            call(tenant)
            return time.perf_counter() - start
        return one

    def answer(self, command, low, high):
        """One operation on each tenant in turn, up to the first failure."""
        if command == "search":
            tenants = [self.random.randrange(high) for _ in range(low)]
        else:
            tenants = range(low, high)
        call = {"create": self.timed(self.subject.create), "fill": self.fill,
                "open": self.timed(self.subject.open), "first": self.search,
                "search": self.search}[command]
        taken, error = [], None
        for tenant in tenants:
            try:
                taken.append(call(tenant))
            except Exception as failure:  # whatever a rival raises is its answer
                error = f"{type(failure).__name__}: {failure}"[:300]
                break
        result = {"done": len(taken), "error": error}
        if taken:
            taken.sort()
            result["p50_us"] = quantile(taken, 0.5) * 1e6
            result["p99_us"] = quantile(taken, 0.99) * 1e6
        return result


def version(package):
    if package is None:
        return None
    from importlib import metadata
    return metadata.version(package)


def run(kind):
    """`kind(folder, *arguments)` is made with the words of the command line; reads until quit."""
    # Some rivals print: answers go to the standard output as it was, everything else to the error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**values):
        print(json.dumps(values), file=answers, flush=True)

    start = time.perf_counter()
    subject = kind(*sys.argv[1:])
    ready_s = time.perf_counter() - start
    try:
        loop = Loop(subject)
        say(pids=subject.pids(), start_s=ready_s, version=version(subject.package))
        for line in sys.stdin:
            command, *numbers = line.split()
            if command == "quit":
                break
            say(**loop.answer(command, *map(int, numbers)))
    finally:
        subject.close()
    say(closed=True)
