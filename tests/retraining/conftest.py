"""Corrections in numbers, and a champion to start from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from corpus.selectors import label_set_current
from feedback.models import Correction, Stratum
from feedback.services import correction_submit
from inference.engine import engine
from inference.models import ApiKey, Deployment, ModelVersion
from inference.services import api_key_create, blank_version_get, deployment_set, version_register
from retraining.models import TrainingRun
from retraining.services import training_set_freeze
from tests.bundles import WORDS, tiny_bundle
from tests.factories import document_make
from tests.retraining.drifting import corrected, serve
from tests.retraining.experiments import Lab

Correct = Callable[..., list[Correction]]
Made = Callable[[str], ModelVersion]
_numbers = itertools.count(1)


@pytest.fixture
def correct(project: Project, ana: User) -> Correct:
    """Ana corrects so many new documents of a stratum."""

    def make(count: int = 1, stratum: str = Stratum.UNCERTAIN) -> list[Correction]:
        made = []
        for _ in range(count):
            number = next(_numbers)
            text = f"Bramley {number} grows in Kent."
            document = document_make(project, text)
            made.append(
                correction_submit(
                    document=document,
                    spans=[{"start": 0, "end": 7, "label": "cultivar", "text": "Bramley"}],
                    base_number=0,
                    author=ana,
                    prediction=None,
                    stratum=stratum,
                    milliseconds=1200,
                    idempotency_key=f"key-{number}",
                )
            )
        return made

    return make


@pytest.fixture
def champion(project: Project) -> Deployment:
    """The blank model serves: where every project starts."""
    version = blank_version_get(project=project, label_set=label_set_current(project=project))
    return deployment_set(
        project=project, slot=Deployment.Slot.CHAMPION, version=version, actor=SYSTEM, reason="a start"
    )


@pytest.fixture
def lab(project: Project, ana: User, settings: Any, tmp_path: Path) -> Iterator[Lab]:
    """A project for experiments, three months old."""
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path / "data", tmp_path / "models"
    key, _ = api_key_create(project=project, name="shop", scopes=["predict"], actor=SYSTEM)
    Project.objects.filter(pk=project.pk).update(created_at=timezone.now() - timedelta(days=90))
    yield Lab(project, tmp_path, key, ana)
    engine.forget()


@pytest.fixture
def caller(project: Project) -> ApiKey:
    """A key that asks for predictions."""
    return api_key_create(project=project, name="caller", scopes=["predict"], actor=SYSTEM)[0]


@pytest.fixture
def own_folders(settings: Any, tmp_path: Path) -> Iterator[None]:
    """Bundles lie in a folder of the test."""
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path / "data", tmp_path / "models"
    yield
    engine.forget()


@pytest.fixture
def trained(project: Project, ana: User, tmp_path: Path, own_folders: None) -> ModelVersion:
    """A champion that was made from 200 corrected orchard sentences."""
    corrected(project, ana, 200)
    version = version_register(
        path=tiny_bundle(tmp_path / "one"), name="orchard", project=project, actor=SYSTEM
    )
    TrainingRun.objects.create(
        project=project,
        training_set=training_set_freeze(project=project),
        start_from=blank_version_get(project=project, label_set=label_set_current(project=project)),
        candidate=version,
        status=TrainingRun.Status.DONE,
        ended_at=timezone.now(),
    )
    return serve(project, version)


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are woken by nobody; the tests do what they would."""
    monkeypatch.setattr(current_app, "send_task", Mock())


@pytest.fixture
def made(project: Project, tmp_path: Path, own_folders: None) -> Made:
    """Tiny versions of the project, each with a word of its own."""

    def make(name: str) -> ModelVersion:
        bundle = tiny_bundle(tmp_path / name, {**WORDS, name: "B-geo"}, f1=0.9)
        return version_register(path=bundle, name=name, project=project, actor=SYSTEM)

    return make


@pytest.fixture
def old(project: Project, made: Made) -> ModelVersion:
    """The champion that a rollout begins with."""
    version = made("old")
    deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="a start")
    return version


@pytest.fixture
def new(made: Made, old: ModelVersion) -> ModelVersion:
    """A version that might be better."""
    return made("new")
