#!/usr/bin/env python3
"""Our nearest neighbours and other libraries' beside each other, in one run on one machine.

    run.py [--rows N] [--rounds N] [--threads N] [--json FILE] [--binary FILE]

Vectors are like YAMNet's: the segments of ESC-10, grown. For each new row, a segment and one of its
ten nearest are mixed at random, each value is disturbed by a tenth, and what falls below zero is
zero; a query is a segment disturbed likewise. Truth is faiss's exact search in float32. The 1,000
queries are asked one by one, for ten neighbours, on one thread, at several widths; everyone takes
turns, and the best round of each counts. Builds have two threads, or as many as --threads says. Of more
than 200,000 rows wider searches are measured too, and none that compares all.

Peers: hnswlib float32 (M 16, ef_construction 200), usearch float16 (the same), faiss exact float32.
Ours (benches/nearest.rs) is the graph over quantised rows as the cache file has it, in memory, with
preparing the query and ordering what was found by all bits. Not in it: the mapped file's checks and
SQLite, which has the last word in the product (`cargo bench --bench collection`).

Printed: recall@10 and time by width, build time, memory of the index (what each would write to
disk, ours with its keys), and hnswlib's time over ours at recalls of 0.99, 0.995 and 0.998,
interpolated between the neighbouring widths by the logarithms of time and of what is missed.

The peers' environment is that of benches/peers (target/peers); of it, only what is needed here is
installed. Exit status: 0 when ours and hnswlib
ran, else 2. Needs `make setup`, ESC-10 (folder data/esc10 of SONOTECA_SHARED, else ../shared), and
4 KB of memory a row three times over.
"""

import argparse
import json
import math
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
WIDTHS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)
# Of many rows, as well.
WIDER = (1024, 1536, 2048, 3072, 4096, 8192)
MANY_ROWS = 200_000
RECALLS = (0.99, 0.995, 0.998)
PEERS = ("hnswlib", "usearch-f16", "faiss-exact")


