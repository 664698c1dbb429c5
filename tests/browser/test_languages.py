"""The pages in another language, from right to left too: switched, remembered, and usable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route

from nerapp import catalogs
from tests.browser.conftest import LONG, Queue, Reviewer, SignIn

#: A language for tests alone: written from right to left, every text of ours between these brackets.
PSEUDO = "ar"
OPEN, CLOSE = "⟦", "⟧"
#: Data and names, which no language changes.
NAMES = {
    *("nerapp", "orchard", "ana", "ada", "ben", "tiny", "champion", "utc", "sha", "csv", "json", "ner"),
    *("geo", "gpe", "org", "per", "tim", "art", "eve", "nat", "cultivar", "pest", "english", "deutsch"),
    *("pseudo", "import", "en", "esc", "shift", "alt", "ctrl", "px", "ms"),
}
PAGES = ("", "texts/", "review/")


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in found]


@pytest.fixture
def pseudo(settings: Any, tmp_path: Path) -> str:
    """The catalog of the test language, made from what the German one holds."""
    catalog = Catalog(locale=PSEUDO, domain="django")
    for message in catalogs.read(catalogs.source("de", "django")):
        if isinstance(message.id, tuple):
            forms = tuple(f"{OPEN}{message.id[-1]}{CLOSE}" for _ in range(catalog.num_plurals))
            catalog.add(message.id, forms)
        elif message.id:
            catalog.add(message.id, f"{OPEN}{message.id}{CLOSE}")
    folder = tmp_path / PSEUDO / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "django.mo").open("wb") as file:
        write_mo(file, catalog)
    settings.LANGUAGES = [*settings.LANGUAGES, (PSEUDO, "Pseudo")]
    settings.LOCALE_PATHS = [tmp_path]
    return PSEUDO


@pytest.fixture
def from_the_right(sign_in: SignIn, ada: User, pseudo: str, live_server: Any) -> Iterator[Reviewer]:
    """Ada, in the test language."""
    reviewer = sign_in(ada)
    reviewer.context.add_cookies([{"name": "language", "value": pseudo, "url": live_server.url}])
    reviewer.context.route("**/js/i18n.js", _bracketed)
    yield reviewer
    assert reviewer.complaints == []


def _bracketed(route: Route) -> None:
    """The words of the scripts, marked as the pages' are."""
    answer = route.fetch()
    head = "function fill(text, values) {"
    assert head in answer.text()
    body = answer.text().replace(head, f'{head} text = "{OPEN}" + text + "{CLOSE}";')
    route.fulfill(response=answer, body=body)


def plain_words(page: Page) -> set[str]:
    """What stands on the page outside of any bracket, and is no data."""
    text = page.evaluate(
        """() => {
          for (const part of document.querySelectorAll(
            'code, pre, kbd, bdi, mark, .mono, .label-tag, .excerpt, .wb-text, #document-name, time, option'
          )) part.remove();
          return document.body.innerText;
        }"""
    )
    inner = re.compile(rf"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}")
    while inner.search(text):
        text = inner.sub(" ", text)
    return {word for word in re.findall(r"[A-Za-z]{2,}", text) if word.lower() not in NAMES}


@pytest.mark.parametrize("path", PAGES)
def test_no_word_of_a_page_is_left_in_english(queue: Queue, from_the_right: Reviewer, path: str) -> None:
    queue(LONG)
    page = from_the_right.page
    page.goto(from_the_right.home + path)
    if path == "review/":
        from_the_right.ready()
    assert plain_words(page) == set()


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_pages_read_from_right_to_left_and_fit(queue: Queue, from_the_right: Reviewer, width: int) -> None:
    queue(LONG)
    page = from_the_right.page
    page.set_viewport_size({"width": width, "height": 800})
    for address in (*(from_the_right.home + path for path in PAGES), f"{from_the_right.base}/admin/"):
        page.goto(address)
        assert page.evaluate("() => getComputedStyle(document.body).direction") == "rtl"
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, address
        if width == 1280:
            brand, menu = (page.locator(part).first.bounding_box() for part in (".brand", ".menu"))
            assert brand
            assert menu
            assert brand["x"] > menu["x"], "the line at the top is not mirrored"


def test_a_person_chooses_a_language_and_it_stays(ana_at_work: Reviewer) -> None:
    page = ana_at_work.page
    page.goto(ana_at_work.home)
    assert page.locator("html").get_attribute("lang") == "en"
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Deutsch").click()
    page.wait_for_function("() => document.documentElement.lang === 'de'")
    assert page.url == ana_at_work.home
    page.get_by_role("heading", name="Warteschlange").first.wait_for()
    page.goto(f"{ana_at_work.base}/accounts/password/change/")
    page.get_by_role("heading", name="Passwort ändern").wait_for()
    assert violations(page) == []


def test_somebody_signed_out_chooses_a_language_too(browser: Any, live_server: Any, db: None) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{live_server.url}/accounts/login/")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Deutsch").click()
    page.get_by_role("heading", name="Anmelden").wait_for()
    assert violations(page) == []
    context.close()


def test_a_browser_that_asks_for_german_gets_german(sign_in: SignIn, ana: User) -> None:
    reviewer = sign_in(ana, locale="de-AT")
    reviewer.page.goto(reviewer.home)
    assert reviewer.page.locator("html").get_attribute("lang") == "de"


def test_a_text_is_reviewed_in_german_by_keyboard_alone(queue: Queue, sign_in: SignIn, ana: User) -> None:
    queue("Ada Lovelace moved to London.")
    reviewer = sign_in(ana, locale="de-DE")
    page = reviewer.review()
    page.get_by_role("button", name="Absenden und weiter").wait_for()
    assert violations(page) == []
    reviewer.press("j", "a", "j", "x")
    assert "rejected" in reviewer.spans()[1][1]
    reviewer.press("z", "s")
    page.get_by_label("Warum wird er übersprungen?").wait_for()
    reviewer.press("Escape", "?")
    page.get_by_text("die Spanne annehmen").first.wait_for()
    assert violations(page) == []
    reviewer.press("Escape", "Enter")
    page.get_by_role("heading", name="Nichts wartet").wait_for()
    assert reviewer.complaints == []
