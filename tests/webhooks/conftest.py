"""A receiver on this machine, and settings under which it may be told something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.conf import LazySettings

from audit.services import SYSTEM
from corpus.models import Project
from inference.engine import engine
from inference.models import ModelVersion
from inference.services import version_promote, version_register
from tests.bundles import tiny_bundle
from tests.webhooks.receiver import Receiver, receiving
from webhooks.models import EventKind, Webhook
from webhooks.services import webhook_create


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """It listens on 127.0.0.1."""
    with receiving() as made:
        yield made


@pytest.fixture
def may_reach(settings: LazySettings) -> Callable[..., None]:
    """The operator names networks and ports that webhooks may lead to, by http, too."""

    def allow(*ports: int, networks: tuple[str, ...] = ("127.0.0.1/32",)) -> None:
        settings.WEBHOOK_ALLOW_HTTP = True
        settings.WEBHOOK_PORTS = frozenset(ports)
        settings.WEBHOOK_NETWORKS = [ip_network(network) for network in networks]

    return allow


@pytest.fixture
def hooked(project: Project, receiver: Receiver, may_reach: Callable[..., None]) -> tuple[Webhook, str]:
    """A webhook of the project that hears of everything, and its secret."""
    may_reach(receiver.port)
    return webhook_create(
        project=project, name="warehouse", url=receiver.url, kinds=EventKind.values, actor=SYSTEM
    )


@pytest.fixture
def webhook(hooked: tuple[Webhook, str]) -> Webhook:
    return hooked[0]


@pytest.fixture
def champion(project: Project, settings: LazySettings, tmp_path: Path) -> Iterator[ModelVersion]:
    """orchard@1 serves."""
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path / "data", tmp_path / "models"
    version = version_register(
        path=tiny_bundle(tmp_path / "one"), name="orchard", project=project, actor=SYSTEM
    )
    version_promote(project=project, version=version, expected_generation=0, actor=SYSTEM, reason="the first")
    yield version
    engine.forget()
