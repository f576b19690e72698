#!/usr/bin/env python3
"""Official clients, and others' tests, against a fresh insula server: counts a file, and why.

    clients.py BUILD-DIRECTORY [--sources DIR] [--work DIR] [--json FILE] [PART]...

Parts, all of them unless named:
    quickstarts   those of README.md, with the clients for Python and JavaScript
    differential  random operations beside the Python client's local mode
    qdrant        the REST tests of Qdrant itself           (DIR/qdrant)
    python        the tests of the Python client            (DIR/qdrant-client)
    js            the integration tests of the JS client    (DIR/qdrant-js)
The newest clients are installed as packages into the work directory (outside of this repository; kept
for the next run). The last three parts need checkouts of the repositories github.com/qdrant/NAME below
`--sources`, and are skipped without.

A test that fails and met a 501 counts as "not supported" (insula_suite.py says how that is known).
"Differs on purpose" are those named in DIFFERS, each with its reason. Exits with 1 when a test failed.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import test_rest  # noqa: E402

# Versions as those tests ask for them.
PYTEST = ["pytest>=8.4,<9", "pytest-timeout>=2.4,<3", "pytest-cases>=3.9,<4", "pytest-subtests>=0.14,<0.15",
          "pytest-asyncio<1", "pytest-mock>=3,<4", "schemathesis>=3.39.16,<4", "requests>=2.32,<3", "retry>=0.9,<1",
          "jsons>=1.6,<2", "more-itertools>=10,<11", "pyjwt>=2,<3", "tqdm>=4,<5", "docker>=7,<8",
          "grpc-requests>=0.1,<0.2", "grpc-interceptor>=0.15,<0.16"]
NODE = ["@qdrant/js-client-rest", "vitest@0.31.4", "semver@7.6.0"]
TEST_TIMEOUT_S = 120
PART_TIMEOUT_S = 3600
OUTCOMES = ("passed", "failed", "unsupported", "differs", "skipped")
TITLES = ("passed", "failed", "not supported", "differs on purpose", "skipped")

# (file, beginning of the test's name) -> why the answer stays as it is.
NAME = "Insula says its own name, beside Qdrant's version"
LED = "looks for port 6333 or gRPC in a client that was led elsewhere"
SCANS = "rows are found at once, indexed or not: no point is deferred, a small collection has no index"
LOCAL = "the tests' local mode is older than the client that is installed"
DIFFERS = {
    ("test_root_api.py", "test_root_api"): NAME,
    ("test_info.py", "test_info"): NAME,
    ("qdrant-client.test.ts", "Qdrant service check"): NAME,
    ("test_qdrant_client.py", "test_client_init"): LED,
    ("test_qdrant_client.py", "test_client_close"): LED,
    ("test_qdrant_client.py", "test_grpc_options"): LED,
    ("test_qdrant_client.py", "test_async_auth_token_provider"): LED,
    ("test_qdrant_client.py", "test_timeout_propagation"): "creates a collection in less time than a request gets",
    ("test_query.py", "test_query_invalid_vector_type"): LED,
    ("test_query.py", "test_query_with_nan"): LOCAL,
    ("test_multi_vector.py", "test_multi_vector_validation"): "the vector is named, where Qdrant's message says `?`",
    ("test_deferred_points.py", "test_deferred_points"): SCANS,
    ("test_vector_config.py", "test_disable_indexing"): SCANS,
    ("test_service.py", "test_metrics["): NAME,
    ("test_service.py", "test_metrics_with_per_collection"): "nothing is counted by collection: there may be very many",
}

NODE_CLIENT = """import { QdrantClient as Client } from '@qdrant/js-client-rest';
export class QdrantClient extends Client {
  constructor(options) {
    super(options ?? { url: process.env.INSULA_URL });
  }
}
"""


class Skipped(Exception):
    """A part that cannot run here; says why."""


def run(arguments, **more):
    return subprocess.run([str(argument) for argument in arguments], timeout=PART_TIMEOUT_S, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def must(arguments, **more):
    done = run(arguments, **more)
    if done.returncode != 0:
        sys.exit(f"clients: {' '.join(map(str, arguments))}\n{done.stdout}")


class Place:
    """The work directory: a virtual environment, node_modules, copies of tests."""

    def __init__(self, options):
        self.work, self.sources = options.work, options.sources
        self.work.mkdir(parents=True, exist_ok=True)

    def checkout(self, name):
        path = self.sources / name if self.sources else None
        if path is None or not path.is_dir():
            raise Skipped(f"needs --sources DIR with DIR/{name}, a checkout of github.com/qdrant/{name}")
        return path

    def python(self):
        """An interpreter that has the client and what the tests use."""
        venv = self.work / "python"
        python = venv / "bin" / "python"
        if not (venv / "whole").exists():
            must([sys.executable, "-m", "venv", "--clear", venv])
            must([python, "-m", "pip", "install", "--quiet", "qdrant-client", *PYTEST])
            (venv / "whole").touch()
        return python

    def node(self):
        """A directory with node_modules."""
        if not shutil.which("npm") or not shutil.which("node"):
            raise Skipped("needs node and npm")
        modules = self.work / "node"
        if not (modules / "whole").exists():
            shutil.rmtree(modules, ignore_errors=True)
            modules.mkdir()
            (modules / "package.json").write_text('{"private": true, "type": "module"}\n', encoding="utf-8")
            must(["npm", "install", "--no-audit", "--no-fund", *NODE], cwd=modules)
            (modules / "whole").touch()
        return modules

    def copy(self, name, source):
        copied = self.work / name
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(source, copied / source.name)
        return copied


def pytest(place, server_url, directory, tests, **environment):
    """Results of insula_suite.py, one a test."""
    results = place.work / "results.jsonl"
    results.unlink(missing_ok=True)
    done = run([place.python(), "-m", "pytest", "-q", "--tb=no", "-p", "insula_suite", "-p", "no:cacheprovider",
                "--timeout", TEST_TIMEOUT_S, "-c", os.devnull, "--rootdir", directory, *tests], cwd=directory,
               env={**os.environ, "INSULA_URL": server_url, "INSULA_RESULTS": str(results),
                    "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", **environment})
    if not results.exists():
        sys.exit(f"clients: no test ran\n{done.stdout}")
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def part_qdrant(place, url):
    source = place.checkout("qdrant")
    return pytest(place, url, source / "tests", ["openapi"], QDRANT_HOST=url,
                  OPENAPI_FILE=str(source / "docs" / "redoc" / "master" / "openapi.json"))


def part_python(place, url):
    # A copy, so that the client is the installed package and not the checkout beside the tests.
    copied = place.copy("python-tests", place.checkout("qdrant-client") / "tests")
    names = ["congruence_tests", "test_qdrant_client.py", "test_async_qdrant_client.py", "test_in_memory.py",
             "test_migrate.py", "test_local_persistence.py", "test_common.py"]
    return pytest(place, url, copied, [f"tests/{name}" for name in names])


def part_js(place, url):
    source = place.checkout("qdrant-js") / "packages" / "js-client-rest" / "tests" / "integration"
    modules = place.node()
    copied = place.copy("node/suite/tests", source).parent
    (copied / "src" / "openapi").mkdir(parents=True, exist_ok=True)
    (copied / "src" / "qdrant-client.js").write_text(NODE_CLIENT, encoding="utf-8")
    (copied / "src" / "openapi" / "generated_schema.js").write_text("export {};\n", encoding="utf-8")
    output = modules / "results.json"
    output.unlink(missing_ok=True)
    done = run(["npx", "vitest", "run", "--root", copied, "--reporter", "json", "--outputFile", output], cwd=modules,
               env={**os.environ, "INSULA_URL": url})
    if not output.exists():
        sys.exit(f"clients: no test ran\n{done.stdout}")
    rows = []
    for suite in json.loads(output.read_text(encoding="utf-8"))["testResults"]:
        for test in suite["assertionResults"]:
            reason = " ".join(test["failureMessages"])[:300]
            outcome = "unsupported" if test["failureMessages"] and "Not Implemented" in reason else test["status"]
            rows.append({"file": pathlib.Path(suite["name"]).name, "test": test["title"], "reason": reason,
                         "outcome": outcome if outcome in OUTCOMES else "skipped"})
    return rows


def part_quickstarts(place, url):
    command = [place.python(), "-B", ROOT / "tools" / "run_quickstarts.py", "--url", url]
    try:
        command += ["--modules", place.node()]
    except Skipped:
        pass
    done = run(command)
    counts = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped", done.stdout)
    outcomes = zip(("passed", "failed", "skipped"), map(int, counts.groups()))
    return [{"file": "README.md", "test": str(i), "outcome": outcome, "reason": done.stdout[-300:]}
            for outcome, count in outcomes for i in range(count)]


def part_differential(place, url):
    done = run([place.python(), "-B", ROOT / "tests" / "integration" / "differential.py", "--url", url])
    lines = [line for line in done.stdout.splitlines() if line.startswith("seed ")]
    if done.returncode != 0 and all(line.endswith(" agree") for line in lines):
        lines.append(done.stdout[-300:])
    return [{"file": "differential.py", "test": line.split(":")[0], "reason": line[:300],
             "outcome": "passed" if line.endswith(" agree") else "failed"} for line in lines]


PARTS = {"quickstarts": part_quickstarts, "differential": part_differential, "qdrant": part_qdrant,
         "python": part_python, "js": part_js}


def mark_differences(rows):
    for row in rows:
        for (file, test), reason in DIFFERS.items():
            if row["outcome"] == "failed" and row["file"] == file and row["test"].startswith(test):
                row["outcome"], row["reason"] = "differs", reason


def show(name, rows):
    print(f"== {name}")
    files = collections.defaultdict(collections.Counter)
    for row in rows:
        files[row["file"]][row["outcome"]] += 1
    width = max(map(len, files), default=0)
    print(" ".join([" " * width, *TITLES]))
    for file, counts in sorted(files.items()):
        print(" ".join([file.ljust(width), *(str(counts[o]).rjust(len(t)) for o, t in zip(OUTCOMES, TITLES))]))
    for outcome, title in zip(OUTCOMES[1:4], TITLES[1:4]):
        reasons = collections.defaultdict(list)
        for row in rows:
            if row["outcome"] == outcome:
                key = row["reason"] if outcome == "unsupported" else f"{row['file']}: {row['reason']}"
                reasons[key].append(row["test"])
        for reason, tests in sorted(reasons.items(), key=lambda item: -len(item[1])):
            print(f"  {title}, {len(tests)} ({tests[0]}): {reason}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--sources", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--work", type=lambda text: pathlib.Path(text).resolve(), default=cache / "insula-clients")
    parser.add_argument("--json", type=pathlib.Path, help="one line a test")
    options = parser.parse_intermixed_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part is named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if ROOT in options.work.parents:
        parser.error("--work lies in the repository: what is fetched must stay outside")
    test_rest.PROGRAM = str(options.build / "insula")
    place, total, everything = Place(options), collections.Counter(), []
    for name in options.parts or PARTS:
        server = test_rest.Server()
        try:
            rows = PARTS[name](place, f"http://127.0.0.1:{server.port}")
            if server.process.poll() is not None:
                rows.append({"file": "insula", "test": name, "outcome": "failed", "reason": "the server ended"})
        except Skipped as reason:
            rows = [{"file": name, "test": "all", "outcome": "skipped", "reason": str(reason)}]
            print(f"== {name}: skipped, {reason}")
        else:
            mark_differences(rows)
            show(name, rows)
        finally:
            server.remove()
        total.update(row["outcome"] for row in rows)
        everything += [{"part": name, **row} for row in rows]
    if options.json:
        options.json.write_text("".join(json.dumps(row) + "\n" for row in everything), encoding="utf-8")
    print(", ".join(f"{total[outcome]} {title}" for outcome, title in zip(OUTCOMES, TITLES)))
    sys.exit(1 if total["failed"] else 0)


if __name__ == "__main__":
    main()
