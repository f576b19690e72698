"""Insula's server over its REST API, tenants in one of two styles.

    insula_server.py FOLDER PROGRAM collection|key

What is looked at is the server alone; what is timed is the whole request, with HTTP and JSON on both
sides, where the other subjects are called in their own process."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

import subject

START_S_MAX = 60
ALL = "tenants"  # the one collection of the style `key`


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class InsulaServer(subject.Subject):
    def __init__(self, folder, program, style):
        super().__init__(folder)
        self.by_key = {"key": True, "collection": False}[style]
        self.port = free_port()
        command = [program, "serve", "--data", os.path.join(folder, "data"), "--http-port",
                   str(self.port), "--grpc-port", str(free_port())]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.wait()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if self.by_key and self.status("GET", f"/collections/{ALL}") == 404:
            self.create_collection(ALL)
            self.ask("PUT", f"/collections/{ALL}/index", {
                "field_name": "tenant", "field_schema": {"type": "keyword", "is_tenant": True}})

    def wait(self):
        end = time.monotonic() + START_S_MAX
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                    return
            except OSError:
                time.sleep(0.002)
        self.close()
        raise RuntimeError("insula serve does not answer")

    def pids(self):
        return [self.process.pid]

    def request(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, data, {"content-type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def status(self, method, path):
        return self.request(method, path)[0]

    def ask(self, method, path, body):
        status, text = self.request(method, path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {text[:200]}")
        return json.loads(text)["result"]

    def create_collection(self, name):
        self.ask("PUT", f"/collections/{name}",
                 {"vectors": {"size": subject.DIM, "distance": "Dot"}})

    def path(self, tenant):
        return f"/collections/{ALL if self.by_key else f't{tenant}'}/points"

    def create(self, tenant):
        if not self.by_key:  # a value of the key is made by its first write
            self.create_collection(f"t{tenant}")

    def fill(self, tenant, ids, vectors):
        points = [{"id": id, "vector": vector} for id, vector in zip(ids, vectors)]
        if self.by_key:
            for point in points:
                point["payload"] = {"tenant": f"t{tenant}"}
        self.ask("PUT", self.path(tenant) + "?wait=true", {"points": points})

    def open(self, tenant):
        pass  # every tenant is there when the server is

    def search(self, tenant, vector):
        body = {"query": vector, "limit": subject.LIMIT}
        if self.by_key:
            body["filter"] = {"must": [{"key": "tenant", "match": {"value": f"t{tenant}"}}]}
        return self.ask("POST", self.path(tenant) + "/query", body)["points"][0]["id"]

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


if __name__ == "__main__":
    subject.run(InsulaServer)
