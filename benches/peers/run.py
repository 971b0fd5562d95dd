#!/usr/bin/env python3
"""sonoteca and its peers beside each other, in one run on one machine.

    run.py [--quick] [--only network|pipeline] [--json FILE] [--binary FILE]

Measured:
- The network alone: YAMNet on one thread, 1 and 16 patches a call, in patches per second. Peers are
  ONNX Runtime, OpenVINO, LiteRT (XNNPACK) and TensorFlow, all from our weights with batch norms
  folded, and Google's module, frozen, which pays for its own front end. Ours is
  `cargo bench --bench network`.
- The whole pipeline: the 400 Ogg files of ESC-10 (2003 s at 44.1 kHz, read from the page cache) to
  embeddings on all cores. Peers are soundfile and soxr, then Google's module, or a numpy log-mel
  and ONNX Runtime or OpenVINO, in one process per core. Ours is `sonoteca index` into a new
  library, so it stores what the peers only count. "Work" leaves out imports, loading and start-up
  (for ours it is the `elapsed_s` that it prints); "whole" is the program from start to end.
- Memory of those pipelines: the highest sum of proportional set sizes (see measure.py), from start
  to end, in a repetition of its own, since looking costs time.

Everyone takes turns, so that a change in the machine's mood touches all. A peer whose embeddings
are not YAMNet's (cosine to the reference 0.9999 at least, 0.99 in bf16) gets no ratio; that ours
are is what `cargo test` checks. Ratios are ours over the peer's, above 1 where we are faster: of
networks in the same precision, of pipelines in every pair, named.

Not measured: peers on several threads a process, hours-long files, graphics processors, int8.

The peers' environment is made by pip on the first run, in target/peers (2 GB); later runs need no
network. What cannot be had or fails is said and skipped. Exit status: 0 when ours ran in every part
asked for, else 2. Needs Python 3.11, `make setup` and ESC-10 (folder data/esc10 of SONOTECA_SHARED,
else ../shared).
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import compare_network
import compare_pipeline
import environment
from compare import Report
from measure import ROOT


def main() -> None:
    """Runs the parts asked for and prints what they found."""
    options = arguments()
    environment.prepare()
    report = Report(options)
    if options.only != "pipeline":
        plan = compare_network.QUICK if options.quick else compare_network.FULL
        compare_network.compare(plan, report)
    if options.only != "network":
        rounds = compare_pipeline.QUICK_ROUNDS if options.quick else compare_pipeline.ROUNDS
        compare_pipeline.compare(rounds, options.binary, report)
    print(report.text())
    if options.json:
        options.json.write_text(json.dumps(report.record, indent=1) + "\n")
    sys.exit(0 if report.ours_ran else 2)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few and short repetitions")
    parser.add_argument("--only", choices=("network", "pipeline"), help="one of the two parts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument(
        "--binary",
        type=Path,
        metavar="FILE",
        default=ROOT / "target/release/sonoteca",
        help="the command (default: target/release/sonoteca)",
    )
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    return options


if __name__ == "__main__":
    main()
