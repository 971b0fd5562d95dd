"""The network alone, on one thread: runtimes in turns, each a process that stays loaded."""

import contextlib
import json
import subprocess
from typing import Any, NamedTuple

import environment
import measure
from compare import OURS, Failed, Peer, Report, Series
from measure import ROOT, say

BATCHES = (1, 16)
PEERS = (
    # Label, runtime of peer_network.py, precision.
    ("ONNX Runtime", "onnxruntime", "f32"),
    ("OpenVINO", "openvino", "f32"),
    ("LiteRT (XNNPACK)", "litert", "f32"),
    ("TensorFlow", "tensorflow", "f32"),
    ("TensorFlow module, with front end", "module", "f32"),
    ("OpenVINO", "openvino", "bf16"),
)
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
# Compiling comes first.
BENCH_TIMEOUT_S = 1_800


class Plan(NamedTuple):
    """How long to measure."""

    rounds: int
    seconds: float


FULL, QUICK = Plan(7, 1.0), Plan(2, 0.3)


def compare(plan: Plan, report: Report) -> None:
    """Adds the tables and records of this part to the report."""
    ours: dict[tuple[str, str, int], Series] = {}
    ours_runs = our_bench_builds(report)
    with contextlib.ExitStack() as stack:
        peers = {}
        for label, runtime, precision in PEERS:
            say(f"network: loading {label}, {precision}")
            try:
                module = [environment.MODULE] if runtime == "module" else []
                peer = stack.enter_context(Peer("peer_network.py", runtime, precision, *module))
                cosine = peer.ready(precision)["cosine"]
            except Failed as error:
                report.skip(f"{label}, {precision}", error)
                continue
            peers[peer] = [Series(label, precision, batch=b, cosine=cosine) for b in BATCHES]
        found = [series for both in peers.values() for series in both]
        for number in range(plan.rounds):
            say(f"network: round {number + 1} of {plan.rounds}")
            for peer, both in list(peers.items()):
                try:
                    for series in both:
                        answer = peer.ask(f"{series.facts['batch']} {plan.seconds}")
                        series.values.append(answer["patches_per_s"])
                except Failed as error:
                    report.skip(both[0].name, error)
                    del peers[peer]
            if ours_runs:
                try:
                    add_our_round(ours)
                except Failed as error:
                    report.skip_ours(f"{OURS}, network", error)
                    ours_runs = False
    found = [series for series in (*ours.values(), *found) if series.values]
    report.record["network"] = [record(series) for series in found]
    for batch in BATCHES:
        here = [series for series in found if series.facts["batch"] == batch]
        title = f"Network alone, one thread, batch {batch}, patches/s\n"
        report.tables.append(title + table(here))


def our_bench_builds(report: Report) -> bool:
    """Whether our bench is there and compiles; compiling must not count as a round."""
    say(f"network: building {OURS}'s bench")
    try:
        cargo_bench("--no-run")
    except Failed as error:
        report.skip_ours(f"{OURS}, network", error)
        return False
    return True


def add_our_round(ours: dict[tuple[str, str, int], Series]) -> None:
    """Runs our bench; each of its lines is one figure."""
    lines = [line for line in cargo_bench("--", "--json").splitlines() if line.startswith("{")]
    figures = [figure for figure in map(json.loads, lines) if figure["threads"] == 1]
    if not figures:
        raise Failed("cargo bench --bench network printed no figure for one thread")
    for figure in figures:
        engine, batch = figure["engine"], figure["batch"]
        label = engine if engine.startswith(OURS) else f"{OURS} ({engine})"
        precision = PRECISIONS.get(figure["precision"], figure["precision"])
        series = ours.setdefault(
            (label, precision, batch), Series(label, precision, ours=True, batch=batch)
        )
        series.values.append(figure["patches_per_s"])


def cargo_bench(*arguments: str) -> str:
    """What our bench of the network prints."""
    command = ["cargo", "bench", "--quiet", "--locked", "--bench", "network", *arguments]
    try:
        result = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            check=False,
            text=True,
            timeout=BENCH_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(error) from error
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if line.startswith("error")]
        raise Failed(errors[0] if errors else measure.last_line(result.stderr))
    return result.stdout


def record(series: Series) -> dict[str, Any]:
    """For programs."""
    return {
        "engine": series.label,
        "precision": series.precision,
        "ours": series.ours,
        **series.facts,
        "best": max(series.values),
        "median": series.median,
        "patches_per_s": series.values,
    }


def table(found: list[Series]) -> str:
    """For people: everyone, and the best of ours in that precision over each peer."""
    rows = [["", "precision", "best", "median", "ours/it: best", "median"]]
    for series in sorted(found, key=lambda one: (one.precision != "f32", -one.median)):
        rivals = [one for one in found if one.ours and one.precision == series.precision]
        ratios = ["", ""]
        if rivals and not series.ours:
            best = max(max(one.values) for one in rivals) / max(series.values)
            middle = max(one.median for one in rivals) / series.median
            ratios = [f"{best:.2f}", f"{middle:.2f}"]
        figures = [f"{max(series.values):.0f}", f"{series.median:.0f}"]
        rows.append([series.label, series.precision, *figures, *ratios])
    return measure.table(rows)
