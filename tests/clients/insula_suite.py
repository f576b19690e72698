"""A plugin of pytest for others' tests that run against an insula server: counts, and says why.

The tests are written for a Qdrant at localhost:6333. The plugin leads their clients to INSULA_URL,
sees the 501s in between, and writes one line of JSON a test to INSULA_RESULTS: file, test, outcome
("passed", "failed", "unsupported", "skipped") and the reason.

A test that fails after it met a 501 asks for what Insula does not have: "unsupported", with the
server's sentence. So is a test whose parameter prefers gRPC; other gRPC clients, made beside one for
REST to compare both, are led to REST. Set-ups that name sparse vectors although most of their tests
never use them are sent without them; a test that speaks of sparse vectors itself and fails is
unsupported too.
"""
import inspect
import json
import os
import re
from urllib.parse import urlsplit

import pytest

URL = os.environ["INSULA_URL"]
PORT = urlsplit(URL).port
RESULTS = os.environ["INSULA_RESULTS"]


class Watch:
    """What the running test has met."""

    refusals = []  # sentences of 501s
    adapted = False  # a request of this file was sent without its sparse vectors
    modules = {}  # file -> the refusals that its shared set-up met


def note(status, text):
    if status == 501:
        try:
            Watch.refusals.append(json.loads(text)["status"]["error"])
        except (ValueError, KeyError, TypeError):
            Watch.refusals.append(text[:200])


# -- Leading clients to the server, and watching what they hear


def is_sparse(value):
    return isinstance(value, dict) and "indices" in value


def without_sparse(path, body):
    """The body without sparse vectors, where the rest of it makes sense by itself."""
    if not isinstance(body, dict):
        return body
    if re.fullmatch(r"/collections/[^/]+", path) and body.get("sparse_vectors"):
        if body.get("vectors"):
            Watch.adapted = True
            return {key: value for key, value in body.items() if key != "sparse_vectors"}
    if re.fullmatch(r"/collections/[^/]+/points", path) and isinstance(body.get("points"), list):
        points = []
        for point in body["points"]:
            vector = point.get("vector") if isinstance(point, dict) else None
            if Watch.adapted and isinstance(vector, dict) and any(map(is_sparse, vector.values())):
                vector = {name: value for name, value in vector.items() if not is_sparse(value)}
                point = {**point, "vector": vector}
            points.append(point)
        return {**body, "points": points}
    return body


def watch_requests():
    import requests

    plain = requests.Session.request

    def request(self, method, url, **more):
        if more.get("json") is not None:
            more["json"] = without_sparse(urlsplit(url).path, more["json"])
        response = plain(self, method, url, **more)
        note(response.status_code, response.text if response.status_code == 501 else "")
        return response

    requests.Session.request = request


def watch_httpx():
    import httpx

    send, send_later = httpx.Client.send, httpx.AsyncClient.send

    def watched(self, request, **more):
        response = send(self, request, **more)
        note(response.status_code, response.text if response.status_code == 501 else "")
        return response

    async def watched_later(self, request, **more):
        response = await send_later(self, request, **more)
        note(response.status_code, response.text if response.status_code == 501 else "")
        return response

    httpx.Client.send, httpx.AsyncClient.send = watched, watched_later


def lead_client():
    """Clients for localhost:6333 go to the server, those for gRPC at its port too, by REST."""
    from qdrant_client import async_qdrant_remote, qdrant_remote

    def led(plain):
        def init(self, url=None, port=6333, grpc_port=6334, prefer_grpc=False, https=None, api_key=None,
                 prefix=None, timeout=None, host=None, **more):
            here = url in (None, "http://localhost:6333") and host in (None, "localhost", "127.0.0.1")
            if here and port == 6333 and not https and prefix is None:
                url, host, port, prefer_grpc = None, "127.0.0.1", PORT, False
            plain(self, url=url, port=port, grpc_port=grpc_port, prefer_grpc=prefer_grpc, https=https,
                  api_key=api_key, prefix=prefix, timeout=timeout, host=host, **more)
        return init

    for remote in (qdrant_remote.QdrantRemote, async_qdrant_remote.AsyncQdrantRemote):
        remote.__init__ = led(remote.__init__)


def pytest_configure(config):
    for hook in (watch_requests, watch_httpx, lead_client):
        try:
            hook()
        except ImportError:
            pass  # these tests do without it


# -- One line a test


def speaks_of_sparse(item):
    try:
        return "sparse" in item.path.name or "sparse" in inspect.getsource(item.function)
    except (OSError, TypeError, AttributeError):
        return False


def reason_of(call):
    """The last line that tells: an assertion's values or the error's first line."""
    text = str(call.excinfo.value).strip()
    first = text.split("\n")[0][:300]
    where = call.excinfo.traceback[-1]
    for entry in reversed(call.excinfo.traceback):
        if os.path.basename(str(entry.path)).startswith("test_"):
            where = entry
            break
    return f"{call.excinfo.typename}: {first} ({os.path.basename(str(where.path))}:{where.lineno + 1})"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    file = item.path.name
    if call.when == "setup":
        item.insula = None
    if report.failed and item.insula is None:
        refusals = list(Watch.refusals) or (Watch.modules.get(file, []) if call.when == "setup" else [])
        if call.when == "setup" and refusals:
            Watch.modules[file] = refusals
        if refusals:
            item.insula = ("unsupported", refusals[0])
        elif Watch.adapted and speaks_of_sparse(item):
            item.insula = ("unsupported", "sparse vectors")
        else:
            item.insula = ("failed", reason_of(call))
    elif report.skipped and item.insula is None:
        grpc = prefers_grpc(item)
        item.insula = ("unsupported", "gRPC") if grpc else ("skipped", str(call.excinfo.value))
    if call.when == "teardown":
        outcome, reason = item.insula or ("passed", "")
        with open(RESULTS, "a", encoding="utf-8") as results:
            json.dump({"file": file, "test": item.name, "outcome": outcome, "reason": reason}, results)
            results.write("\n")
        Watch.refusals.clear()
    return report


def prefers_grpc(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters.get("prefer_grpc") is True


def pytest_runtest_setup(item):
    if prefers_grpc(item):
        pytest.skip("gRPC")
    if getattr(pytest_runtest_setup, "file", None) != item.path:
        pytest_runtest_setup.file = item.path
        Watch.adapted = False


def pytest_collectreport(report):
    if report.failed and report.nodeid.endswith(".py"):
        with open(RESULTS, "a", encoding="utf-8") as results:
            json.dump({"file": os.path.basename(report.nodeid), "test": "collection", "outcome": "failed",
                       "reason": str(report.longrepr).strip().split("\n")[-1][:300]}, results)
            results.write("\n")
