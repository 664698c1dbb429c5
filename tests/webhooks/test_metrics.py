"""What Prometheus is told about webhooks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from audit.services import SYSTEM
from webhooks.models import Delivery, EventKind, Webhook
from webhooks.services import webhook_create, webhook_switch_off, webhook_test, webhook_turn

pytestmark = pytest.mark.django_db


def told(client: Client) -> dict[str, float]:
    lines = client.get("/api/v1/metrics").content.decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("ner_webhook"))
    return {name: float(value) for name, value in pairs}


def test_it_is_told_how_webhooks_are_and_what_waits(webhook: Webhook, ada: User, client: Client) -> None:
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    webhook_test(webhook=webhook, actor=SYSTEM)
    webhook_turn(webhook_id=webhook.pk)
    webhook_test(webhook=webhook, actor=SYSTEM)
    Delivery.objects.filter(status="waiting").update(occurred_at=timezone.now() - timedelta(minutes=5))
    off, _ = webhook_create(
        project=webhook.project, name="off", url=webhook.url, kinds=EventKind.values, actor=SYSTEM
    )
    webhook_test(webhook=off, actor=SYSTEM)
    webhook_switch_off(webhook=off, actor=SYSTEM, reason="moved away")
    numbers = told(client)
    assert numbers.pop("ner_webhook_oldest_waiting_seconds") == pytest.approx(300, abs=10)
    assert numbers == {
        'ner_webhooks{state="on"}': 1,
        'ner_webhooks{state="failing"}': 0,
        'ner_webhooks{state="off"}': 1,
        "ner_webhook_deliveries_waiting": 1,
        "ner_webhook_deliveries_given_up": 1,
    }
    Webhook.objects.filter(pk=webhook.pk).update(failing_since=timezone.now())
    Delivery.objects.filter(status="dead").update(ended_at=timezone.now() - timedelta(days=2))
    numbers = told(client)
    assert (numbers['ner_webhooks{state="failing"}'], numbers["ner_webhook_deliveries_given_up"]) == (1, 0)
