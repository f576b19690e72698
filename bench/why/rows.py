"""The arrangements: what each is called, how its subject is started, at which sizes."""

import packages

SIZES = (1000, 2000)
FEWER_SIZES = (500, 1000)
MAPPED_SIZES = (100, 200)  # 18 MiB of page cache each: a machine has room for few
INSULA_SIZES = (2000, 10000)  # its memory grows in steps of 2 MiB: fewer tenants hardly show


class Row:
    """`command(folder)` starts the subject, or `reason` says why there is none; `needed`: it needs
    nothing but the build, so that a failure of it is a failure of the run."""

    def __init__(self, name, sizes, command, reason=None, needed=False):
        self.name, self.sizes, self.command = name, sizes, command
        self.reason, self.needed = reason, needed


def insula(setup, style, sizes):
    names = {"collection": "**Insula**, a collection each",
             "key": "**Insula**, a value of an `is_tenant` key each"}
    script, program = setup.baselines / "insula_server.py", setup.build / "insula"
    return Row(names[style], sizes,
               lambda folder: [setup.python, "-B", script, folder, program, style], needed=True)


def c_program(setup, name, program, sizes):
    path = setup.build / "bench" / program
    return Row(name, sizes, lambda folder: [path, folder], needed=True)


def package(setup, name, script, package_name, version, sizes, *arguments):
    python, reason = packages.provide(setup.build / "why-venv", package_name, version,
                                      setup.install)
    path = setup.baselines / script
    return Row(name, sizes, lambda folder: [python, "-B", path, folder, *arguments], reason)


def own(setup, sizes, fewer):
    """Those that need nothing but the build."""
    return [
        insula(setup, "collection", sizes),
        insula(setup, "key", sizes),
        c_program(setup, "a mapping each (C, the least that works)", "insula-mapping-per-tenant",
                  sizes),
        c_program(setup, "a process each (C, the least that works)", "insula-process-per-tenant",
                  fewer),
    ]


def engines(setup, sizes, fewer):
    edge = ("edge_shards.py", "qdrant-edge-py", "0.9.0")
    return [
        package(setup, "qdrant-edge, a shard each", *edge, MAPPED_SIZES),
        package(setup, "qdrant-edge, a shard each, one thread, no log", *edge, fewer, "lean"),
        package(setup, "zvec, a collection each", "zvec_collections.py", "zvec", "0.8.0", sizes),
        package(setup, "LanceDB, a table each", "lancedb_tables.py", "lancedb", "0.40.0", sizes),
        Row("PostgreSQL with pgvector, a table each", sizes, None,
            "Debian 12 has no package of pgvector"),
    ]


def all_rows(setup):
    rows = [insula(setup, "collection", INSULA_SIZES)]
    return rows + own(setup, SIZES, FEWER_SIZES) + engines(setup, SIZES, FEWER_SIZES)
