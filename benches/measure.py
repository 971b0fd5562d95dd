"""What the programs here share: the memory of a command, the machine, and how to say things.

Memory is the proportional set size (PSS) of Linux: pages that several processes share are counted
once, divided between them. It is summed over a command's processes ten times a second, which takes
about 5 ms of a core each time; elsewhere than on Linux it is not measured.
"""

import contextlib
import datetime
import os
import platform
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn, Self

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_EVERY_S = 0.1
# Instruction sets on which the speed of a network hangs.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "bf16")


class PeakPss(threading.Thread):
    """Watches the memory of a process and of all that it starts, until told to stop.

    Children are found by their parent's id; with `executable`, so are processes of that program
    which began later and have another parent, be it ours or a stranger's.
    """

    def __init__(self, pid: int, executable: Path | None = None) -> None:
        super().__init__(daemon=True)
        self.root = pid
        self.executable = executable.resolve() if executable else None
        self.peak_bytes = 0
        self.processes = 0
        self._stop_now = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_now.set()
        self.join()

    def run(self) -> None:
        while not self._stop_now.wait(SAMPLE_EVERY_S):
            sizes = [pss_bytes(pid) for pid in self.family()]
            self.processes = max(self.processes, sum(size > 0 for size in sizes))
            self.peak_bytes = max(self.peak_bytes, sum(sizes))

    def family(self) -> set[int]:
        """The ids of the process, of its descendants and of later ones of the same program."""
        children: dict[int, list[int]] = {}
        began: dict[int, int] = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                # A program's name is in brackets and may hold anything.
                fields = entry.read_text(errors="replace").rpartition(")")[2].split()
                pid = int(entry.parent.name)
                children.setdefault(int(fields[1]), []).append(pid)
                began[pid] = int(fields[19])
        found: set[int] = set()
        pending = [self.root]
        if self.executable and self.root in began:
            later = [pid for pid in began if began[pid] >= began[self.root]]
            pending += [pid for pid in later if self.is_ours(pid)]
        while pending:
            pid = pending.pop()
            if pid not in found:
                found.add(pid)
                pending += children.get(pid, [])
        return found

    def is_ours(self, pid: int) -> bool:
        """Whether the process runs the named program."""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/exe").readlink() == self.executable
        return False


def pss_bytes(pid: int) -> int:
    """The proportional set size of a process; 0 when it is gone or a stranger's."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def circumstances() -> dict[str, Any]:
    """When, of what commit and on what machine figures are taken."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        "date": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
    }


def heading(record: dict[str, Any]) -> str:
    """The circumstances, for people."""
    found = record["machine"]
    return (
        f"{record['date']}, commit {record['commit']}\n"
        f"{found['processor']}, {found['cores']} cores, {found['system']}, "
        f"{' '.join(found['flags'])}; load average {found['load_average']} at the start"
    )


def machine() -> dict[str, Any]:
    """The processor, what it can do, and how busy it is just now."""
    model, flags = platform.processor() or platform.machine(), set()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                model = value.strip()
            elif name.strip() in ("flags", "Features"):
                flags = set(value.split())
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": model,
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": cores(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def cores() -> int:
    """How many this program may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def commit() -> str:
    """The commit of this checkout, marked where files differ from it."""
    name = output("git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD")
    changed = output("git", "-C", str(ROOT), "status", "--porcelain")
    return f"{name}, with changes" if changed else name


def output(*command: str) -> str:
    """What a command prints; nothing when it fails or is missing."""
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False, text=True).stdout.strip()
    return ""


def last_line(text: str) -> str:
    """Where most programs say what went wrong."""
    return ([line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"])[-1]


def table(rows: list[list[str]]) -> str:
    """Rows of text with a header, aligned: the first column left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def say(text: str) -> None:
    """Progress and what was skipped; results go to standard output."""
    print(text, file=sys.stderr, flush=True)


def fail(what: str, hint: str) -> NoReturn:
    """Ends the program with status 2."""
    say(f"error: {what}\nhint: {hint}")
    sys.exit(2)
