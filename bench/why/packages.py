"""Packages of the Python package index, in a virtual environment below the build directory."""

import subprocess
import sys

INSTALL_S_MAX = 600


def environment(folder):
    """The interpreter of a virtual environment, made when it is not there; a sentence if it cannot."""
    python = folder / "bin" / "python"
    if not python.exists():
        done = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True,
                              text=True)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()
            return None, f"no virtual environment: {said[0] if said else done.returncode}"
    return python, None


def has(python, name, version):
    code = "import sys; from importlib import metadata; " \
           "sys.exit(metadata.version(sys.argv[1]) != sys.argv[2])"
    return subprocess.run([str(python), "-c", code, name, version],
                          capture_output=True).returncode == 0


def provide(folder, name, version, install=True):
    """The interpreter that has the package, or None and the reason."""
    python, reason = environment(folder)
    if python is None or has(python, name, version):
        return python, reason
    if not install:
        return None, f"{name} {version} is not installed, and --no-install was given"
    print(f"installing {name} {version}", file=sys.stderr, flush=True)
    try:
        done = subprocess.run([str(python), "-m", "pip", "install", "--quiet",
                               "--disable-pip-version-check", f"{name}=={version}"],
                              capture_output=True, text=True, timeout=INSTALL_S_MAX)
    except subprocess.TimeoutExpired:
        return None, f"pip installs no {name} {version} within {INSTALL_S_MAX} s"
    if done.returncode == 0 and has(python, name, version):
        return python, None
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return None, f"pip installs no {name} {version}: " \
                 f"{errors[-1][:160] if errors else done.returncode}"
