"""Ticking texts in the list and giving them to somebody, by mouse and by keyboard alone."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from feedback.models import GoldItem
from labeling.models import Assignment, Task
from labeling.services import task_submit
from tests.browser.conftest import Queue, SignIn
from tests.browser.test_texts import look

TEXTS = [f"Ada moved to {town}." for town in ("London", "Leeds", "York", "Boston")]


def ticked(page: Page) -> list[str]:
    return page.eval_on_selector_all(
        ".text-row:has(.text-tick input:checked) .excerpt",
        "found => found.map((one) => one.textContent.trim())",
    )


def test_texts_are_ticked_and_given_away_by_mouse(
    queue: Queue, sign_in: SignIn, mia: User, ben: User
) -> None:
    queue(*TEXTS)
    reviewer = sign_in(mia)
    page = reviewer.page
    page.goto(f"{reviewer.home}texts/?order=oldest")
    assert not page.get_by_role("button", name="Keep", exact=True).is_visible()
    boxes = page.get_by_role("checkbox", name="Tick “Ada")
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    page.get_by_role("status").get_by_text("3 texts of this page ticked").wait_for()
    boxes.nth(1).click()
    page.get_by_label("Who gets them").select_option("ben")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_text("2 texts are kept for ben.").wait_for()
    kept = Assignment.objects.filter(user=ben).values_list("task__document__text", flat=True)
    assert sorted(kept) == sorted([TEXTS[0], TEXTS[2]])
    assert page.url.endswith("?order=oldest"), "the same place in the list"
    assert ticked(page) == []
    page.get_by_role("checkbox", name="Tick all on this page").click()
    assert len(ticked(page)) == 4
    page.get_by_label("Who gets them").select_option("ben")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_text("2 texts stay as they were.").get_by_text("ben has this text already").wait_for()
    assert reviewer.complaints == []


def test_texts_are_ticked_and_asked_for_by_keyboard_alone(queue: Queue, sign_in: SignIn, mia: User) -> None:
    queue(*TEXTS)
    reviewer = sign_in(mia)
    page = reviewer.page
    page.goto(f"{reviewer.home}texts/?order=oldest")
    page.get_by_role("checkbox", name="Tick all on this page").focus()
    reviewer.press("Tab", "Space", "ArrowDown", "ArrowDown", "Shift+ArrowDown")
    assert ticked(page) == [TEXTS[0], TEXTS[2], TEXTS[3]]
    reviewer.press("Enter")
    assert page.evaluate("document.activeElement.name") == "user", "Enter leads to what can be done"
    reviewer.press("Escape", "ArrowUp", "Space", "Enter")
    assert ticked(page) == [TEXTS[0], TEXTS[3]]
    page.get_by_role("button", name="Next, please").last.focus()
    reviewer.press("Enter")
    page.get_by_text("2 texts come next.").wait_for()
    assert Task.objects.filter(raised_at__isnull=False).count() == 2
    page.get_by_role("checkbox", name="Tick all on this page").focus()
    reviewer.press("Tab", "Space", "Escape")
    assert ticked(page) == []
    assert reviewer.complaints == []


def test_a_reviewed_text_becomes_a_gold_item_from_the_list_and_from_its_page(
    queue: Queue, sign_in: SignIn, mia: User, ana: User
) -> None:
    task, other = queue(*TEXTS[:2])
    task_submit(task=task, user=ana, spans=[], base_number=0, idempotency_key="k", milliseconds=1)
    reviewer = sign_in(mia)
    page = reviewer.page
    page.goto(f"{reviewer.home}texts/?order=oldest")
    page.get_by_role("checkbox", name="Tick all on this page").click()
    page.get_by_role("button", name="Make gold items").click()
    page.get_by_text("1 text is a gold item now.").wait_for()
    page.get_by_text("somebody has to review it first").wait_for()
    assert GoldItem.objects.get().document == task.document
    reviewer.review(task)
    page.get_by_role("button", name="No gold item any more").press("Enter")
    page.get_by_text("1 text is no gold item any more.").wait_for()
    assert not GoldItem.objects.exists()
    reviewer.ready()
    button = page.get_by_role("button", name="Make it a gold item")
    assert button.is_visible()
    reviewer.press("Enter")
    reviewer.document("Leeds")
    assert not button.is_visible(), "it is not for the next text"
    assert other.status == Task.Status.OPEN
    assert reviewer.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_ticked_list_is_for_everyone(
    queue: Queue, sign_in: SignIn, mia: User, ben: User, ana: User, scheme: str
) -> None:
    task, *_ = queue(*TEXTS, "A very long text that goes on. " * 20)
    task_submit(task=task, user=ana, spans=[], base_number=0, idempotency_key="k", milliseconds=1)
    reviewer = sign_in(mia, color_scheme=scheme, reduced_motion="reduce")
    page = reviewer.page
    page.goto(f"{reviewer.home}texts/")
    page.get_by_role("checkbox", name="Tick all on this page").click()
    look(page, f"texts-ticked-{scheme}")
    reviewer.review(task)
    look(page, f"review-done-{scheme}")
