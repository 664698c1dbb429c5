"""`python -m bench.serving`: the full path beside a bare view, in one run on real servers.

Rounds are interleaved, so that what else the machine does hits both alike. CPU time per request, from
/proc over every process involved, is the figure to compare: on a shared machine rates are noisy.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from bench.keep import keep
from bench.serving.load import Measured, closed_loop, request_bytes
from bench.serving.site import Site, running, wait_for
from nerapp.env import PROJECT

_SET_UP = """
import sys
from audit.services import SYSTEM
from corpus.services import LabelDraft, project_create
from inference.services import api_key_create, base_models_load, deployment_set
project = project_create(slug="bench", name="Bench", labels=[LabelDraft(name="per")], actor=SYSTEM)
versions = {version.name: version for version in base_models_load(actor=SYSTEM)}
chosen = versions[sys.argv[1]]
deployment_set(project=project, slot="champion", version=chosen, actor=SYSTEM, reason="bench")
print(chosen, chosen.sha256)
print(api_key_create(
    project=project, name="bench", scopes=["predict"], actor=SYSTEM, rate_per_hour=1_000_000_000
)[1])
"""


@dataclass(frozen=True)
class Round:
    """One measurement of one case."""

    measured: Measured
    cpu: dict[str, float]
    texts: int

    def row(self) -> dict[str, float]:
        """The numbers of the round, by request."""
        count = max(self.measured.count, 1)
        return {
            "rps": self.measured.count / self.measured.seconds,
            "p50_ms": self.measured.percentile(0.50),
            "p95_ms": self.measured.percentile(0.95),
            "p99_ms": self.measured.percentile(0.99),
            "cpu_us": sum(self.cpu.values()) / count * 1e6,
            **{f"cpu_us_{name}": seconds / count * 1e6 for name, seconds in self.cpu.items()},
            "texts_per_s": self.measured.count * self.texts / self.measured.seconds,
            "errors": self.measured.errors,
        }


def main() -> None:
    """Measure, print a table and a last line of JSON, and keep the result."""
    arguments = _arguments()
    with running() as site:
        lines = site.python(_SET_UP, arguments.model).splitlines()
        served, key = lines[-2], lines[-1]
        ports = {
            "bare": site.web_start("bench.serving.bare:application"),
            "full": site.web_start(),
        }
        webs = dict(zip(ports, site.webs, strict=True))
        wait_for(lambda: _answers(ports["full"], key), "the server")
        cases = {
            "bare": (ports["bare"], _bare(), 1),
            "full": (ports["full"], _predicts(key), 1),
            "batch": (ports["full"], _batches(key), 100),
        }
        rounds: dict[str, list[Round]] = {name: [] for name in cases}
        for turn in range(arguments.rounds + 1):
            for name, (port, requests, texts) in cases.items():
                callers = arguments.callers if texts == 1 else 2
                web = webs["bare" if name == "bare" else "full"]
                found = _measure(site, web, port, requests, texts, callers, arguments.seconds)
                if turn:  # the first warms up
                    rounds[name].append(found)
        memory = max(child.memory_info().rss for child in psutil.Process(webs["full"].pid).children())
    _report(arguments, rounds, served=served, memory_mb=memory / 1024 / 1024)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each case (default: %(default)s)")
    parser.add_argument("--callers", type=int, default=16, help="asking at once (default: %(default)s)")
    parser.add_argument("--model", default="flagship", help="bundled model to serve (default: %(default)s)")
    return parser.parse_args()


def _texts() -> Iterator[str]:
    """Sentences of the bundled general set, each made distinct, so that nothing can be remembered."""
    lines = (PROJECT / "corpora" / "rehearsal.txt").read_text("utf-8").splitlines()
    sentences = [line for line in lines if line.strip()]
    for number, sentence in enumerate(itertools.cycle(sentences)):
        yield f"{sentence} No {number}."


def _bare() -> Iterator[bytes]:
    for text in _texts():
        yield request_bytes("/answer", json.dumps({"text": text}).encode())


def _predicts(key: str) -> Iterator[bytes]:
    for text in _texts():
        yield request_bytes("/api/v1/predict", json.dumps({"text": text}).encode(), key)


def _batches(key: str) -> Iterator[bytes]:
    texts = _texts()
    while True:
        body = {"texts": list(itertools.islice(texts, 100)), "output_format": "entities_only"}
        yield request_bytes("/api/v1/predict/batch", json.dumps(body).encode(), key)


def _answers(port: int, key: str) -> bool:
    try:
        return bool(closed_loop(port, _predicts(key), callers=1, seconds=0.5).count)
    except OSError:
        return False


def _measure(
    site: Site,
    web: subprocess.Popen[bytes],
    port: int,
    requests: Iterator[bytes],
    texts: int,
    callers: int,
    seconds: float,
) -> Round:
    parts = {
        "web": web.pid,
        "postgres": site.services["postgres"].pid,
        "redis": site.services["redis"].pid,
    }
    before = {name: _cpu_seconds(pid) for name, pid in parts.items()}
    measured = closed_loop(port, requests, callers=callers, seconds=seconds)
    cpu = {name: _cpu_seconds(pid) - before[name] for name, pid in parts.items()}
    if not measured.count:
        raise SystemExit(f"no request was answered: {measured.errors} errors")
    return Round(measured, cpu, texts)


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


def _report(
    arguments: argparse.Namespace, rounds: dict[str, list[Round]], *, served: str, memory_mb: float
) -> None:
    cases = {
        name: {
            field: statistics.median(found.row()[field] for found in measured) for field in measured[0].row()
        }
        for name, measured in rounds.items()
    }
    figures = {
        "full_vs_bare_cpu": round(cases["bare"]["cpu_us"] / cases["full"]["cpu_us"], 4),
        "full_vs_bare_rps": round(cases["full"]["rps"] / cases["bare"]["rps"], 4),
        "full_rps": round(cases["full"]["rps"], 1),
        "full_p50_p95_p99_ms": [round(cases["full"][f"p{share}_ms"], 2) for share in (50, 95, 99)],
        "batch_texts_per_s": round(cases["batch"]["texts_per_s"], 1),
        "web_rss_mb": round(memory_mb, 1),
        "errors": int(sum(case["errors"] for case in cases.values())),
    }
    result = {
        "model": served,
        "load": {
            "callers": arguments.callers,
            "seconds": arguments.seconds,
            "rounds": arguments.rounds,
            "web": "gunicorn gthread, 2 processes of 8 threads; the load comes from the same machine",
            "batch": "100 texts a request, 2 callers",
        },
        "cases": {
            name: {field: round(value, 2) for field, value in case.items()} for name, case in cases.items()
        },
        "figures": figures,
    }
    path = keep("serving", result)
    columns = ("rps", "p50_ms", "p95_ms", "p99_ms", "cpu_us", "cpu_us_web", "cpu_us_postgres", "cpu_us_redis")
    print(f"{'':8}" + "".join(f"{column:>16}" for column in columns))
    for name, case in cases.items():
        print(f"{name:8}" + "".join(f"{case[column]:16.1f}" for column in columns))
    print(f"kept in {path.relative_to(PROJECT)}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
