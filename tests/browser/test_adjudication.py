"""An adjudicator decides by keyboard alone; the pages of the team are readable by everyone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import project_change
from feedback.selectors import correction_current
from labeling.models import Task
from labeling.services import task_submit
from labeling.services.adjudication import task_adjudicate
from tests.browser.conftest import Queue, SignIn
from tests.browser.test_for_everyone import violations
from tests.people import member

TEXT = "Ada Lovelace moved to London in 1835. Grace Hopper of Boston wrote to Ann."

#: A folder for pictures of the pages, to be looked at by people.
PICTURES = os.environ.get("PICTURES", "")


#: How many drafts and decisions this browser keeps.
KEPT = """() => new Promise((resolve) => {
  const opened = indexedDB.open("nerapp-review", 1);
  opened.onsuccess = () => {
    const transaction = opened.result.transaction(["drafts", "outbox"]);
    const counts = ["drafts", "outbox"].map((name) => transaction.objectStore(name).count());
    transaction.oncomplete = () => resolve(counts.map((count) => count.result));
  };
})"""


def draft_kept(page: Page) -> None:
    """Wait until the draft is on the disk."""
    page.wait_for_function(
        "() => (kept => kept.textContent && !kept.ariaBusy)(document.getElementById('kept'))"
    )


def span(words: str, label: str) -> dict[str, object]:
    start = TEXT.index(words)
    return {"start": start, "end": start + len(words), "label": label, "text": words}


@pytest.fixture
def disputed(demo_project: Project, queue: Queue, ana: User, ben: User) -> Task:
    """Ana and Ben agree on Boston and differ on the rest."""
    project_change(project=demo_project, actor=SYSTEM, annotators_per_document=2)
    demo_project.refresh_from_db()
    (task,) = queue(TEXT)
    boston = span("Boston", "geo")
    said = {
        ana: [span("Ada Lovelace", "per"), span("London", "geo"), boston, span("Ann", "per")],
        ben: [span("Lovelace", "per"), span("London", "gpe"), boston],
    }
    for person, spans in said.items():
        task_submit(
            task=task, user=person, spans=spans, base_number=0, idempotency_key=str(person), milliseconds=900
        )
    return task


def test_a_text_is_decided_by_keyboard_alone(disputed: Task, sign_in: SignIn, mia: User) -> None:
    reviewer = sign_in(mia)
    page = reviewer.page
    page.goto(f"{reviewer.home}adjudication/")
    reviewer.ready()
    assert reviewer.spans() == [("Boston", "geo human")]
    reviewer.press("Enter")
    page.get_by_text("Decide this one first.").wait_for()
    reviewer.press("1")
    assert page.locator("[data-region='1'][aria-current]").count() == 1, "the next one is in hand"
    reviewer.press("2")
    reviewer.press("0")
    assert [words for words, _ in reviewer.spans()] == ["Ada Lovelace", "London", "Boston"]
    # Back to the first one, and what neither of them said: the start moves a word on.
    reviewer.press("k", "k")
    reviewer.press("Control+Alt+Shift+ArrowRight")
    assert reviewer.spans()[0][0].strip() == "Lovelace"
    reviewer.press("1")
    reviewer.press("Enter")
    page.get_by_role("heading", name="Nothing is disputed").wait_for()
    correction = correction_current(disputed.document)
    assert correction is not None
    assert correction.author == mia
    found = [(one["text"], one["label"]) for one in correction.spans]
    assert found == [("Ada Lovelace", "per"), ("London", "gpe"), ("Boston", "geo")]
    assert reviewer.complaints == []


def test_an_unfinished_decision_survives_a_reload(disputed: Task, sign_in: SignIn, mia: User) -> None:
    reviewer = sign_in(mia)
    page = reviewer.page
    page.goto(f"{reviewer.home}adjudication/")
    reviewer.ready()
    reviewer.press("1", "2")
    page.wait_for_function(
        "() => (kept => kept.textContent && !kept.ariaBusy)(document.getElementById('kept'))"
    )
    page.reload()
    reviewer.ready()
    page.get_by_text("Your unfinished work on this text is back.").wait_for()
    assert [words for words, _ in reviewer.spans()] == ["Ada Lovelace", "London", "Boston"]
    assert page.locator("[aria-pressed='true']").count() == 2, "what was decided is decided"
    assert page.locator("[data-region='2'][aria-current]").count() == 1, "the first open one is in hand"
    reviewer.press("z")
    assert [words for words, _ in reviewer.spans()] == ["Ada Lovelace", "Boston"], (
        "undo goes back before the reload"
    )
    reviewer.press("k", "2", "0", "Enter")
    page.get_by_role("heading", name="Nothing is disputed").wait_for()
    assert page.evaluate(KEPT) == [0, 0], "nothing is left behind"
    assert reviewer.complaints == []


def test_a_late_opinion_puts_an_unfinished_decision_away(
    disputed: Task, sign_in: SignIn, mia: User, demo_project: Project
) -> None:
    reviewer = sign_in(mia)
    page = reviewer.page
    page.goto(f"{reviewer.home}adjudication/")
    reviewer.ready()
    reviewer.press("1")
    page.wait_for_function(
        "() => (kept => kept.textContent && !kept.ariaBusy)(document.getElementById('kept'))"
    )
    late = member(demo_project, "late", "annotator")
    task_submit(
        task=disputed,
        user=late,
        spans=[span("Grace Hopper", "per")],
        base_number=0,
        idempotency_key="late",
        milliseconds=1,
    )
    page.reload()
    reviewer.ready()
    page.get_by_text("your unfinished decision was put away").wait_for()
    assert page.locator("[aria-pressed='true']").count() == 0


def test_a_decision_outlives_a_dead_network_and_a_closed_tab(
    disputed: Task, sign_in: SignIn, mia: User
) -> None:
    reviewer = sign_in(mia)
    page = reviewer.page
    page.goto(f"{reviewer.home}adjudication/")
    reviewer.ready()
    page.route("**/submit", lambda route: route.abort())
    reviewer.press("1", "2", "0", "Enter")
    page.get_by_text("Your decision is kept here").wait_for()
    assert correction_current(disputed.document) is None
    page.close()
    reviewer.page = page = reviewer.open()
    page.goto(f"{reviewer.home}adjudication/")
    page.get_by_role("heading", name="Nothing is disputed").wait_for()
    correction = correction_current(disputed.document)
    assert correction is not None
    assert correction.number == 1
    assert [one["text"] for one in correction.spans] == ["Ada Lovelace", "London", "Boston"]


def test_who_comes_second_is_told_and_loses_nothing(
    disputed: Task, sign_in: SignIn, mia: User, ana: User
) -> None:
    reviewer = sign_in(mia)
    page = reviewer.page
    page.goto(f"{reviewer.home}adjudication/")
    reviewer.ready()
    task_adjudicate(task=disputed, user=ana, spans=[], base_number=0, idempotency_key="first", milliseconds=1)
    reviewer.press("1", "2", "0", "Enter")
    page.get_by_text("Somebody else decided this text meanwhile.").wait_for()
    page.goto(f"{reviewer.home}adjudication/?task={disputed.pk}")
    reviewer.ready()
    page.get_by_text("Your unfinished work on this text is back.").wait_for()
    reviewer.press("Enter")
    page.get_by_role("heading", name="Nothing is disputed").wait_for()
    correction = correction_current(disputed.document)
    assert correction is not None
    assert (correction.number, correction.author) == (2, mia)


def test_a_disputed_span_is_found_by_its_label_and_decided_by_keyboard(
    disputed: Task, sign_in: SignIn, mia: User
) -> None:
    reviewer = sign_in(mia)
    page = reviewer.page
    page.goto(f"{reviewer.home}agreement/")
    page.get_by_text("What these figures mean").press("Enter")
    page.get_by_text("Span F1", exact=True).wait_for()
    page.get_by_role("link", name="Each span on which they differ").press("Enter")
    page.get_by_role("heading", name="Disputed spans").wait_for()
    assert page.locator(".dispute").count() == 3
    page.get_by_label("Label").select_option("gpe")
    page.get_by_role("button", name="Show").press("Enter")
    page.wait_for_url("**label=gpe")
    assert page.locator(".dispute mark").all_text_contents() == ["London"]
    page.locator(".dispute").press("Enter")
    reviewer.ready()
    assert page.locator("[data-region='1'][aria-current]").count() == 1, "straight at the span"
    assert page.evaluate("document.activeElement.dataset.region") == "1"
    reviewer.press("2")
    assert ("London", "gpe human") in reviewer.spans()
    assert reviewer.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_pages_of_the_team(
    disputed: Task, sign_in: SignIn, ana: User, demo_project: Project, scheme: str
) -> None:
    adam = member(demo_project, "adam", "admin")
    reviewer = sign_in(adam, color_scheme=scheme, reduced_motion="reduce")
    page = reviewer.page
    for name in ("adjudication/", "agreement/", "agreement/spans/", "team/", f"team/{ana.pk}/"):
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(reviewer.home + name)
            if name == "adjudication/":
                reviewer.ready()
                reviewer.press("1")
            assert violations(page) == [], name
            wide = page.evaluate("document.documentElement.scrollWidth")
            if PICTURES:
                picture = f"{name.strip('/').replace('/', '-')}-{scheme}-{width}.png"
                page.screenshot(path=Path(PICTURES) / picture, full_page=True)
            assert wide <= width, f"{name} scrolls sideways at {width}"
    assert reviewer.complaints == []
