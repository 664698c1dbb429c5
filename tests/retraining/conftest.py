"""Corrections in numbers, and a champion to start from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from corpus.selectors import label_set_current
from feedback.models import Correction, Stratum
from feedback.services import correction_submit
from inference.engine import engine
from inference.models import Deployment
from inference.services import api_key_create, blank_version_get, deployment_set
from tests.factories import document_make
from tests.retraining.experiments import Lab

Correct = Callable[..., list[Correction]]
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
