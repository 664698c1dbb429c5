"""Readable by everyone, and safe whatever a text holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page

from corpus.models import Label, Project
from corpus.services import document_store
from labeling.models import Task
from labeling.services import comment_add, queue_fill, task_submit
from tests.browser.conftest import LONG, Queue, Reviewer, SignIn

#: Forty ways to be run that a text, a name or a comment may try.
PAYLOADS: list[str] = json.loads((Path(__file__).parents[1] / "data" / "xss.json").read_text("utf-8"))


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(queue: Queue, sign_in: SignIn, ana: User, ben: User, scheme: str) -> None:
    task, following = queue(LONG, "Ann wrote a letter to Boston.")
    task_submit(task=following, user=ben, spans=[], base_number=0, idempotency_key="k", milliseconds=1)
    comment_add(document=task.document, user=ben, body="Who?", idempotency_key="c", start=0, end=3)
    reviewer = sign_in(ana, color_scheme=scheme, reduced_motion="reduce")
    page = reviewer.review(task)
    assert violations(page) == []
    reviewer.press("j", "a", "j", "x", "j")
    page.locator("#span-list summary").click()
    assert violations(page) == []
    for keys in (["Space"], ["="], ["Shift+A"], ["/"], ["Shift+C"], ["s"]):
        reviewer.press(*keys)
        assert violations(page) == [], keys
        reviewer.press("Escape")
    reviewer.press("?")
    assert violations(page) == []
    reviewer.press("Escape")
    Task.objects.update(lease_expires_at=None, claimed_by=None)
    task_submit(task=task, user=ben, spans=[], base_number=0, idempotency_key="k2", milliseconds=1)
    page.get_by_role("button", name="Submit and next").click()
    # The last text: the page stays, because its decision is still kept here.
    page.get_by_role("button", name="Compare the two").click()
    page.get_by_role("heading", name="ben saved").wait_for()
    assert violations(page) == []
    page.goto(reviewer.home)
    assert violations(page) == []
    page.goto(f"{reviewer.home}review/?task=")
    page.get_by_role("heading", name="Nothing waits for you").wait_for()
    assert violations(page) == []


def test_nothing_in_a_text_a_label_a_name_or_a_comment_is_ever_run(
    demo_project: Project, ana_at_work: Reviewer, ana: User
) -> None:
    ana.first_name = PAYLOADS[1]
    ana.save()
    for place, label in enumerate(Label.objects.filter(label_set__project=demo_project)):
        label.title, label.description, label.guideline = PAYLOADS[place : place + 30 : 10]
        label.save()
    demo_project.name = PAYLOADS[3]
    demo_project.save()
    for number in range(0, 40, 8):
        payloads = PAYLOADS[number : number + 8]
        document, _ = document_store(
            project=demo_project,
            text=f"{number} Ada Lovelace " + "\n".join(payloads) + " London",
            external_id=payloads[0],
            metadata={payload: payload for payload in payloads},
        )
        for payload in payloads:
            comment_add(
                document=document, user=ana, body=payload, idempotency_key=str(hash(payload)), start=0, end=9
            )
    queue_fill(project=demo_project)
    page = ana_at_work.page
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error('csp', e.violatedDirective))"
    )
    for task in Task.objects.order_by("id"):
        ana_at_work.review(task)
        assert page.evaluate("() => document.getElementById('text').textContent") == re.sub(
            r"\r\n|\n|\r", "", task.document.text
        )
        said = [payload.strip() for payload in PAYLOADS[8 * (task.pk - 1) : 8 * task.pk]]
        assert page.locator("#comment-list .comment-body").all_inner_texts() == said
        ana_at_work.press("j", "j", "1", "z", "Space", "Escape", "=", "Escape", "/", "Escape", "s", "Escape")
        task_submit(
            task=task, user=ana, spans=[], base_number=0, idempotency_key=f"k{task.pk}", milliseconds=1
        )
    page.goto(f"{ana_at_work.home}texts/")
    page.goto(ana_at_work.home)
    assert page.get_by_role("heading", level=1).inner_text() == PAYLOADS[3]
    assert page.evaluate("() => window.__xss === undefined")


def test_a_screen_reader_hears_what_happens(queue: Queue, ana_at_work: Reviewer) -> None:
    queue("Ada Lovelace moved to London in 1835.")
    page = ana_at_work.review()
    live = page.get_by_role("status").last
    ana_at_work.press("j")
    assert re.fullmatch(r"Ada Lovelace, per, suggested, \d+ percent sure, 1 of 3", live.inner_text())
    ana_at_work.press("x")
    assert live.inner_text() == "Ada Lovelace, per, rejected"
    ana_at_work.press("j", "4")
    assert live.inner_text().startswith("London, per, changed")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')").startswith("London, per")
    assert page.evaluate("() => document.querySelectorAll('#text [tabindex]').length") == 1


def test_without_javascript_the_text_and_its_spans_can_be_read(
    queue: Queue, sign_in: SignIn, ana: User
) -> None:
    queue("Ada Lovelace moved to London in 1835.")
    reviewer = sign_in(ana, java_script_enabled=False)
    reviewer.page.goto(f"{reviewer.home}review/")
    assert reviewer.page.locator("#text .mark").all_inner_texts() == ["Ada Lovelace", "London", "1835"]
    assert "Correcting needs JavaScript" in reviewer.page.locator("#inspector").inner_html()


def test_the_bar_for_fingers_has_no_violation_either(queue: Queue, sign_in: SignIn, ana: User) -> None:
    queue(LONG)
    reviewer = sign_in(ana, has_touch=True, is_mobile=True)
    box = reviewer.review() and reviewer.box("London")
    reviewer.page.touchscreen.tap(box["x"] + 10, box["y"] + 8)
    reviewer.page.get_by_role("toolbar", name="Selected text").wait_for()
    assert violations(reviewer.page) == []


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_nothing_sticks_out_sideways(queue: Queue, ana_at_work: Reviewer, width: int) -> None:
    queue(LONG, "Llanfair" * 60)
    page = ana_at_work.page
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("review/", ""):
        page.goto(ana_at_work.home + path)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
