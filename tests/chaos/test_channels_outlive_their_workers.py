"""A worker that is killed after people were told, and before that was written down: they are told again.

Never nothing, and the second one bears the id of the first, so that whoever gets both can tell.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import LazySettings
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from tests.webhooks.mailserver import MailServer, mailing
from tests.webhooks.receiver import receiving, replying
from tests.workers import worker
from webhooks.models import FOR_PEOPLE, Delivery, Webhook
from webhooks.services import channel_create, webhook_test, webhooks_wake

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SECONDS = 120


@dataclass
class Listener:
    """Where people are told: what came, by its id, and whom each arrival kills before it is answered."""

    form: str = ""
    url: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    victims: list[int] = field(default_factory=list)

    def arrived(self, message_id: str) -> None:
        self.ids.append(message_id)
        while self.victims:
            os.killpg(self.victims.pop(), signal.SIGKILL)


class Mails(MailServer):
    """A mail server whose clients may not live to hear that it took the mail."""

    listener: Listener

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        self.listener.arrived(str(self.got[-1][1]["Message-ID"]))
        return answer


@pytest.fixture(params=["mail", "slack"])
def listener(request: pytest.FixtureRequest, settings: LazySettings) -> Any:
    """A mail server, or a chat."""
    made = Listener(request.param)
    if request.param == "mail":
        mails = Mails()
        mails.listener = made
        with mailing(mails):
            settings.MAIL_SERVER = f"smtp://127.0.0.1:{mails.port}"
            made.url = "ada@example.org"
            made.environ = {"EMAIL_URL": settings.MAIL_SERVER, "EMAIL_FROM": "nerapp@example.org"}
            yield made
        return

    def answer(handler: Any) -> None:
        made.arrived(handler.headers["webhook-id"])
        replying(200, b"ok")(handler)

    with receiving() as chat:
        chat.answer = answer
        settings.WEBHOOK_ALLOW_HTTP, settings.WEBHOOK_PORTS = True, frozenset({chat.port})
        settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.1/32")]
        made.url = chat.url
        made.environ = {
            "WEBHOOK_ALLOW_HTTP": "true",
            "WEBHOOK_PORTS": str(chat.port),
            "WEBHOOK_NETWORKS": "127.0.0.1/32",
        }
        yield made


def beating_until(condition: Callable[[], Any], what: str) -> None:
    """The beat goes on while we wait."""
    deadline, next_beat = time.monotonic() + SECONDS, 0.0
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS} s for {what}"
        if time.monotonic() > next_beat:
            webhooks_wake()
            next_beat = time.monotonic() + 1
        time.sleep(0.02)


def test_a_kill_between_sending_and_writing_it_down_tells_it_again_under_the_same_id(
    project: Project, listener: Listener
) -> None:
    channel = channel_create(
        project=project,
        name="on call",
        form=listener.form,
        url=listener.url,
        language="en",
        kinds=FOR_PEOPLE,
        actor=SYSTEM,
    )
    delivery = webhook_test(webhook=channel, actor=SYSTEM)
    with worker("default", **listener.environ) as process:
        listener.victims.append(process.pid)
        beating_until(
            lambda: process.poll() is not None, "the message to arrive, and the worker to die of it"
        )
    delivery.refresh_from_db()
    assert (delivery.status, [one.outcome for one in delivery.tries.all()]) == ("waiting", ["started"])
    assert Webhook.objects.get().lease_token, "the dead one's turn has not lapsed yet"

    # Its lease runs out, and so does the time that its try may take.
    Webhook.objects.update(lease_expires_at=timezone.now())
    Delivery.objects.update(due_at=timezone.now())
    with worker("default", **listener.environ):
        beating_until(lambda: Delivery.objects.filter(status="delivered").exists(), "the second try")
    first, second = listener.ids
    assert first == second
    assert delivery.pk.hex in first
    assert [one.outcome for one in delivery.tries.order_by("number")] == ["started", "ok"]
