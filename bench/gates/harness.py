"""What all gates need: servers that are always stopped, slices in turns, medians, verdicts."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

PASS, SHORT, SKIPPED = "pass", "falls short", "skipped"


class Skip(Exception):
    """A gate that cannot be measured on this machine; the text says why."""


class Result:
    """One line of the table."""

    def __init__(self, gate, what, target, measured, passed, spread="", values=None):
        self.gate, self.what, self.target = gate, what, target
        self.measured, self.spread = measured, spread
        self.verdict = passed if isinstance(passed, str) else PASS if passed else SHORT
        self.values = values or {}


class Setup:
    """Where the programs are, how long a slice is, where temporary data lies."""

    def __init__(self, build, quick, directory):
        self.build = pathlib.Path(build).resolve()
        self.quick = quick
        self.slice_s = 2.0 if quick else 10.0
        self.slices = 3 if quick else 7
        self.directory = pathlib.Path(directory).resolve()

    def program(self, *names):
        for name in names:
            if (self.build / name).exists():
                return str(self.build / name)
        raise Skip(f"{names[0]} is not built in {self.build.name}/")

    def bench(self, workload, *arguments):
        """One run of insula-bench: its report as a dictionary; empty when it only sets up."""
        command = [self.program("bench/insula-bench"), workload, "--json", *map(str, arguments)]
        return json.loads(run(command, self.directory) or "{}")

    @contextlib.contextmanager
    def folder(self, name):
        path = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=self.directory))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def run(command, directory):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode != 0:
        # The history is committed: no path of this machine in it.
        words = [pathlib.Path(command[0]).name, *command[1:]]
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Others:
    """CPU that neither this program nor what it started used: other work, and the kernel's own."""

    def __init__(self):
        self.begin_s, self.busy_s, self.own_s = time.monotonic(), self.busy(), self.own()

    @staticmethod
    def busy():
        words = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        idle = int(words[3]) + int(words[4])
        return (sum(map(int, words[:8])) - idle) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def own():
        return sum(used.ru_utime + used.ru_stime for used in
                   (resource.getrusage(resource.RUSAGE_SELF),
                    resource.getrusage(resource.RUSAGE_CHILDREN)))

    def share(self):
        """Of all cores, since the object was made; children that still run count as others."""
        seconds = (time.monotonic() - self.begin_s) * os.cpu_count()
        used = self.busy() - self.busy_s - (self.own() - self.own_s)
        return max(0.0, used / seconds) if seconds > 0 else 0.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that listens on a free port, from entering the context to leaving it."""

    def __init__(self, command, port, path, log):
        self.command, self.port, self.path, self.log = command, port, path, log
        self.url = f"http://127.0.0.1:{port}"

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        self.pid = self.process.pid
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + self.path, timeout=5):
                    return self
            except OSError:
                time.sleep(0.02)
        self.__exit__()
        said = pathlib.Path(self.log).read_text(errors="replace").strip().splitlines()
        raise RuntimeError(f"{pathlib.Path(self.command[0]).name} does not answer: {' '.join(said[-3:])}")

    def __exit__(self, *unused):
        self.end(signal.SIGTERM)

    def end(self, how):
        """Sends a signal and waits; a server that does not end within a minute is killed."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def insula(setup, data, *options):
    port, grpc = free_port(), free_port()
    command = [setup.program("insula", "cli/insula"), "serve", "--data", str(data), "--http-port",
               str(port), "--grpc-port", str(grpc), *map(str, options)]
    return Server(command, port, "/readyz", str(data) + ".log")


def insula_without_log(setup, data, budget):
    port = free_port()
    command = [setup.program("bench/insula-serve-drop-log"), str(data), str(port), str(budget)]
    return Server(command, port, "/readyz", str(data) + ".log")


NGINX = """daemon off;
worker_processes 1;
pid %(folder)s/nginx.pid;
error_log stderr error;
events { worker_connections 512; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600;
  client_body_temp_path %(folder)s;
  proxy_temp_path %(folder)s;
  fastcgi_temp_path %(folder)s;
  uwsgi_temp_path %(folder)s;
  scgi_temp_path %(folder)s;
  server { listen 127.0.0.1:%(port)d; location / { return 200; } }
}
"""


def nginx(setup, folder):
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        raise Skip("nginx is not installed")
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX % {"folder": folder, "port": port})
    return Server([program, "-p", str(folder), "-c", str(config)], port, "/", str(folder) + ".log")


def worker_of(pid):
    """nginx's only worker: the child of its master."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if len(children) != 1:
        raise RuntimeError(f"nginx has {len(children)} workers, want one")
    return int(children[0])


def in_turns(count, **runs):
    """Runs each of `runs` once a turn, so that a change of the machine hits all of them."""
    values = {name: [] for name in runs}
    for _ in range(count):
        for name, one in runs.items():
            values[name].append(one())
    return values


def ratio(above, below):
    """Ratio of the medians, and the smallest and largest ratio of one turn as text."""
    turns = [a / b for a, b in zip(above, below)]
    middle = statistics.median(above) / statistics.median(below)
    return middle, f"{min(turns):.3g} .. {max(turns):.3g}"


@contextlib.contextmanager
def loop_file_system(setup, mib=6144):
    """A file system of its own, so that the kernel's counts of its device are this run's alone."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4") or not shutil.which("losetup"):
        raise Skip("a loop-mounted file system needs root, mkfs.ext4 and losetup")
    with setup.folder("loop") as folder:
        image, mount = folder / "image", folder / "mount"
        mount.mkdir()
        with open(image, "wb") as file:
            file.truncate(mib << 20)
        run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)],
            folder)
        done = subprocess.run(["mount", "-o", "loop", str(image), str(mount)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Skip("cannot mount a file system: " + done.stderr.strip())
        try:
            yield mount
        finally:
            for _ in range(50):
                if subprocess.run(["umount", str(mount)], capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
