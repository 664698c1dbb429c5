"""A thousand decisions through cut networks, killed tabs, browsers and servers, ended sessions: each once.

Every decision is written into a history file before its key is pressed; at the end the file and the
database are compared, decision by decision.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, Route
from playwright.sync_api import Error as PlaywrightError

from bench.serving.site import Site, running
from tests.browser.conftest import CHROMIUM
from tests.realservices import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}; set CHROMIUM to one"),
]

TEXTS, SPANS = 100, 10
#: After so many texts this happens; the work goes on all the same.
FAULTS = {
    6: "network",
    14: "tab",
    22: "server",
    30: "session",
    38: "browser",
    46: "lost answer",
    54: "network and tab",
    62: "server",
    70: "browser",
    78: "server and tab",
    86: "session",
    94: "network and browser",
}

SET_UP = """
import json, sys
from django.contrib.auth import get_user_model
from audit.services import SYSTEM
from corpus.services import LabelDraft, document_store, membership_set, project_create
from corpus.selectors import label_set_current
from inference.models import Prediction
from inference.services import blank_version_get, deployment_set
from labeling.models import Task
project = project_create(slug="p", name="P", labels=[LabelDraft(name="per"), LabelDraft(name="geo")],
                         actor=SYSTEM)
version = blank_version_get(project=project, label_set=label_set_current(project=project))
deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="chaos")
user = get_user_model().objects.create_user("ana", password=None)
membership_set(project=project, user=user, role="reviewer", actor=SYSTEM)
texts, spans = int(sys.argv[1]), int(sys.argv[2])
for number in range(texts):
    words = [f"w{number}x{place}" for place in range(spans)]
    text, at = " and ".join(words), 0
    marked = []
    for word in words:
        start = text.index(word, at)
        at = start + len(word)
        marked.append({"start": start, "end": at, "label": "per", "text": word, "confidence": 0.9})
    document, _ = document_store(project=project, text=text, external_id=f"t{number}")
    prediction = Prediction.objects.create(project=project, version=version, document=document, spans=marked,
                                           uncertainty=0.5, latency_ms=1)
    Task.objects.create(project=project, document=document, prediction=prediction, stratum="uncertain",
                        priority=1 - number / 1000)
"""
SESSION = """
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
user = get_user_model().objects.get(username="ana")
session = SessionStore()
session["_auth_user_id"] = str(user.pk)
session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
session["_auth_user_hash"] = user.get_session_auth_hash()
session.save()
print(settings.SESSION_COOKIE_NAME, session.session_key)
"""
SIGN_OUT = "from django.contrib.sessions.models import Session; Session.objects.all().delete()"
STORED = """
import json
from feedback.models import Correction, SpanDecision
rows = SpanDecision.objects.values_list("correction__document__external_id", "predicted_start", "decision")
print(json.dumps({"decisions": list(rows), "corrections": Correction.objects.count()}))
"""


class Reviewer:
    """Ana, her browser with its profile on the disk, and her history file."""

    def __init__(self, playwright: Playwright, site: Site, folder: Path) -> None:
        self.playwright, self.site = playwright, site
        self.profile = folder / "profile"
        self.history = folder / "history.jsonl"
        self.port = site.web_start(workers=1)
        self.base = f"http://127.0.0.1:{self.port}/projects/p/review/"
        self.cookie = self.new_session()
        eventually(self.answers, "the server", seconds=60)
        self.context: BrowserContext = self.start()
        self.page: Page = self.open()

    # --- The parts that break ---------------------------------------------------------------------------

    def start(self) -> BrowserContext:
        context = self.playwright.chromium.launch_persistent_context(
            self.profile, executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        self.give_cookie(context)
        return context

    def new_session(self) -> tuple[str, str]:
        name, value = self.site.python(SESSION).split()[-2:]
        return name, value

    def give_cookie(self, context: BrowserContext) -> None:
        name, value = self.cookie
        context.add_cookies([{"name": name, "value": value, "url": self.base}])

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/live", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def open(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(20_000)
        page.goto(self.base)
        page.wait_for_selector("body[data-ready]", state="attached")
        return page

    def kill_server(self) -> None:
        web = self.site.webs.pop()
        os.killpg(web.pid, signal.SIGKILL)
        web.wait(10)

    def start_server(self) -> None:
        self.site.web_start(workers=1, port=self.port)
        eventually(self.answers, "the server", seconds=60)

    def kill_browser(self) -> None:
        """As a crash of the machine's memory does it: no page hears of it."""
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if f"--user-data-dir={self.profile}" in words and not any(w.startswith("--type=") for w in words):
                process.kill()
        with contextlib.suppress(PlaywrightError):
            self.context.close()
        for name in ("SingletonLock", "SingletonSocket", "SingletonCookie"):
            (self.profile / name).unlink(missing_ok=True)

    # --- The work ---------------------------------------------------------------------------------------

    def name(self) -> str:
        return self.page.inner_text("#document-name")

    def states(self) -> list[str]:
        """How each span of the text on the page stands."""
        return list(
            self.page.evaluate(
                "() => [...document.querySelectorAll('#text .mark')].map((mark) =>"
                " ['suggested', 'accepted', 'rejected'].find((name) => mark.classList.contains(name)))"
            )
        )

    def decide(self, until: int, wanted: list[str]) -> None:
        """Press a key for each span up to one, going on where the text stands."""
        self.page.keyboard.press("Escape")
        for place, state in enumerate(self.states()[:until]):
            self.page.keyboard.press("j")
            if state == "suggested":
                self.page.keyboard.press("a" if wanted[place] == "accept" else "x")

    def note(self, name: str, wanted: list[str]) -> None:
        with self.history.open("a") as history:
            history.write(json.dumps({"text": name, "decisions": wanted}) + "\n")
            history.flush()
            os.fsync(history.fileno())

    def submit(self) -> None:
        """Enter, and wait for what tells the reviewer that the decision is safe here."""
        before = self.name()
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(
            "before => document.getElementById('document-name')?.textContent !== before"
            " || !document.getElementById('text')",
            arg=before,
        )

    def draft_is_safe(self) -> None:
        self.page.wait_for_function("() => !document.getElementById('saved').ariaBusy")

    def text_is_there(self) -> None:
        self.page.wait_for_function("() => document.querySelector('#text .mark')")


