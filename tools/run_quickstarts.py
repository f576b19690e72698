#!/usr/bin/env python3
"""Runs the quickstarts of README.md, as they stand there, against a server.

    run_quickstarts.py [--url http://127.0.0.1:6333] [--modules DIRECTORY]

DIRECTORY holds node_modules/ with @qdrant/js-client-rest; this Python may have qdrant-client. A
quickstart whose client is not there is skipped and said so. Each must print hits 1 and 2 and not 3,
which is another tenant's. The last line is "N passed, N failed, N skipped".
"""

import argparse
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

README = pathlib.Path(__file__).parent.parent / "README.md"
URL_IN_README = "http://127.0.0.1:6333"
SECTION = re.compile(r"^### (curl|JavaScript|Python)\n.*?^```[a-z]+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COLLECTIONS = {"curl": "notes", "JavaScript": "notes_js", "Python": "notes_py"}
MINE, OTHERS = ("red apples", "blue boats"), "red bricks"


def blocks():
    """Name -> the first fenced block of its section."""
    return dict(SECTION.findall(README.read_text(encoding="utf-8")))


def command(name, path, modules):
    """How to run the block that lies in `path`, or why it cannot be run here."""
    if name == "curl":
        return (["sh", "-eu", path], None) if shutil.which("curl") else (None, "no curl")
    if name == "Python":
        found = importlib.util.find_spec("qdrant_client")
        return ([sys.executable, path], None) if found else (None, "no qdrant-client")
    if modules is None or not shutil.which("node"):
        return None, "no node or no --modules"
    return ["node", path], None


def delete_collection(url, name):
    request = urllib.request.Request(f"{url}/collections/{name}", method="DELETE")
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.URLError as error:
        print(f"{name} was not deleted: {error}")


def run(name, text, url, modules):
    """"passed", "failed" or "skipped"."""
    suffix = {"curl": ".sh", "Python": ".py", "JavaScript": ".mjs"}[name]
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "quickstart" + suffix)
        path.write_text(text.replace(URL_IN_README, url), encoding="utf-8")
        if name == "JavaScript" and modules is not None:
            pathlib.Path(directory, "node_modules").symlink_to(modules.resolve() / "node_modules")
        arguments, reason = command(name, path, modules)
        if arguments is None:
            print(f"== {name}: skipped, {reason}")
            return "skipped"
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    delete_collection(url, COLLECTIONS[name])
    print(f"== {name}\n{done.stdout}{done.stderr}".rstrip())
    good = done.returncode == 0 and all(word in done.stdout for word in MINE)
    return "passed" if good and OTHERS not in done.stdout else "failed"


def main():
    parser = argparse.ArgumentParser(description="Runs the quickstarts of README.md.")
    parser.add_argument("--url", default=URL_IN_README)
    parser.add_argument("--modules", type=pathlib.Path)
    arguments = parser.parse_args()
    results = [run(name, text, arguments.url, arguments.modules) for name, text in blocks().items()]
    missing = len(COLLECTIONS) - len(results)
    failed = results.count("failed") + missing
    print(f"{results.count('passed')} passed, {failed} failed, {results.count('skipped')} skipped")
    sys.exit(0 if failed == 0 else 1)


if __name__ == "__main__":
    main()
