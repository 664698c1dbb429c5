"""What a load costs: processor time of every process that answers, of the callers, and of what else runs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import psutil

from bench.serving.load import Measured


@dataclass(frozen=True)
class Round:
    """One measurement of one case: `cpu` in seconds by part, `other` of processes that are not ours."""

    measured: Measured
    cpu: dict[str, float]
    other: float
    texts: int = 1

    def row(self) -> dict[str, float]:
        """The numbers of the round, by request. Cores are how many of them were busy."""
        count = max(self.measured.count, 1)
        seconds = self.measured.seconds
        p50, p95, p99 = self.measured.percentiles(0.50, 0.95, 0.99)
        return {
            "rps": self.measured.count / seconds,
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
            "cpu_us": sum(self.cpu.values()) / count * 1e6,
            **{f"cpu_us_{name}": spent / count * 1e6 for name, spent in self.cpu.items()},
            "texts_per_s": self.measured.count * self.texts / seconds,
            "errors": self.measured.errors,
            "caller_cpu_us": self.measured.cpu / count * 1e6,
            "caller_cores": self.measured.cpu / seconds,
            "other_cores": self.other / seconds,
        }


def metered(
    parts: Mapping[str, subprocess.Popen[bytes]], load: Callable[[], Measured], texts: int = 1
) -> Round:
    """Let the load come and count what the parts, each with its children, spend on it."""
    before = {name: _cpu_seconds(part.pid) for name, part in parts.items()}
    busy, own = _machine_seconds(), time.process_time()
    measured = load()
    cpu = {name: _cpu_seconds(part.pid) - before[name] for name, part in parts.items()}
    other = _machine_seconds() - busy - (time.process_time() - own) - sum(cpu.values())
    return Round(measured, cpu, max(other, 0.0), texts)


def middle(rounds: Sequence[Round]) -> dict[str, float]:
    """The median of each number; errors are added up."""
    rows = [found.row() for found in rounds]
    found = {name: round(median(row[name] for row in rows), 2) for name in rows[0]}
    return found | {"errors": sum(row["errors"] for row in rows)}


def memory_mb(web: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Of the largest web process: resident memory, and the same with shared pages shared out (PSS)."""
    found = [child.memory_full_info() for child in psutil.Process(web.pid).children()]
    return max(each.rss for each in found) / 2**20, max(each.pss for each in found) / 2**20


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process, of those below it, and of those that ended."""
    process = psutil.Process(pid)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _machine_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
