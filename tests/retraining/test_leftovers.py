"""What a killed training left on the disk is removed; what somebody may still write is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from django.conf import LazySettings

from audit.services import SYSTEM
from corpus.models import Project
from inference.engine import bundle_path
from inference.models import Deployment
from inference.services import version_register
from retraining.services import leftovers_sweep, run_queue
from retraining.workspace import CHECKPOINT, attempt_dir, run_dir
from tests.bundles import tiny_bundle
from tests.retraining.conftest import Correct

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_dir(settings: LazySettings, tmp_path: Path) -> Path:
    """A data folder of its own."""
    settings.DATA_DIR = tmp_path / "data"
    return tmp_path / "data"


def aged(path: Path) -> Path:
    """As if written two hours ago."""
    then = time.time() - 7200
    os.utime(path, (then, then))
    return path


def test_folders_of_ended_runs_go_and_those_of_living_runs_stay(
    project: Project, champion: Deployment, correct: Correct
) -> None:
    correct(2)
    alive = run_queue(project=project, actor=SYSTEM, reason="a test")
    attempt_dir(alive.pk, 1, "a")
    attempt_dir(alive.pk + 1, 1, "b")
    leftovers_sweep()
    assert run_dir(alive.pk).exists()
    assert not run_dir(alive.pk + 1).exists()


def test_old_half_written_and_nameless_bundles_go(project: Project, data_dir: Path, tmp_path: Path) -> None:
    version = version_register(
        path=tiny_bundle(tmp_path / "bundle"), name=project.slug, project=project, actor=SYSTEM
    )
    shelf = data_dir / "bundles"
    for name in (".abc.partial", "0" * 64, "1" * 64):
        (shelf / name).mkdir()
        (shelf / name / "model.onnx").write_bytes(b"half")
    aged(shelf / ".abc.partial")
    aged(shelf / ("0" * 64))
    kept = bundle_path(version)
    assert kept is not None
    aged(kept)
    leftovers_sweep()
    assert {path.name for path in shelf.iterdir()} == {kept.name, "1" * 64}


def test_an_attempt_goes_on_from_the_newest_checkpoint_of_those_before_it() -> None:
    first = attempt_dir(7, 1, "a")
    (first / CHECKPOINT).write_text("one")
    aged(first / CHECKPOINT)
    second = attempt_dir(7, 2, "b")
    assert (second / CHECKPOINT).read_text() == "one"
    (second / CHECKPOINT).write_text("two")
    assert (attempt_dir(7, 3, "c") / CHECKPOINT).read_text() == "two"
    assert (first / CHECKPOINT).read_text() == "one"
