"""Webhooks in a real browser: made, tested against a real receiver, seen failing, sent again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from corpus.models import Project
from tests.browser.test_backoffice import Office, at, context, office  # noqa: F401  (fixtures)
from tests.webhooks.conftest import may_reach  # noqa: F401  (fixture)
from tests.webhooks.receiver import Receiver, receiving, replying
from webhooks.models import Delivery, Webhook
from webhooks.services import webhook_turn

#: A folder to look at the pages in; nothing is written without it.
SHOTS = os.environ.get("SHOTS", "")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def looked_at(office: Office, name: str) -> None:  # noqa: F811
    """No serious fault, nothing wider than a phone, light and dark."""
    page = office.page
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert office.violations("serious", "critical") == []
            assert not office.is_too_wide(), f"{name} at {width}"
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"{name}-{scheme}-{width}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_from_the_first_test_to_a_dead_letter_sent_again(
    office: Office,  # noqa: F811
    project: Project,
    receiver: Receiver,
    may_reach: Callable[..., None],  # noqa: F811
    settings: LazySettings,
) -> None:
    may_reach(receiver.port)
    page = office.open(at("webhooks_webhook_add"))
    looked_at(office, "new")
    page.get_by_label("Name").fill("Warehouse")
    page.get_by_label("Address").fill("https://10.0.0.7/hook")
    page.get_by_label("Another model version became champion").check()
    page.get_by_label("A correction was stored").check()
    page.get_by_role("button", name="Make the webhook").click()
    page.get_by_text("port 443 is not among those allowed").wait_for()
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_role("button", name="Make the webhook").click()
    secret = page.locator("#secret").inner_text()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    looked_at(office, "secret")
    page.get_by_role("link", name="I have stored it").click()
    page.get_by_text("Nothing was sent yet").wait_for()
    looked_at(office, "fresh")

    receiver.answer = replying(500, b"the warehouse is closed")
    page.get_by_role("button", name="Send a test").click()
    page.get_by_text("Not tried yet").wait_for()
    webhook = Webhook.objects.get()
    webhook_turn(webhook_id=webhook.pk)
    page.reload()
    page.get_by_text("the warehouse is closed").wait_for()
    looked_at(office, "waiting")
    Delivery.objects.update(status="dead", ended_at=timezone.now())
    Webhook.objects.update(failing_since=timezone.now() - timedelta(hours=20))
    office.open(at("webhooks_webhook_change", webhook.pk))
    looked_at(office, "failing")
    office.open(at("webhooks_webhook_changelist"))
    looked_at(office, "list")
    page.locator("a", has_text=re.compile("^1$")).click()
    looked_at(office, "deliveries")
    page.locator("#result_list").get_by_role("link", name="webhook.test").click()
    receiver.answer = 204
    page.get_by_role("button", name="Send again").click()
    page.get_by_text("for another day").wait_for()
    webhook_turn(webhook_id=webhook.pk)
    page.reload()
    page.get_by_text("Accepted").wait_for()
    assert [event["type"] for event in receiver.messages(secret)] == ["webhook.test"] * 2

    office.open(at("webhooks_webhook_change", webhook.pk))
    page.get_by_label("Why").fill("the warehouse moved")
    page.get_by_role("button", name="Switch off").click()
    page.get_by_text("It is switched off: the warehouse moved").wait_for()
    looked_at(office, "off")
