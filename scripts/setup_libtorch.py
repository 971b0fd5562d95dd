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
from typing import NamedTuple, NoReturn

TORCH_VERSION = "2.13.0"


class Wheel(NamedTuple):
    requirement: str
    platform: str
    sha256: str


class Build(NamedTuple):
    """The wheels of one kind of machine, and which of their libraries are needed."""

    wheels: tuple[Wheel, ...]
    libraries: frozenset[str] | None
    """File names to take from the wheels; None takes every shared library of torch/lib."""


BUILDS = {
    ("Linux", "x86_64"): Build(
        wheels=(
            Wheel(
                f"torch=={TORCH_VERSION}",
                "manylinux_2_28_x86_64",
                "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",
            ),
            Wheel(
                "nvidia-cuda-runtime==13.0.96",
                "manylinux2014_x86_64",
                "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
            ),
            Wheel(
                "nvidia-cuda-cupti==13.0.85",
                "manylinux_2_25_x86_64",
                "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
            ),
        ),
        libraries=frozenset(
            {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"}
        ),
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
            "it takes 1.3 GB while unpacking, 530 MB after; another place: SONOTECA_STORE=FOLDER",
        )


def fetch(wheel: Wheel, scratch: Path) -> Path:
    say(f"libtorch: fetching {wheel.requirement}")
    target = scratch / wheel.requirement
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", str(target)]
    command += ["--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=none"]
    command += [f"--platform={wheel.platform}", wheel.requirement]
    # pip unpacks nothing here, but it does copy: keep its scratch files on the same disk as ours.
    result = subprocess.run(command, env=os.environ | {"TMPDIR": str(scratch)})
    files = list(target.glob("*.whl")) if target.is_dir() else []
    if result.returncode or len(files) != 1:
        fail(
            f"pip could not download {wheel.requirement} for {wheel.platform}",
            "check the network and pip's index settings (pip config list), then run this again; "
            f"or set LIBTORCH to a libtorch {TORCH_VERSION} that is already here",
        )
    with open(files[0], "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(
            hashlib, "file_digest"
        ) else sha256_of(file)
    if found != wheel.sha256:
        fail(
            f"{files[0].name} is not the file that was pinned: SHA-256 {found}, "
            f"expected {wheel.sha256}",
            "the package index may be serving another build; nothing was installed",
        )
    return files[0]


def sha256_of(file) -> str:
    """What hashlib.file_digest does, for Python before 3.11."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def unpack(wheel: Path, target: Path, libraries: frozenset[str] | None) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = entry.filename
            if name.startswith("torch/include/") and not entry.is_dir():
                place = target / name.removeprefix("torch/")
            elif wanted(name, libraries):
                place = target / "lib" / name.rsplit("/", 1)[-1]
            else:
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, open(place, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
    # 530 MB each: the wheel and what came out of it need not lie on the disk together with more.
    wheel.unlink()


def wanted(name: str, libraries: frozenset[str] | None) -> bool:
    if libraries is None:
        return name.startswith("torch/lib/") and (".so" in name or name.endswith(".dylib"))
    return name.rsplit("/", 1)[-1] in libraries


def finish(unpacked: Path, build: Build) -> None:
    missing = (build.libraries or set()) - {file.name for file in (unpacked / "lib").iterdir()}
    if missing:
        fail(f"the wheels hold no {', '.join(sorted(missing))}", "the pinned hashes need a look")
    if build.libraries is not None:
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
