"""The first steps of a new person: by mouse and by keyboard, never in the way, and once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from feedback.models import Correction
from tests.browser.conftest import Queue, Reviewer, SignIn
from tests.browser.test_for_everyone import violations

TEXT = "Ada Lovelace moved to London in 1835."


@pytest.fixture
def newcomer(queue: Queue, sign_in: SignIn, ana: User) -> Iterator[Reviewer]:
    """Ana on her first day, before two texts; at the end her console must be empty."""
    queue(TEXT, "Ann wrote a letter to Boston.")
    reviewer = sign_in(ana)
    reviewer.context.clear_cookies(name="tour")
    yield reviewer
    assert reviewer.complaints == []


def step(page: Page) -> str:
    return page.locator(".tour li[data-current] strong").inner_text()


def test_a_new_person_is_led_through_four_steps_by_mouse(newcomer: Reviewer) -> None:
    page = newcomer.page
    page.goto(newcomer.home)
    page.get_by_role("link", name="Take the tour").click()
    newcomer.ready()
    seen = [step(page)]
    targets = [page.locator("[data-toured]").get_attribute("id")]
    for _ in range(3):
        page.get_by_role("button", name="Next step").click()
        seen.append(step(page))
        targets.append(page.locator("[data-toured]").get_attribute("id"))
    assert [words[:6] for words in seen] == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    assert targets == ["text", "labels", "text", "submit"]
    page.get_by_role("button", name="Step back").click()
    assert step(page).startswith("3 of 4")
    page.get_by_role("button", name="Close the tour").click()
    assert page.locator(".tour, [data-toured]").count() == 0


def test_it_is_walked_and_left_by_keyboard_alone(newcomer: Reviewer) -> None:
    page = newcomer.review()
    page.get_by_role("button", name="Next step").focus()
    newcomer.press("Enter", "Enter")
    assert step(page).startswith("3 of 4")
    newcomer.press("Space")
    assert step(page).startswith("4 of 4")
    # The last step has no next one: the focus stands on what is left to do.
    assert page.evaluate("() => document.activeElement.textContent") == "Close the tour"
    newcomer.press("Shift+Tab", "Enter")
    assert step(page).startswith("3 of 4")
    newcomer.press("Escape")
    assert page.locator(".tour").count() == 0
    assert page.evaluate("() => document.activeElement.id") == "page"


def test_once_closed_it_stays_away_until_it_is_asked_for(newcomer: Reviewer) -> None:
    page = newcomer.review()
    page.get_by_role("button", name="Close the tour").click()
    newcomer.review()
    assert page.locator(".tour").count() == 0
    page.goto(newcomer.home)
    assert page.locator(".tour").count() == 0
    page.goto(f"{newcomer.home}review/?tour")
    assert step(page).startswith("1 of 4")


def test_it_never_stands_in_the_way_of_the_text(newcomer: Reviewer) -> None:
    """The keys of the workbench work beside it, and no letter of the text is covered."""
    for width in (1280, 800, 390):
        newcomer.page.set_viewport_size({"width": width, "height": 800})
        page = newcomer.review()
        covered = page.evaluate(
            """() => {
              const tour = document.querySelector('.tour').getBoundingClientRect();
              const text = document.getElementById('text').getBoundingClientRect();
              return tour.bottom > text.top;
            }"""
        )
        assert not covered, f"at {width} px"
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    newcomer.page.set_viewport_size({"width": 1280, "height": 800})
    page = newcomer.review()
    newcomer.press("j", "a")
    assert newcomer.spans()[0] == ("Ada Lovelace", "per accepted")
    newcomer.press("Enter")
    newcomer.document("Ann wrote a letter")
    newcomer.arrived()
    assert Correction.objects.count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_it(queue: Queue, sign_in: SignIn, ana: User, scheme: str) -> None:
    queue(TEXT)
    reviewer = sign_in(ana, color_scheme=scheme, reduced_motion="reduce")
    reviewer.context.clear_cookies(name="tour")
    page = reviewer.page
    page.goto(reviewer.home)
    assert violations(page) == []
    reviewer.review()
    for _ in range(3):
        assert violations(page) == []
        page.get_by_role("button", name="Next step").click()
    assert violations(page) == []


def test_without_javascript_all_four_steps_are_there_to_read(
    queue: Queue, sign_in: SignIn, ana: User
) -> None:
    queue(TEXT)
    reviewer = sign_in(ana, java_script_enabled=False)
    reviewer.context.clear_cookies(name="tour")
    reviewer.page.goto(f"{reviewer.home}review/")
    assert reviewer.page.locator(".tour li:visible").count() == 4
    assert reviewer.page.locator(".tour button:visible").count() == 0
