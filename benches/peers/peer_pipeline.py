#!/usr/bin/env python3
"""A folder of sounds to embeddings the way a Python program does it, for run.py.

    peer_pipeline.py NETWORK PRECISION PROCESSES FOLDER MODULE_FOLDER

One process per core takes files as it becomes free: soundfile decodes, soxr resamples, then the
network `tensorflow` is Google's module with its own front end, while `onnxruntime` and `openvino`
get a log-mel by numpy. Each process uses one thread and keeps only counts: storing would come on
top. A file is one batch, which suits clips; hours would need cutting.

Prints one JSON object when all processes have loaded and have shown on the reference sounds that
they compute YAMNet, and after a line on standard input does the work and prints another.
"""

import os

# Before numpy and the runtimes read it, here and in the processes that this one starts.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import peer_network
import soundfile
import soxr
import yamnet

# Files handed over at a time.
FILES = 4
# Between float32 transforms: 1e-3 was seen on a pure tone, whose empty bands are all rounding, and
# 2e-5 elsewhere. A shift by one hop makes 0.1 and more.
LOG_MEL_TOLERANCE = 1e-2

Embed = Callable[[np.ndarray], np.ndarray]


class Process:
    """What a process of the pool holds; set once, when it starts."""

    embed: Embed
    cosine: float
    failure = ""
    all_loaded: Barrier


def start(name: str, precision: str, module: Path, all_loaded: Barrier) -> None:
    """Makes this process ready; a failure is kept, since the pool would swallow its reason."""
    Process.all_loaded = all_loaded
    try:
        load(name, precision, module)
    except Exception as error:
        Process.failure = f"{type(error).__name__}: {error}"


def load(name: str, precision: str, module: Path) -> None:
    """Loads the network, and checks it from samples to embeddings."""
    if name == "tensorflow":
        peer_network.single_threaded_tensorflow()
        Process.embed = yamnet.tensorflow_module(module)
    else:
        check_log_mel()
        run = peer_network.RUNTIMES[name](precision, yamnet.ANY)
        Process.embed = lambda samples: run(yamnet.patches_of(yamnet.log_mel(samples)))
    Process.cosine = yamnet.lowest_cosine(
        (Process.embed(case.samples), case.embeddings) for case in yamnet.golden()
    )


def check_log_mel() -> None:
    """Compares numpy's front end with the reference's."""
    for case in yamnet.golden():
        error = np.abs(yamnet.log_mel(case.samples) - case.log_mel).max()
        if not error <= LOG_MEL_TOLERANCE:
            raise ValueError(f"the log-mel of {case.name} is off by {error:.4f}")


def report(_index: int) -> float:
    """The lowest cosine in this process, once all have come this far."""
    Process.all_loaded.wait()
    if Process.failure:
        raise RuntimeError(Process.failure)
    return Process.cosine


def embed(path: Path) -> tuple[int, float]:
    """Patches and seconds of one file."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    embeddings = Process.embed(soxr.resample(mono, rate, yamnet.SAMPLE_RATE))
    return len(embeddings), len(samples) / rate


def main() -> None:
    """Starts the processes, says when they are ready, and works when told."""
    started = time.perf_counter()
    name, precision, processes, folder, module = sys.argv[1:]
    files = sorted(path for path in Path(folder).rglob("*.ogg"))
    # TensorFlow does not survive a fork.
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(int(processes))
    with ProcessPoolExecutor(
        int(processes), context, start, (name, precision, Path(module), barrier)
    ) as pool:
        cosine = float(np.min(list(pool.map(report, range(int(processes))))))
        startup_s = time.perf_counter() - started
        print(json.dumps({"cosine": cosine, "startup_s": startup_s}), flush=True)
        sys.stdin.readline()
        started = time.perf_counter()
        done = list(pool.map(embed, files, chunksize=FILES))
        elapsed_s = time.perf_counter() - started
    result = {
        "elapsed_s": elapsed_s,
        "files": len(files),
        "patches": sum(patches for patches, _ in done),
        "audio_s": sum(seconds for _, seconds in done),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