def main() -> None:
    """Builds everyone, lets them take turns, and prints what they found."""
    options = arguments()
    environment.prepare_only("numpy", "hnswlib", "usearch", "faiss-cpu")
    record = measure.circumstances() | {"rows": options.rows, "build_threads": options.threads}
    with tempfile.TemporaryDirectory(prefix="sonoteca-neighbours-") as name:
        folder = Path(name)
        make_vectors(folder, options)
        found = compare(folder, options)
    record["engines"] = found
    record["hnswlib_over_ours"] = ratios(found)
    print(text(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    sys.exit(0 if {"sonoteca", "hnswlib"} <= found.keys() else 2)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, help="vectors (default: 100000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of everyone (default: 3)")
    parser.add_argument("--threads", type=int, default=2, help="threads of builds (default: 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument(
        "--binary",
        type=Path,
        metavar="FILE",
        default=ROOT / "target/release/sonoteca",
        help="the command (default: target/release/sonoteca)",
    )
    return parser.parse_args()


def make_vectors(folder: Path, options: argparse.Namespace) -> None:
    """Rows, queries and truth, as .npy files in `folder`."""
    shared = Path(os.environ.get("SONOTECA_SHARED", ROOT.parent / "shared"))
    sounds = shared / "data/esc10"
    if not sounds.is_dir():
        fail(f"there is no {sounds}", "set SONOTECA_SHARED to the folder that has data/esc10")
    library = folder / "seeds.db"
    say("neighbours: indexing ESC-10 and growing vectors")
    subprocess.run(
        [options.binary.resolve(), "--library", library, "--quiet", "index", sounds], check=False
    )
    if not library.exists():
        fail("ESC-10 could not be indexed", "run `make setup`")
    command = [environment.PYTHON, PEER, "grow", library, str(options.rows), folder]
    subprocess.run(command, check=True)


class Engine:
    """A program that builds an index and answers a width with a time and a recall."""

    def __init__(self, name: str, command: list[str | Path], threads: int) -> None:
        self.name = name
        self.widths: dict[str, dict[str, float]] = {}
        variables = {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | variables,
        )
        # Waits until it is built: nobody builds while another does.
        self.built = self.answer()

    def answer(self) -> dict[str, float]:
        """The next line that it prints."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        return json.loads(line) if line else {}

    def measure(self, width: str) -> None:
        """Takes a turn; the best counts."""
        if not self.process.stdin:
            return
        self.process.stdin.write(width + "\n")
        self.process.stdin.flush()
        found = self.answer()
        best = self.widths.get(width)
        if found and (not best or found["seconds_per_query"] < best["seconds_per_query"]):
            self.widths[width] = found


def compare(folder: Path, options: argparse.Namespace) -> dict[str, dict]:
    """What everyone found, by name."""
    files = [folder / name for name in ("rows.npy", "queries.npy", "truth.npy")]
    is_many = options.rows > MANY_ROWS
    peers = [name for name in PEERS if not (is_many and name == "faiss-exact")]
    programs = {name: [environment.PYTHON, PEER, name, *files] for name in peers}
    ours = nearest_binary()
    if ours:
        programs = {"sonoteca": [ours, *files], **programs}
    engines = []
    for name, command in programs.items():
        say(f"neighbours: building {name}")
        engine = Engine(name, command, options.threads)
        if engine.built:
            engines.append(engine)
        else:
            say(f"neighbours: {name} does not run and is left out")
    for turn in range(options.rounds):
        say(f"neighbours: round {turn + 1} of {options.rounds}")
        for width in widths(options.rows):
            for engine in engines:
                if engine.name != "faiss-exact":
                    engine.measure(str(width))
        for engine in engines:
            if engine.name in ("faiss-exact", "sonoteca") and not is_many:
                engine.measure("scan")
    for engine in engines:
        engine.process.communicate()
    return {engine.name: engine.built | {"widths": engine.widths} for engine in engines}


def widths(rows: int) -> tuple[int, ...]:
    """The widths that are measured."""
    return WIDTHS + (WIDER if rows > MANY_ROWS else ())


def nearest_binary() -> Path | None:
    """Our program, the newest of those that cargo built."""
    built = (ROOT / "target/release/deps").glob("nearest-*")
    found = [path for path in built if path.suffix == "" and os.access(path, os.X_OK)]
    if not found:
        say("neighbours: ours is missing: cargo build --release --bench nearest")
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def time_at(engine: dict, recall: float) -> float | None:
    """Seconds a query at a recall, between two widths; nothing when it is not reached."""

    def missed(recall: float) -> float:
        return math.log(max(1 - recall, 1e-5))

    points = sorted(
        (found["recall"], found["seconds_per_query"])
        for width, found in engine["widths"].items()
        if width != "scan"
    )
    for (low, fast), (high, slow) in zip(points, points[1:], strict=False):
        if low <= recall <= high and low < high:
            share = (missed(low) - missed(recall)) / (missed(low) - missed(high))
            return math.exp(math.log(fast) + share * (math.log(slow) - math.log(fast)))
    return None


def ratios(found: dict[str, dict]) -> dict[str, float]:
    """Hnswlib's figures over ours, above 1 where ours are smaller."""
    if not {"sonoteca", "hnswlib"} <= found.keys():
        return {}
    ours, theirs = found["sonoteca"], found["hnswlib"]
    result = {
        "build time": theirs["build_s"] / ours["build_s"],
        "memory": theirs["bytes"] / ours["bytes"],
    }
    for recall in RECALLS:
        times = time_at(theirs, recall), time_at(ours, recall)
        if times[0] and times[1]:
            result[f"time at recall {recall}"] = times[0] / times[1]
    return result


def text(record: dict) -> str:
    """Everything, for people."""
    found = record["engines"]
    summary = [["engine", "build s", "MB", "bytes a row"]]
    summary += [
        [
            name,
            f"{engine['build_s']:.1f}",
            f"{engine['bytes'] / 1e6:.0f}",
            f"{engine['bytes'] / record['rows']:.0f}",
        ]
        for name, engine in found.items()
    ]
    by_width = [["width", *(f"{name}: recall, ms" for name in found)]]
    for width in [*map(str, widths(record["rows"])), "scan"]:
        cells = [engine["widths"].get(width) for engine in found.values()]
        by_width.append(
            [width]
            + [
                f"{cell['recall']:.4f} {1e3 * cell['seconds_per_query']:.3f}" if cell else ""
                for cell in cells
            ]
        )
    shares = [
        f"hnswlib / sonoteca, {name}: {value:.2f}"
        for name, value in record["hnswlib_over_ours"].items()
    ]
    threads = record["build_threads"]
    heading = f"{measure.heading(record)}\n{record['rows']} rows, built by {threads} threads"
    return "\n\n".join([heading, measure.table(summary), measure.table(by_width), *shares])


if __name__ == "__main__":
    main()
