#!/usr/bin/env python3
"""How the cost of `sonoteca index` grows: with the number of clips, or with a recording's length.

    growth.py [--sizes 1000,10000,100000] [--rate HZ]      many clips of half a second
    growth.py --day [--hours H] [--dense] [--rate HZ]      one long recording
    growth.py … --model NAME                               by another network than YAMNet

Prints for each: wall time of the whole command, what it indexes a second, the peak memory of all
its processes (PSS, sampled ten times a second, which costs a little time; see measure.py), the size
of the library with all that lies beside it, and the wall time of running the command once more with
nothing left to do.

The sounds are made here from a fixed seed: 16-bit mono slices of tones, chirps and noise, every
clip another. A day is silence with ten sounding seconds in each minute, in a file that is sparse
where the disk allows; with --dense it sounds throughout and fills the disk. Above 4 GiB (a day at
48 kHz) it is an RF64 file. Everything lies in a temporary folder (TMPDIR), in the page cache as far
as that reaches, and is removed at the end.

Not measured: decoding of compressed sounds, a cold disk, searching. Exit status: 0 when all ran and
the second run found nothing to do, else 2.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
import sounds
from measure import ROOT, fail, say


def main() -> None:
    """Measures each size, or the one recording."""
    options = arguments()
    version = measure.output(str(options.binary), "--version")
    runs: list[dict[str, Any]] = []
    record = measure.circumstances() | {
        "version": version,
        "model": options.model,
        "rate": options.rate,
        "runs": runs,
    }
    for clips in [None] if options.day else options.sizes:
        with tempfile.TemporaryDirectory(prefix="sonoteca-growth-") as name:
            folder, library = Path(name) / "sounds", Path(name) / "library"
            folder.mkdir()
            library.mkdir()
            make_sounds(folder, options, clips)
            runs.append(measure_index(options, folder, library, clips))
    print(text(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    sys.exit(0 if all(run["well"] for run in runs) else 2)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes",
        type=lambda value: [int(part) for part in value.split(",")],
        metavar="N,N,…",
        default=[1_000, 10_000, 100_000],
        help="how many clips (default: 1000,10000,100000)",
    )
    parser.add_argument("--rate", type=int, default=16_000, metavar="HZ", help="default: 16000")
    parser.add_argument("--day", action="store_true", help="one long recording instead of clips")
    parser.add_argument("--hours", type=float, default=24, metavar="H", help="its length")
    parser.add_argument("--dense", action="store_true", help="sound throughout")
    parser.add_argument("--model", metavar="NAME", default="yamnet", help="default: yamnet")
    parser.add_argument(
        "--binary",
        type=Path,
        metavar="FILE",
        default=ROOT / "target/release/sonoteca",
        help="the command (default: target/release/sonoteca)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    if not options.binary.is_file():
        fail(f"there is no {options.binary}", "run make build, or name it by --binary")
    if max(options.sizes) > sounds.BANK_SAMPLES:
        fail(f"more than {sounds.BANK_SAMPLES} clips would repeat", "choose smaller --sizes")
    return options


def make_sounds(folder: Path, options: argparse.Namespace, clips: int | None) -> None:
    """So many clips, or one recording; refuses what the disk cannot hold."""
    if clips:
        needed = clips * sounds.clip_bytes(options.rate)
    else:
        needed = sounds.recording_bytes(options.rate, options.hours) if options.dense else 0
    if shutil.disk_usage(folder).free < needed * 1.1:
        fail(
            f"{needed / 1e9:.1f} GB are needed in {tempfile.gettempdir()}",
            "set TMPDIR to a folder with more room",
        )
    if clips:
        say(f"making {clips} clips")
        sounds.write_clips(folder, options.rate, clips)
    else:
        say(f"making a recording of {options.hours:g} h")
        sounds.write_recording(folder / "day.wav", options.rate, options.hours, options.dense)


def measure_index(
    options: argparse.Namespace, folder: Path, library: Path, clips: int | None
) -> dict[str, Any]:
    """Indexes twice; returns what that cost."""
    say("indexing")
    what = (options.binary, options.model)
    first, wall_s, pss = index(*what, folder, library)
    library_bytes = sum(file.stat().st_size for file in library.rglob("*") if file.is_file())
    again, rerun_s, _ = index(*what, folder, library)
    files = clips or 1
    return {
        "clips": clips,
        "audio_s": first["audio_s"],
        "segments": first["segments"],
        "wall_s": wall_s,
        "elapsed_s": first["elapsed_s"],
        "peak_pss_bytes": pss.peak_bytes,
        "processes": pss.processes,
        "library_bytes": library_bytes,
        "rerun_s": rerun_s,
        "well": first["indexed"] == again["unchanged"] == files and not again["indexed"],
    }


def index(
    binary: Path, model: str, folder: Path, library: Path
) -> tuple[dict[str, Any], float, measure.PeakPss]:
    """One run of the command: what it says, how long it took, and its memory."""
    command = [str(binary), "index", "--format", "json", "--quiet", "--model", model]
    command += ["--library", str(library / "growth.db"), str(folder)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with measure.PeakPss(process.pid, binary) as pss:
        output, errors = process.communicate()
    wall_s = time.perf_counter() - started
    if process.returncode:
        say(errors)
        fail(f"sonoteca index ended with status {process.returncode}", "see above")
    return json.loads(output), wall_s, pss


def text(record: dict[str, Any]) -> str:
    """Everything, for people."""
    header = ["wall s", "clips/s", "x real time", "peak PSS MB", "bytes/clip", "bytes/segment"]
    rows = [["", *header, "rerun s"]]
    for run in record["runs"]:
        clips, size, wall_s = run["clips"], run["library_bytes"], run["wall_s"]
        name = f"{clips} clips" if clips else f"{run['audio_s'] / 3600:.3g} h"
        cells = [
            f"{name} at {record['rate']} Hz" + ("" if run["well"] else " (NOT ALL WELL)"),
            f"{wall_s:.2f}",
            f"{clips / wall_s:.0f}" if clips else "-",
            f"{run['audio_s'] / wall_s:.0f}",
            f"{run['peak_pss_bytes'] / 1e6:.0f}",
            f"{size / clips:.0f}" if clips else "-",
            f"{size / max(1, run['segments']):.0f}",
            f"{run['rerun_s']:.2f}",
        ]
        rows.append(cells)
    return f"{measure.heading(record)}\n{record['version']}, {record['model']}\n\n{measure.table(rows)}"


if __name__ == "__main__":
    main()
