"""A candidate that cannot be served is refused, with its reason on the shelf; the training did not fail."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import LazySettings

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.engine import bundle_path
from inference.models import Deployment
from inference.services import version_register
from retraining.errors import GateNotPassed
from retraining.models import TrainingRun
from retraining.services import candidate_promote, run_execute, run_queue
from retraining.services.execution import _Execution
from tests.bundles import WORDS, tiny_bundle
from tests.retraining.conftest import Correct

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def trained(
    project: Project, champion: Deployment, correct: Correct, settings: LazySettings, tmp_path: Path
) -> TrainingRun:
    """A run that was killed between its training and its exams: the candidate is on the shelf."""
    settings.DATA_DIR = tmp_path / "data"
    correct(3)
    run = run_queue(project=project, actor=SYSTEM, reason="a test")
    candidate = version_register(
        path=tiny_bundle(tmp_path / "candidate", {**WORDS, "Bramley": "B-geo"}),
        name=project.slug,
        project=project,
        actor=SYSTEM,
    )
    TrainingRun.objects.filter(pk=run.pk).update(candidate=candidate)
    run.refresh_from_db()
    return run


def test_a_run_whose_bundle_was_damaged_before_it_came_onto_the_shelf_ends_as_refused_too(
    project: Project,
    champion: Deployment,
    correct: Correct,
    settings: LazySettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.DATA_DIR = tmp_path / "data"
    correct(3)
    run = run_queue(project=project, actor=SYSTEM, reason="a test")
    bundle = tiny_bundle(tmp_path / "made")
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes()[:-1])
    monkeypatch.setattr(_Execution, "_progress", lambda *_: iter([SimpleNamespace(bundle=bundle)]))
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.error, run.candidate) == (TrainingRun.Status.DONE, "", None)
    assert run.verdict is not None
    assert [reason["code"] for reason in run.verdict["reasons"]] == ["bundle"]
    assert "model.onnx is cut short" in run.verdict["reasons"][0]["message"]
    assert AuditEvent.objects.get(action="gate.judge").data["refused"] == ["bundle"]
    assert "was refused by the gate" in run.events.last().message  # type: ignore[union-attr]
    with pytest.raises(GateNotPassed, match="cut short"):
        candidate_promote(run=run, actor=SYSTEM, reason="whatever the gate says")


def test_a_run_whose_candidate_lost_a_byte_ends_as_done_and_refused(trained: TrainingRun) -> None:
    assert trained.candidate is not None
    graph = (bundle_path(trained.candidate) or Path()) / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    run_execute(run_id=trained.pk)
    trained.refresh_from_db()
    assert (trained.status, trained.error) == (TrainingRun.Status.DONE, "")
    assert trained.verdict is not None
    assert [reason["code"] for reason in trained.verdict["reasons"]] == ["bundle"]
    assert "model.onnx is cut short" in trained.verdict["reasons"][0]["message"]
    judged = AuditEvent.objects.get(action="gate.judge")
    assert (judged.data["passed"], judged.data["refused"]) == (False, ["bundle"])
    with pytest.raises(GateNotPassed, match="cut short"):
        candidate_promote(run=trained, actor=SYSTEM, reason="whatever the gate says")
