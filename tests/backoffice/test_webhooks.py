"""Webhooks in the back office: the secret is shown once, a delivery is looked at and sent again."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from corpus.models import Project
from webhooks.models import Attempt, Delivery, EventKind, Webhook
from webhooks.signing import secret_of

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


@pytest.fixture(autouse=True)
def _this_machine_is_open(settings: LazySettings) -> None:
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.1/32")]


def body(project: Project, /, **changed: object) -> dict[str, object]:
    return {
        "project": project.pk,
        "name": "warehouse",
        "url": "https://127.0.0.1/hook",
        "kinds": [EventKind.CORRECTION, EventKind.PROMOTED],
        **changed,
    }


@pytest.fixture
def webhook(office: Client, project: Project) -> Webhook:
    office.post(reverse("admin:webhooks_webhook_add"), body(project))
    return Webhook.objects.get()


def page(webhook: Webhook, name: str = "change") -> str:
    return reverse(f"admin:webhooks_webhook_{name}", args=[webhook.pk])


def test_the_secret_is_shown_once(office: Client, project: Project) -> None:
    answer = office.post(reverse("admin:webhooks_webhook_add"), body(project))
    shown = SECRET.search(answer.content.decode())
    assert shown
    assert "no-store" in answer.headers["Cache-Control"]
    webhook = Webhook.objects.get()
    assert shown.group() == secret_of(webhook)
    for address in (
        reverse("admin:webhooks_webhook_changelist"),
        *(page(webhook, name) for name in ("change", "edit", "history")),
    ):
        answer = office.get(address)
        assert answer.status_code == 200
        assert not SECRET.search(answer.content.decode()), address


def test_a_new_secret_is_shown_once_too(office: Client, webhook: Webhook) -> None:
    before = secret_of(webhook)
    assert office.get(page(webhook, "rotate")).status_code == 405
    answer = office.post(page(webhook, "rotate"))
    shown = SECRET.search(answer.content.decode())
    assert shown
    assert shown.group() != before
    assert "no-store" in answer.headers["Cache-Control"]
    assert b"with the secret before, too" in office.get(page(webhook)).content


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"url": "http://127.0.0.1/"}, "only https"),
        ({"url": "https://10.0.0.1/"}, "not on the public internet"),
        ({"url": "https://a:b@127.0.0.1/"}, "a name or a password"),
        ({"url": "https://127.0.0.1:22/"}, "port 22"),
        ({"url": "https://nobody.invalid/"}, "has no address"),
        ({"url": ""}, "required"),
        ({"name": ""}, "required"),
        ({"kinds": []}, "required"),
        ({"kinds": ["webhook.test"]}, "valid choice"),
    ],
    ids=str,
)
def test_a_webhook_that_makes_no_sense_is_not_made(
    office: Client, project: Project, changed: dict[str, object], said: str
) -> None:
    answer = office.post(reverse("admin:webhooks_webhook_add"), body(project, **changed))
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert said in answer.content.decode()
    assert not Webhook.objects.exists()


def test_it_is_changed_and_switched_with_a_reason(office: Client, webhook: Webhook) -> None:
    wanted = {"name": "store", "url": "https://127.0.0.1/new", "kinds": [EventKind.TRAINED]}
    assert office.post(page(webhook, "edit"), wanted).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.name, webhook.url, webhook.kinds) == (
        "store",
        "https://127.0.0.1/new",
        ["training.finished"],
    )
    assert "Say why" in office.post(page(webhook, "switch_off"), {}, follow=True).content.decode()
    shown = office.post(page(webhook, "switch_off"), {"reason": "moved away"}, follow=True).content.decode()
    assert "It is switched off: moved away" in shown
    shown = office.post(page(webhook, "switch_on"), follow=True).content.decode()
    assert "It is switched off" not in shown
    actions = AuditEvent.objects.filter(action__startswith="webhook.").order_by("number")
    assert [(event.action, event.actor_name) for event in actions] == [
        ("webhook.create", "ada"),
        ("webhook.change", "ada"),
        ("webhook.switch_off", "ada"),
        ("webhook.switch_on", "ada"),
    ]


def test_a_test_leads_to_its_delivery(office: Client, webhook: Webhook) -> None:
    answer = office.post(page(webhook, "test"), follow=True)
    delivery = Delivery.objects.get()
    assert answer.redirect_chain == [(reverse("admin:webhooks_delivery_change", args=[delivery.pk]), 302)]
    shown = answer.content.decode()
    assert delivery.message_id in shown
    assert "Not tried yet" in shown
    assert "Send again" not in shown


def test_a_dead_letter_is_found_read_and_sent_again(office: Client, webhook: Webhook) -> None:
    dead = Delivery.objects.create(
        webhook=webhook,
        event="audit:17",
        kind=EventKind.CORRECTION,
        occurred_at=timezone.now(),
        data={"correction": "c1"},
        status="dead",
        attempts=2,
        ended_at=timezone.now(),
    )
    for number in (1, 2):
        Attempt.objects.create(
            delivery=dead,
            number=number,
            outcome="status",
            http_status=500,
            excerpt="<script>alert(1)</script>",
            milliseconds=12,
        )
    hooks = office.get(reverse("admin:webhooks_webhook_changelist")).content.decode()
    link = f"{reverse('admin:webhooks_delivery_changelist')}?webhook__id__exact={webhook.pk}"
    assert f"{link}&amp;status__exact=dead" in hooks
    listed = office.get(f"{link}&status__exact=dead")
    assert list(listed.context["cl"].queryset) == [dead]
    assert "Refused (500)" in listed.content.decode()
    assert not office.get(f"{link}&status__exact=waiting").context["cl"].queryset.exists()
    address = reverse("admin:webhooks_delivery_change", args=[dead.pk])
    shown = office.get(address).content.decode()
    assert "&quot;correction&quot;: &quot;c1&quot;" in shown
    assert "<script>alert" not in shown
    resend = reverse("admin:webhooks_delivery_resend", args=[dead.pk])
    assert office.get(resend).status_code == 405
    assert "for another day" in office.post(resend, follow=True).content.decode()
    dead.refresh_from_db()
    assert dead.status == Delivery.Status.WAITING
    assert "still being tried" in office.post(resend, follow=True).content.decode()
