#!/usr/bin/env python3
"""Show that Spark makes the dataset that one process makes, though a worker is killed in the middle.

    python3 scale/spark/prove.py --sonoteca target/release/sonoteca

Starts a standalone cluster of two workers on this machine, from PyPI's pyspark in a virtual
environment of its own and the Java (17 or newer) that is here; extracts ESC-10 (SONOTECA_SHARED says
where that lies) and the sounds of `make demo`, with a file that is damaged and one that is missing; kills a worker with everything
it runs once a third of the partitions are done, and in another job the driver, and starts that job
again; holds each dataset against the one that `sonoteca extract` makes, row for row, in Spark's own
words; and brings two of them into libraries. Then loads the dataset into a Milvus server (PyPI's
milvus, by scripts/milvus.py) and asks it and a library that compares every vector the same 200
questions. Prints how long each took. Ends with 0 when all of that holds. The command has to be built
with --features milvus; --no-milvus leaves that part out.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import venv
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYSPARK = "pyspark==4.0.1"
MASTER_WAIT_S = 120
# What Spark makes: left alone, with a worker killed, and taken up after its driver was killed.
SPARK = ("undisturbed", "spark", "resumed")


def log(text):
    print(text, flush=True)


def fail(text):
    """Ends with the status of errors, as sonoteca does."""
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


def environment_in(folder):
    """The Python of a virtual environment with pyspark, made when there is none."""
    python = folder / "bin" / "python"
    if not python.exists():
        log(f"installing {PYSPARK} into {folder}")
        venv.create(folder, with_pip=True)
    check = [python, "-c", "import pyspark; print(pyspark.__version__)"]
    found = subprocess.run(check, capture_output=True, text=True, check=False).stdout.strip()
    if found != PYSPARK.partition("==")[2]:
        subprocess.run([python, "-m", "pip", "install", "--quiet", PYSPARK], check=True)
    return python


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """A master and two workers of one core each."""

    def __init__(self, python, folder):
        home = subprocess.run(
            [python, "-c", "import pyspark, os; print(os.path.dirname(pyspark.__file__))"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        self.environment = dict(os.environ)
        self.environment |= {
            "SPARK_HOME": home, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": str(python),
            "PYSPARK_DRIVER_PYTHON": str(python),
        }
        self.spark_class = [os.path.join(home, "bin", "spark-class")]
        self.submit = [os.path.join(home, "bin", "spark-submit")]
        self.folder, self.port = folder, free_port()
        self.address = f"spark://127.0.0.1:{self.port}"
        self.processes = []

    def __enter__(self):
        main = "org.apache.spark.deploy."
        ports = ["--host", "127.0.0.1", "--port", str(self.port), "--webui-port", str(free_port())]
        self.start("master", [main + "master.Master", *ports])
        self.wait_for("master", "Bound MasterWebUI")
        for name in ("worker-1", "worker-2"):
            command = [main + "worker.Worker", "--host", "127.0.0.1", "-c", "1", "-m", "700m"]
            command += ["--webui-port", str(free_port()), "-d", str(self.folder / name), self.address]
            self.start(name, command)
        for name in ("worker-1", "worker-2"):
            self.wait_for(name, "Successfully registered with master")
        return self

    def start(self, name, command):
        output = open(self.folder / f"{name}.log", "wb")
        # A session each, so that a worker dies with its executors and their tasks.
        process = subprocess.Popen(
            self.spark_class + command, stdout=output, stderr=subprocess.STDOUT, env=self.environment,
            start_new_session=True,
        )
        self.processes.append((name, process))

    def wait_for(self, name, words):
        until = time.monotonic() + MASTER_WAIT_S
        path = self.folder / f"{name}.log"
        while words not in path.read_text(errors="replace"):
            if time.monotonic() > until:
                fail(f"{name} did not start:\n{path.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)

    def kill(self, name):
        for known, process in self.processes:
            if known == name and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def __exit__(self, *_):
        for name, _ in reversed(self.processes):
            self.kill(name)


def spark_options(cluster):
    return [
        "--master", cluster.address, "--conf", "spark.driver.host=127.0.0.1", "--conf",
        "spark.driver.bindAddress=127.0.0.1", "--conf", "spark.ui.enabled=false", "--executor-memory",
        "600m", "--executor-cores", "1",
    ]


def records_in(out):
    """How many partitions are done."""
    return len(list(out.glob("_parts-*/[0-9]*.json")))


def kill_the_driver(command, out, partitions, cluster):
    """Starts a job and kills what started it once a third of the partitions are done; how many were."""
    job = subprocess.Popen(
        list(map(str, command)), env=cluster.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    while job.poll() is None:
        records = records_in(out)
        if records >= max(2, partitions // 3):
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()
            return records
        time.sleep(0.05)
    fail("the job was done before its driver was killed; give fewer --seconds")


def spark_job(command, out, cluster):
    """Seconds of the job, with its start too, and what it printed; it has to make a whole dataset."""
    whole_s, done = timed([*command, "--out", out], {2}, env=cluster.environment)
    # 2 is the status of failed files, of which there are two, and of every error.
    if not (out / "_manifest.json").exists():
        fail(f"the job made no dataset:\n{done.stdout}\n{done.stderr[-6000:]}")
    return float(done.stdout.rsplit(" in ", 1)[1].split()[0]), whole_s, done


def kill_in_the_middle(cluster, out, partitions, done, killed):
    """Kills the second worker once a third of the partitions are done."""
    while not done.is_set():
        records = records_in(out)
        if records >= max(2, partitions // 3):
            cluster.kill("worker-2")
            killed.append(records)
            log(f"killed worker-2 after {records} of {partitions} partitions")
            return
        time.sleep(0.05)


COMPARE = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("compare").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
one, other = (spark.read.parquet(path) for path in sys.argv[1:3])
assert one.schema == other.schema, (one.schema, other.schema)
counts = {row["kind"]: row["count"] for row in one.groupBy("kind").count().collect()}
ids = other.where("kind = 'segment'").select("segment_id").distinct().count()
missing, extra = one.exceptAll(other).count(), other.exceptAll(one).count()
length = other.where("vector is not null").selectExpr("size(vector) as n").distinct().collect()
segments = one.where("kind = 'segment'").select("segment_id").distinct().count()
assert ids == segments, (ids, segments)
assert len(length) == 1, length
for row in other.where("kind = 'recording'").select("path", "recording_id").collect():
    print("RECORDING", row.recording_id, row.path)
print("COMPARED", one.count(), other.count(), missing, extra, ids, [row.n for row in length], counts)
spark.stop()
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sonoteca", default=ROOT / "target/release/sonoteca", type=Path)
    parser.add_argument("--venv", default=ROOT / "target/spark", type=Path)
    parser.add_argument("--sounds", type=Path, action="append", help="a folder instead of these two; may be repeated")
    parser.add_argument("--seconds", default=60.0, type=float, help="sound in a partition")
    parser.add_argument("--keep", action="store_true", help="keep the folder with everything")
    parser.add_argument("--no-milvus", action="store_true", help="leave the Milvus server out")
    args = parser.parse_args()
    sonoteca = args.sonoteca.resolve()
    shared = Path(os.environ.get("SONOTECA_SHARED", ROOT.parent / "shared"))
    sounds = args.sounds or [shared / "data" / "esc10", demo_sounds()]
    for path, what in ((sonoteca, "--sonoteca FILE"), *((path, "--sounds DIR, or SONOTECA_SHARED") for path in sounds)):
        if not path.exists():
            fail(f"{path} is not there\nhint: {what}")
    # Workers run it in folders of their own.
    python = environment_in(args.venv.absolute())
    folder = Path(tempfile.mkdtemp(prefix="sonoteca-spark-"))
    try:
        ids = prove(sonoteca, [path.resolve() for path in sounds], python, folder, args.seconds)
        if not args.no_milvus:
            prove_milvus(sonoteca, folder, ids)
        log("proved")
    finally:
        if args.keep:
            log(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def demo_sounds():
    """The sounds that `make demo` has, which are fetched where they are not there yet."""
    command = [sys.executable, ROOT / "scripts" / "demo.py", "--samples"]
    environment = {name: value for name, value in os.environ.items() if name != "AUDIO"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return ROOT / "demo" / "sounds"


def timed(command, codes, **options):
    started = time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    if done.returncode not in codes:
        fail(f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr[-6000:]}")
    return time.monotonic() - started, done


def prove(sonoteca, sounds, python, folder, seconds):
    kinds = {".ogg", ".wav", ".flac", ".mp3"}
    files = sorted(path for part in sounds for path in part.rglob("*") if path.suffix in kinds)
    (folder / "damaged.ogg").write_bytes(files[0].read_bytes()[:100] + b"\0" * 100)
    lines = [json.dumps({"path": str(path), "metadata": {"class": path.parent.name}}) for path in files]
    lines.insert(len(lines) // 2, str(folder / "damaged.ogg"))
    lines.append(str(folder / "missing.ogg"))
    # Files that are there already, by other names: none is extracted twice.
    lines += [f"file://{quote(str(files[0]))}", f"{files[1].parent}/./{files[1].name}", str(files[2])]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(f"{line}\n" for line in lines))
    folders = " and ".join(map(str, sounds))
    log(f"{len(files)} recordings in {folders}, one damaged and one missing file")

    one = folder / "one"
    plain_s, _ = timed([sonoteca, "extract", "--manifest", manifest, "--out", one, "--jobs", "2"], {2})
    log(f"one process, two jobs: {plain_s:.1f} s")
    single_s, _ = timed(
        [sonoteca, "extract", "--manifest", manifest, "--out", folder / "single", "--jobs", "1"], {2}
    )
    log(f"one process, one job: {single_s:.1f} s")

    sys.path.insert(0, str(HERE))
    import extract as job

    partitions = len(job.share_out(manifest.read_text().splitlines(), seconds))
    command = [HERE / "extract.py", "--manifest", manifest, "--sonoteca", sonoteca, "--seconds", seconds]
    with Cluster(python, folder) as cluster:
        options = [*cluster.submit, *spark_options(cluster)]
        job_s, whole_s, _ = spark_job([*options, *command], folder / "undisturbed", cluster)
        log(f"Spark, two workers of one core, {partitions} partitions: {job_s:.1f} s, {whole_s:.1f} s with its start")

        out, finished, killed = folder / "spark", threading.Event(), []
        watcher = threading.Thread(
            target=kill_in_the_middle, args=(cluster, out, partitions, finished, killed)
        )
        watcher.start()
        job_s, whole_s, _ = spark_job([*options, *command], out, cluster)
        finished.set()
        watcher.join()
        if not killed:
            fail("no worker was killed: the job was done before; give fewer --seconds")
        log(f"Spark, one worker killed: {job_s:.1f} s, {whole_s:.1f} s with its start")
        out = folder / "resumed"
        records = kill_the_driver([*options, *command, "--out", out], out, partitions, cluster)
        _, _, done = spark_job([*options, *command], out, cluster)
        # Spark sends a Python driver's standard error to its standard output.
        if "partitions are there already" not in done.stdout + done.stderr:
            fail(f"the second job began anew:\n{done.stdout}")
        log(f"Spark, the driver killed after {records} of {partitions} partitions and the job started again")
        compare = folder / "compare.py"
        compare.write_text(COMPARE)
        for name in SPARK:
            _, compared = timed(
                [*options, compare, one, folder / name], {0}, env=cluster.environment
            )
            line = next(line for line in compared.stdout.splitlines() if line.startswith("COMPARED"))
            words = line.split()
            rows, others, missing, extra = map(int, words[1:5])
            if rows != others or missing or extra:
                fail(f"the datasets differ: {line}")
            ids = [line.split(" ", 2)[1:] for line in compared.stdout.splitlines() if line.startswith("RECORDING")]
            log(f"{name}: {rows} rows, the same as one process's, row for row ({line.partition('[')[2]}")
    checksums = {}
    for name in ("one", "single", *SPARK):
        text = json.loads((folder / name / "_manifest.json").read_text())
        checksums[name] = text["rows_checksum"]
        left = [path.name for path in (folder / name).iterdir() if path.name.startswith(("_parts", ".tmp"))]
        if left:
            fail(f"{name} still holds {left}")
    if len(set(checksums.values())) != 1:
        fail(f"the checksums differ: {checksums}")
    log(f"all have the checksum {checksums['one']}")
    for name in ("one", "spark"):
        seconds_taken, done = timed(
            [sonoteca, "import", "--parquet", folder / name, "--library", folder / f"{name}.db"], {0}
        )
        log(f"import of {name}: {done.stdout.strip()}")
    return {path: int(number) for number, path in ids}


class Milvus:
    """A server on this machine, which ends with this process."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        script = ROOT / "scripts" / "milvus.py"
        subprocess.run([sys.executable, script, "install"], check=True)
        started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, script, "serve", "--until-eof", "--data", self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        port, self.server = map(int, self.process.stdout.readline().split())
        self.address = f"milvus://127.0.0.1:{port}/proof"
        # It listens before it answers.
        answers = f"http://127.0.0.1:{port}/v1/vector/collections"
        while True:
            try:
                with urllib.request.urlopen(answers, timeout=10) as answer:
                    if json.load(answer).get("code") == 200:
                        break
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None or time.monotonic() - started > MASTER_WAIT_S:
                fail(f"the Milvus server did not start: {self.folder}/server.log")
            time.sleep(0.2)
        log(f"Milvus answers after {time.monotonic() - started:.1f} s")
        return self

    def resident_mb(self):
        for line in Path(f"/proc/{self.server}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


QUESTIONS = 200
NEIGHBOURS = 10
LEAST_RECALL = 0.99


def prove_milvus(sonoteca, folder, ids):
    """Loads the dataset and holds the server's answers against a scan of every vector."""
    dataset, library = folder / "spark", folder / "exact.db"
    timed([sonoteca, "import", "--parquet", dataset, "--library", library, "--vectors", "f32"], {0})
    with sqlite3.connect(library) as known:
        rows = dict(known.execute("SELECT path, id FROM recordings"))
    manifest = json.loads((dataset / "_manifest.json").read_text())
    written = manifest["recordings"] + manifest["segments"]
    with Milvus(folder / "milvus") as milvus:
        load = [sonoteca, "import", "--parquet", dataset, "--store", milvus.address, "--format", "json"]
        _, done = timed(load, {0})
        summary = json.loads(done.stdout)
        if (summary["imported"], summary["segments"]) != (manifest["recordings"], manifest["segments"]):
            fail(f"{summary} was loaded of {manifest['recordings']} and {manifest['segments']}")
        seconds = summary["elapsed_s"]
        log(f"Milvus: {written} rows in {seconds:.1f} s, {written / seconds:.0f} a second, acknowledged and "
            f"counted; server {milvus.resident_mb():.0f} MB resident")
        _, done = timed(load, {0})
        again = json.loads(done.stdout)
        if (again["imported"], again["unchanged"]) != (0, manifest["recordings"]):
            fail(f"the second load was not passed over: {again}")
        log(f"Milvus, the same again: all passed over in {again['elapsed_s']:.1f} s")

        def ask(query, *options):
            command = [sonoteca, "search", query, "--by", "segment", "--raw", "-k", NEIGHBOURS, "--format", "json"]
            taken, done = timed([*command, *options], {0})
            hits = map(json.loads, done.stdout.splitlines())
            return taken, {(hit["path"], hit["start_s"]) for hit in hits}

        paths = sorted(path for path in rows if path in ids)
        chosen = [paths[len(paths) * number // QUESTIONS] for number in range(QUESTIONS)]
        agreed, asked, exact_s, milvus_s = 0, 0, 0.0, 0.0
        for path in chosen:
            taken, expected = ask(f"id:{rows[path]}", "--library", library, "--exact")
            exact_s += taken
            taken, found = ask(f"id:{ids[path]}", "--store", milvus.address)
            milvus_s += taken
            agreed += len(found & expected)
            asked += len(expected)
        recall = agreed / asked
        log(f"Milvus: {agreed} of {asked} nearest segments of {QUESTIONS} questions as the exact scan has them, "
            f"recall {recall:.4f}; a command {milvus_s / QUESTIONS * 1e3:.0f} ms, by the library "
            f"{exact_s / QUESTIONS * 1e3:.0f} ms")
        if recall < LEAST_RECALL:
            fail(f"recall is {recall:.4f}, expected {LEAST_RECALL}")


if __name__ == "__main__":
    main()
