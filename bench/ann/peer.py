"""One peer of the index, in a process of its own: builds, then answers turn by turn.

usage: peer.py NAME l2|cos f32|f16|u8 BASE QUERY TRUTH FOLDER
Prints a line of JSON when it is built (CPU seconds, bytes of the index when it is saved) and one for
each line that it reads: for every setting recall and CPU time a query, all queries given in one
call, one thread. Cosine is Euclidean distance of unit rows."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

os.environ.update({name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                                          "NUMBA_NUM_THREADS")})
import numpy  # noqa: E402  (reads the environment when it is loaded)

K = 10
EFFORTS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 240, 360, 640, 1200, 2400)
DEGREE, BUILD_EFFORT = 16, 200  # as hnswlib's
ENOUGH = 0.9995  # of recall; more effort tells nothing


class FaissHnsw:
    def __init__(self, rows, _folder):
        import faiss
        self.index = self.make(faiss, rows.shape[1])
        self.index.hnsw.efConstruction = BUILD_EFFORT
        self.index.train(rows)
        self.index.add(rows)
        self.write = faiss.write_index

    @staticmethod
    def make(faiss, dim):
        return faiss.IndexHNSWFlat(dim, DEGREE)

    def save(self, path):
        self.write(self.index, str(path))

    settings = EFFORTS

    def search(self, queries, effort):
        self.index.hnsw.efSearch = effort
        return self.index.search(queries, K)[1]


class FaissHnswSq8(FaissHnsw):
    @staticmethod
    def make(faiss, dim):
        return faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_8bit, DEGREE)


class FaissIvfPq:
    settings = ((1, 4), (2, 8), (4, 8), (8, 16), (16, 16), (24, 24), (32, 32), (64, 32), (128, 64), (256, 128))

    def __init__(self, rows, _folder):
        import faiss
        count, dim = rows.shape
        lists = int(2 * count ** 0.5)
        self.index = faiss.index_factory(dim, f"IVF{lists},PQ{dim // 2}x4fs,RFlat")
        self.index.train(rows)
        self.index.add(rows)
        self.faiss = faiss
        self.inner = faiss.extract_index_ivf(self.index.base_index)

    def save(self, path):
        self.faiss.write_index(self.index, str(path))

    def search(self, queries, setting):
        self.inner.nprobe, self.index.k_factor = setting
        return self.index.search(queries, K)[1]


class Usearch:
    settings = EFFORTS

    def __init__(self, rows, _folder):
        from usearch.index import Index
        self.index = Index(ndim=rows.shape[1], metric="l2sq", dtype="bf16", connectivity=DEGREE,
                           expansion_add=BUILD_EFFORT)
        self.index.add(numpy.arange(len(rows)), rows, threads=1)

    def save(self, path):
        self.index.save(str(path))

    def search(self, queries, effort):
        self.index.expansion_search = effort
        return self.index.search(queries, K, threads=1).keys


class SymphonyQg:
    settings = EFFORTS

    def __init__(self, rows, _folder):
        import rabitqlib
        self.index = rabitqlib.SymqgIndex(rows.shape[1], 32, "l2")
        self.index.build(rows, BUILD_EFFORT, 1)

    def save(self, path):
        self.index.save(str(path))

    def search(self, queries, effort):
        return self.index.search(queries, K, effort, 1)[0]


class Svs:
    """In half floats: its own codes (LVQ) work on its maker's processors alone."""
    settings = EFFORTS

    def __init__(self, rows, _folder):
        import svs
        parameters = svs.VamanaBuildParameters(alpha=1.2, graph_max_degree=2 * DEGREE, window_size=BUILD_EFFORT)
        self.index = svs.Vamana.build(parameters, rows.astype(numpy.float16), svs.DistanceType.L2, num_threads=1)

    def save(self, path):
        path.mkdir()
        self.index.save(*(str(path / name) for name in ("config", "graph", "data")))

    def search(self, queries, effort):
        self.index.search_window_size = effort
        return self.index.search(queries, K)[0]


class Vsag:
    settings = EFFORTS

    def __init__(self, rows, _folder):
        import pyvsag
        pyvsag.set_logger_off()
        count, dim = rows.shape
        self.index = pyvsag.Index("hgraph", json.dumps({
            "dtype": "float32", "metric_type": "l2", "dim": dim, "index_param": {
                "base_quantization_type": "sq8_uniform", "use_reorder": True, "precise_quantization_type": "fp32",
                "max_degree": 2 * DEGREE, "ef_construction": BUILD_EFFORT, "build_thread_count": 1}}))
        self.index.build(vectors=rows.reshape(-1), ids=numpy.arange(count), num_elements=count, dim=dim)

    def save(self, path):
        self.index.save(str(path))

    def search(self, queries, effort):
        words = json.dumps({"hgraph": {"ef_search": effort}})
        return [self.index.knn_search(vector=query, k=K, parameters=words)[0] for query in queries]


