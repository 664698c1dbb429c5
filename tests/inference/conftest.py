"""A project that serves: a tiny champion, a key, and a client that uses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from audit.services import SYSTEM
from corpus.models import Project
from inference.authentication import key_ring
from inference.cache import recognition_cache
from inference.circuit import circuits
from inference.engine import engine
from inference.failures import failures
from inference.handovers import handovers
from inference.latency import latencies
from inference.models import ApiKey, ModelVersion
from inference.services import api_key_create, deployment_set, version_register
from tests.bundles import tiny_bundle

Post = Callable[..., Any]


@pytest.fixture(autouse=True)
def _fresh_process(settings: Any, tmp_path: Path) -> Iterator[None]:
    """What a process remembers between requests is not remembered between tests."""
    settings.DATA_DIR = tmp_path / "data"
    settings.MODELS_DIR = tmp_path / "models"
    key_ring.forget()
    recognition_cache.forget()
    circuits.forget()
    failures.forget()
    latencies.forget()
    handovers.forget()
    engine.forget()  # tests of other folders use it too
    yield
    key_ring.forget()
    engine.forget()


@pytest.fixture
def champion(project: Project, tmp_path: Path) -> ModelVersion:
    """The tiny model, promoted."""
    version = version_register(
        path=tiny_bundle(tmp_path / "tiny", f1=0.9), name="tiny", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="first")
    return version


@pytest.fixture
def key(project: Project) -> tuple[ApiKey, str]:
    """A key that may do everything."""
    return api_key_create(project=project, name="test", scopes=ApiKey.Scope.values, actor=SYSTEM)


@pytest.fixture
def post(client: Client, key: tuple[ApiKey, str]) -> Post:
    """POST to the API with the key, as JSON."""

    def call(path: str, body: Any = None, **changed: Any) -> Any:
        headers = {"Authorization": f"Bearer {key[1]}"} | changed.pop("headers", {})
        raw = body if isinstance(body, bytes) else json.dumps(body)
        kind = changed.pop("content_type", "application/json")
        return client.generic("POST", f"/api/v1/{path}", raw, kind, headers=headers, **changed)

    return call


@pytest.fixture
def get(client: Client, key: tuple[ApiKey, str]) -> Post:
    """GET from the API with the key."""

    def call(path: str, **headers: str) -> Any:
        return client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {key[1]}"} | headers)

    return call
