"""One run, carried out in this process: train, shelve, judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import LazySettings, settings
from django.contrib.auth.models import User

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from feedback.models import Stratum
from feedback.services import correction_submit
from inference.models import Deployment, Evaluation
from ner.formats import read_examples
from retraining.models import TrainingRun
from retraining.services import policy_change, run_execute, run_queue
from tests.factories import document_make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
Status = TrainingRun.Status


@pytest.fixture(autouse=True)
def _own_data_dir(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"


@pytest.fixture
def queued(project: Project, ana: User, champion: Deployment, monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """A cold start, the flagship from scratch, on corrected orchard sentences."""
    for number, example in enumerate(read_examples(settings.CORPORA_DIR / "orchard.jsonl")):
        if number == 120:
            break
        correction_submit(
            document=document_make(project, example.text),
            spans=[span.to_json(example.text) for span in example.spans],
            base_number=0,
            author=ana,
            prediction=None,
            stratum=Stratum.RANDOM if number % 3 == 0 else Stratum.UNCERTAIN,
            milliseconds=1000,
            idempotency_key=f"orchard-{number}",
        )
    policy_change(project=project, actor=SYSTEM, min_test_documents=10, must_be_better=False)
    return run_queue(project=project, actor=SYSTEM, reason="a test")


def test_a_run_ends_with_a_judged_candidate(queued: TrainingRun) -> None:
    run_execute(run_id=queued.pk)
    queued.refresh_from_db()
    log = [event.message for event in queued.events.all()]
    assert queued.status == Status.DONE, log
    assert queued.candidate is not None
    assert queued.candidate.parent == queued.start_from
    assert queued.verdict is not None
    codes = [reason["code"] for reason in queued.verdict["reasons"]]
    assert {"test_documents", "quality", "label_floor", "forgetting", "size", "latency"} <= set(codes)
    kinds = Evaluation.objects.filter(version=queued.candidate).values_list("kind", flat=True)
    assert set(kinds) == {"test", "general"}
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"run.queue", "run.start", "gate.judge", "run.finish", "version.register"} <= actions
    assert not (settings.DATA_DIR / "runs" / str(queued.pk)).exists()
    assert any(line.startswith("Epoch 2") for line in log)
    json.dumps(queued.verdict)