class Ngt:
    settings = (-0.05, 0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.14, 0.2, 0.28, 0.4)

    def __init__(self, rows, folder):
        import ngtpy
        self.path = str(folder / "ngt")
        ngtpy.create(self.path, rows.shape[1], edge_size_for_creation=2 * DEGREE, distance_type="L2")
        self.index = ngtpy.Index(self.path, log_disabled=True)
        self.index.batch_insert(rows, num_threads=1)
        self.results = ngtpy.BatchResults()

    def save(self, path):
        self.index.save()
        shutil.copytree(self.path, path)

    def search(self, queries, epsilon):
        self.index.set(num_of_search_objects=K, epsilon=epsilon)
        self.index.batch_search(queries, self.results, size=K, with_distance=False)
        return self.results.get_ids()


class PyNnDescent:
    settings = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.14, 0.2, 0.28, 0.4)

    def __init__(self, rows, _folder):
        import pynndescent
        self.index = pynndescent.NNDescent(rows, n_neighbors=30, n_jobs=1)
        self.index.prepare()
        self.index.query(rows[:10], k=K, epsilon=0.1)  # compiles it

    def save(self, path):
        import pickle
        path.write_bytes(pickle.dumps(self.index))

    def search(self, queries, epsilon):
        return self.index.query(queries, k=K, epsilon=epsilon)[0]


PEERS = {"faiss-hnsw": FaissHnsw, "faiss-hnsw-sq8": FaissHnswSq8, "faiss-ivf-pq": FaissIvfPq, "usearch": Usearch,
         "symphonyqg": SymphonyQg, "svs-f16": Svs, "vsag": Vsag, "ngt": Ngt, "pynndescent": PyNnDescent}


def read_rows(path, kind, unit):
    count, dim = numpy.fromfile(path, numpy.uint32, 2)
    rows = numpy.fromfile(path, {"f32": numpy.float32, "f16": numpy.float16, "u8": numpy.uint8}[kind],
                          int(count) * int(dim), offset=8).reshape(count, dim).astype(numpy.float32)
    if unit:
        rows /= numpy.maximum(numpy.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    return numpy.ascontiguousarray(rows)


def read_truth(path):
    count, k = numpy.fromfile(path, numpy.uint32, 2)
    cells = int(count) * int(k)
    ids = numpy.fromfile(path, numpy.uint32, cells, offset=8).reshape(count, k)
    distances = numpy.fromfile(path, numpy.float32, cells, offset=8 + 4 * cells).reshape(count, k)
    return ids[:, :K], distances[:, K - 1]


def recall(found, rows, queries, truth, cosine):
    """As `insula-bench ann` counts: named in the truth, or as near as its last."""
    ids, last = truth
    right = 0
    for query, answer in enumerate(found):
        answer = numpy.asarray(answer[:K], numpy.int64)
        answer = answer[(answer >= 0) & (answer < len(rows))]
        products = rows[answer].astype(numpy.float64) - queries[query]
        distances = (products * products).sum(axis=1) / (2 if cosine else 1)
        bound = last[query] + abs(last[query]) * 1e-5 + 1e-9
        right += int((numpy.isin(answer, ids[query]) | (distances <= bound)).sum())
    return right / (len(queries) * K)


def answers():
    """A stream of our own where the standard output was: packages write into that."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def tell(output, value):
    output.write(json.dumps(value) + "\n")
    output.flush()


def size_of(path):
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def main():
    name, metric, kind, base, query, truth_file, folder = sys.argv[1:]
    folder, output = Path(folder), answers()
    rows, queries = (read_rows(path, kind, metric == "cos") for path in (base, query))
    truth = read_truth(truth_file)
    begin = time.process_time()
    peer = PEERS[name](rows, folder)
    build_s = time.process_time() - begin
    saved = folder / "saved"
    peer.save(saved)
    tell(output, {"build_cpu_s": round(build_s, 3), "bytes": size_of(saved)})
    recalls = {}
    for _ in sys.stdin:
        points = []
        for setting in peer.settings:
            begin = time.process_time()
            found = peer.search(queries, setting)
            cpu_us = (time.process_time() - begin) * 1e6 / len(queries)
            if setting not in recalls:
                recalls[setting] = recall(found, rows, queries, truth, metric == "cos")
            points.append({"effort": setting, "recall": round(recalls[setting], 5), "cpu_us": round(cpu_us, 2)})
            if recalls[setting] >= ENOUGH:
                break
        tell(output, points)


main()
