"""A hostile machine for one process: what is taken away stands in Cage.enter, in its order.

A file system of its own (ext4 in an image, loop-mounted) can be frozen and filled; a memory control group
of version 1 or 2 bounds the process. What this machine does not allow raises Forbidden with the reason.
"""
import ctypes
import os
import resource
import shutil
import struct
import subprocess
import tempfile
import time

LIBC = ctypes.CDLL(None, use_errno=True)
NOBODY = 65534
CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 1
SYS_MOUNT_SETATTR = 442
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_SET_THP_DISABLE, PR_SET_PDEATHSIG = 38, 22, 41, 1
SECCOMP_MODE_FILTER, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 2, 0x7FFF0000, 0x00050000
IO_URING_FIRST, IO_URING_LAST = 425, 427  # setup, enter, register: the same on all architectures
ENOSYS = 38
LOAD_NUMBER, JUMP_GE, RETURN = 0x20, 0x35, 0x06  # of classic BPF


class Forbidden(Exception):
    """The machine does not let this be taken away; the text says what and why."""


def checked(result, what):
    if result != 0:
        raise Forbidden(f"{what}: {os.strerror(ctypes.get_errno())}")


def without_io_uring():
    """io_uring's calls answer that the kernel has none. Method: a filter of system calls."""
    program = [(LOAD_NUMBER, 0, 0, 0), (JUMP_GE, 0, 2, IO_URING_FIRST), (JUMP_GE, 1, 0, IO_URING_LAST + 1),
               (RETURN, 0, 0, SECCOMP_RET_ERRNO | ENOSYS), (RETURN, 0, 0, SECCOMP_RET_ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    head = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    checked(LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0), "a filter of system calls")


def set_read_only(path, recursive, on):
    """Of the mount at `path` in this name space."""
    flag = MOUNT_ATTR_RDONLY
    attributes = struct.pack("=QQQQ", flag if on else 0, 0 if on else flag, 0, 0)
    checked(LIBC.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path.encode(), AT_RECURSIVE if recursive else 0,
                         attributes, len(attributes)), f"{path} read-only or not")


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Forbidden(f"{' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")


def own_group(controller):
    """Path of this process's control group, "" for version 2; None: it is in none."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            _, names, path = line.rstrip("\n").split(":", 2)
            if controller in names.split(","):
                return path
    return None


class MemoryGroup:
    """A control group with a limit of memory."""

    def __init__(self, limit_bytes):
        v1 = own_group("memory")
        v2 = own_group("")
        name = f"insula-soak-{os.getpid()}"
        places = [(f"/sys/fs/cgroup/memory{v1 or ''}", "memory.limit_in_bytes"),
                  (f"/sys/fs/cgroup{v2 or ''}", "memory.max"), ("/sys/fs/cgroup", "memory.max")]
        refusals = []
        for parent, limit in places:
            if parent.startswith("/sys/fs/cgroup/memory") and v1 is None:
                continue
            self.path = os.path.join(parent, name)
            try:
                self._make(limit, limit_bytes)
                return
            except OSError as error:
                refusals.append(f"{parent}: {error.strerror}")
                self.remove()
        raise Forbidden("a memory control group: " + "; ".join(refusals))

    def _make(self, limit, limit_bytes):
        os.mkdir(self.path)
        with open(os.path.join(self.path, limit), "w", encoding="utf-8") as file:
            file.write(str(limit_bytes))

    def enter(self):
        with open(os.path.join(self.path, "cgroup.procs"), "w", encoding="utf-8") as file:
            file.write(str(os.getpid()))

    def kills(self):
        """How often the kernel killed in it since memory ran out."""
        for name in ("memory.oom_control", "memory.events"):
            try:
                with open(os.path.join(self.path, name), encoding="utf-8") as file:
                    for line in file:
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
            except FileNotFoundError:
                pass
        return 0

    def remove(self):
        for _ in range(100):  # a process that has just ended may be in it for a moment
            try:
                os.rmdir(self.path)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.01)


class Disk:
    """An ext4 of its own."""

    def __init__(self, size_bytes):
        self.folder = tempfile.mkdtemp(prefix="insula-soak-")
        os.chmod(self.folder, 0o755)
        self.image, self.mount = (os.path.join(self.folder, name) for name in ("image", "mount"))
        self.mounted = self.frozen = False
        self.ballast = os.path.join(self.mount, "ballast")
        try:
            if os.geteuid() != 0:
                raise Forbidden("mounting needs root")
            with open(self.image, "wb") as file:
                file.truncate(size_bytes)
            os.mkdir(self.mount)
            run("mkfs.ext4", "-q", "-m", "0", "-F", self.image)
            run("mount", "-o", "loop", self.image, self.mount)
            self.mounted = True
            self.data = os.path.join(self.mount, "data")
            os.mkdir(self.data)
            os.chown(self.data, NOBODY, NOBODY)
        except FileNotFoundError as error:
            self.remove()
            raise Forbidden(f"no program {error.filename}") from error
        except Forbidden:
            self.remove()
            raise

    def freeze(self):
        """Nothing can be written any more: writers wait."""
        run("fsfreeze", "-f", self.mount)
        self.frozen = True

    def thaw(self):
        if self.frozen:
            run("fsfreeze", "-u", self.mount)
            self.frozen = False

    def free(self):
        """Bytes that a program like the server can still take."""
        mount = os.statvfs(self.mount)
        return mount.f_bavail * mount.f_frsize

    def fill(self, left_bytes):
        """Takes all room but that, as another program would. The file system's own share is not to be had."""
        step = 64 << 20
        with open(self.ballast, "ab") as file:
            while step >= 4096:
                size = min(step, self.free() - left_bytes)
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
                except OSError:  # no room, or nothing left to take
                    step //= 4

    def empty(self):
        if os.path.exists(self.ballast):
            os.remove(self.ballast)

    def remove(self):
        if self.frozen:
            self.thaw()
        if self.mounted:
            subprocess.run(["umount", "-l", self.mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Cage:
    """What a server is put into. `data` is all that it may write to."""

    def __init__(self, data, memory_bytes, descriptors):
        self.data, self.descriptors = data, descriptors
        self.group = MemoryGroup(memory_bytes)

    def enter(self):
        """Between fork and exec."""
        self.group.enter()
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        checked(LIBC.unshare(CLONE_NEWNS), "a mount name space")
        checked(LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
        set_read_only("/", True, True)
        set_read_only(os.path.dirname(self.data), False, False)
        checked(LIBC.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "no huge pages")
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        LIBC.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)  # a change of the user takes it away
        without_io_uring()

    def prove(self, pid):
        """That the process `pid` lives in it: raises AssertionError."""
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            status = dict(line.split(":", 1) for line in file)
        assert status["Uid"].split() == [str(NOBODY)] * 4, status["Uid"]
        assert int(status["CapEff"], 16) == 0 and int(status["NoNewPrivs"]) == 1
        assert int(status["Seccomp"]) == SECCOMP_MODE_FILTER
        assert int(status.get("THP_enabled", "0")) == 0
        with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
            assert any(line.startswith("Max open files") and int(line.split()[3]) == self.descriptors for line in file)
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
            writable = [fields[4] for fields in map(str.split, file) if "rw" in fields[5].split(",")]
        assert writable == [os.path.dirname(self.data)], writable

    def remove(self):
        self.group.remove()
