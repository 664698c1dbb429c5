"""Channels in the back office: made, tested, never shown in full; planned changes announced and ended."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from corpus.models import Project
from tests.webhooks.mailserver import mailing
from webhooks.models import Channel, Delivery, EventKind, PlannedChange
from webhooks.services import webhook_turn

pytestmark = pytest.mark.django_db
SECRET = "T0-B0-xyzzy"


@pytest.fixture(autouse=True)
def _this_machine_is_open(settings: LazySettings) -> None:
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.1/32")]


def body(project: Project, **changed: object) -> dict[str, object]:
    return {
        "project": project.pk,
        "name": "on call",
        "form": "slack",
        "url": f"https://127.0.0.1/services/{SECRET}",
        "language": "en",
        "kinds": [EventKind.ROLLED_BACK],
        **changed,
    }


@pytest.fixture
def channel(office: Client, project: Project) -> Channel:
    office.post(reverse("admin:webhooks_channel_add"), body(project))
    return Channel.objects.get()


def page(channel: Channel, name: str = "change") -> str:
    return reverse(f"admin:webhooks_channel_{name}", args=[channel.pk])


def test_the_address_of_a_chat_is_on_no_page(office: Client, channel: Channel) -> None:
    delivery = office.post(page(channel, "test"), follow=True)
    assert "This is a test" in delivery.content.decode()
    for address in (
        reverse("admin:webhooks_channel_changelist"),
        reverse("admin:webhooks_channel_changelist") + "?q=xyzzy",
        reverse("admin:webhooks_webhook_changelist"),
        reverse("admin:webhooks_delivery_change", args=[Delivery.objects.get().pk]),
        *(page(channel, name) for name in ("change", "edit", "history")),
    ):
        answer = office.get(address)
        assert answer.status_code == 200, address
        assert SECRET not in answer.content.decode(), address
    assert "https://127.0.0.1/…" in office.get(page(channel)).content.decode()
    found = office.get(reverse("admin:webhooks_channel_changelist") + f"?q={SECRET}")
    assert not found.context["cl"].queryset.exists(), "what cannot be seen cannot be searched for"


def test_webhooks_and_channels_have_pages_of_their_own(office: Client, channel: Channel) -> None:
    assert not office.get(reverse("admin:webhooks_webhook_changelist")).context["cl"].queryset.exists()
    rotate = reverse("admin:webhooks_webhook_rotate", args=[channel.pk])
    assert office.post(rotate).status_code == 403
    assert office.get(reverse("admin:webhooks_webhook_change", args=[channel.pk])).status_code == 302


def test_an_edit_without_an_address_leaves_it(office: Client, channel: Channel) -> None:
    wanted = {"name": "chat", "url": "", "language": "de", "kinds": [EventKind.DRIFTED]}
    assert office.post(page(channel, "edit"), wanted).status_code == 302
    before = channel.url
    channel.refresh_from_db()
    assert (channel.name, channel.url, channel.language) == ("chat", before, "de")


def test_it_is_said_that_no_mail_server_is_set(office: Client, project: Project) -> None:
    add = reverse("admin:webhooks_channel_add")
    assert "No mail server is set (EMAIL_URL)" in office.get(add).content.decode()
    answer = office.post(add, body(project, form="mail", url="ada@example.org"))
    assert "no mail server is set" in answer.content.decode()
    assert not Channel.objects.exists()


def test_a_planned_change_is_announced_and_ended(office: Client, channel: Channel, project: Project) -> None:
    now = timezone.now()
    answer = office.post(
        reverse("admin:webhooks_plannedchange_add"),
        {
            "project": project.pk,
            "begins_at": f"{now:%Y-%m-%d %H:%M:%S}",
            "ends_at": f"{now + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
            "reason": "moving house",
        },
    )
    assert answer.status_code == 302
    change = PlannedChange.objects.get()
    assert change.by == "ada"
    assert "It keeps quiet until" in office.get(page(channel)).content.decode()
    end = reverse("admin:webhooks_plannedchange_end", args=[change.pk])
    assert office.get(end).status_code == 405
    assert office.post(end).status_code == 302
    assert "It keeps quiet until" not in office.get(page(channel)).content.decode()


def test_a_refused_mail_is_told_on_the_pages_with_what_to_do_next(
    office: Client, project: Project, settings: LazySettings
) -> None:
    """The server's own words, and where the password is corrected; never the password."""
    with mailing(ner="another") as server:
        settings.MAIL_SERVER = f"smtp://ner:{SECRET}@127.0.0.1:{server.port}"
        answer = office.post(
            reverse("admin:webhooks_channel_add"), body(project, form="mail", url="ada@example.org")
        )
        assert answer.status_code == 302
        channel = Channel.objects.get()
        office.post(page(channel, "test"))
        webhook_turn(webhook_id=channel.pk)
    delivery = reverse("admin:webhooks_delivery_change", args=[Delivery.objects.get().pk])
    for address in (page(channel), delivery):
        shown = office.get(address).content.decode()
        assert "Authentication credentials invalid" in shown, address
        assert "Correct both in EMAIL_URL" in shown, address
        assert SECRET not in shown, address
