"""The whole pipeline on ESC-10, on all cores: everyone in turns, then once more for the memory."""

import contextlib
import functools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import environment
import measure
from compare import OURS, Failed, Peer, Report, Series
from measure import ROOT, say

ROUNDS, QUICK_ROUNDS = 5, 1
# What the command may call them.
PRECISIONS = {"f32": ("f32", "float32"), "bf16": ("bf16", "bfloat16")}
PEERS = (
    # Label, network of peer_pipeline.py, precision.
    ("soundfile, soxr, TensorFlow module", "tensorflow", "f32"),
    ("soundfile, soxr, numpy, ONNX Runtime", "onnxruntime", "f32"),
    ("soundfile, soxr, numpy, OpenVINO", "openvino", "f32"),
    ("soundfile, soxr, numpy, OpenVINO", "openvino", "bf16"),
)
MEGABYTE = 1e6


class Outcome(NamedTuple):
    """One repetition: the work as the program times it, and the whole program."""

    elapsed_s: float
    wall_s: float
    patches: int
    audio_s: float
    peak_pss_bytes: int = 0


Run = Callable[[Path, bool], Outcome]


def compare(rounds: int, binary: Path, report: Report) -> None:
    """Adds the tables and records of this part to the report."""
    shared = Path(os.environ.get("SONOTECA_SHARED") or ROOT.parent / "shared")
    folder = shared / "data/esc10"
    if not folder.is_dir():
        hint = "SONOTECA_SHARED names another place for data/esc10"
        report.skip_ours("pipeline", f"there is no {folder}; {hint}")
        return
    for path in folder.rglob("*.ogg"):
        path.read_bytes()  # Nobody waits for the disk.
    runs = our_runs(binary, report) | {
        Series(label, precision): functools.partial(run_peer, network, precision)
        for label, network, precision in PEERS
    }
    outcomes: dict[Series, list[Outcome]] = {series: [] for series in runs}
    for number in range(rounds + 1):
        memory = number == rounds
        say("pipeline: memory" if memory else f"pipeline: round {number + 1} of {rounds}")
        for series, run in list(runs.items()):
            try:
                outcome = run(folder, memory)
            except Failed as error:
                essential = series.ours and series.precision == "f32"
                (report.skip_ours if essential else report.skip)(series.name, error)
                del runs[series]
                continue
            if memory:
                series.facts["peak_pss_bytes"] = outcome.peak_pss_bytes
            else:
                outcomes[series].append(outcome)
    records = [record(series, found) for series, found in outcomes.items() if found]
    report.record["pipeline"] = records
    report.tables += [speed_table(records), ratio_table(records)]


def our_runs(binary: Path, report: Report) -> dict[Series, Run]:
    """Ours in each precision that the binary knows."""
    runs: dict[Series, Run] = {}
    if not binary.is_file():
        report.skip_ours(f"{OURS} index", f"there is no {binary}; run make build")
        return runs
    help_text = measure.output(str(binary), "index", "--help")
    for precision, words in PRECISIONS.items():
        series = Series(f"{OURS} index", precision, ours=True)
        word = next((word for word in words if word in help_text), None)
        if "--precision" in help_text and word:
            runs[series] = functools.partial(run_ours, binary, ["--precision", word])
        elif precision == "f32":
            runs[series] = functools.partial(run_ours, binary, [])
        else:
            report.skip(series.name, "this binary has no --precision for it")
    return runs


def run_ours(binary: Path, arguments: list[str], folder: Path, memory: bool) -> Outcome:
    """Indexes into a new library."""
    with tempfile.TemporaryDirectory(prefix="sonoteca-peers-") as name:
        library = str(Path(name) / "esc10.db")
        command = [str(binary), "index", *arguments, "--format", "json", "--quiet"]
        command += ["--library", library, str(folder)]
        started = time.perf_counter()
        try:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise Failed(error) from error
        with watched(process.pid, memory, binary) as pss:
            output, errors = process.communicate()
        wall_s = time.perf_counter() - started
    if process.returncode:
        raise Failed(f"{measure.last_line(errors)} (exit status {process.returncode})")
    said = json.loads(output)
    peak = pss.peak_bytes if pss else 0
    return Outcome(said["elapsed_s"], wall_s, said["segments"], said["audio_s"], peak)


