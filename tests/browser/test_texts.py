"""The list of texts and the decisions carried over, as a person uses them."""

from __future__ import annotations

import os

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from corpus.services import document_store
from labeling.models import PropagatedSpan, Propagation, Task
from labeling.services import queue_fill
from tests.browser.conftest import LONG, Queue, SignIn
from tests.browser.test_for_everyone import violations

#: Where somebody wants to look at the pages: SHOTS=/tmp/shots pytest tests/browser/test_texts.py
SHOTS = os.environ.get("SHOTS", "")


def look(page: Page, name: str) -> None:
    """No violation, nothing wider than the screen; a picture where one is wanted."""
    assert violations(page) == [], name
    for width in (1280, 800, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} at {width}"
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_for_everyone(queue: Queue, sign_in: SignIn, ana: User, scheme: str) -> None:
    task, *_ = queue(LONG, "Ann wrote a letter to Boston.", "Bramley " * 40)
    document_store(project=task.project, text="ANN wrote a letter to Boston!")  # left out as nearly the same
    queue_fill(project=task.project)
    reviewer = sign_in(ana, color_scheme=scheme, reduced_motion="reduce")
    page = reviewer.page
    for name, path in (
        ("texts", "texts/"),
        ("texts-none", "texts/?q=nowhere"),
        ("texts-refused", "texts/?sort=1"),
        ("propagations-empty", "propagations/"),
        ("propagation-new", "propagations/new?surface=Boston&label=org"),
    ):
        page.goto(reviewer.home + path)
        look(page, f"{name}-{scheme}")
    page.get_by_role("button", name="Carry over to the ticked ones").click()
    page.get_by_text("Marked in").wait_for()
    look(page, f"propagations-{scheme}")


def test_a_text_is_found_opened_and_asked_for_by_keyboard(queue: Queue, sign_in: SignIn, ana: User) -> None:
    _, second = queue("Ada moved to London.", "Ann wrote to Boston.")
    reviewer = sign_in(ana)
    page = reviewer.page
    page.goto(f"{reviewer.home}texts/")
    page.get_by_label("Words").focus()
    page.keyboard.type('"wrote to"')
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Ann wrote to Boston.").wait_for()
    assert page.get_by_role("link", name="Ada moved").count() == 0
    page.get_by_role("button", name="Next, please").press("Enter")
    page.get_by_text("1 text comes next.").wait_for()
    assert Task.objects.get(raised_at__isnull=False) == second
    page.get_by_role("link", name="Ann wrote to Boston.").press("Enter")
    page.wait_for_url(f"**/review/?task={second.pk}")


def test_a_decision_is_carried_over_without_what_was_unticked_and_taken_back(
    queue: Queue, sign_in: SignIn, ana: User
) -> None:
    one, two = queue("A Bramley tree.", "The Bramley family of Leeds.")
    reviewer = sign_in(ana)
    page = reviewer.page
    page.goto(f"{reviewer.home}propagations/")
    page.get_by_label("The words").fill("Bramley")
    page.get_by_label("are", exact=True).select_option("cultivar")
    page.get_by_role("button", name="Find them").click()
    page.get_by_label("The Bramley family").press("Space")
    page.get_by_role("button", name="Carry over").press("Enter")
    page.get_by_text("Marked in 1 place.").wait_for()
    assert [span.task for span in PropagatedSpan.objects.all()] == [one]
    page.get_by_label("Why it is taken back").fill("it is a family")
    page.keyboard.press("Enter")
    page.get_by_text("taken back", exact=True).wait_for()
    assert Propagation.objects.get().revoke_reason == "it is a family"
    assert two.propagated_spans.count() == 0
