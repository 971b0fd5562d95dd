#!/usr/bin/env python3
"""Asks `sonoteca serve` 10,000 questions that nobody would ask.

In: a built sonoteca (SONOTECA, or target/debug/sonoteca), the test fixtures, and schemathesis, which
is installed into target/fuzz unless it is there. Out: how many requests of each status, and a failure
where one was answered with 500 or above or with a status that the description does not tell, was not
answered, or left the server stuck.

What is counted is the server's own log. The fuzzer makes requests from /openapi.json, right ones and
wrong ones, until there are enough.
"""

import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMATHESIS = "schemathesis==4.32.5"
# Turns in which the fuzzer itself may fail.
MOST_BROKEN = 3


def fuzzer() -> pathlib.Path:
    """The fuzzer, installed into an environment of its own."""
    folder = ROOT / "target" / "fuzz"
    program = folder / "bin" / "schemathesis"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", SCHEMATHESIS]
        subprocess.run(pip, check=True)
    return program


def library(sonoteca: str, folder: pathlib.Path) -> None:
    """A library with sounds of every format, a label of each class, and a head."""
    sounds = folder / "sounds"
    sounds.mkdir()
    for fixture in sorted((ROOT / "tests" / "fixtures").glob("*.*")):
        if fixture.suffix in {".ogg", ".mp3", ".flac", ".m4a", ".wav", ".opus", ".aif"}:
            shutil.copy(fixture, sounds)
    run = lambda *words: subprocess.run([sonoteca, *words], cwd=folder, capture_output=True)
    run("index", "sounds")
    for number, name in enumerate(sorted(path.name for path in sounds.iterdir())):
        run("label", "add", f"sounds/{name}", "chirp" if number % 2 else "other")
    run("train", "sorts")


def serve(sonoteca: str, folder: pathlib.Path):
    """A server, and where it is."""
    log = open(folder / "log", "w")
    words = [sonoteca, "serve", "--bind", "127.0.0.1:0", "--format", "json"]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
    started = json.loads(process.stdout.readline())
    return process, started["url"], started["token"]


def requests(folder: pathlib.Path) -> list:
    """What the log says was asked."""
    found = []
    for line in (folder / "log").read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("message") == "request":
            found.append(entry)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sonoteca = os.environ.get("SONOTECA", str(ROOT / "target" / "debug" / "sonoteca"))
    program = fuzzer()
    failed = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        library(sonoteca, folder)
        process, url, token = serve(sonoteca, folder)
        try:
            turn, broken, all_phases = 0, 0, False
            is_short = lambda: not all_phases or len(requests(folder)) < arguments.requests
            while is_short() and process.poll() is None:
                words = [
                    str(program), "run", f"{url}openapi.json", "--url", url,
                    "--header", f"Authorization: Bearer {token}",
                    "--phases", "fuzzing" if all_phases else "coverage,fuzzing,stateful",
                    "--checks", "not_a_server_error,status_code_conformance", "--continue-on-failure",
                    "--suppress-health-check", "all", "--max-examples", "150",
                    "--seed", str(arguments.seed + turn), "--request-timeout", "60",
                    "--workers", "2", "--warnings", "off",
                ]
                done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
                turn += 1
                print(f"turn {turn}: {len(requests(folder))} requests, status {done.returncode}")
                if done.returncode == 0:
                    all_phases = True
                elif "Failures:" not in done.stdout and "SystemError: AST" in done.stdout:
                    # A defect of Python 3.11 (its counter of recursion and threads), met by the fuzzer when
                    # it prints a schema. What it had not printed by then is not known: the turn counts for
                    # nothing but its requests, and all phases are gone through until a turn ends.
                    broken += 1
                    print(f"turn {turn}: the fuzzer itself failed", flush=True)
                    if broken > MOST_BROKEN:
                        failed.append(f"the fuzzer itself failed in {broken} of {turn} turns")
                        break
                else:
                    all_phases = True
                    failed.append(done.stdout[-4_000:] + done.stderr[-1_000:])
                if turn > 60:
                    failed.append("60 turns did not make as many requests, or none of all phases ended")
                    break
            started = time.monotonic()
            with urllib.request.urlopen(f"{url}healthz", timeout=10) as answer:
                assert answer.status == 200
            asked = urllib.request.Request(f"{url}v1/library")
            asked.add_header("Authorization", f"Bearer {token}")
            with urllib.request.urlopen(asked, timeout=30) as answer:
                assert answer.status == 200
            print(f"afterwards it answers within {time.monotonic() - started:.2f} s")
            process.send_signal(signal.SIGTERM)
            if process.wait(timeout=120) != 0:
                failed.append(f"it ended with status {process.returncode}")
        finally:
            process.kill()
        found = requests(folder)
        counts = collections.Counter(entry["status"] for entry in found)
        slowest = max(found, key=lambda entry: entry["elapsed_ms"])
        print(f"{len(found)} requests by status: {dict(sorted(counts.items()))}")
        print(f"slowest: {slowest['method']} {slowest['path']}, {slowest['elapsed_ms']} ms")
        for entry in found:
            if entry["status"] >= 500:
                failed.append(f"{entry['method']} {entry['path']}: {entry['status']}")
        if len(found) < arguments.requests:
            failed.append("too few requests")
        for line in (folder / "log").read_text(errors="replace").splitlines():
            if "a request failed" in line or "panicked" in line:
                failed.append(line)
    for one in failed[:20]:
        print(one, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
