"""scikit-learn's heads on the arrays of a folder, and the arrays themselves; see run.py."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SHOTS = (1, 5, 10)
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def main() -> None:
    """Does what the first argument says."""
    what, folder, seeds, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    if what == "arrays":
        arrays(folder, seeds)
    elif what == "grow":
        grow(folder, rows)
    else:
        print(json.dumps(learn(folder) if what == "learn" else fit(folder)))


def table(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, classes and folds, by the table beside an exported array."""
    vectors = np.load(folder / f"{name}.npy").astype(np.float32)
    lines = (folder / f"{name}.csv").read_text().splitlines()
    column = lines[0].split(",").index("path")
    paths = [Path(line.split(",")[column].strip('"')) for line in lines[1:]]
    names = sorted({path.parent.name for path in paths})
    labels = np.array([names.index(path.parent.name) for path in paths], np.uint32)
    folds = np.array([int(path.name[0]) - 1 for path in paths], np.uint32)
    return vectors, labels, folds


def write(folder: Path, vectors: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> None:
    """Arrays as the bench reads them."""
    folder.mkdir(exist_ok=True)
    vectors.astype("<f4").tofile(folder / "vectors.f32")
    labels.astype("<u4").tofile(folder / "labels.u32")
    folds.astype("<u4").tofile(folder / "folds.u32")


def arrays(folder: Path, seeds: int) -> None:
    """The recordings, and what is asked about them."""
    vectors, labels, folds = table(folder, "recordings")
    write(folder, vectors, labels, folds)
    tasks = [{"head": head, "shots": 0} for head in ("prototype", "logistic", "mlp")]
    for shots in SHOTS:
        for seed in range(seeds):
            random = np.random.default_rng([seed, shots])
            train = [
                int(row)
                for label in range(labels.max() + 1)
                for row in random.choice(np.flatnonzero(labels == label), shots, replace=False)
            ]
            for head in ("prototype", "logistic"):
                tasks.append({"head": head, "shots": shots, "seed": seed, "train": train})
    (folder / "tasks.json").write_text(json.dumps(tasks))


def grow(folder: Path, rows: int) -> None:
    """Rows like ESC-10's segments, as many as wanted."""
    vectors, labels, folds = table(folder, "segments")
    length = np.linalg.norm(vectors, axis=1)
    vectors, labels, folds = vectors[length > 0], labels[length > 0], folds[length > 0]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near = np.argsort(-(unit @ unit.T), axis=1)[:, 1:11]
    random = np.random.default_rng(0)
    first = random.integers(len(unit), size=rows)
    grown = np.empty((rows, unit.shape[1]), np.float32)
    for start in range(0, rows, 10_000):
        some = first[start : start + 10_000]
        second = near[some, random.integers(10, size=len(some))]
        share = random.random((len(some), 1), np.float32)
        noise = 1 + 0.1 * random.standard_normal((len(some), unit.shape[1]), np.float32)
        grown[start : start + len(some)] = np.maximum(
            0, (share * vectors[some] + (1 - share) * vectors[second]) * noise
        )
    # A library keeps vectors in half precision.
    grown = grown.astype(np.float16).astype(np.float32)
    write(folder / str(rows), grown, labels[first], folds[first])
    (folder / str(rows) / "tasks.json").write_text(json.dumps([{"head": "logistic", "shots": 0}]))


def read(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `write` wrote."""
    labels = np.fromfile(folder / "labels.u32", "<u4").astype(int)
    vectors = np.fromfile(folder / "vectors.f32", "<f4").reshape(len(labels), -1)
    return vectors, labels, np.fromfile(folder / "folds.u32", "<u4")


def model(strength: float) -> object:
    """Logistic regression on standardised vectors."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1_000))


def learn(folder: Path) -> list[dict]:
    """The tasks of `arrays`."""
    vectors, labels, folds = read(folder)
    found = []

    def in_folds(head: str, choose: object) -> None:
        started, right = time.perf_counter(), 0
        for fold in range(folds.max() + 1):
            train, test = folds != fold, folds == fold
            head_of_fold = model(choose(train)).fit(vectors[train], labels[train])
            right += int((head_of_fold.predict(vectors[test]) == labels[test]).sum())
        seconds = time.perf_counter() - started
        found.append(
            {"head": head, "shots": 0, "right": right, "asked": len(labels), "seconds": seconds}
        )

    def chosen(train: np.ndarray) -> float:
        """The C of the least log loss in the folds that are left."""

        def loss(strength: float) -> float:
            total = 0.0
            for fold in set(folds[train]):
                inner, judged = train & (folds != fold), train & (folds == fold)
                said = model(strength).fit(vectors[inner], labels[inner])
                said = said.predict_log_proba(vectors[judged])
                total -= said[np.arange(len(said)), labels[judged]].sum()
            return total

        return min(STRENGTHS, key=loss)

    in_folds("C = 1", lambda _: 1.0)
    in_folds("C chosen", chosen)
    for task in json.loads((folder / "tasks.json").read_text()):
        if "train" in task and task["head"] == "logistic":
            started = time.perf_counter()
            train = np.zeros(len(labels), bool)
            train[task["train"]] = True
            said = model(1.0).fit(vectors[train], labels[train]).predict(vectors[~train])
            right = int((said == labels[~train]).sum())
            seconds = time.perf_counter() - started
            asked = int((~train).sum())
            found.append(
                {
                    "head": "C = 1",
                    "shots": task["shots"],
                    "right": right,
                    "asked": asked,
                    "seconds": seconds,
                }
            )
    return found


def fit(folder: Path) -> list[dict]:
    """One fit on all rows, which is what training with ready settings is."""
    vectors, labels, _ = read(folder)
    started = time.perf_counter()
    head = model(0.1).fit(vectors, labels)
    seconds = time.perf_counter() - started
    right = int((head.predict(vectors) == labels).sum())
    return [
        {"head": "C = 0.1", "shots": 0, "right": right, "asked": len(labels), "seconds": seconds}
    ]


if __name__ == "__main__":
    main()
