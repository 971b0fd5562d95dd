#!/usr/bin/env python3
"""Extract a manifest's recordings on a Spark cluster into one Parquet dataset.

    spark-submit scale/spark/extract.py --manifest list.jsonl --out /mnt/shared/vectors \\
        --sonoteca /opt/sonoteca/sonoteca -- --model yamnet

The driver shares the manifest out in partitions of about --seconds of sound. Each is one task, which
runs `sonoteca extract` once, so that the network is loaded once, and leaves one file in a folder that
readers pass over. When all are done the driver gives the files their names and writes
`_manifest.json`, which counts them. A task that is tried again, or run twice at once, leaves a
second file that nobody takes; a job that was killed is taken up by starting it again.

A line of the manifest is a path or an address, or an object of JSON with `path` and perhaps
`duration_s` and `metadata`. Where lengths are not given they are guessed from the files' sizes: they
only decide how the work is shared out. Files that cannot be decoded are rows of kind `failure`.

What follows `--` goes to `sonoteca extract`. The files and --out have to be reachable from every
worker under the same names; --out may be any folder that Hadoop's file systems reach (hdfs://, s3a://
and so on), files whatever sonoteca reads. docs/scale.md says how to ship the command and its weights.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from urllib.parse import unquote

CHECKSUM_MODULUS = 1 << 128
MANIFEST = "_manifest.json"
# In the folder of parts: how the manifest was shared out.
PLAN = "plan.json"
RECORD = re.compile(r"\d+\.json")
# Bytes of a second of sound, where nobody says how long a file is.
BYTES_PER_SECOND = {"wav": 96_000, "aiff": 96_000, "aif": 96_000, "flac": 50_000, "opus": 12_000}
OTHER_BYTES_PER_SECOND = 16_000
UNKNOWN_SECONDS = 60.0
# Ten years: no recording is longer.
LONGEST_SECONDS = 3.2e8
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
# What is the same in all files of a dataset.
HEADER = ("form", "sonoteca", "model", "weights_sha256", "front_end_version", "dimension", "vectors")
COUNTS = ("recordings", "segments", "failures")


class LocalFolder:
    """A folder that every worker sees at the same path."""

    def __init__(self, path):
        self.path = Path(path)

    def make(self, name):
        (self.path / name).mkdir(parents=True, exist_ok=True)

    def names(self, name=""):
        return sorted(os.listdir(self.path / name))

    def read(self, name):
        return (self.path / name).read_bytes()

    def size(self, name):
        return (self.path / name).stat().st_size

    def put(self, source, name):
        """Copies a file there, whole or not at all."""
        target = self.path / name
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as copy:
            try:
                with open(source, "rb") as whole:
                    shutil.copyfileobj(whole, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
                os.chmod(copy.name, 0o644)
                os.replace(copy.name, target)
            except BaseException:
                os.unlink(copy.name)
                raise

    def move(self, name, new):
        os.replace(self.path / name, self.path / new)

    def remove(self, name):
        shutil.rmtree(self.path / name, ignore_errors=True)


class HadoopFolder:
    """A folder of a file system that only Hadoop's own shell reaches, at the start of a Java a call."""

    def __init__(self, path):
        self.path = path.rstrip("/")

    def shell(self, *arguments, check=True):
        command, environment = [shutil.which("hadoop"), "fs"], dict(os.environ)
        with tempfile.TemporaryDirectory() as settings:
            if command[0] is None:
                command = [os.path.join(spark_home(), "bin", "spark-class"), "org.apache.hadoop.fs.FsShell"]
                # The shell does not start without a file of settings; Hadoop's defaults will do.
                Path(settings, "core-site.xml").write_text("<configuration/>\n")
                environment.setdefault("HADOOP_CONF_DIR", settings)
            done = subprocess.run([*command, *arguments], capture_output=True, env=environment, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.decode(errors='replace')[-2000:]}")
        return done

    def full(self, name):
        return f"{self.path}/{name}".rstrip("/")

    def make(self, name):
        self.shell("-mkdir", "-p", self.full(name))

    def names(self, name=""):
        # Of a folder that was made: a store that does not answer is no empty folder.
        listed = self.shell("-ls", "-C", self.full(name)).stdout.decode()
        return sorted(line.rstrip("/").rsplit("/", 1)[-1] for line in listed.splitlines())

    def read(self, name):
        return self.shell("-cat", self.full(name)).stdout

    def size(self, name):
        return int(self.shell("-stat", "%b", self.full(name)).stdout)

    def put(self, source, name):
        # Hadoop's shell writes under another name and renames.
        self.shell("-put", "-f", str(source), self.full(name))

    def move(self, name, new):
        self.shell("-mv", self.full(name), self.full(new))

    def remove(self, name):
        self.shell("-rm", "-r", "-f", self.full(name), check=False)


