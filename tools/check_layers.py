#!/usr/bin/env python3
"""Checks the house's order: who includes whom, and what each folder of src/ has.

    check_layers.py [ROOT]

The order of the layers is the order of the subdir('src/...') lines in ROOT/meson.build. Prints each
offending line as path:line: reason, and exits with 1 when there is any.
"""

import pathlib
import re
import sys

SUBDIR = re.compile(r"^\s*subdir\(\s*'src/([a-z_]+)'\s*\)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
SOURCES = {".c", ".h", ".cc"}
README_LINES_MAX = 40

PUBLIC_PARTS = "insula/"  # of include/insula.h, which alone is included elsewhere
# The engine is reached through insula.h alone: if they cannot be written on it, it lacks something.
OUTER_FOLDERS = ("cluster", "api", "server")
OUTER_MAY_INCLUDE = {"base", *OUTER_FOLDERS}
# Folders that have no single outward header: base is many small ones, server and api are used by
# their functions' headers.
NO_FOLDER_HEADER = {"base", "query", "api", "server"}
# Libraries that stay behind one door. A prefix ending in "/" covers a library's whole folder.
LIBRARY_HOMES = {
    "uv.h": ("server",),
    "llhttp.h": ("server",),
    "llhttp/": ("server",),
    "simdjson.h": ("base",),
}


def layers_of(meson_text):
    """Folder names of src/, lowest first."""
    return SUBDIR.findall(meson_text)


def library_home(header):
    for prefix, homes in LIBRARY_HOMES.items():
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            return homes
    return None


def include_fault(layers, folder, header):
    """Why a file of `folder` ("cli" or one of `layers`) may not include "header"; None when it may."""
    if header == "insula.h":
        return None
    if header.startswith(PUBLIC_PARTS):
        return f'"{header}" is a part of insula.h: include that'
    target, slash, name = header.rpartition("/")
    if not slash:
        return f'"{header}": includes are written from src/, as "{folder}/{header}"'
    if folder == "cli" and (target == "cli" or target.startswith("cli/")):
        return None
    if target not in layers:
        return f'"{header}": src/{target} is no layer of meson.build'
    if name == f"{target}_private.h" and target != folder:
        return f'"{header}" belongs to src/{target} alone'
    if target == folder:
        return None
    if (folder in OUTER_FOLDERS or folder == "cli") and target not in OUTER_MAY_INCLUDE:
        return f'"{header}": {folder} reaches the engine through insula.h alone'
    if folder != "cli" and layers.index(target) > layers.index(folder):
        return f'"{header}": {target} stands above {folder}'
    return None


def check_file(layers, folder, path, shown_as):
    faults = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, header = match.groups()
        fault = None
        homes = library_home(header)
        if homes is not None:
            if folder not in homes:
                fault = f"<{header}> stays inside {', '.join(homes)}"
        elif quote == '"':
            fault = include_fault(layers, folder, header)
        if fault:
            faults.append(f"{shown_as}:{number}: {fault}")
    return faults


def check_folder(root, folder):
    """What each folder of src/ has: an outward header and a short README."""
    faults = []
    path = root / "src" / folder
    if folder not in NO_FOLDER_HEADER and not (path / f"{folder}.h").exists():
        faults.append(f"src/{folder}: has no {folder}.h")
    readme = path / "README.md"
    if not readme.exists():
        faults.append(f"src/{folder}: has no README.md")
    else:
        lines = len(readme.read_text(encoding="utf-8").splitlines())
        if lines > README_LINES_MAX:
            faults.append(f"src/{folder}/README.md: {lines} lines, at most {README_LINES_MAX}")
    return faults


def source_files(directory):
    return sorted(path for path in directory.rglob("*") if path.suffix in SOURCES)


def check_tree(root):
    """All faults of the tree at `root`, as lines of text."""
    layers = layers_of((root / "meson.build").read_text(encoding="utf-8"))
    if not layers:
        return ["meson.build: has no subdir('src/...') line"]
    faults = []
    for directory in sorted(path for path in (root / "src").iterdir() if path.is_dir()):
        folder = directory.name
        if folder not in layers:
            faults.append(f"src/{folder}: is not in meson.build")
            continue
        faults += check_folder(root, folder)
        for path in source_files(directory):
            faults += check_file(layers, folder, path, path.relative_to(root))
    for path in source_files(root / "cli"):
        faults += check_file(layers, "cli", path, path.relative_to(root))
    for path in source_files(root / "include"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            match = INCLUDE.match(line)
            if match and match.group(1) == '"' and not match.group(2).startswith(PUBLIC_PARTS):
                faults.append(f"{path.relative_to(root)}:{number}: the public header stands alone")
    return faults


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent
    faults = check_tree(root)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
