"""A project whose queue can be filled: the tiny model is its champion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import document_store
from inference.engine import engine
from inference.models import ModelVersion
from inference.services import deployment_set, version_register
from labeling.models import Task
from labeling.services import queue_fill
from tests.bundles import tiny_bundle

Queue = Callable[..., list[Task]]
Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def _fresh_process(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.DATA_DIR = tmp_path / "data"
    settings.MODELS_DIR = tmp_path / "models"
    yield
    engine.forget()


@pytest.fixture
def champion(project: Project, tmp_path: Path) -> ModelVersion:
    """The tiny model, deployed."""
    version = version_register(
        path=tiny_bundle(tmp_path / "tiny"), name="tiny", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="first")
    return version


@pytest.fixture
def queue(project: Project, champion: ModelVersion) -> Queue:
    """Store texts and queue them."""

    def fill(*texts: str, count: int = 0) -> list[Task]:
        for text in [*texts, *(f"Ada Lovelace wrote letter {number} in London." for number in range(count))]:
            document_store(project=project, text=text)
        queue_fill(project=project)
        return list(Task.objects.filter(project=project).order_by("id"))

    return fill


@pytest.fixture
def send(client: Client, project: Project, ana: User) -> Send:
    """POST as Ana."""
    client.force_login(ana)

    def call(path: str, body: Any, **headers: str) -> Any:
        address = f"/projects/{project.slug}/review/{path}"
        return client.post(address, body, content_type="application/json", headers=headers)

    return call
