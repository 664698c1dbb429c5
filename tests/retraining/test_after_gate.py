"""What becomes of a candidate that passed is decided with the end of its run, or not at all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from celery import current_app
from django.conf import LazySettings

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.models import Deployment, ModelVersion
from inference.services import deployment_set, version_register
from retraining.errors import GateNotPassed
from retraining.models import Rollout, TrainingRun
from retraining.services import (
    execution,
    policy_change,
    rollout_policy_change,
    rollout_start,
    run_execute,
    run_queue,
)
from tests.bundles import WORDS, tiny_bundle
from tests.retraining.conftest import Correct
from tests.retraining.test_candidate_promote import PASSED, REFUSED

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queued(
    project: Project,
    champion: Deployment,
    correct: Correct,
    settings: LazySettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TrainingRun:
    """A run whose candidate is on the shelf already; only the gate has not judged it."""
    settings.DATA_DIR = tmp_path / "data"
    monkeypatch.setattr(current_app, "send_task", Mock())
    correct(3)
    run = run_queue(project=project, actor=SYSTEM, reason="a test")
    bundle = tiny_bundle(tmp_path / "new", {**WORDS, "Kent": "B-geo"})
    run.candidate = version_register(path=bundle, name=project.slug, project=project, actor=SYSTEM)
    run.save()
    judged(monkeypatch, PASSED)
    return run


def judged(monkeypatch: pytest.MonkeyPatch, verdict: dict[str, Any]) -> None:
    """The gate says this."""
    decision = SimpleNamespace(to_json=lambda: verdict)
    monkeypatch.setattr(execution, "candidate_judge", lambda **_: decision)


def slots(version: ModelVersion | None) -> list[str]:
    return sorted(Deployment.objects.filter(version=version).values_list("slot", flat=True))


@pytest.mark.parametrize(
    ("after_gate", "where"), [("keep", []), ("roll_out", ["shadow"]), ("promote", ["champion"])]
)
def test_the_policy_says_what_becomes_of_it(queued: TrainingRun, after_gate: str, where: list[str]) -> None:
    policy_change(project=queued.project, actor=SYSTEM, after_gate=after_gate)
    run_execute(run_id=queued.pk)
    queued.refresh_from_db()
    assert queued.status == TrainingRun.Status.DONE
    assert slots(queued.candidate) == where
    assert list(Rollout.objects.values_list("run", flat=True)) == ([queued.pk] if where == ["shadow"] else [])


@pytest.mark.parametrize("after_gate", ["roll_out", "promote"])
def test_a_refused_one_stays_on_the_shelf_with_its_reasons(
    queued: TrainingRun, after_gate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(monkeypatch, REFUSED)
    policy_change(project=queued.project, actor=SYSTEM, after_gate=after_gate)
    run_execute(run_id=queued.pk)
    queued.refresh_from_db()
    assert slots(queued.candidate) == []
    assert queued.verdict is not None
    assert "Label pest fell." in [reason["message"] for reason in queued.verdict["reasons"]]


def test_nobody_rolls_out_by_hand_what_the_gate_refused(
    queued: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(monkeypatch, REFUSED)
    run_execute(run_id=queued.pk)
    queued.refresh_from_db()
    assert queued.candidate is not None
    with pytest.raises(GateNotPassed):
        rollout_start(project=queued.project, version=queued.candidate, actor=SYSTEM, reason="I like it")
    assert not Rollout.objects.exists()


def test_where_callers_are_moved_already_the_run_ends_and_says_so(queued: TrainingRun) -> None:
    policy_change(project=queued.project, actor=SYSTEM, after_gate="roll_out")
    deployment_set(
        project=queued.project, slot="challenger", version=queued.start_from, actor=SYSTEM, reason="mine"
    )
    run_execute(run_id=queued.pk)
    queued.refresh_from_db()
    assert queued.status == TrainingRun.Status.DONE
    assert not Rollout.objects.exists()
    last = queued.events.last()
    assert last is not None
    assert last.message.startswith("Not brought to callers: ")


def test_a_kill_before_the_rollout_began_leaves_the_run_to_be_repeated(
    queued: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process ends here."""

    def killed(**_: Any) -> None:
        raise Killed

    policy_change(project=queued.project, actor=SYSTEM, after_gate="roll_out")
    with monkeypatch.context() as patched:
        patched.setattr(execution, "rollout_start", killed)
        with pytest.raises(Killed):
            run_execute(run_id=queued.pk)
    queued.refresh_from_db()
    assert queued.status == TrainingRun.Status.RUNNING, "the sweep queues it again"
    assert not Rollout.objects.exists()


def test_the_gates_word_goes_with_it_to_all_callers_and_its_run_tells_how_it_fared(
    queued: TrainingRun,
) -> None:
    rollout_policy_change(project=queued.project, actor=SYSTEM, steps=[100])
    policy_change(project=queued.project, actor=SYSTEM, after_gate="roll_out")
    run_execute(run_id=queued.pk)
    assert slots(queued.candidate) == ["champion"]
    assert AuditEvent.objects.get(action="version.promote").data["verdict"]["passed"] is True
    assert "Rollout at 100 %, started" in [event.message.split(":")[0] for event in queued.events.all()]
    asked = [call.args[0] for call in current_app.send_task.call_args_list]
    assert "retraining.tasks.tracking_sync" in asked