def run_peer(network: str, precision: str, folder: Path, memory: bool) -> Outcome:
    """Starts the peer's processes, lets them work, and waits for them to end."""
    processes = str(measure.cores())
    started = time.perf_counter()
    with Peer(
        "peer_pipeline.py", network, precision, processes, folder, environment.MODULE
    ) as peer:
        with watched(peer.process.pid, memory) as pss:
            peer.ready(precision)
            said = peer.ask("go")
            peer.process.wait()
        wall_s = time.perf_counter() - started
    peak = pss.peak_bytes if pss else 0
    return Outcome(said["elapsed_s"], wall_s, said["patches"], said["audio_s"], peak)


def watched(
    pid: int, memory: bool, executable: Path | None = None
) -> contextlib.AbstractContextManager[measure.PeakPss | None]:
    """Watches the memory when that is wanted; looking slows what is looked at."""
    return measure.PeakPss(pid, executable) if memory else contextlib.nullcontext()


def record(series: Series, outcomes: list[Outcome]) -> dict[str, Any]:
    """For programs, and the figures of the tables."""
    elapsed = [outcome.elapsed_s for outcome in outcomes]
    wall = [outcome.wall_s for outcome in outcomes]
    return {
        "engine": series.label,
        "precision": series.precision,
        "ours": series.ours,
        **series.facts,
        "audio_s": outcomes[0].audio_s,
        "patches": outcomes[0].patches,
        "elapsed_s": elapsed,
        "elapsed_s_best": min(elapsed),
        "elapsed_s_median": median(elapsed),
        "wall_s": wall,
        "wall_s_best": min(wall),
        "wall_s_median": median(wall),
    }


def speed_table(records: list[dict[str, Any]]) -> str:
    """For people: seconds, without and with start-up, and memory."""
    times = ["work s: best", "median", "x real time", "whole s: best", "median"]
    rows = [["", "precision", *times, "patches", "peak PSS MB"]]
    for one in records:
        peak = one.get("peak_pss_bytes")
        cells = [
            one["engine"],
            one["precision"],
            f"{one['elapsed_s_best']:.2f}",
            f"{one['elapsed_s_median']:.2f}",
            f"{one['audio_s'] / one['elapsed_s_median']:.0f}",
            f"{one['wall_s_best']:.2f}",
            f"{one['wall_s_median']:.2f}",
            str(one["patches"]),
            f"{peak / MEGABYTE:.0f}" if peak else "-",
        ]
        rows.append(cells)
    title = "ESC-10 to embeddings on all cores; 'whole' counts start-up and loading\n"
    return title + measure.table(rows)


def ratio_table(records: list[dict[str, Any]]) -> str:
    """For people: each of ours over each peer, by medians."""
    rows = [["", "work/work", "whole/work", "whole/whole", "memory"]]
    for our in (one for one in records if one["ours"]):
        for peer in (one for one in records if not one["ours"]):
            pairs = (
                (peer["elapsed_s_median"], our["elapsed_s_median"]),
                (peer["elapsed_s_median"], our["wall_s_median"]),
                (peer["wall_s_median"], our["wall_s_median"]),
                (our.get("peak_pss_bytes"), peer.get("peak_pss_bytes")),
            )
            names = f"ours {our['precision']} / {peer['engine']}, {peer['precision']}"
            rows.append([names, *(f"{a / b:.2f}" if a and b else "-" for a, b in pairs)])
    if len(rows) == 1:
        return ""
    title = (
        "Ratios, ours/theirs, by medians: speed by work alone, by our whole command against their\n"
        "work, and by whole programs; then memory, of which less is better\n"
    )
    return title + measure.table(rows)
