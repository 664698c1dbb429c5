"""A real Chromium on a real server: a reviewer at the workbench."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import document_store
from inference.engine import engine
from inference.services import deployment_set, version_register
from labeling.models import Task
from labeling.services import queue_fill
from tests.bundles import WORDS, tiny_bundle

CHROMIUM = os.environ.get("CHROMIUM", "") or shutil.which("chromium") or "/usr/bin/chromium"

LONG = (
    "Ada Lovelace moved to London in 1835.\n"
    "Grace Hopper of Boston wrote to Ann about the engine, and Ann answered."
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder drives a browser, and none of it can without one."""
    here = Path(__file__).parent
    missing = not Path(CHROMIUM).exists()
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.django_db(transaction=True))
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"no Chromium at {CHROMIUM}; set CHROMIUM to one"))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {
        **browser_type_launch_args,
        "executable_path": CHROMIUM,
        "args": ["--no-sandbox", "--disable-gpu", "--disable-quic"],
    }


@pytest.fixture(autouse=True)
def _fresh_process(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.DATA_DIR = tmp_path / "data"
    settings.MODELS_DIR = tmp_path / "models"
    yield
    engine.forget()


@pytest.fixture
def demo_project(project: Project, tmp_path: Path) -> Project:
    """The project with the tiny model as its champion; all tasks are unsure ones, first come first served."""
    version = version_register(
        path=tiny_bundle(tmp_path / "tiny", WORDS, sureness=4.0), name="tiny", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="first")
    return project


Queue = Callable[..., list[Task]]


@pytest.fixture
def queue(demo_project: Project) -> Queue:
    """Queue texts so that they come in the order given."""

    def fill(*texts: str) -> list[Task]:
        for text in texts:
            document_store(project=demo_project, text=text)
        queue_fill(project=demo_project)
        tasks = []
        for place, text in enumerate(texts):
            task = Task.objects.get(project=demo_project, document__text=text)
            Task.objects.filter(pk=task.pk).update(stratum="uncertain", priority=1 - place / 100)
            tasks.append(task)
        return tasks

    return fill


class Reviewer:
    """A person at a browser of their own, and what that browser complained about."""

    def __init__(self, context: BrowserContext, base: str, project: Project) -> None:
        self.context = context
        self.base = base
        self.home = f"{base}/projects/{project.slug}/"
        self.complaints: list[str] = []
        self.page = self.open()

    def open(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(10_000)
        page.set_default_navigation_timeout(30_000)
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type in {"error", "warning"} else None
            ),
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        return page

    def review(self, task: Task | None = None) -> Page:
        self.page.goto(f"{self.home}review/" + (f"?task={task.pk}" if task else ""))
        self.ready()
        return self.page

    def ready(self) -> None:
        self.page.wait_for_selector("body[data-ready]", state="attached")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def spans(self) -> list[tuple[str, str]]:
        """(surface, classes that matter) of each span as it is painted, in reading order."""
        return [tuple(row) for row in self.page.evaluate(SPANS)]

    def box(self, words: str) -> dict[str, float]:
        """Where these words of the text are on the screen."""
        found = self.page.evaluate(BOX, words)
        assert found, f"{words!r} is not on the page"
        return dict(found)

    def drag(self, words: str) -> None:
        """Select words as a hand does."""
        box, mouse = self.box(words), self.page.mouse
        middle = box["y"] + box["height"] / 2
        mouse.move(box["x"] + 1, middle)
        mouse.down()
        mouse.move(box["x"] + box["width"] / 2, middle, steps=3)
        mouse.move(box["x"] + box["width"] - 1, middle, steps=3)
        self.page.wait_for_function("() => !getSelection().isCollapsed")
        mouse.up()

    def saved(self, words: str) -> None:
        """Wait until the last line says this, and nothing is on its way to the disk any more."""
        self.page.wait_for_function(
            "words => (line => line.textContent.includes(words) && !line.ariaBusy)"
            "(document.getElementById('saved'))",
            arg=words,
        )

    def arrived(self) -> None:
        """Wait until the server has all that was decided."""
        self.page.wait_for_function("() => document.getElementById('saved').textContent.startsWith('saved ')")

    def told(self, words: str) -> None:
        """Wait for a notice."""
        self.page.locator("#notices").get_by_text(words).wait_for()

    def nothing_left(self) -> None:
        """Wait for the page that says that all is done; whatever was sent has arrived then."""
        self.page.get_by_role("heading", name="Nothing waits for you").wait_for()

    def document(self, name: str) -> None:
        self.page.wait_for_function(
            "name => document.getElementById('text').textContent.includes(name)", arg=name
        )


SPANS = """() => {
  const found = new Map();
  for (const mark of document.querySelectorAll('#text .mark')) {
    const id = mark.dataset.id;
    const states = ['suggested', 'propagated', 'accepted', 'rejected', 'changed', 'human'];
    const state = states.find((name) => mark.classList.contains(name));
    const entry = found.get(id) ?? ['', state, ''];
    entry[0] += mark.textContent;
    if (mark.dataset.tag) entry[2] = mark.dataset.tag;
    found.set(id, entry);
  }
  return [...found.values()].map(([surface, state, tag]) => [surface, `${tag} ${state}`]);
}"""

BOX = """(words) => {
  const root = document.getElementById('text');
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const nodes = [];
  let all = '';
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    nodes.push([node, all.length]);
    all += node.data;
  }
  const start = all.indexOf(words);
  if (start < 0) return null;
  const at = (offset) => {
    const [node, from] = nodes.findLast(([, from]) => from <= offset);
    return [node, offset - from];
  };
  const range = document.createRange();
  range.setStart(...at(start));
  const [last, inLast] = at(start + words.length - 1);
  range.setEnd(last, inLast + 1);
  const box = range.getBoundingClientRect();
  return { x: box.x, y: box.y, width: box.width, height: box.height };
}"""

SignIn = Callable[..., Reviewer]


@pytest.fixture
def sign_in(browser: Browser, live_server: Any, demo_project: Project) -> Iterator[SignIn]:
    """Open a browser of their own for a person."""
    reviewers: list[Reviewer] = []

    def enter(user: User, **options: Any) -> Reviewer:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        give_session(context, user, live_server.url)
        reviewers.append(Reviewer(context, live_server.url, demo_project))
        return reviewers[-1]

    yield enter
    for reviewer in reviewers:
        reviewer.context.close()


def give_session(context: BrowserContext, user: User, url: str) -> None:
    """Signed in, without typing a password each time."""
    client = Client()
    client.force_login(user)
    cookie = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    context.add_cookies(
        [
            {"name": django_settings.SESSION_COOKIE_NAME, "value": cookie, "url": url},
            # The first steps have tests of their own (test_tour.py).
            {"name": "tour", "value": "done", "url": url},
        ]
    )


@pytest.fixture
def ana_at_work(sign_in: SignIn, ana: User) -> Iterator[Reviewer]:
    """Ana; at the end her console must be empty."""
    reviewer = sign_in(ana)
    yield reviewer
    assert reviewer.complaints == []
