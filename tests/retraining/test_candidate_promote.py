"""Only past the gate, only over the champion it was judged against, and only with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from celery import current_app
from django.conf import LazySettings
from django.db.models.functions import Now

from audit.models import AuditEvent
from audit.services import SYSTEM, Actor
from corpus.models import Project
from inference.models import Deployment, ModelVersion
from inference.services import deployment_set, version_register
from retraining.errors import GateNotPassed, ReasonRequired, RunUnfinished, StaleBase
from retraining.models import TrainingRun
from retraining.services import candidate_promote, run_queue
from tests.bundles import WORDS, tiny_bundle
from tests.retraining.conftest import Correct

pytestmark = pytest.mark.django_db
MIA = Actor(ref="user:1", name="mia")
PASSED: dict[str, Any] = {
    "passed": True,
    "difference": 0.1,
    "interval": [0.05, 0.15],
    "reasons": [
        {"code": "quality", "passed": True, "message": "F1 0.5 -> 0.6.", "value": 0.05, "limit": 0.0}
    ],
}
REFUSED: dict[str, Any] = {
    **PASSED,
    "passed": False,
    "reasons": [{**PASSED["reasons"][0], "passed": False, "message": "Label pest fell."}],
}


@pytest.fixture(autouse=True)
def _told(monkeypatch: pytest.MonkeyPatch, settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    monkeypatch.setattr(current_app, "send_task", Mock())


def version(project: Project, folder: Path, name: str) -> ModelVersion:
    """A tiny version of the project."""
    bundle = tiny_bundle(folder / name, {**WORDS, name: "B-geo"})
    return version_register(path=bundle, name=project.slug, project=project, actor=SYSTEM)


@pytest.fixture
def judged(project: Project, champion: Deployment, correct: Correct, tmp_path: Path) -> TrainingRun:
    """A run whose candidate passed."""
    correct(3)
    run = run_queue(project=project, actor=SYSTEM, reason="a test")
    candidate = version(project, tmp_path, "candidate")
    TrainingRun.objects.filter(pk=run.pk).update(
        status="done", candidate=candidate, verdict=PASSED, ended_at=Now()
    )
    run.refresh_from_db()
    return run


def test_a_passed_candidate_becomes_champion_with_its_verdict_in_the_audit_log(judged: TrainingRun) -> None:
    moved = candidate_promote(run=judged, actor=MIA, reason="better on pests")
    assert moved.version == judged.candidate
    event = AuditEvent.objects.get(action="version.promote")
    assert (event.actor, event.reason) == ("user:1", "better on pests")
    assert event.data["verdict"]["passed"] is True
    assert "promoted by mia" in judged.events.last().message  # type: ignore[union-attr]


def test_promoting_twice_has_one_effect(judged: TrainingRun) -> None:
    first = candidate_promote(run=judged, actor=MIA, reason="better")
    second = candidate_promote(run=judged, actor=MIA, reason="better")
    assert first.generation == second.generation
    assert AuditEvent.objects.filter(action="version.promote").count() == 1


def test_a_refused_candidate_stays_on_the_shelf(judged: TrainingRun) -> None:
    TrainingRun.objects.filter(pk=judged.pk).update(verdict=REFUSED)
    with pytest.raises(GateNotPassed, match="Label pest fell"):
        candidate_promote(run=judged, actor=MIA, reason="I want it")


def test_a_candidate_judged_against_an_earlier_champion_is_stale(judged: TrainingRun, tmp_path: Path) -> None:
    other = version(judged.project, tmp_path, "other")
    deployment_set(
        project=judged.project, slot="champion", version=other, actor=SYSTEM, reason="somebody was faster"
    )
    with pytest.raises(StaleBase):
        candidate_promote(run=judged, actor=MIA, reason="too late")


def test_a_reason_is_required(judged: TrainingRun) -> None:
    with pytest.raises(ReasonRequired):
        candidate_promote(run=judged, actor=MIA, reason="  ")


def test_an_unfinished_run_has_nothing_to_promote(
    project: Project, champion: Deployment, correct: Correct
) -> None:
    correct(3)
    run = run_queue(project=project, actor=SYSTEM, reason="a test")
    with pytest.raises(RunUnfinished):
        candidate_promote(run=run, actor=MIA, reason="now")
