"""Removing what killed trainings left on the disk."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import structlog
from django.conf import settings

from inference.models import ModelVersion
from retraining.models import TrainingRun
from retraining.services.base_corpora import corpora_dir
from retraining.workspace import run_dir_remove, run_ids_on_disk

log = structlog.get_logger(__name__)
Status = TrainingRun.Status

#: Younger files may belong to somebody who is writing them right now.
AGE_SECONDS = 3600


def leftovers_sweep() -> None:
    """Remove the folders of ended runs, half-written files, and bundles that no version names."""
    on_disk = set(run_ids_on_disk())
    alive = TrainingRun.objects.filter(pk__in=on_disk, status__in=[Status.QUEUED, Status.RUNNING])
    for run_id in on_disk - set(alive.values_list("pk", flat=True)):
        run_dir_remove(run_id)
    bundles: Path = settings.DATA_DIR / "bundles"
    known = set(ModelVersion.objects.values_list("sha256", flat=True))
    for folder in (bundles, corpora_dir()):
        for path in _old(folder):
            if path.name.startswith(".") or (folder == bundles and path.name not in known):
                log.info("leftover_removed", path=path.name)
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _old(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    before = time.time() - AGE_SECONDS
    return [path for path in folder.iterdir() if path.stat().st_mtime < before]
