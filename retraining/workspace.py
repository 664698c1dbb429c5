"""The folders on the disk in which runs work. Each attempt has its own, so that a zombie spoils nobody's."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

CHECKPOINT = "checkpoint"


def runs_dir() -> Path:
    """Where all runs work."""
    folder: Path = settings.DATA_DIR / "runs"
    return folder


def run_dir(run_id: int) -> Path:
    """Where one run works."""
    return runs_dir() / str(run_id)


def attempt_dir(run_id: int, attempt: int, token: str) -> Path:
    """A new folder for one attempt, holding the newest checkpoint of the attempts before it."""
    folder = run_dir(run_id) / f"{attempt}-{token}"
    folder.mkdir(parents=True)
    earlier = [path / CHECKPOINT for path in run_dir(run_id).iterdir() if path != folder]
    kept = [path for path in earlier if path.exists()]
    if kept:
        newest = max(kept, key=lambda path: path.stat().st_mtime)
        (shutil.copytree if newest.is_dir() else shutil.copy2)(newest, folder / CHECKPOINT)
    return folder


def run_dir_remove(run_id: int) -> None:
    """Remove all that a run worked on: what was worth keeping is on the shelf."""
    shutil.rmtree(run_dir(run_id), ignore_errors=True)


def run_ids_on_disk() -> Iterator[int]:
    """The runs that have a folder."""
    with contextlib.suppress(FileNotFoundError):
        for path in runs_dir().iterdir():
            if path.name.isdecimal():
                yield int(path.name)
