"""`python -m bench.experiments`: what the statistics promise, checked in worlds whose truth is known.

Ends with status 1 where a promise is not kept. `--quick` makes all of it too small to judge by, or to keep.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from bench.experiments import coverage, equals, looking, shares
from bench.experiments.worlds import DENSE, SPARSE, USUAL, WORLDS
from bench.keep import keep

#: A process that was started anew draws its own hashes: stickiness must not come from the process.
_SPAWN = multiprocessing.get_context("spawn")
_ENVIRONMENT = {"ENV": "test", "DJANGO_SETTINGS_MODULE": "nerapp.settings", "OMP_NUM_THREADS": "1"}

#: (figure, is it kept?, in words)
PROMISES: list[tuple[str, Callable[[float], bool], str]] = [
    ("false_alarms", lambda found: found <= looking.ALPHA, f"at most {looking.ALPHA}"),
    ("power", lambda found: found >= looking.POWER, f"at least {looking.POWER}"),
    ("coverage_min", lambda found: found >= 93, "at least 93 %"),
    ("coverage_max", lambda found: found <= 97, "at most 97 %"),
    ("split_error", lambda found: found <= 0.5, "at most 0.5 % of the callers"),
    ("stickiness", lambda found: found == 100, "100 %"),
    ("gate_false_passes", lambda found: found <= equals.ALPHA, f"at most {equals.ALPHA}"),
]
#: (world, edit rate, runs): each of them asked whether two equal arms differ.
ALIKE = ((USUAL, 0.15, 2_000), (SPARSE, 0.03, 1_000), (DENSE, 0.15, 1_000))
#: (test documents, F1, pairs of equal models)
PAIRS = ((50, 0.85, 600), (100, 0.95, 400), (200, 0.85, 400))


def main() -> int:
    """Measure, print, keep, and say by the status whether every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.experiments", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs; nothing is judged or kept")
    scale = 10 if parser.parse_args().quick else 1
    os.environ.update(_ENVIRONMENT)
    started = time.monotonic()
    figures, tables = measure(scale)
    figures["seconds"] = round(time.monotonic() - started, 1)
    broken = [
        f"{name} is {figures[name]}, {promise} was promised"
        for name, is_kept, promise in PROMISES
        if not is_kept(figures[name])
    ]
    for name, value in figures.items():
        print(f"  {name:24} {value:12.4f}")
    if scale == 1:
        for line in broken:
            print(f"BROKEN: {line}")
        print(f"kept in {keep('experiments', {'figures': figures, 'tables': tables}).name}")
    print(json.dumps(figures))
    return 1 if broken and scale == 1 else 0


def measure(scale: int) -> tuple[dict[str, float], dict[str, object]]:
    """All parts, on two processes: figures, and the tables behind them."""
    with ProcessPoolExecutor(2, mp_context=_SPAWN) as pool:
        alike = {
            f"{world.name}, {rate:.0%} edited": pool.submit(
                looking.false_alarms, world, rate, runs=runs // scale, reviews=2_000
            )
            for world, rate, runs in ALIKE
        }
        power = pool.submit(looking.power, runs=1_000 // scale)
        covered = {world.name: pool.submit(coverage.grid, world, runs=4_000 // scale) for world in WORLDS}
        drawn = [[pool.submit(shares.drawn, split) for _ in range(2)] for split in shares.SPLITS]
        passed = {
            f"{documents} documents, F1 {f1}": pool.submit(
                equals.passed, pairs=pairs // scale, documents=documents, f1=f1
            )
            for documents, f1, pairs in PAIRS
        }
        false_alarms, false_passes, table = _told(alike), _told(passed), _told(covered)
        arms = [[one.result() for one in pair] for pair in drawn]
    cells = [cell for rows in table.values() for row in rows.values() for cell in row.values()]
    figures = {
        "false_alarms": max(false_alarms.values()),
        **power.result(),
        "coverage_min": min(cells),
        "coverage_max": max(cells),
        "split_error": max(
            shares.split_error(pair[0], split) for pair, split in zip(arms, shares.SPLITS, strict=True)
        ),
        "stickiness": min(shares.stickiness(*pair) for pair in arms),
        "gate_false_passes": max(false_passes.values()),
    }
    tables = {"false_alarms": false_alarms, "coverage": table, "gate_false_passes": false_passes}
    return figures, tables


def _told(asked: dict[str, Future[Any]]) -> dict[str, Any]:
    return {name: future.result() for name, future in asked.items()}


if __name__ == "__main__":
    sys.exit(main())
