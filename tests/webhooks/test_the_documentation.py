"""The receiver in docs/webhooks.md is run as it stands there, against real messages."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from audit.services import SYSTEM
from corpus.models import Project
from webhooks import wire
from webhooks.models import Delivery, EventKind, Webhook
from webhooks.services import delivery_resend, webhook_create, webhook_test, webhook_turn
from webhooks.services.events import TOLD

pytestmark = pytest.mark.django_db
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text("utf-8")


@pytest.fixture
def documented(project: Project, may_reach: Callable[..., None]) -> Iterator[tuple[Webhook, dict[str, Any]]]:
    """The receiver of the page listens; the webhook that leads to it, and the names of its module."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(code, names)  # noqa: S102  (our own page)
    names["Receiver"].log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), names["Receiver"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    may_reach(server.server_port)
    webhook, names["SECRET"] = webhook_create(
        project=project,
        name="documented",
        url=f"http://127.0.0.1:{server.server_port}/",
        kinds=EventKind.values,
        actor=SYSTEM,
    )
    yield webhook, names
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_the_receiver_of_the_page_verifies_and_handles_each_event_once(
    documented: tuple[Webhook, dict[str, Any]],
) -> None:
    webhook, names = documented
    handled: list[tuple[str, dict[str, Any]]] = []
    names["handle"] = lambda kind, data: handled.append((kind, data))
    delivery = webhook_test(webhook=webhook, actor=SYSTEM)
    webhook_turn(webhook_id=webhook.pk)
    delivery_resend(delivery=delivery, actor=SYSTEM)
    webhook_turn(webhook_id=webhook.pk)
    assert list(delivery.tries.values_list("http_status", flat=True)) == [204, 204]
    assert handled == [("webhook.test", {"project": "orchard", "webhook": str(webhook.pk)})]


def test_the_receiver_of_the_page_refuses_what_is_not_from_here(
    documented: tuple[Webhook, dict[str, Any]],
) -> None:
    webhook, names = documented
    assert wire.post(webhook.url, body=b"{}", headers={}).http_status == 401
    names["SECRET"] = "whsec_" + "A" * 43 + "="
    webhook_test(webhook=webhook, actor=SYSTEM)
    webhook_turn(webhook_id=webhook.pk)
    assert Delivery.objects.get().tries.get().http_status == 401
    assert not names["seen"]


def test_the_handler_of_the_page_prints_a_promotion(
    documented: tuple[Webhook, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    _, names = documented
    names["handle"]("model.promoted", {"project": "demo", "to": "demo@2"})
    assert capsys.readouterr().out == "demo is served by demo@2 now\n"


def test_the_page_names_every_event_and_every_field() -> None:
    for kind in EventKind.values:
        assert f"| `{kind}` |" in PAGE
    for kind, data_of in TOLD.values():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{kind}`"))
        told = data_of(_Event()) or {}  # type: ignore[arg-type]
        assert [name for name in told if f"`{name}`" not in row] == []


class _Event:
    """Enough of an audit event to see which fields are told of it."""

    subject, action, data = "retraining.trainingrun:1", "run.finish", dict[str, Any]()
