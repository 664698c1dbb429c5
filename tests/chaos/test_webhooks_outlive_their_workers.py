"""A worker that is killed again and again while it tells a webhook: each event arrives, each try is kept."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import transaction
from django.utils import timezone

from audit.services import SYSTEM, event_record
from corpus.models import Project
from tests.webhooks.receiver import Receiver, receiving, replying
from tests.workers import kill, worker
from webhooks.models import Attempt, Delivery, EventKind, Webhook
from webhooks.services import webhook_create, webhooks_wake

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KILLS = 4
EVENTS = 60
SECONDS = 120


def telling(port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A worker that may tell this machine something."""
    return worker(
        "default",
        concurrency=2,
        WEBHOOK_ALLOW_HTTP="true",
        WEBHOOK_PORTS=str(port),
        WEBHOOK_NETWORKS="127.0.0.1/32",
    )


def beating_until(condition: Any, what: str) -> None:
    """The beat goes on while we wait."""
    deadline, next_beat = time.monotonic() + SECONDS, 0.0
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS} s for {what}"
        if time.monotonic() > next_beat:
            webhooks_wake()
            next_beat = time.monotonic() + 1
        time.sleep(0.02)


def slow(handler: Any) -> None:
    time.sleep(0.05)
    replying(204)(handler)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        made.answer = slow
        yield made


def test_every_event_arrives_and_every_try_is_written_down(
    project: Project, receiver: Receiver, settings: LazySettings
) -> None:
    settings.WEBHOOK_ALLOW_HTTP, settings.WEBHOOK_PORTS = True, frozenset({receiver.port})
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.1/32")]
    webhook, secret = webhook_create(
        project=project, name="warehouse", url=receiver.url, kinds=[EventKind.TRAINED], actor=SYSTEM
    )
    for number in range(EVENTS):
        with transaction.atomic():
            event_record(
                action="run.finish",
                actor=SYSTEM,
                subject=f"retraining.trainingrun:{number}",
                chain=project.slug,
                data={"candidate": "orchard@2", "passed": True},
            )
    for _ in range(KILLS):
        before = len(receiver.got)
        with telling(receiver.port) as process:
            beating_until(lambda b=before: len(receiver.got) > b + 2, "some messages")
            kill(process)
        assert len(receiver.got) < EVENTS, "it was done before it could be killed"
        # The lease of the dead one has run out, and so has the time that its last try may take.
        Webhook.objects.filter(pk=webhook.pk, lease_token__isnull=False).update(
            lease_expires_at=timezone.now()
        )
        Delivery.objects.filter(status="waiting").update(due_at=timezone.now())
    with telling(receiver.port):
        waiting = Delivery.objects.filter(status=Delivery.Status.WAITING)
        beating_until(lambda: not waiting.exists(), "the rest")

    assert {event["data"]["run"] for event in receiver.messages(secret)} == set(range(EVENTS))
    arrived = Counter(receiver.ids)
    deliveries = list(Delivery.objects.all())
    assert len(deliveries) == len(arrived) == EVENTS
    for delivery in deliveries:
        tries = list(delivery.tries.order_by("number"))
        assert [one.number for one in tries] == list(range(1, delivery.attempts + 1))
        assert 1 <= arrived[delivery.message_id] <= len(tries)
        assert [one.outcome for one in tries].count("ok") == 1
    # What a kill cut off is told apart from what ended.
    cut = Attempt.objects.filter(outcome="started").count()
    assert 1 <= cut <= KILLS
    assert Attempt.objects.count() == EVENTS + cut
