"""Results that say when, on which machine and at which commit they were made."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from nerapp.env import PROJECT

_PACKAGES = ("django", "djangorestframework", "granian", "gunicorn", "onnxruntime")


def keep(name: str, result: Mapping[str, object]) -> Path:
    """Write a result to `bench/results/NAME-DAY.json`, in the place of an earlier one of the day."""
    now = datetime.now(UTC)
    made = {"at": now.isoformat(timespec="seconds"), "commit": _commit(), "machine": _machine()}
    path = PROJECT / "bench" / "results" / f"{name}-{now:%Y-%m-%d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made | dict(result), indent=1) + "\n", "utf-8")
    return path


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _machine() -> dict[str, object]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": sys.version.split()[0],
        **{package: version(package) for package in _PACKAGES},
    }
