#!/usr/bin/env python3
"""Our heads and scikit-learn's beside each other, in one run on the same arrays.

    run.py [--rows N] [--seeds N] [--no-sequences] [--json FILE] [--binary FILE] [--profile NAME]

ESC-10 as `sonoteca index` stores it: a pooled YAMNet vector a recording, with the class of its
folder and its own five folds. Compared are

- five folds: the share of held-out recordings whose class is said, and the seconds of training with
  all folds, choosing the regularisation included (scikit-learn's logistic regression has C = 1 and
  chooses nothing; LogisticRegressionCV chooses among the same values by grouped folds inside);
- heads over sequences, of segments (lstm) and of log-mel frames (crnn, tf-lstm), on the same five folds,
  by benches/sequence.rs: what they hear is decoded again, which the seconds include; scikit-learn has no
  peer of them. With --no-sequences they are left out;
- few examples: 1, 5 and 10 recordings of each class, drawn 20 times, the same draws for everyone,
  all others asked about: means over the draws;
- growth: rows like ESC-10's segments (mixed and disturbed as in benches/neighbours/run.py, labelled
  by the segment that they began with), 2,000 and, with --rows N, N more; five folds at once, ours
  with C chosen, scikit-learn's one fit on all rows with C = 0.1.

scikit-learn standardises each dimension by the rows that it learns from. Exit status: 0 when
everything ran, else 2. Needs `make setup` and ESC-10 (folder data/esc10 of SONOTECA_SHARED, else
../shared); scikit-learn comes into target/peers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

import environment
import measure
from measure import ROOT, fail, say

PEER = Path(__file__).resolve().parent / "peer.py"
KINDS = ("prototype", "logistic", "mlp")
SEQUENCES = ("lstm", "crnn", "tf-lstm")
SHOTS = (1, 5, 10)


def main() -> None:
    """Makes the arrays, asks both, and prints what they said."""
    options = arguments()
    environment.prepare_only("numpy", "scikit-learn")
    record = measure.circumstances()
    with tempfile.TemporaryDirectory(prefix="sonoteca-heads-") as name:
        folder = Path(name)
        export(folder, options.binary)
        peer("arrays", folder, options)
        record["ours"] = ours(folder, options)
        record["scikit-learn"] = peer("learn", folder, options)
        for rows in [2_000] + ([options.rows] if options.rows else []):
            peer("grow", folder, options, rows)
            record[f"ours, {rows} rows"] = ours(folder / str(rows), options)
            record[f"scikit-learn, {rows} rows"] = peer("fit", folder / str(rows), options)
        record["sequences"] = sequences(folder, options) if options.sequences else []
    print(text(record, options))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1))


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=0, help="rows to grow to, such as 1000000")
    parser.add_argument("--seeds", type=int, default=20, help="draws of few examples")
    parser.add_argument("--no-sequences", dest="sequences", action="store_false", help="leave them out")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/sonoteca")
    parser.add_argument("--profile", default="bench", help="cargo's profile of our side")
    return parser.parse_args()


def export(folder: Path, binary: Path) -> None:
    """ESC-10's vectors and paths, by the program itself."""
    shared = Path(os.environ.get("SONOTECA_SHARED", ROOT.parent / "shared"))
    sounds = shared / "data/esc10"
    if not sounds.is_dir():
        fail(f"there is no {sounds}")
    library = folder / "esc10.db"

    def run(*words: str) -> None:
        command = [str(binary), "--library", str(library), "--quiet", *words]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        if result.returncode:
            fail(f"{' '.join(command)}: {result.stderr}")

    run("index", str(sounds))
    run("export", "--by", "recording", "--npy", str(folder / "recordings.npy"))
    run("export", "--by", "segment", "--npy", str(folder / "segments.npy"))


def bench(name: str, words: list[str], options: argparse.Namespace, **variables: str) -> list[str]:
    """The lines that one of cargo's benches prints."""
    cargo = ["cargo", "bench", "--quiet", "--profile", options.profile, "--bench", name]
    command = [*cargo, "--", *words]
    environ = os.environ | variables
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env=environ
    )
    if result.returncode:
        fail(f"{' '.join(command)}: {result.stderr}")
    return result.stdout.splitlines()


def sequences(folder: Path, options: argparse.Namespace) -> list[str]:
    """What heads over sequences reach."""
    library = str(folder / "sequences.db")
    return bench("sequence", list(SEQUENCES), options, SONOTECA_BENCH_LIBRARY=library)


def ours(folder: Path, options: argparse.Namespace) -> list[dict]:
    """What the bench says of the tasks in `folder`."""
    lines = bench("heads", [str(folder)], options)
    tasks = json.loads((folder / "tasks.json").read_text())
    said = [json.loads(line) for line in lines]
    return [task | answer for task, answer in zip(tasks, said, strict=True)]


def peer(what: str, folder: Path, options: argparse.Namespace, rows: int = 0) -> list[dict]:
    """Asks peer.py."""
    command = [str(environment.PYTHON), str(PEER), what, str(folder), str(options.seeds), str(rows)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        fail(f"{' '.join(command)}: {result.stderr}")
    return json.loads(result.stdout or "[]")


def text(record: dict, options: argparse.Namespace) -> str:
    """The figures as people read them."""
    lines = [measure.heading(record)]

    def share(answers: list[dict], **wanted: object) -> str:
        found = [a for a in answers if all(a.get(k) == v for k, v in wanted.items())]
        if not found:
            return "-"
        mean = sum(a["right"] / a["asked"] for a in found) / len(found)
        seconds = sum(a["seconds"] for a in found)
        return f"{mean:.4f}  {seconds:8.2f} s"

    lines.append("five folds of ESC-10: share right, seconds")
    for kind in KINDS:
        lines.append(f"  sonoteca {kind:22} {share(record['ours'], head=kind, shots=0)}")
    for kind in ("C = 1", "C chosen"):
        lines.append(f"  scikit-learn {kind:18} {share(record['scikit-learn'], head=kind, shots=0)}")
    lines.extend(f"  sonoteca {line}" for line in record["sequences"])
    lines.append(f"few examples of a class: mean of {options.seeds} draws, seconds of all draws")
    for shots in SHOTS:
        for kind in KINDS[:2]:
            lines.append(f"  {shots:2}  sonoteca {kind:18} {share(record['ours'], head=kind, shots=shots)}")
        found = share(record["scikit-learn"], head="C = 1", shots=shots)
        lines.append(f"  {shots:2}  scikit-learn C = 1       {found}")
    for rows in [2_000] + ([options.rows] if options.rows else []):
        lines.append(f"{rows} rows: share right in five folds (scikit-learn: of what it learnt), seconds")
        for answer in record[f"ours, {rows} rows"]:
            lines.append(f"  sonoteca {answer['head']:22} {share([answer])}")
        for answer in record[f"scikit-learn, {rows} rows"]:
            lines.append(f"  scikit-learn {answer['head']:18} {share([answer])}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
