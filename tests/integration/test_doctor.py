#!/usr/bin/env python3
"""insula doctor and insula tune: on made recordings of hosts, and on this machine with a server.

Run:  test_doctor.py PATH-OF-INSULA [name of a test ...]
A recording is a healthy host with one thing changed: that finding has to come first, and to be gone
when its advice is followed. Live tests make a few things happen here; as other programs may load
the machine, there the finding has to be among those told.
"""
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import test_rest
from test_rest import Client, Server

PID = 4242
GIB = 1 << 30
DISK = "259       0 nvme0n1 {reads} 0 0 {read_ms} {writes} 0 0 {write_ms} 0 {busy} {queue} 0 0 0 0 {flushes} {flush_ms}\n"


def metrics(**values):
    lines = {
        "insula_memory_budget_bytes": 8 * GIB, "memory_allocated_bytes": 4 * GIB,
        "memory_active_bytes": 5 * GIB, 'insula_memory_used_bytes{purpose="memtable"}': 10 << 20,
        'insula_memory_limit_bytes{purpose="memtable"}': 256 << 20,
        'insula_memory_used_bytes{purpose="cache"}': 3 * GIB,
        'insula_memory_limit_bytes{purpose="cache"}': 6 * GIB, "collections_total": 3,
        "insula_tenants": 50000, "insula_runs": 90000, "insula_cold_reads_total": 100,
        "insula_cache_hits_total": 100000, "insula_log_syncs_total": 5000,
        "insula_log_records_total": 90000, "insula_writes_stopped": 0, "insula_extents_damaged_total": 0,
        "insula_connections_total": 64, "insula_requests_total": 1000000,
        "insula_upserts_total": 1000, "insula_upsert_points_total": 100000,
        "insula_filtered_reads_total": 1000, "insula_filtered_rows_total": 9000,
        f'insula_process_info{{pid="{PID}",isa="avx512",arena_pages="transparent 2 MiB"}}': 1}
    lines.update(values)
    return "".join(f"# HELP {name} text\n{name} {value}\n" for name, value in lines.items())


def disk(reads=1000, read_ms=200, writes=5000, write_ms=1000, busy=100, queue=100, flushes=1000,
         flush_ms=200):
    return "   8       0 sda 9 9 9 9 9 9 9 9 9 9 9 0 0 0 0 9 9\n " + DISK.format(**locals())


