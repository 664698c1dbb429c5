"""A project's home and Insights: for everyone, at every width, by day and by night."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from feedback.services import summary_update
from labeling.models import Task
from labeling.services import task_submit
from tests.browser.conftest import Queue, Reviewer, SignIn
from tests.browser.test_for_everyone import violations

PAGES = ("", "insights/", "insights/?period=7&stratum=random", "insights/examples/?decision=relabel")


@pytest.fixture
def reviewed(queue: Queue, ana: User) -> Callable[[], list[Task]]:
    """Some texts reviewed, each decision once, and some that wait."""

    def fill() -> list[Task]:
        tasks = queue(
            "Ada Lovelace moved to London in 1835.",
            "Grace Hopper wrote to Ann.",
            "Ann stayed in Boston, " + "Llanfair" * 30,
            "Ada Lovelace wrote.",
        )
        for number, task in enumerate(tasks[:3]):
            found: list[dict[str, Any]] = [dict(span) for span in task.prediction.spans]
            spans = [{key: span[key] for key in ("start", "end", "label")} for span in found][1:]
            if spans:
                spans[0]["label"] = "org"
            task_submit(
                task=task,
                user=ana,
                spans=spans,
                base_number=0,
                idempotency_key=f"v{number}",
                milliseconds=9000,
            )
        summary_update(project=tasks[0].project)
        return tasks

    return fill


CUT_OFF = """() => [...document.querySelectorAll('main :is(table, svg, .scroll)')]
  .filter((element) => element.getClientRects().length)
  .filter((element) => Math.max(element.getBoundingClientRect().right, element.scrollWidth) > innerWidth + 1)
  .map((element) => element.className.baseVal ?? element.className)"""


@pytest.mark.parametrize("path", ["", "insights/", "texts/", "team/", "review/", "../../help/"])
def test_a_printed_page_has_no_navigation_and_nothing_is_cut_off(
    reviewed: Callable[[], list[Task]], sign_in: SignIn, ana: User, path: str
) -> None:
    reviewed()
    reviewer = sign_in(ana, color_scheme="dark")
    page = reviewer.page
    page.goto(reviewer.home + path)
    # A4 less the margins, at the 96 dots of an inch of CSS.
    page.set_viewport_size({"width": 688, "height": 900})
    page.emulate_media(media="print", color_scheme="dark")
    for gone in page.locator("nav, header.topline, .actions, .wb-foot, form").all():
        assert not gone.is_visible()
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate("() => getComputedStyle(document.documentElement).colorScheme") == "light"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_pages_of_a_project(
    reviewed: Callable[[], list[Task]], sign_in: SignIn, ana: User, scheme: str, width: int
) -> None:
    reviewer = sign_in(ana, color_scheme=scheme, reduced_motion="reduce")
    page = reviewer.page
    page.set_viewport_size({"width": width, "height": 800})
    for path in PAGES[:2]:
        page.goto(reviewer.home + path)
        assert violations(page) == [], f"empty {path}"
    page.goto(f"{reviewer.base}/help/")
    assert violations(page) == [], "help"
    reviewed()
    for path in PAGES:
        page.goto(reviewer.home + path)
        for summary in page.locator("summary", has_text="The numbers").all():
            summary.click()
        assert violations(page) == [], path
    assert reviewer.complaints == []


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_no_page_of_a_project_sticks_out_sideways(
    reviewed: Callable[[], list[Task]], ana_at_work: Reviewer, width: int
) -> None:
    reviewed()
    page = ana_at_work.page
    page.set_viewport_size({"width": width, "height": 800})
    for address in (*(ana_at_work.home + path for path in PAGES), f"{ana_at_work.base}/help/"):
        page.goto(address)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, address


def test_a_number_leads_to_its_texts_and_on_to_the_workbench(
    reviewed: Callable[[], list[Task]], ana_at_work: Reviewer
) -> None:
    reviewed()
    page = ana_at_work.page
    page.goto(ana_at_work.home)
    page.get_by_role("link", name="Insights").click()
    page.locator("#confusion-title ~ .scroll a").first.click()
    page.get_by_role("heading", name="Texts behind a number").wait_for()
    page.get_by_role("link", name="open").first.click()
    ana_at_work.ready()
    assert "?task=" in page.url


def test_filters_are_chosen_by_keyboard_and_stay_in_the_address(
    reviewed: Callable[[], list[Task]], ana_at_work: Reviewer
) -> None:
    reviewed()
    page = ana_at_work.page
    page.goto(f"{ana_at_work.home}insights/")
    page.get_by_label("When").focus()
    page.keyboard.type("all")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**period=all**")
    assert page.get_by_label("When").input_value() == "all"
