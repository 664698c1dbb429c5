"""Bringing a file in and taking one out, by mouse and by keyboard alone, readable by everyone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from corpus.models import Document, Project
from feedback.models import Correction
from labeling.models import ExportJob, ImportJob, JobStatus
from labeling.services import export_run, import_run
from tests.browser.conftest import Reviewer, SignIn
from tests.browser.test_for_everyone import PAYLOADS, violations
from tests.labeling.transfer import jsonl, row

GOLD = jsonl(
    row("Ada Lovelace moved to London in 1835.", (0, 12, "PERSON"), (22, 28, "geo"), id="a1"),
    row("Nobody is named here.", id="a2"),
    {"text": "Nobody has looked at this.", "id": "a3"},
    row("عاشت آدا في لندن 🎉", (12, 16, "geo"), id="a4"),
)

#: The same under other names, and with two fields that could be the text.
OTHERWISE = jsonl(
    {"body": "Ada moved to London.", "title": "Of Ada", "doc_id": "a1", "ents": [[13, 19, "geo"]]},
    {"body": "Nobody is named here.", "title": "Of no one", "doc_id": "a2", "ents": []},
)

DROP = """([content, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([content], name));
  const form = document.querySelector('[data-drop]');
  form.dispatchEvent(new DragEvent('dragover', { dataTransfer: data, bubbles: true, cancelable: true }));
  form.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture
def ada_at_work(sign_in: SignIn, ada: User) -> Iterator[Reviewer]:
    """Ada, who runs the place; at the end her console must be empty."""
    person = sign_in(ada)
    yield person
    assert person.complaints == []


def picture(page: Page, name: str) -> None:
    """For who looks at the pages: SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def worked_off(model: type[ImportJob] | type[ExportJob]) -> None:
    """Do what a worker would do with the newest job."""
    job = model.objects.filter(status=JobStatus.QUEUED).latest("created_at")
    (import_run if model is ImportJob else export_run)(job_id=job.pk)


def test_a_file_is_dropped_looked_at_tried_and_stored(ada_at_work: Reviewer, tmp_path: Path) -> None:
    page = ada_at_work.page
    page.goto(ada_at_work.home)
    page.get_by_role("link", name="Import and export").click()
    # Loaded, that is with its script: a drop before that reaches nobody.
    page.wait_for_url("**/imports/")
    picture(page, "imports-empty")
    page.evaluate(DROP, [GOLD.decode(), "gold.jsonl"])
    page.get_by_role("heading", name="The first records").wait_for()
    assert page.locator(".records mark").count() == 3
    assert page.get_by_label("What becomes of PERSON").input_value() == "per"
    picture(page, "import-preview")
    assert violations(page) == []
    page.get_by_role("button", name="Try it").click()
    page.get_by_text("Waiting for a worker").first.wait_for()
    picture(page, "import-waiting")
    worked_off(ImportJob)
    page.get_by_role("heading", name="What an import would do").wait_for()
    picture(page, "import-tried")
    assert violations(page) == []
    assert not Document.objects.exists()
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("Waiting for a worker").first.wait_for()
    worked_off(ImportJob)
    page.get_by_role("heading", name="What was stored").wait_for()
    picture(page, "import-done")
    assert Correction.objects.count() == 3
    page.get_by_role("link", name="Bring in another file").click()
    page.get_by_role("link", name="gold.jsonl").wait_for()
    picture(page, "imports-list")
    assert violations(page) == []


def test_the_keyboard_alone_brings_a_file_in_and_takes_one_out(ada_at_work: Reviewer, tmp_path: Path) -> None:
    page = ada_at_work.page
    path = tmp_path / "gold.jsonl"
    path.write_bytes(GOLD)
    page.goto(f"{ada_at_work.home}imports/")
    field = page.get_by_label("Drop a file here, or choose one")
    field.focus()
    expect(field).to_be_focused()
    with page.expect_file_chooser() as chooser:
        ada_at_work.press("Space")
    chooser.value.set_files(path)
    page.get_by_role("button", name="Look at the file").focus()
    ada_at_work.press("Enter")
    page.get_by_role("heading", name="The first records").wait_for()
    page.get_by_role("button", name="Import", exact=True).focus()
    ada_at_work.press("Enter")
    page.get_by_text("Waiting for a worker").first.wait_for()
    worked_off(ImportJob)
    page.get_by_role("heading", name="What was stored").wait_for()

    page.get_by_role("link", name="Take out").focus()
    ada_at_work.press("Enter")
    page.get_by_role("button", name="What would be lost?").focus()
    ada_at_work.press("Enter")
    page.get_by_role("heading", name="would lose").wait_for()
    picture(page, "exports-losses")
    assert violations(page) == []
    page.get_by_role("button", name="Write the file").focus()
    ada_at_work.press("Enter")
    page.get_by_text("Waiting for a worker").first.wait_for()
    worked_off(ExportJob)
    link = page.get_by_role("link", name="Download")
    link.wait_for()
    picture(page, "export-done")
    assert violations(page) == []
    link.focus()
    with page.expect_download() as download:
        ada_at_work.press("Enter")
    rows = [json.loads(line) for line in Path(download.value.path()).read_bytes().splitlines()]
    assert [r["id"] for r in rows] == ["a1", "a2", "a4"]
    assert rows[2]["spans"][0]["text"] == "لندن"


def test_a_file_with_other_fields_is_read_as_somebody_chooses(ada_at_work: Reviewer) -> None:
    page = ada_at_work.page
    page.goto(f"{ada_at_work.home}imports/")
    page.evaluate(DROP, [OTHERWISE.decode(), "texts.jsonl"])
    page.get_by_role("heading", name="The first records").wait_for()
    text, spans = page.get_by_label("Text is in"), page.get_by_label("Spans are in")
    assert (text.input_value(), spans.input_value()) == ("body", "ents")
    assert page.locator(".records mark").all_inner_texts() == ["LondonGEO"]
    assert violations(page) == []
    picture(page, "import-fields")
    # The records are shown anew at once, and other choices are kept.
    page.get_by_label("Who marked the spans").fill("Lyon")
    spans.select_option(label="Nowhere")
    page.get_by_text("nobody has looked at it").first.wait_for()
    text.select_option("title")
    page.locator(".records").get_by_text("Of no one").wait_for()
    assert page.locator(".records mark").count() == 0
    assert page.get_by_label("Who marked the spans").input_value() == "Lyon"
    page.locator("[data-look-said]").get_by_text("The first records are shown anew.").wait_for(
        state="attached"
    )
    # What another format calls a field is no choice of this one.
    page.get_by_label("Format").select_option(label="Plain text")
    page.locator(".records").get_by_text('{"body"').first.wait_for()
    assert text.count() == 0
    page.get_by_label("Format").select_option("auto")
    page.locator(".records mark").wait_for()
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("Waiting for a worker").first.wait_for()
    worked_off(ImportJob)
    page.get_by_role("heading", name="What was stored").wait_for()
    assert set(Document.objects.values_list("external_id", "text")) == {
        ("a1", "Ada moved to London."),
        ("a2", "Nobody is named here."),
    }


def test_the_keyboard_alone_chooses_the_fields(ada_at_work: Reviewer) -> None:
    page = ada_at_work.page
    page.goto(f"{ada_at_work.home}imports/")
    page.evaluate(DROP, [OTHERWISE.decode(), "texts.jsonl"])
    page.get_by_role("heading", name="The first records").wait_for()
    page.get_by_label("Who marked the spans").focus()
    ada_at_work.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "field-text"
    ada_at_work.press("ArrowDown")
    page.locator(".records").get_by_text("Of no one").wait_for()
    # The hand is where it was: the next keys go on from there.
    page.wait_for_function("() => document.activeElement.id === 'field-text'")
    ada_at_work.press("ArrowUp")
    page.locator(".records").get_by_text("Nobody is named here.").wait_for()
    page.wait_for_function("() => document.activeElement.id === 'field-text'")
    ada_at_work.press("Tab")
    ada_at_work.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "field-spans"
    page.keyboard.type("Now")
    page.get_by_text("nobody has looked at it").first.wait_for()
    page.get_by_role("button", name="Import", exact=True).focus()
    ada_at_work.press("Enter")
    page.get_by_text("Waiting for a worker").first.wait_for()
    worked_off(ImportJob)
    page.get_by_role("heading", name="What was stored").wait_for()
    assert Document.objects.count() == 2
    assert not Correction.objects.exists()


def test_a_file_that_is_no_text_says_so(ada_at_work: Reviewer) -> None:
    page = ada_at_work.page
    page.goto(f"{ada_at_work.home}imports/")
    page.evaluate(DROP, ["PK\x03\x04", "texts.zip"])
    page.get_by_text("ZIP archive").wait_for()
    picture(page, "import-refused")
    assert violations(page) == []
    # The browser's own word about the refusal.
    assert all("415" in said for said in ada_at_work.complaints)
    ada_at_work.complaints.clear()


def test_no_payload_in_a_file_runs(ada_at_work: Reviewer, project: Project) -> None:
    rows = [
        {
            "text": payload,
            "id": payload,
            "spans": [{"start": 0, "end": len(payload), "label": payload[:50]}],
            "annotator": payload,
            "metadata": {payload: payload},
            "comments": [payload],
        }
        for payload in PAYLOADS
    ]
    page = ada_at_work.page
    page.goto(f"{ada_at_work.home}imports/")
    for name in ("<img src=x onerror=window.__xss=1>.jsonl", '"><script>window.__xss=1</script>.jsonl'):
        page.evaluate(DROP, [jsonl(*rows).decode(), name])
        page.get_by_role("heading", name="The first records").wait_for()
        assert page.evaluate("() => window.__xss") is None
        page.get_by_role("button", name="Try it").click()
        page.get_by_text("Waiting for a worker").first.wait_for()
        worked_off(ImportJob)
        page.get_by_role("heading", name="What becomes of its labels").wait_for()
        assert page.evaluate("() => window.__xss") is None
        page.goto(f"{ada_at_work.home}imports/")
        assert page.evaluate("() => window.__xss") is None


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 800), ("dark", 1280)])
def test_the_pages_fit_every_width_and_both_schemes(
    sign_in: SignIn, ada: User, scheme: str, width: int
) -> None:
    person = sign_in(ada, color_scheme=scheme)
    page = person.page
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{person.home}imports/")
    page.evaluate(DROP, [GOLD.decode() + '{"text": \n', "a-file-with-a-long-name-" * 6 + ".jsonl"])
    page.get_by_role("heading", name="The first records").wait_for()
    for place, address in (("import", page.url), ("imports", "imports/"), ("exports", "exports/")):
        page.goto(address if place == "import" else f"{person.home}{address}")
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []
        picture(page, f"{place}-{scheme}-{width}")
