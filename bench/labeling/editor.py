"""`python -m bench.labeling.editor`: the workbench on short, long and unbroken texts, in a real Chromium.

`paint` is the script time from the task's JSON until the reviewer can work: the worse of a page load (the
server painted the text) and of going on to the next text (the browser paints it). `add` is the time from the
key that marks a span to the frame that shows it (the page at rest, as it is under the hand that selected the
words), `scroll` the longest task while the whole text passes by.
The long text is 200,000 characters with 3,000 spans, once in paragraphs and once as a single line.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from bench.serving.site import Site, running, wait_for

#: name -> (characters, spans, what ends a paragraph)
TEXTS = {"2k": (2_000, 20, "\n"), "200k": (200_000, 3_000, "\n"), "line": (200_000, 3_000, " ")}
LOADS = 3
ADDITIONS = 15

_SET_UP = """
import json, os, sys
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
from audit.services import SYSTEM
from corpus.services import LabelDraft, document_store, membership_set, project_create
from corpus.selectors import label_set_current
from inference.models import Prediction
from inference.services import blank_version_get, deployment_set
from labeling.models import Task

names = ("per", "geo", "org", "tim", "art", "eve")
project = project_create(slug="bench", name="Bench", labels=[LabelDraft(name=n) for n in names], actor=SYSTEM)
version = blank_version_get(project=project, label_set=label_set_current(project=project))
deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="bench")
user = get_user_model().objects.create_user("bench", password=None)
membership_set(project=project, user=user, role="reviewer", actor=SYSTEM)
tasks = {}
for place, (name, (length, count, end)) in enumerate(json.loads(sys.argv[1]).items()):
    for copy in range(2):
        words, spans, at, number = [], [], 0, copy
        while at < length:
            number += 1
            word = f"word{number % 97}" + (end if number % 70 == 0 else " ")
            if number * 7 * count // length > len(spans) and len(spans) < count:
                spans.append({"start": at, "end": at + len(word) - 1, "label": names[number % 6],
                              "text": word[:-1], "confidence": (number * 37 % 100) / 100,
                              "alternatives": [{"label": names[(number + 1) % 6], "probability": 0.2}]})
            words.append(word)
            at += len(word)
        document, _ = document_store(project=project, text="".join(words))
        prediction = Prediction.objects.create(
            project=project, version=version, document=document, spans=spans, uncertainty=0.5, latency_ms=1
        )
        task = Task.objects.create(
            project=project, document=document, prediction=prediction, stratum="uncertain",
            priority=1 - place / 10 - copy / 100,
        )
        tasks.setdefault(name, task.pk)
session = SessionStore()
session["_auth_user_id"] = str(user.pk)
session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
session["_auth_user_hash"] = user.get_session_auth_hash()
session.save()
from django.conf import settings
print(json.dumps({"tasks": tasks, "cookie": [settings.SESSION_COOKIE_NAME, session.session_key]}))
"""

_WATCH = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
  }).observe({ type: "longtask" });
}"""

#: Select the word after the n-th place and press the first label's key; until the frame that shows it.
_ADD = """async (share) => {
  const pieces = document.querySelectorAll("#text .piece");
  const piece = pieces[Math.floor(share * (pieces.length - 1))];
  piece.scrollIntoView({ block: "center" });
  await new Promise((done) => setTimeout(done, 400));
  const bare = [...piece.childNodes].find((node) => node.nodeType === 3 && node.length > 16);
  const from = bare.data.indexOf("word");
  getSelection().setBaseAndExtent(bare, from, bare, from + 5);
  const before = document.querySelectorAll("#text .mark.human").length;
  const start = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "1", bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const passed = performance.now() - start;
  const after = document.querySelectorAll("#text .mark.human").length;
  if (after !== before + 1) throw new Error("no span was added");
  return passed;
}"""

_SCROLL = """async () => {
  const page = document.getElementById("page");
  for (let at = 0; at < page.scrollHeight; at += 600) {
    page.scrollTop = at;
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
  return window.longest;
}"""


#: Reading the task, and showing it (main.js measures that itself).
_SHOWN = """() => {
  const start = performance.now();
  JSON.parse(document.getElementById("workbench-task").textContent);
  return performance.now() - start + performance.getEntriesByName("show", "measure").at(-1).duration;
}"""


@dataclass(frozen=True)
class Desk:
    """A signed-in browser at the workbench."""

    context: BrowserContext
    base: str

    def open(self, task: int) -> Page:
        """The page of a task, ready to work on."""
        page = self.context.new_page()
        page.add_init_script(f"({_WATCH})()")
        page.goto(f"{self.base}?task={task}")
        page.wait_for_selector("body[data-ready]", state="attached")
        return page


def measure() -> dict[str, float]:
    """Every figure of this module, by name."""
    with running() as site, sync_playwright() as playwright:
        facts = json.loads(site.python(_SET_UP, json.dumps(TEXTS)).splitlines()[-1])
        port = site.web_start(workers=1)
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        desk = _desk(site, browser, port, facts)
        figures: dict[str, float] = {}
        for name, task in facts["tasks"].items():
            figures |= {f"editor_{name}_{key}_ms": value for key, value in _text(desk, task).items()}
        browser.close()
        return figures


def _desk(site: Site, browser: Browser, port: int, facts: dict[str, Any]) -> Desk:
    base = f"http://127.0.0.1:{port}/projects/bench/review/"
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    cookie, value = facts["cookie"]
    context.add_cookies([{"name": cookie, "value": value, "url": base}])
    wait_for(lambda: _answers(context, base), "the workbench")
    return Desk(context, base)


def _answers(context: BrowserContext, base: str) -> bool:
    try:
        return context.request.get(base).ok
    except PlaywrightError:  # not listening yet
        return False


def _text(desk: Desk, task: int) -> dict[str, float]:
    loads = []
    for _ in range(LOADS):
        page = desk.open(task)
        loads.append(page.evaluate(_SHOWN))
        page.close()
    page = desk.open(task)
    page.wait_for_timeout(500)
    page.evaluate("window.longest = 0")
    scroll = page.evaluate(_SCROLL)
    adds = [page.evaluate(_ADD, (number + 0.5) / ADDITIONS) for number in range(ADDITIONS)]
    address = page.url
    page.keyboard.press("Enter")
    page.wait_for_function("address => location.href !== address", arg=address)
    page.wait_for_timeout(500)
    following = page.evaluate(_SHOWN)
    page.close()
    return {
        "paint": max(statistics.median(loads), following),
        "add": statistics.median(adds),
        "add_worst": max(adds),
        "scroll": scroll,
    }


def main() -> None:
    """Print the figures as the last line."""
    print(json.dumps({name: round(value, 1) for name, value in measure().items()}))


if __name__ == "__main__":
    main()