def healthy():
    """Texts of a host that nothing holds back; the second look adds what it names."""
    process = f"proc/{PID}"
    mount = "25 1 259:0 / / rw,relatime shared:1 - ext4 /dev/nvme0n1 rw\n"
    first = {
        "clock": "1000.0\n", "target": f"pid {PID}\ndata /var/lib/insula\n",
        "proc/cpuinfo": "processor : 0\nflags\t: fpu avx2 avx512f\nprocessor : 1\n",
        "proc/meminfo": "MemTotal: 67108864 kB\nMemAvailable: 50331648 kB\nSwapTotal: 0 kB\n"
                        "SwapFree: 0 kB\nHugePages_Total: 0\nHugePages_Free: 0\n"
                        "CommitLimit: 67108864 kB\n",
        "proc/vmstat": "pswpin 5\n", "proc/self/mountinfo": mount, "proc/diskstats": disk(),
        "proc/net/netstat": "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 7 7\n",
        "proc/pressure/cpu": "some avg10=1.00 avg60=0.00 avg300=0.00 total=1\n",
        "proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
        "proc/pressure/io": "some avg10=2.00 avg60=0.00 avg300=0.00 total=1\n",
        "proc/sys/vm/swappiness": "60\n", "proc/sys/vm/overcommit_memory": "0\n",
        "proc/sys/vm/max_map_count": "65530\n", "proc/sys/vm/dirty_ratio": "10\n",
        "proc/sys/vm/dirty_bytes": "0\n", "proc/sys/kernel/threads-max": "500000\n",
        "proc/sys/fs/file-max": "9000000\n", "proc/sys/net/core/somaxconn": "4096\n",
        "proc/sys/kernel/numa_balancing": "0\n", "sys/devices/system/node/.names": "node0\n",
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        "sys/kernel/mm/transparent_hugepage/defrag": "always defer [madvise] never\n",
        "sys/dev/block/259:0/queue/scheduler": "[none] mq-deadline bfq\n",
        "sys/dev/block/259:0/queue/rotational": "0\n",
        "sys/dev/block/259:0/queue/write_cache": "write back\n",
        "statfs/var/lib/insula": f"bytes {1000 * GIB}\nfree {600 * GIB}\ninodes 1000000\n"
                                 "inodes_free 900000\n",
        "server/metrics": metrics(), "perf/dtlb": "loads 1000000\nmisses 100\n",
        "proc/.names": f"1\n{PID}\nself\n", "proc/1/comm": "systemd\n",
        process + "/comm": "insula\n", process + "/cgroup": "0::/system.slice/insula.service\n",
        process + "/status": "VmRSS: 5242880 kB\nVmSwap: 0 kB\nVmPTE: 100 kB\nThreads: 4\n"
                             "TracerPid:\t0\nHugetlbPages: 0 kB\n",
        process + "/smaps_rollup": "AnonHugePages: 5242880 kB\nShmemPmdMapped: 0 kB\n",
        process + "/fd/.names": "0\n1\n2\n", process + "/maps": "a\nb\nc\n",
        process + "/limits": "Limit Soft Hard Units\nMax open files  65536  65536 files\n",
        process + "/stat": f"{PID} (insula) S 1 1 1 0 -1 0 900 0 5 0\n",
        process + "/task/.names": f"{PID}\n",
        process + f"/task/{PID}/schedstat": "1000000000 10000000 500\n",
        process + f"/task/{PID}/status": "voluntary_ctxt_switches: 9\n"
                                         "nonvoluntary_ctxt_switches: 2\n",
        "sys/fs/cgroup/system.slice/insula.service/memory.max": "max\n",
        "sys/fs/cgroup/system.slice/insula.service/memory.current": "5242880000\n",
        "sys/fs/cgroup/system.slice/insula.service/memory.events": "low 0\noom 0\noom_kill 0\n",
        "sys/fs/cgroup/system.slice/insula.service/cpu.max": "max 100000\n",
        "sys/fs/cgroup/system.slice/insula.service/cpu.stat": "nr_periods 0\nnr_throttled 0\n",
        "sys/fs/cgroup/system.slice/insula.service/pids.max": "9000\n",
        "sys/fs/cgroup/system.slice/insula.service/pids.current": "4\n"}
    second = {"clock": "1010.0\n", "perf/dtlb": "loads 2000000000\nmisses 900000\n",
              "proc/diskstats": disk(reads=1100, read_ms=230, writes=6000, write_ms=1500,
                                     flushes=1100, flush_ms=260),
              process + f"/task/{PID}/schedstat": "6000000000 110000000 900\n"}
    return first, second


GROUP = "sys/fs/cgroup/system.slice/insula.service/"
PROCESS = f"proc/{PID}/"


def replace(name, old, new):
    def change(first, second):
        for texts in (first, second):
            if name in texts:
                texts[name] = texts[name].replace(old, new)
    change.name = name
    return change


def put(name, text, both=True):
    def change(first, second):
        if both:
            first[name] = text
        second[name] = text
    return change


def rising(**values):
    """Metrics of the second look."""
    return put("server/metrics", metrics(**values), both=False)


def steady(**values):
    return put("server/metrics", metrics(**values))


def engines(name, count, maps, links):
    """`count` processes of another engine, of `maps` mappings and `links` open logs each."""
    def change(first, second):
        first["proc/.names"] += "".join(f"{9000 + i}\n" for i in range(count))
        for i in range(count):
            place = f"proc/{9000 + i}"
            first[place + "/comm"] = name + "\n"
            first[place + "/status"] = ("VmRSS: 40000 kB\nVmPTE: 300 kB\nThreads: 12\n"
                                        "voluntary_ctxt_switches: 5\n")
            first[place + "/maps"] = "m\n" * maps
            first[place + "/fd/.names"] = "".join(f"{k}\n" for k in range(links))
            for k in range(links):
                first[place + f"/fd/{k}.link"] = f"/data/collections/c{k}/0/wal/open-{k}"
    return change