def folder_at(place):
    if place.startswith("file://"):
        return LocalFolder(place.removeprefix("file://"))
    return HadoopFolder(place) if "://" in place else LocalFolder(os.path.abspath(place))


def spark_home():
    if "SPARK_HOME" in os.environ:
        return os.environ["SPARK_HOME"]
    import pyspark

    return os.path.dirname(pyspark.__file__)


class Refused(Exception):
    """What the job cannot do, in words for whoever started it."""


def entry_of(line):
    """The path that a manifest's line names and the seconds that it says; None where it names none."""
    if not line.startswith("{"):
        return line, None
    try:
        entry = json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None, None
    path, seconds, metadata = entry.get("path"), entry.get("duration_s"), entry.get("metadata", {})
    # bool is a kind of int.
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    is_well = (
        entry.keys() <= {"path", "duration_s", "metadata"}
        and isinstance(path, str)
        and path
        and (seconds is None or is_number and abs(seconds) < float("inf"))
        and isinstance(metadata, dict)
        and all(key and not isinstance(value, (list, dict)) for key, value in metadata.items())
    )
    if not is_well:
        return None, None
    return path, seconds if is_number and 0 < seconds <= LONGEST_SECONDS else None


def refuse(constant):
    """NaN and Infinity are no JSON, though Python reads them."""
    raise ValueError(constant)


def place_of(path, cwd):
    """What sonoteca knows the file of a manifest's path by: an address, or an absolute path.

    Links are followed where this machine sees the file; of others only the text is known.
    """
    scheme, mark, rest = path.partition("://")
    if mark and SCHEME.fullmatch(scheme):
        if scheme != "file":
            return path
        path = unquote(rest.removeprefix("localhost"), errors="surrogateescape")
    path = os.path.join(cwd, path)
    try:
        if os.path.exists(path):
            return os.path.realpath(path)
    except (OSError, ValueError):
        pass
    # `..` stays: behind a link it leads elsewhere.
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def seconds_at(place):
    """About how long the recording at a place is."""
    try:
        size = os.stat(place).st_size
    except (OSError, ValueError):
        return UNKNOWN_SECONDS
    kind = place.rsplit(".", 1)[-1].lower()
    return size / BYTES_PER_SECOND.get(kind, OTHER_BYTES_PER_SECOND)


def share_out(lines, seconds, cwd=None):
    """Lines in lists of at least so many seconds each, but for the last one; each file once.

    Of lines that name one file the first one counts, as where one process reads them all. Relative
    paths begin in cwd.
    """
    partitions, current, length, seen = [], [], 0.0, set()
    cwd = os.path.abspath(cwd or os.getcwd())
    for number, line in enumerate(lines):
        line = line.rstrip("\n").removesuffix("\r")
        if number == 0:
            line = line.removeprefix("\ufeff")
        if not line:
            continue
        path, known = entry_of(line)
        # sonoteca says what is wrong with a line that names nothing.
        place = line if path is None else place_of(path, cwd)
        key = hashlib.sha256(place.encode(errors="surrogatepass")).digest()[:16]
        if key in seen:
            continue
        seen.add(key)
        current.append(line)
        if path is not None:
            length += known or seconds_at(place)
        if length >= seconds:
            partitions.append(current)
            current, length = [], 0.0
    if current:
        partitions.append(current)
    return partitions


