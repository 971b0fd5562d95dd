"""What both comparisons need: a peer's process, a series of figures, and the report."""

import argparse
import contextlib
import json
import subprocess
import tempfile
import threading
from pathlib import Path
from statistics import median
from typing import Any, Self

import environment
import measure
from measure import say

OURS = "sonoteca"
LEAST_COSINE = {"f32": 0.9999, "bf16": 0.99}
# Loading TensorFlow on a busy machine takes a while.
ANSWER_TIMEOUT_S = 300


class Failed(Exception):
    """Something that cannot be had, does not work, or does not compute YAMNet."""


class Series:
    """Repetitions of one measurement, and what else is known of it."""

    def __init__(self, label: str, precision: str, ours: bool = False, **facts: object) -> None:
        self.label, self.precision, self.ours = label, precision, ours
        self.facts: dict[str, Any] = facts
        self.values: list[float] = []

    @property
    def name(self) -> str:
        """What it is called where it is skipped."""
        return f"{self.label}, {self.precision}"

    @property
    def median(self) -> float:
        """Of the repetitions."""
        return median(self.values)


class Peer:
    """A program of this folder, in the peers' environment, that answers a line with a line."""

    def __init__(self, program: str, *arguments: str | Path) -> None:
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [environment.PYTHON, environment.HERE / program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        assert self.process.stdin and self.process.stdout  # They are pipes.
        self.input, self.output = self.process.stdin, self.process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self.process.kill()
        # Its input ends, and so does it.
        with contextlib.suppress(BrokenPipeError):
            self.input.close()
        self.process.wait()
        self.output.close()
        self.errors.close()

    def ready(self, precision: str) -> dict[str, Any]:
        """Its first answer, once it has loaded and compared itself with the reference."""
        answer = self.answer()
        if not answer["cosine"] >= LEAST_COSINE[precision]:
            raise Failed(f"does not compute YAMNet: cosine {answer['cosine']:.5f} to the reference")
        return answer

    def ask(self, line: str) -> dict[str, Any]:
        """Sends a line and returns the answer."""
        with contextlib.suppress(BrokenPipeError):
            self.input.write(line + "\n")
            self.input.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line that it prints."""
        limit = threading.Timer(ANSWER_TIMEOUT_S, self.process.kill)
        limit.start()
        line = self.output.readline()
        limit.cancel()
        if line:
            return json.loads(line)
        status = self.process.wait()
        self.errors.seek(0)
        raise Failed(f"{measure.last_line(self.errors.read())} (exit status {status})")


class Report:
    """What was found, for people and for programs."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.ours_ran = True
        self.tables: list[str] = []
        self.record: dict[str, Any] = measure.circumstances() | {
            "versions": environment.versions(options.binary),
            "quick": options.quick,
            "skipped": [],
        }

    def skip(self, name: str, why: object) -> None:
        """Says that a peer, or something of ours that others can do without, is left out."""
        self.record["skipped"].append(f"{name}: {why}")
        say(f"SKIPPED: {name}: {why}")

    def skip_ours(self, name: str, why: object) -> None:
        """Says that there is nothing to compare the peers with."""
        self.skip(name, why)
        self.ours_ran = False

    def text(self) -> str:
        """Everything, for people."""
        versions = ", ".join(f"{name} {it}" for name, it in self.record["versions"].items())
        skipped = "\n".join(f"SKIPPED: {line}" for line in self.record["skipped"])
        parts = (f"{measure.heading(self.record)}\n{versions}", *self.tables, skipped)
        return "\n\n".join(part for part in parts if part)