# What is changed, the finding that has to come first.
PROVOKED = {
    "huge-pages-off": [replace("sys/kernel/mm/transparent_hugepage/enabled", "[madvise] never",
                               "madvise [never]")],
    "huge-pages-few": [replace(PROCESS + "smaps_rollup", "AnonHugePages: 5242880",
                               "AnonHugePages: 2048")],
    "tlb-misses": [put("perf/dtlb", "loads 2000000000\nmisses 90000000\n", both=False)],
    "budget-over-cgroup": [put(GROUP + "memory.max", f"{6 * GIB}\n")],
    "out-of-memory-kills": [put(GROUP + "memory.events", "oom 1\noom_kill 1\n", both=False)],
    "resident-over-budget": [replace(PROCESS + "status", "VmRSS: 5242880", "VmRSS: 9999999")],
    "budget-over-machine": [replace("proc/meminfo", "MemAvailable: 50331648",
                                    "MemAvailable: 1048576")],
    "swapped-out": [replace(PROCESS + "status", "VmSwap: 0", "VmSwap: 90000"),
                    put("proc/vmstat", "pswpin 5000\n", both=False)],
    "swap-eager": [replace("proc/meminfo", "SwapTotal: 0", "SwapTotal: 8388608")],
    "overcommit-strict": [put("proc/sys/vm/overcommit_memory", "2\n")],
    "cache-small": [rising(**{"insula_cold_reads_total": 50000, "insula_cache_hits_total": 200000,
                              'insula_memory_used_bytes{purpose="cache"}': 6 * GIB})],
    "memtable-full": [steady(**{'insula_memory_used_bytes{purpose="memtable"}': 250 << 20})],
    "major-faults": [put(PROCESS + "stat", f"{PID} (insula) S 1 1 1 0 -1 0 900 0 5000 0\n", False)],
    "memory-pressure": [replace("proc/pressure/memory", "avg10=0.00", "avg10=22.10")],
    "huge-pages-compaction": [
        put("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
        put("sys/kernel/mm/transparent_hugepage/defrag", "[always] defer madvise never\n")],
    "descriptors-few": [replace(PROCESS + "limits", "65536  65536", "1024  65536")],
    "mappings-near-limit": [put(PROCESS + "maps", "m\n" * 60000)],
    "threads-near-limit": [put(GROUP + "pids.max", "5\n"), put(GROUP + "pids.current", "5\n")],
    "cpu-quota": [put(GROUP + "cpu.max", "150000 100000\n"),
                  put(GROUP + "cpu.stat", "nr_periods 100\nnr_throttled 40\n", both=False)],
    "run-queue": [put(PROCESS + f"task/{PID}/schedstat", "3000000000 9000000000 9\n", False)],
    "traced": [replace(PROCESS + "status", "TracerPid:\t0", "TracerPid:\t77")],
    "no-avx2": [replace("proc/cpuinfo", " avx2 avx512f", "")],
    "avx512-unused": [steady(**{f'insula_process_info{{pid="{PID}",isa="avx2"}}': 1}),
                      replace("server/metrics", 'isa="avx512"', 'isa="avx2"')],
    "clock-slow": [put("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n")],
    "cpu-governor": [put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")],
    "numa": [put("sys/devices/system/node/.names", "node0\nnode1\n"),
             put("proc/sys/kernel/numa_balancing", "1\n")],
    "backlog": [replace("proc/net/netstat", "1 7 7", "1 900 7"),
                lambda first, second: second.update(
                    {"proc/net/netstat": first["proc/net/netstat"].replace("900", "1900")})],
    "writes-stopped": [steady(insula_writes_stopped=1)],
    "extents-damaged": [steady(insula_extents_damaged_total=2)],
    "disk-writes-slow": [put("proc/diskstats", disk(writes=5300, write_ms=30000, flushes=1100,
                                                    flush_ms=9000), both=False)],
    "disk-reads-slow": [put("proc/diskstats", disk(reads=1200, read_ms=9000), both=False)],
    "data-in-memory": [replace("proc/self/mountinfo", "ext4 /dev/nvme0n1", "tmpfs tmpfs")],
    "write-barriers-off": [replace("proc/self/mountinfo", "nvme0n1 rw", "nvme0n1 rw,nobarrier")],
    "filesystem-far": [replace("proc/self/mountinfo", "ext4 /dev/nvme0n1", "nfs4 host:/data")],
    "disk-full": [replace("statfs/var/lib/insula", f"free {600 * GIB}", f"free {5 * GIB}")],
    "inodes-few": [replace("statfs/var/lib/insula", "inodes_free 900000", "inodes_free 900")],
    "io-scheduler": [put("sys/dev/block/259:0/queue/scheduler", "none mq-deadline [bfq]\n")],
    "disk-rotates": [put("sys/dev/block/259:0/queue/rotational", "1\n")],
    "dirty-pages": [put("proc/sys/vm/dirty_ratio", "40\n")],
    "io-pressure": [replace("proc/pressure/io", "avg10=2.00", "avg10=70.00")],
    "batches-small": [rising(insula_upserts_total=21000, insula_upsert_points_total=120000)],
    "no-keep-alive": [rising(insula_connections_total=9000, insula_requests_total=1009000)],
    "filters-unindexed": [rising(insula_filtered_reads_total=1900,
                                 insula_filtered_rows_total=9000000)],
    "collection-per-tenant": [steady(collections_total=50000, insula_tenants=50000)],
    "address-spaces": [engines("qdrant", 300, 70, 2)],
    "wal-contention": [engines("weaviate", 1, 400, 200)],
}


class RecordingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory, cls.on_disk = tempfile.mkdtemp(prefix="insula-doctor-"), {}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def record(self, changes=()):
        """Of the directory that all tests share only what differs is written."""
        samples = healthy()
        for change in changes:
            change(*samples)
        wanted = {f"{number}/{name}": text for number, texts in enumerate(samples, start=1)
                  for name, text in texts.items()}
        for name in self.on_disk.keys() - wanted.keys():
            os.remove(os.path.join(self.directory, name))
            del self.on_disk[name]
        for name, text in wanted.items():
            if self.on_disk.get(name) != text:
                path = os.path.join(self.directory, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                self.on_disk[name] = text
        return self.directory

    def doctor(self, changes=(), command="doctor"):
        arguments = ["--json"] if command == "doctor" else []
        run = subprocess.run([test_rest.PROGRAM, command, "--from", self.record(changes), *arguments],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.stderr, "")
        return run.returncode, json.loads(run.stdout) if command == "doctor" else run.stdout

    def test_healthy(self):
        """Goal: a host that is well hears nothing, and every fact was seen."""
        code, answer = self.doctor()
        self.assertEqual((code, answer["findings"]), (0, []))
        unseen = [name for name, value in answer["facts"].items() if value is None]
        self.assertEqual(sorted(unseen), ["cgroup_cpu_limit", "cgroup_memory_max_bytes"])

    def test_provoked(self):
        """Goal: each finding is ranked first when it is what is wrong, explains itself, and has the
        exit code of its level."""
        for name, changes in PROVOKED.items():
            with self.subTest(name):
                code, answer = self.doctor(changes)
                finding = answer["findings"][0]
                self.assertEqual(finding["id"], name)
                for part in ("what", "how", "cost", "todo"):
                    self.assertRegex(finding[part], r"^[A-Za-z0-9/].{10,}[.:)]$", part)
                    self.assertNotRegex(finding[part], r"\bnan\b|\(null\)", part)
                level = ("problem" if finding["severity"] >= 70 else
                         "warning" if finding["severity"] >= 30 else "note")
                self.assertEqual(finding["level"], level)
                self.assertEqual(code, {"problem": 4, "warning": 3, "note": 0}[level])

    def test_advice(self):
        """Goal: a change that tune proposes removes its finding, and its undo is what was there.
        Method: the change is made in the recording."""
        seen = 0
        for name, changes in PROVOKED.items():
            answer = self.doctor(changes)[1]
            finding = answer["findings"][0]
            if finding["changes"] == []:
                continue
            seen += 1
            with self.subTest(name):
                script = self.doctor(changes, "tune")[1]
                after = []
                for change in finding["changes"]:
                    self.assertIn("put '{path}' '{from}' '{to}'".format(**change), script)
                    value = change["to"] + "\n"
                    if change["path"].endswith("scheduler"):
                        value = f"[{value.strip()}] bfq\n"
                    after.append(put(change["path"].lstrip("/"), value))
                if name in ("mappings-near-limit", "swapped-out", "backlog"):
                    continue  # these also need a restart
                left = {each["id"]: each["severity"]
                        for each in self.doctor(changes + after)[1]["findings"]}
                self.assertLess(left.get(name, 0), 30)  # two memory nodes remain a note
        self.assertGreater(seen, 7)

    def test_cgroup_v1(self):
        """Goal: limits of control groups of version 1 are seen too."""
        changes = [put(PROCESS + "cgroup", "4:memory:/x\n3:cpuset:/\n2:cpu,cpuacct:/x\n1:pids:/\n0::/\n"),
                   put("sys/fs/cgroup/memory/x/memory.limit_in_bytes", f"{4 * GIB}\n"),
                   put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "50000\n"),
                   put("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n")]
        answer = self.doctor(changes)[1]
        self.assertEqual(answer["findings"][0]["id"], "budget-over-cgroup")
        self.assertEqual(answer["facts"]["cgroup_cpu_limit"], 0.5)
        self.assertEqual(answer["facts"]["cgroup_version"], 1)

    def test_damaged(self):
        """Goal: texts that are cut or nonsense make facts unknown, never a crash."""
        names = [name for name in healthy()[0] if name != "target"]
        for text in ("", "\n", "x", ": : :\n\n", "[", "9" * 400, "TcpExt: ListenOverflows\n"):
            code, _ = self.doctor([put(name, text) for name in names])
            self.assertIn(code, (0, 3, 4))
        for name in names:
            self.doctor([put(name, healthy()[0][name][: len(healthy()[0][name]) // 2])])

    def test_arguments(self):
        for arguments in (["--seconds", "0"], ["--pid", "x"], ["--nothing"], ["more"], ["--url"]):
            run = subprocess.run([test_rest.PROGRAM, "doctor", *arguments], capture_output=True,
                                 text=True, timeout=60)
            self.assertEqual(run.returncode, 2, arguments)
            self.assertIn("insula help doctor", run.stderr)
        run = subprocess.run([test_rest.PROGRAM, "doctor", "--from", "/nowhere/at/all"],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 1)
        self.assertIn("/nowhere/at/all", run.stderr)


class LiveTest(unittest.TestCase):
    def serve(self, preexec=None):
        server = Server(preexec=preexec)
        self.addCleanup(server.remove)
        return server

    def doctor(self, server, *arguments):
        run = subprocess.run(
            [test_rest.PROGRAM, "doctor", "--json", "--seconds", "1", "--url",
             f"http://127.0.0.1:{server.port}", *arguments],
            capture_output=True, text=True, timeout=60)
        self.assertEqual(run.stderr, "")
        answer = json.loads(run.stdout)
        return {each["id"]: each for each in answer["findings"]}, answer["facts"]

    def during(self, server, work):
        """The findings while `work` is done again and again."""
        stop = threading.Event()

        def loop():
            while not stop.is_set():
                work()
        thread = threading.Thread(target=loop)
        thread.start()
        try:
            return self.doctor(server)[0]
        finally:
            stop.set()
            thread.join()

    def test_facts(self):
        """Goal: what is said of the process is the server's. Method: compared with /proc."""
        server = self.serve()
        facts = self.doctor(server)[1]
        self.assertEqual(facts["pid"], server.process.pid)
        self.assertEqual(facts["data_directory"], os.path.realpath(server.directory))
        self.assertEqual(facts["budget_bytes"], 512 << 20)
        self.assertEqual(facts["threads"], len(os.listdir(f"/proc/{server.process.pid}/task")))
        self.assertGreater(facts["disk_bytes"], 0)

    def test_descriptors(self):
        few = self.serve(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512)))
        self.assertIn("descriptors-few", self.doctor(few)[0])
        more = self.serve(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)))
        self.assertNotIn("descriptors-few", self.doctor(more)[0])

    def test_clients(self):
        """Goal: one point a request, and a connection a request, are seen, and are gone when clients
        do as they are told."""
        server = self.serve()
        client = Client(server)
        client.ok("PUT", "/collections/c", {"vectors": {"size": 2, "distance": "Dot"}})

        def upsert(count, one):
            one.ok("PUT", "/collections/c/points", {"points": [
                {"id": i, "vector": [1, i]} for i in range(count)]})

        def upsert_anew():
            one = Client(server)
            upsert(1, one)
            one.connection.close()
        found = self.during(server, upsert_anew)
        self.assertIn("no-keep-alive", found)
        found = self.during(server, lambda: upsert(1, client))
        self.assertIn("batches-small", found)
        self.assertNotIn("no-keep-alive", found)
        self.assertNotIn("batches-small", self.during(server, lambda: upsert(100, client)))

    def test_filters(self):
        server = self.serve()
        client = Client(server)
        client.ok("PUT", "/collections/f", {"vectors": {"size": 2, "distance": "Dot"}})
        for first in range(0, 20000, 1000):
            client.ok("PUT", "/collections/f/points", {"points": [
                {"id": i, "vector": [1, i], "payload": {"word": f"w{i}"}}
                for i in range(first, first + 1000)]})
        body = {"filter": {"must": [{"key": "word", "match": {"value": "w7"}}]}, "exact": True}
        found = self.during(server, lambda: client.ok("POST", "/collections/f/points/count", body))
        self.assertIn("filters-unindexed", found)

    def test_engines(self):
        """Goal: a process a tenant, and a log a tenant, of another engine are named. Method: copies
        of sleep under such a name, with files open."""
        server = self.serve()
        directory = tempfile.mkdtemp(prefix="insula-engines-")
        self.addCleanup(shutil.rmtree, directory)
        program = os.path.join(directory, "qdrant")
        shutil.copy(shutil.which("sleep"), program)
        os.mkdir(os.path.join(directory, "wal"))
        logs = [os.open(os.path.join(directory, "wal", f"open-{i}"), os.O_CREAT | os.O_RDWR)
                for i in range(80)]
        running = [subprocess.Popen([program, "60"], pass_fds=logs if i == 0 else ())
                   for i in range(40)]
        try:
            found = self.doctor(server)[0]
        finally:
            for each in running:
                each.kill()
                each.wait()
            for each in logs:
                os.close(each)
        self.assertIn("Address spaces and TLB churn", found["address-spaces"]["what"])
        self.assertIn("WAL contention", found["wal-contention"]["what"])
        found = self.doctor(server)[0]
        self.assertNotIn("address-spaces", found)
        self.assertNotIn("wal-contention", found)

    def test_record(self):
        """Goal: a recording of this machine tells the same as looking at it did."""
        server = self.serve()
        directory = tempfile.mkdtemp(prefix="insula-record-")
        self.addCleanup(shutil.rmtree, directory)
        facts = self.doctor(server, "--record", directory)[1]
        run = subprocess.run([test_rest.PROGRAM, "doctor", "--json", "--from", directory],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(json.loads(run.stdout)["facts"], facts)

    def test_no_server(self):
        """Goal: without a server the machine is looked at all the same; a URL that was given and
        does not answer is an error."""
        run = subprocess.run([test_rest.PROGRAM, "doctor", "--seconds", "1", "--pid",
                              str(os.getpid())], capture_output=True, text=True, timeout=60)
        self.assertIn(run.returncode, (0, 3, 4))
        self.assertIn("disk was not looked at", run.stdout)
        run = subprocess.run([test_rest.PROGRAM, "doctor", "--url", "http://127.0.0.1:1"],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 1)
        self.assertIn("cannot reach", run.stderr)


if __name__ == "__main__":
    test_rest.PROGRAM = os.path.abspath(sys.argv[1])
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