def shipped(path):
    """A file or folder of this machine, or one that Spark has brought to this task."""
    from pyspark import SparkFiles

    if os.path.isabs(path):
        return path
    for root in (os.getcwd(), SparkFiles.getRootDirectory()):
        candidate = os.path.join(root, path)
        if os.path.exists(candidate):
            return candidate
    raise FileNotFoundError(f"{path} is neither in {os.getcwd()} nor among Spark's files")


def extract(number, lines, job):
    """Extracts one partition; what became of it. The only work that a task does."""
    from pyspark import TaskContext

    out, hidden = folder_at(job["out"]), job["hidden"]
    record_name = f"{hidden}/{number:05}.json"
    if f"{number:05}.json" in job["done"]:
        return json.loads(out.read(record_name))
    context = TaskContext.get()
    cores = context.cpus() if context is not None else 1
    environment = dict(os.environ)
    if job["store"]:
        environment["SONOTECA_STORE"] = shipped(job["store"])
    if job["libraries"]:
        environment["LD_LIBRARY_PATH"] = shipped(job["libraries"])
    with tempfile.TemporaryDirectory(prefix="sonoteca-") as folder:
        manifest, part = Path(folder, "manifest"), Path(folder, "part.parquet")
        manifest.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="surrogateescape")
        command = [shipped(job["sonoteca"]), "extract", "--manifest", manifest, "--out", part]
        command += ["--format", "json", "--quiet", "--jobs", str(cores), *job["options"]]
        done = subprocess.run(
            list(map(str, command)), cwd=job["cwd"], env=environment, capture_output=True, check=False
        )
        # 1: no recording among them; 2: some files failed, which are rows, or all of it did.
        if not part.exists() or not done.stdout:
            words = done.stderr.decode(errors="replace")[-4000:]
            raise RuntimeError(f"sonoteca ended with {done.returncode} and wrote nothing:\n{words}")
        summary = json.loads(done.stdout)
        dataset = summary["dataset"]
        file = dataset["files"][0]
        name = f"{number:05}-{file['sha256'][:12]}.parquet"
        out.put(part, f"{hidden}/{name}")
        record = {"number": number, "name": name, "file": file, "audio_s": summary["audio_s"]}
        record |= {key: dataset[key] for key in HEADER}
        Path(folder, "record").write_text(json.dumps(record))
        out.put(Path(folder, "record"), record_name)
    return record


def commit(out, hidden, records):
    """Gives the files their names and counts them: the driver does it, and nobody else."""
    if MANIFEST in out.names():
        raise Refused("another job has finished this dataset meanwhile; its manifest stays as it is")
    records = sorted(records, key=lambda record: record["number"])
    header = {key: records[0][key] for key in HEADER}
    for record in records:
        different = {key: (record[key], header[key]) for key in HEADER if record[key] != header[key]}
        if different:
            raise Refused(f"partition {record['number']} was written by another sonoteca: {different}")
    there, moved = set(out.names(hidden)), set(out.names())
    files = []
    for record in records:
        name = f"part-{record['number']:05}.parquet"
        if record["name"] in there:
            out.move(f"{hidden}/{record['name']}", name)
        elif name not in moved or out.size(name) != record["file"]["bytes"]:
            raise Refused(f"{record['name']} is gone from {hidden}; remove that folder and start anew")
        files.append(record["file"] | {"name": name})
    checksum = sum(int(file["rows_checksum"], 16) for file in files) % CHECKSUM_MODULUS
    counts = {key: sum(file[key] for file in files) for key in COUNTS}
    manifest = header | counts | {"rows_checksum": f"{checksum:032x}", "files": files}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as text:
        json.dump(manifest, text, indent=2)
        text.flush()
        out.put(text.name, MANIFEST)
    out.remove(hidden)
    return manifest


def planned(out, hidden, partitions):
    """How an earlier job with this folder shared the work out; as `partitions`, if there was none."""
    name = f"{hidden}/{PLAN}"
    if PLAN in out.names(hidden):
        return json.loads(out.read(name))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as text:
        # A name that is no Unicode goes through JSON as escapes.
        json.dump(partitions, text)
        text.flush()
        out.put(text.name, name)
    return partitions


