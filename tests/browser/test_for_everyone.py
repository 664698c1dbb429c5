"""Readable by everyone, and safe whatever a text holds."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page

from corpus.models import Label, Project
from corpus.services import document_store
from labeling.models import Task
from labeling.services import queue_fill, task_submit
from tests.browser.conftest import LONG, Queue, Reviewer, SignIn

PAYLOADS = (
    "<script>window.__xss = 1</script>",
    "<img src=x onerror=window.__xss=1>",
    "<svg/onload=window.__xss=1>",
    "</script><script>window.__xss=1</script>",
    "<!--<script>window.__xss=1//-->",
    '"><img src=x onerror=window.__xss=1>',
    "' onmouseover='window.__xss=1' x='",
    "javascript:window.__xss=1",
    "<a href='javascript:window.__xss=1'>Ada Lovelace</a>",
    "<iframe srcdoc='<script>parent.__xss=1</script>'></iframe>",
    "{{ constructor.constructor('window.__xss=1')() }}",
    "${window.__xss=1}",
    "<style>@import 'javascript:window.__xss=1'</style>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=window.__xss=1>",
    "\u2028<script>window.__xss=1</script>\u2029",
    "<details open ontoggle=window.__xss=1>",
    "]]><script>window.__xss=1</script>",
    "&lt;script&gt;window.__xss=1&lt;/script&gt;",
)


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(queue: Queue, sign_in: SignIn, ana: User, ben: User, scheme: str) -> None:
    task, following = queue(LONG, "Ann wrote a letter to Boston.")
    task_submit(task=following, user=ben, spans=[], base_number=0, idempotency_key="k", milliseconds=1)
    reviewer = sign_in(ana, color_scheme=scheme, reduced_motion="reduce")
    page = reviewer.review(task)
    assert violations(page) == []
    reviewer.press("j", "a", "j", "x", "j")
    page.locator("#span-list summary").click()
    assert violations(page) == []
    reviewer.press("s")
    assert violations(page) == []
    reviewer.press("Escape", "?")
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


def test_nothing_in_a_text_or_a_label_is_ever_run(
    demo_project: Project, ana_at_work: Reviewer, ana: User
) -> None:
    for number, payload in enumerate(PAYLOADS):
        document_store(
            project=demo_project, text=f"{number} Ada Lovelace {payload} London", external_id=payload
        )
    Label.objects.filter(label_set__project=demo_project).update(
        title=PAYLOADS[1], description=PAYLOADS[0], guideline=PAYLOADS[5]
    )
    demo_project.name = PAYLOADS[3]
    demo_project.save()
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
        ana_at_work.press("j", "j", "1", "z", "s", "Escape")
        task_submit(
            task=task, user=ana, spans=[], base_number=0, idempotency_key=f"k{task.pk}", milliseconds=1
        )
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


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_nothing_sticks_out_sideways(queue: Queue, ana_at_work: Reviewer, width: int) -> None:
    queue(LONG, "Llanfair" * 60)
    page = ana_at_work.page
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("review/", ""):
        page.goto(ana_at_work.home + path)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
