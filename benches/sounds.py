"""Sounds for growth.py: WAV files made from a fixed seed by the standard library, and quickly.

A bank of tones, chirps and noise is computed once; clips and recordings are slices of it.
"""

import array
import math
import random
import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CLIP_S = 0.5
CLIPS_A_FOLDER = 1_000
SEED = 20261122
# What clips are cut from; an odd stride visits every offset once.
BANK_SAMPLES = 1 << 20
STRIDE = 611_953
SPEEDS = (1, 2, 3)
SOUNDING_S, EVERY_S = 10, 60
BYTES = 2
# RIFF counts bytes in 32 bits.
RIFF_LIMIT = 0xFFFF_FFFF


def bank(rate: int) -> "array.array[int]":
    """Tones, chirps and noise, a second each by turns."""
    chance = random.Random(SEED)
    samples = array.array("h")
    while len(samples) < BANK_SAMPLES:
        level = chance.uniform(0.02, 0.8) * 32_767
        low, high = sorted(chance.uniform(60, rate / 2.5) for _ in range(2))
        kind = chance.choice(("tone", "chirp", "noise"))
        if kind == "noise":
            samples.extend(int(chance.uniform(-level, level)) for _ in range(rate))
            continue
        turn = 0.0
        for index in range(rate):
            hertz = low + (high - low) * index / rate if kind == "chirp" else low
            turn += 2 * math.pi * hertz / rate
            samples.append(int(level * math.sin(turn)))
    return samples


def clips(rate: int) -> Iterator[bytes]:
    """Slices of the bank, each at another offset, at three speeds."""
    samples, length = bank(rate), int(CLIP_S * rate)
    samples += samples[: length * max(SPEEDS)]
    for index in range(BANK_SAMPLES):
        offset, speed = index * STRIDE % BANK_SAMPLES, SPEEDS[index % len(SPEEDS)]
        yield samples[offset : offset + length * speed : speed].tobytes()


def clip_bytes(rate: int) -> int:
    """What a clip takes on a disk of 4 KiB blocks, with its share of folders."""
    return int(CLIP_S * rate) * BYTES + 8_192


def recording_bytes(rate: int, hours: float) -> int:
    """What the samples of a recording take."""
    return int(hours * 3_600 * rate) * BYTES


def write_clips(folder: Path, rate: int, count: int) -> None:
    """WAV files, a thousand a folder."""
    for index, samples in zip(range(count), clips(rate), strict=False):
        parent = folder / f"{index // CLIPS_A_FOLDER:04}"
        if index % CLIPS_A_FOLDER == 0:
            parent.mkdir()
        with wave.open(str(parent / f"{index:06}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(BYTES)
            file.setframerate(rate)
            file.writeframes(samples)


def write_recording(path: Path, rate: int, hours: float, dense: bool) -> None:
    """One WAV file, or RF64 where WAV cannot count so far."""
    count = int(hours * 3_600 * rate)
    minute, sounding = EVERY_S * rate, (EVERY_S if dense else SOUNDING_S) * rate
    sounds = bank(rate)
    while len(sounds) < BANK_SAMPLES + sounding:
        sounds += sounds
    with path.open("wb") as file:
        write_header(file, rate, count)
        start = file.tell()
        for number, at in enumerate(range(0, count, minute)):
            offset = number * STRIDE % BANK_SAMPLES
            length = min(sounding, count - at)
            file.seek(start + at * BYTES)
            file.write(sounds[offset : offset + length].tobytes())
        file.truncate(start + count * BYTES)


def write_header(file: BinaryIO, rate: int, count: int) -> None:
    """All that comes before the samples."""
    data = count * BYTES
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * BYTES, BYTES, 8 * BYTES)
    if data + 36 <= RIFF_LIMIT:
        file.write(struct.pack("<4sI4s", b"RIFF", data + 36, b"WAVE") + layout)
        file.write(struct.pack("<4sI", b"data", data))
        return
    # EBU Tech 3306: sizes of 64 bits in a chunk of their own, where WAV has its largest number.
    file.write(struct.pack("<4sI4s", b"RF64", RIFF_LIMIT, b"WAVE"))
    file.write(struct.pack("<4sIQQQI", b"ds64", 28, data + 72, data, count, 0) + layout)
    file.write(struct.pack("<4sI", b"data", RIFF_LIMIT))