def run(context, args):
    """Does the whole job with the Spark context `context`; returns the manifest."""
    out = folder_at(args.out)
    out.make("")
    names = out.names()
    if MANIFEST in names:
        raise Refused(f"{args.out} holds a whole dataset already\nhint: name another folder with --out")
    try:
        listed = Path(args.manifest).read_bytes()
    except OSError as error:
        raise Refused(f"{args.manifest} cannot be read: {error}") from error
    # Lines end as sonoteca's do, also where a name holds a carriage return.
    lines = listed.decode(errors="surrogateescape").split("\n")
    partitions = share_out(lines, args.seconds, args.cwd)
    if not partitions:
        raise Refused(f"{args.manifest} lists nothing")
    # By what was asked for, not by how it is shared out: that depends on files' sizes, which change.
    cwd = args.cwd and os.path.abspath(args.cwd)
    asked = [hashlib.sha256(listed).hexdigest(), args.options, args.seconds, cwd]
    asked = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    hidden = f"_parts-{asked[:12]}"
    others = [name for name in names if name.startswith(("_parts-", "part-")) and name != hidden]
    if others and hidden not in names:
        raise Refused(
            f"{args.out} holds {others[0]}, which is of another job\n"
            "hint: name another folder with --out, or remove what is in this one"
        )
    out.make(hidden)
    partitions = planned(out, hidden, partitions)
    done = {name for name in out.names(hidden) if RECORD.fullmatch(name)}
    if done:
        print(f"{len(done)} of {len(partitions)} partitions are there already", file=sys.stderr)
    job = {
        "out": args.out if "://" in args.out else os.path.abspath(args.out),
        "hidden": hidden,
        "done": done,
        "cwd": cwd or None,
        "sonoteca": args.sonoteca,
        "store": args.store,
        "libraries": args.libraries,
        "options": args.options,
    }
    tasks = context.parallelize(list(enumerate(partitions)), len(partitions))
    records = tasks.map(lambda task: extract(task[0], task[1], job)).collect()
    return commit(out, hidden, records)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", required=True, help="what to extract, one a line")
    parser.add_argument("--out", required=True, help="the dataset's folder, seen by every worker")
    parser.add_argument("--sonoteca", default="sonoteca", help="the command, on every worker")
    parser.add_argument("--store", help="the folder of weights (SONOTECA_STORE), on every worker")
    parser.add_argument("--libraries", help="the folder of libtorch's libraries, on every worker")
    parser.add_argument("--cwd", help="the folder that relative paths of the manifest begin in")
    parser.add_argument("--seconds", type=float, default=36_000.0, help="sound in a partition [10 hours]")
    parser.add_argument("options", nargs="*", help="after --: options of sonoteca extract")
    args = parser.parse_args()
    if os.path.exists(args.sonoteca):
        args.sonoteca = os.path.abspath(args.sonoteca)
    elif shutil.which(args.sonoteca):
        args.sonoteca = shutil.which(args.sonoteca)
    return args


def main():
    args = arguments()
    from pyspark.sql import SparkSession

    session = SparkSession.builder.appName("sonoteca extract").getOrCreate()
    try:
        started = time.monotonic()
        manifest = run(session.sparkContext, args)
        elapsed = time.monotonic() - started
    finally:
        session.stop()
    counts = ", ".join(f"{manifest[key]:,} {key}" for key in COUNTS)
    print(f"{counts} in {len(manifest['files'])} files at {args.out}, in {elapsed:.1f} s")
    return 2 if manifest["failures"] else 0


def status_of(work):
    """The exit status of what `work` does: as sonoteca's own, 2 for every error, and 1 for none."""
    try:
        return work()
    except Refused as refused:
        print(f"error: {refused}", file=sys.stderr)
    except Exception:
        traceback.print_exc()
    return 2


if __name__ == "__main__":
    sys.exit(status_of(main))
