"""A peer of ours, for run.py: runs in the peers' environment.

    peer.py grow LIBRARY ROWS FOLDER                    rows.npy, queries.npy and truth.npy
    peer.py ENGINE ROWS.npy QUERIES.npy TRUTH.npy       builds, then answers widths

An engine prints what `benches/nearest.rs` prints, in answer to the same lines.
"""

import json
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

K = 10
M = 16
EF_CONSTRUCTION = 200
BUILD_THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
QUERIES = 1_000
SEED = 1
# Rows that are grown at once.
BATCH = 10_000


def seeds(library: str) -> np.ndarray:
    """The library's segment vectors that are not zero, at length one; src/store/vector.rs says how
    they are stored."""
    rows = []
    connection = sqlite3.connect(f"file:{library}?mode=ro", uri=True)
    for dimension, blob in connection.execute(
        "SELECT m.dimension, s.vector FROM segments s JOIN models m ON m.id = s.model_id "
        "ORDER BY s.id"
    ):
        form, content = blob[0], blob[1:]
        number = np.dtype("<f2" if form < 2 else "<f4")
        if form % 2 == 0:
            vector = np.frombuffer(content, number).astype(np.float32)
        else:
            size = (dimension + 7) // 8
            bits = np.unpackbits(np.frombuffer(content[:size], np.uint8), bitorder="little")
            vector = np.zeros(dimension, np.float32)
            vector[bits[:dimension].astype(bool)] = np.frombuffer(content[size:], number)
        rows.append(vector)
    vectors = np.array(rows)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[norms[:, 0] > 0] / norms[norms[:, 0] > 0]


def disturbed(vectors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each value times 1 + 0.1 N(0, 1), floored at zero, at length one."""
    noise = random.standard_normal(vectors.shape, np.float32)
    grown = np.maximum(0, vectors * (1 + 0.1 * noise))
    return grown / np.linalg.norm(grown, axis=1, keepdims=True)


def grow(library: str, count: int, folder: Path) -> None:
    """Writes rows, queries and the ten nearest rows of each query."""
    import faiss

    random = np.random.default_rng(SEED)
    known = seeds(library)
    nearest = np.argsort(-(known @ known.T), axis=1)[:, 1 : K + 1]
    rows = np.lib.format.open_memmap(
        folder / "rows.npy", mode="w+", dtype=np.float32, shape=(count, known.shape[1])
    )
    queries = disturbed(known[random.integers(len(known), size=QUERIES)], random)
    np.save(folder / "queries.npy", queries)
    best = np.full((QUERIES, 0), 0, np.float32), np.full((QUERIES, 0), 0, np.int64)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        first = random.integers(len(known), size=size)
        second = nearest[first, random.integers(K, size=size)]
        weight = random.random((size, 1), np.float32)
        batch = disturbed(weight * known[first] + (1 - weight) * known[second], random)
        rows[start : start + size] = batch
        # Exact, part by part, so that a million rows fit.
        scores, places = faiss.knn(queries, batch, min(K, size), faiss.METRIC_INNER_PRODUCT)
        scores, places = np.hstack([best[0], scores]), np.hstack([best[1], places + start])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        best = tuple(np.take_along_axis(part, order, axis=1) for part in (scores, places))
    rows.flush()
    np.save(folder / "truth.npy", best[1])


def build_hnswlib(rows: np.ndarray) -> tuple:
    """Returns a search by width, and the index's bytes."""
    import hnswlib

    index = hnswlib.Index("ip", rows.shape[1])
    index.init_index(len(rows), M=M, ef_construction=EF_CONSTRUCTION)
    index.add_items(rows, num_threads=BUILD_THREADS)
    index.set_num_threads(1)

    def search(query: np.ndarray, width: int) -> np.ndarray:
        index.set_ef(width)
        return index.knn_query(query, K, num_threads=1)[0][0]

    return search, index.index_file_size()


def build_usearch(rows: np.ndarray) -> tuple:
    """The same of usearch."""
    from usearch.index import Index

    index = Index(
        ndim=rows.shape[1],
        metric="ip",
        dtype="f16",
        connectivity=M,
        expansion_add=EF_CONSTRUCTION,
    )
    index.add(np.arange(len(rows)), rows, threads=BUILD_THREADS)

    def search(query: np.ndarray, width: int) -> np.ndarray:
        index.expansion_search = width
        return index.search(query, K, threads=1).keys

    with tempfile.NamedTemporaryFile() as file:
        index.save(file.name)
        return search, Path(file.name).stat().st_size


def build_faiss(rows: np.ndarray) -> tuple:
    """The same of faiss's exact search, which has no width."""
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    faiss.omp_set_num_threads(1)

    def search(query: np.ndarray, _: int) -> np.ndarray:
        return index.search(query[None], K)[1][0]

    return search, rows.nbytes


ENGINES = {"hnswlib": build_hnswlib, "usearch-f16": build_usearch, "faiss-exact": build_faiss}


def serve(engine: str, files: list[str]) -> None:
    """Builds, then answers widths."""
    rows, queries, truth = (np.load(file) for file in files)
    started = time.perf_counter()
    search, size = ENGINES[engine](rows)
    print(json.dumps({"build_s": time.perf_counter() - started, "bytes": size}), flush=True)
    del rows
    for line in sys.stdin:
        width = K if line.strip() == "scan" else int(line)
        started = time.perf_counter()
        found = [search(query, width) for query in queries]
        seconds = (time.perf_counter() - started) / len(queries)
        right = sum(len(np.intersect1d(*pair)) for pair in zip(found, truth, strict=True))
        answer = {"seconds_per_query": seconds, "recall": right / truth.size}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "grow":
        grow(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        serve(sys.argv[1], sys.argv[2:])
