#!/usr/bin/env python3
"""A real Milvus server on this machine, for tests: PyPI's milvus 2.3.5, into target/milvus.

    scripts/milvus.py install                       fetch and unpack it, if it is not there
    scripts/milvus.py serve --data DIR [--port N]   the same, and run it

The server keeps everything below DIR and listens at port N, or one that is free, of all addresses of the
machine. A line on standard output says its port and its process. It ends with this process, and, with --until-eof, when
standard input does: so it outlives no test. Two that install at once wait for each other.
"""

import argparse
import ctypes
import fcntl
import hashlib
import importlib.util
import json
import lzma
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

VERSION = "2.3.5"
# Of the wheel for Linux on x86-64, on which it is tested; on others pip's word has to do.
SHA256 = "69515a0630ce29fd10e101fa442afea8ca1387b93a456cd9bd41fdf3deb93d04"
FOLDER = Path(__file__).resolve().parent.parent / "target" / "milvus"
WHOLE = FOLDER / "whole"


def fail(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


def download(folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run(
        [*command, "--dest", folder, f"milvus=={VERSION}"], capture_output=True, text=True, check=False
    )
    wheels = list(Path(folder).glob("milvus-*.whl"))
    if done.returncode or len(wheels) != 1:
        fail(f"milvus {VERSION} could not be fetched from PyPI:\n{done.stdout}{done.stderr}")
    return wheels[0]


def unpack(wheel, folder):
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if "x86_64" in wheel.name and "linux" in wheel.name and found != SHA256:
        fail(f"{wheel.name} has the SHA-256 {found}, expected {SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "package")
    binaries = folder / "bin"
    binaries.mkdir()
    packed = folder / "package" / "milvus" / "data" / "bin"
    for path in packed.glob("*.lzma"):
        target = binaries / path.stem
        with lzma.open(path) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        target.chmod(0o755)
    shutil.rmtree(packed)


def install():
    """Fetches and unpacks the server, unless it is there; one process at a time."""
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with open(FOLDER.parent / "milvus.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if WHOLE.exists() and WHOLE.read_text() == VERSION:
            return
        shutil.rmtree(FOLDER, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=FOLDER.parent, prefix="milvus-") as scratch:
            folder = Path(scratch) / "unpacked"
            folder.mkdir()
            unpack(download(scratch), folder)
            folder.rename(FOLDER)
        WHOLE.write_text(VERSION)


def free_ports(count):
    """As many ports as nobody listens at, all held until all are known."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


ETCD = """name: default
listen-peer-urls: http://127.0.0.1:{peers}
initial-advertise-peer-urls: http://127.0.0.1:{peers}
listen-client-urls: http://127.0.0.1:{clients}
advertise-client-urls: http://127.0.0.1:{clients}
initial-cluster: default=http://127.0.0.1:{peers}
"""


def configure(data, port):
    """Writes the server's settings below data, once: a server that is run again keeps its ports. They are
    that of the server and that of its health."""
    written = data / "ports.json"
    if written.exists():
        ports = json.loads(written.read_text())
        if port in (0, ports["proxy_port"]):
            return ports["proxy_port"], ports["metrics"]
    place = FOLDER / "package" / "milvus" / "__init__.py"
    spec = importlib.util.spec_from_file_location("milvus", place)
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    config = package.MilvusServerConfig(data_dir=str(data))
    names = [name for name in config.configurable_items if name.endswith("_port")]
    ports = dict(zip([*names, "metrics", "peers"], free_ports(len(names) + 2)))
    if port:
        ports["proxy_port"] = port
    config.update(**{name: ports[name] for name in names})
    config.resolve()
    # The store of settings within the server has ports of its own, which it does not take from there.
    etcd = data / "configs" / "etcd.yaml"
    etcd.write_text(ETCD.format(peers=ports["peers"], clients=ports["etcd_port"]))
    settings = data / "configs" / "milvus.yaml"
    text = settings.read_text()
    settings.write_text(text.replace("\n  use:\n", f"\n  config:\n    path: {etcd}\n  use:\n", 1))
    written.write_text(json.dumps(ports))
    return ports["proxy_port"], ports["metrics"]


def die_with_parent():
    """Has the kernel end this process when its parent ends, whatever ended that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def serve(data, port, until_eof):
    data = data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    port, metrics = configure(data, port)
    environment = dict(os.environ)
    environment |= {
        "DEPLOY_MODE": "STANDALONE",
        "METRICS_PORT": str(metrics),
        "MILVUS_RUN_DIR": str(data / "run"),
        "LD_LIBRARY_PATH": f"{FOLDER / 'bin'}:{environment.get('LD_LIBRARY_PATH', '')}",
    }
    with open(data / "server.log", "ab") as log:
        server = subprocess.Popen(
            [FOLDER / "bin" / "milvus", "run", "standalone"], env=environment, cwd=data,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
        )
    print(port, server.pid, flush=True)
    if until_eof:
        threading.Thread(target=lambda: (sys.stdin.read(), server.kill()), daemon=True).start()
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        return server.wait()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install")
    serving = commands.add_parser("serve")
    serving.add_argument("--data", type=Path, required=True)
    serving.add_argument("--port", type=int, default=0)
    serving.add_argument("--until-eof", action="store_true")
    args = parser.parse_args()
    install()
    if args.command == "serve":
        sys.exit(abs(serve(args.data, args.port, args.until_eof)))


if __name__ == "__main__":
    main()