@pytest.fixture
def reviewer(playwright: Playwright, tmp_path: Path) -> Iterator[Reviewer]:
    with running() as site:
        site.python(SET_UP, str(TEXTS), str(SPANS))
        reviewer = Reviewer(playwright, site, tmp_path)
        yield reviewer
        with contextlib.suppress(PlaywrightError):
            reviewer.context.close()


def lose_one_answer(page: Page) -> None:
    """The server stores, and the browser never hears of it."""
    lost: list[Any] = []

    def lose(route: Route) -> None:
        answer = route.fetch()
        if lost:
            route.fulfill(response=answer)
        else:
            lost.append(answer)
            route.abort()

    page.route(re.compile(r"/submit$"), lose)


def break_before(reviewer: Reviewer, fault: str) -> None:
    """What goes wrong between the decisions on a text and its submit."""
    reviewer.draft_is_safe()
    if "network" in fault:
        reviewer.context.set_offline(True)
    if "server" in fault:
        reviewer.kill_server()
    if fault == "session":
        reviewer.site.python(SIGN_OUT)
    if fault == "lost answer":
        lose_one_answer(reviewer.page)


def mend_after(reviewer: Reviewer, fault: str) -> None:
    """The world comes back; the reviewer opens the page again where it went with a tab or a browser."""
    if "server" in fault:
        reviewer.start_server()
    if "tab" in fault:
        reviewer.page.close()
    if "browser" in fault:
        reviewer.kill_browser()
        reviewer.context = reviewer.start()
    if "network" in fault and "browser" not in fault:
        reviewer.context.set_offline(False)
    if fault == "session":
        reviewer.cookie = reviewer.new_session()
        reviewer.give_cookie(reviewer.context)
        reviewer.page.evaluate("() => dispatchEvent(new Event('focus'))")
    if "tab" in fault or "browser" in fault:
        reviewer.page = reviewer.open()


def test_a_thousand_decisions_arrive_exactly_once_whatever_breaks(reviewer: Reviewer) -> None:
    chance = random.Random(7)
    done = 0
    while done < TEXTS:
        reviewer.text_is_there()
        name = reviewer.name()
        wanted = chance.choices(["accept", "reject"], k=SPANS)
        reviewer.note(name, wanted)
        fault = FAULTS.get(done, "")
        reviewer.decide(SPANS // 2 if fault else SPANS, wanted)
        if fault:
            # Killed in the middle of a text as well: the half that is decided comes back as it was.
            if fault in {"tab", "browser"}:
                reviewer.draft_is_safe()
                half = reviewer.states()
                mend_after(reviewer, fault)
                assert reviewer.name() == name
                assert reviewer.states() == half
            reviewer.decide(SPANS, wanted)
            break_before(reviewer, fault)
        reviewer.submit()
        if fault:
            mend_after(reviewer, fault)
        done += 1
    reviewer.page.get_by_role("heading", name="Nothing waits for you").wait_for()

    stored = json.loads(reviewer.site.python(STORED).splitlines()[-1])
    history = [json.loads(line) for line in reviewer.history.read_text().splitlines()]
    assert len({row["text"] for row in history}) == len(history) == TEXTS
    meant = Counter((row["text"], decision) for row in history for decision in row["decisions"])
    assert Counter((text, decision) for text, _, decision in stored["decisions"]) == meant
    places = Counter((text, start) for text, start, _ in stored["decisions"])
    assert len(stored["decisions"]) == len(places) == TEXTS * SPANS, "each span of each text once"
    by_text = {row["text"]: row["decisions"] for row in history}
    for text, decisions in by_text.items():
        got = sorted((start, decision) for name, start, decision in stored["decisions"] if name == text)
        assert [decision for _, decision in got] == decisions
    assert stored["corrections"] == TEXTS
