"""A project whose candidate has passed the gate, and people of the back office with different rights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django.db.models.functions import Now
from django.test import Client

from audit.services import SYSTEM
from corpus.models import Project
from corpus.selectors import label_set_current
from feedback.models import Correction
from feedback.services import correction_submit
from inference.engine import engine
from inference.models import Deployment, Evaluation, ModelVersion
from inference.services import deployment_set, document_predict, evaluation_record, version_register
from labeling.models import Task
from ner.evaluate import evaluate
from ner.spans import Example, Span
from retraining.models import TrainingRun, TrainingRunEvent
from retraining.services import policy_check, run_queue
from tests.bundles import WORDS, tiny_bundle
from tests.factories import document_make

#: Every Django permission of the back office that is not for people and groups.
APPS = ("audit", "corpus", "inference", "feedback", "labeling", "retraining", "webhooks")
TEXT = "Ada Lovelace moved to London in 1835."
VERDICT: dict[str, Any] = {
    "passed": True,
    "difference": 0.12,
    "interval": [0.06, 0.18],
    "champion": "orchard@1",
    "candidate": "orchard@2",
    "reasons": [
        {"code": "quality", "passed": True, "message": "F1 0.60 -> 0.72.", "value": 0.06, "limit": 0.0},
        {"code": "size", "passed": True, "message": "Small enough.", "value": 1.0, "limit": 40.0},
    ],
}


@pytest.fixture(autouse=True)
def _own_folders(settings: LazySettings, tmp_path: Path) -> Any:
    settings.DATA_DIR = tmp_path / "data"
    settings.MODELS_DIR = tmp_path / "models"
    yield
    engine.forget()


@pytest.fixture
def champion(project: Project, tmp_path: Path) -> ModelVersion:
    """orchard@1 serves."""
    version = version_register(
        path=tiny_bundle(tmp_path / "one", f1=0.6), name="orchard", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="the first")
    return version


@pytest.fixture
def deployment(project: Project, champion: ModelVersion) -> Deployment:
    """The slot that serves."""
    return Deployment.objects.get(project=project, slot="champion")


@pytest.fixture
def correction(project: Project, champion: ModelVersion, ana: User) -> Correction:
    """Ana took 1835 away and left the rest; her task is closed, another waits."""
    document = document_make(project, TEXT)
    prediction = document_predict(document=document)
    waiting = document_make(project, "Grace Hopper flew to Boston.")
    Task.objects.create(
        project=project,
        document=waiting,
        prediction=document_predict(document=waiting),
        stratum="uncertain",
        priority=0.4,
    )
    return correction_submit(
        document=document,
        spans=[
            {"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"},
            {"start": 22, "end": 28, "label": "geo", "text": "London"},
        ],
        base_number=0,
        author=ana,
        prediction=prediction,
        stratum="random",
        milliseconds=4200,
        idempotency_key="ana-1",
    )


@pytest.fixture
def run(project: Project, correction: Correction, champion: ModelVersion, tmp_path: Path) -> TrainingRun:
    """A run that is done: orchard@2 sat both exams and passed the gate."""
    run = run_queue(project=project, actor=SYSTEM, reason="200 new corrections")
    candidate = version_register(
        path=tiny_bundle(tmp_path / "two", {**WORDS, "Bramley": "B-geo"}),
        name="orchard",
        project=project,
        label_set=label_set_current(project=project),
        parent=champion,
        actor=SYSTEM,
    )
    gold = [Example(TEXT, (Span(0, 12, "per"), Span(22, 28, "geo")), str(place)) for place in range(4)]
    found = [[Span(0, 12, "per", 0.9), Span(22, 28, "per", 0.6)]] * 4
    for version in (champion, candidate):
        for kind in (Evaluation.Kind.TEST, Evaluation.Kind.GENERAL):
            report = evaluate(gold, found)
            evaluation_record(version=version, kind=kind, set_fingerprint=f"{kind}-set", report=report)
    for epoch, f1 in ((1, 0.5), (2, 0.7)):
        TrainingRunEvent.objects.create(
            run=run, message=f"Epoch {epoch}", data={"epoch": epoch, "dev_f1": f1, "loss": 1.0 / epoch}
        )
    TrainingRun.objects.filter(pk=run.pk).update(
        status="done", candidate=candidate, verdict=VERDICT, started_at=Now(), ended_at=Now()
    )
    run.refresh_from_db()
    policy_check(project=project)
    return run


@pytest.fixture
def candidate(run: TrainingRun) -> ModelVersion:
    """orchard@2."""
    assert run.candidate is not None
    return run.candidate


def staff(user: User, *codenames: str) -> User:
    """Let a person into the back office with these permissions; `*` for all of our apps."""
    user.is_staff = True
    user.save()
    wanted = Permission.objects.filter(content_type__app_label__in=APPS)
    if codenames != ("*",):
        wanted = wanted.filter(codename__in=codenames)
    user.user_permissions.set(wanted)
    return User.objects.get(pk=user.pk)


@pytest.fixture
def sign_in() -> Callable[[User], Client]:
    """A browser in which somebody is signed in."""

    def made(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return made


@pytest.fixture
def office(sign_in: Callable[[User], Client], ada: User) -> Client:
    """Ada's browser: she may do everything."""
    return sign_in(ada)


@pytest.fixture
def owner(sign_in: Callable[[User], Client], mia: User) -> Client:
    """Mia's browser: staff with every permission, and ML owner of the project."""
    return sign_in(staff(mia, "*"))
