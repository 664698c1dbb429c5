"""Correcting spans by hand and by keys."""

from __future__ import annotations

import re

from corpus.models import Project
from feedback.models import Correction
from labeling.models import Task
from tests.browser.conftest import LONG, Queue, Reviewer

ADA = "Ada Lovelace moved to London in 1835."


def stored(task: Task) -> list[tuple[str, str]]:
    """The newest correction of a task's document; its offsets cut its surfaces out of the text."""
    correction = Correction.objects.filter(document=task.document).latest("number")
    for span in correction.spans:
        assert task.document.text[span["start"] : span["end"]] == span["text"]
    return [(span["text"], span["label"]) for span in correction.spans]


def test_the_server_paints_what_the_browser_paints(queue: Queue, ana_at_work: Reviewer) -> None:
    (task,) = queue(LONG + "\r\n\r\nمرحبا Ann 🎉 London")
    page = ana_at_work.review(task)
    by_server = page.inner_html("#text")
    ana_at_work.press("j", "Escape")
    assert "tabindex" not in by_server
    by_browser = page.inner_html("#text")
    assert normal(by_browser) == normal(by_server)
    assert page.evaluate("document.querySelectorAll('#text .line').length") == 4


def normal(html: str) -> list[str]:
    """Tags with their attributes in order, and the text between them."""
    parts = re.findall(r"<[^>]*>|[^<]+", html)
    return [" ".join(sorted(part.strip("<>").split())) if part[0] == "<" else part for part in parts]


def test_by_hand_from_the_text_to_the_stored_correction(queue: Queue, ana_at_work: Reviewer) -> None:
    task, following = queue(ADA, "Ann wrote a letter to Boston.")
    page = ana_at_work.review()
    assert ana_at_work.spans() == [
        ("Ada Lovelace", "per suggested"),
        ("London", "geo suggested"),
        ("1835", "tim suggested"),
    ]
    page.get_by_role("button", name="cultivar").click()
    ana_at_work.drag("moved")
    page.get_by_role("button", name=re.compile("^London, geo")).click()
    page.locator("#inspector").get_by_role("button", name="Accept").click()
    page.get_by_role("button", name=re.compile("^1835, tim")).click()
    page.locator("#inspector").get_by_role("button", name="Reject").click()
    assert ana_at_work.spans() == [
        ("Ada Lovelace", "per suggested"),
        ("moved", "cultivar human"),
        ("London", "geo accepted"),
        ("1835", "tim rejected"),
    ]
    page.get_by_role("button", name="Submit and next").click()
    ana_at_work.document("Boston")
    ana_at_work.arrived()
    assert stored(task) == [("Ada Lovelace", "per"), ("moved", "cultivar"), ("London", "geo")]
    decisions = Correction.objects.get().decisions
    assert sorted(decisions.values_list("decision", flat=True)) == ["accept", "accept", "add", "reject"]
    assert decisions.get(decision="reject").milliseconds is not None
    assert f"task={following.pk}" in page.url


def test_by_keyboard_alone_from_the_text_to_the_stored_correction(
    queue: Queue, ana_at_work: Reviewer
) -> None:
    task, _ = queue(ADA, "Ann wrote a letter to Boston.")
    page = ana_at_work.review()
    # Three forward to 1835, reject; one back to London, another label; then "moved" by the caret.
    ana_at_work.press("j", "j", "j", "x", "k", "3")
    ana_at_work.press("v", "Home", "Control+ArrowRight", "Control+ArrowRight", "ArrowRight")
    ana_at_work.press("Control+Shift+ArrowRight", "1")
    assert ana_at_work.spans() == [
        ("Ada Lovelace", "per suggested"),
        ("moved", "geo human"),
        ("London", "org changed"),
        ("1835", "tim rejected"),
    ]
    ana_at_work.press("Enter")
    ana_at_work.document("Boston")
    ana_at_work.arrived()
    assert stored(task) == [("Ada Lovelace", "per"), ("moved", "geo"), ("London", "org")]
    assert page.evaluate("document.activeElement.id") == "page", "the keys go on working on the next text"


def test_the_caret_takes_the_word_it_stands_on(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    ana_at_work.review()
    ana_at_work.press("v", "End", "Control+ArrowLeft", "Control+ArrowLeft", "p")
    assert ana_at_work.spans()[2:] == [("in", "pest human"), ("1835", "tim suggested")]


def test_a_boundary_moves_by_hand_and_is_one_step_to_undo(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    page = ana_at_work.review()
    ana_at_work.press("j", "j")
    handle = page.locator("#text .handle.end").bounding_box()
    target = ana_at_work.box("in ")
    assert handle
    mouse = page.mouse
    mouse.move(handle["x"], handle["y"] + handle["height"] / 2)
    mouse.down()
    mouse.move(target["x"] + 4, target["y"] + 8, steps=4)
    mouse.move(target["x"] + target["width"] - 1, target["y"] + 8, steps=4)
    mouse.up()
    assert ("London in", "geo changed") in ana_at_work.spans(), "without the blank that the hand caught"
    ana_at_work.press("z")
    assert ("London", "geo suggested") in ana_at_work.spans()


def test_boundaries_move_by_keys_and_stop_at_the_neighbour(queue: Queue, ana_at_work: Reviewer) -> None:
    queue("Ada London")
    ana_at_work.review()
    ana_at_work.press("j", "Alt+ArrowLeft")
    assert ana_at_work.spans()[0] == ("Ad", "per changed")
    ana_at_work.press("Alt+ArrowRight")
    assert ana_at_work.spans()[0] == ("Ada", "per accepted"), "back where the model had it"
    ana_at_work.press("Alt+ArrowRight")
    assert ana_at_work.spans()[0][0] == "Ada"
    assert "“London” is in the way" in ana_at_work.page.inner_text("#live")
    ana_at_work.press("j", "Alt+Shift+ArrowRight")
    assert ana_at_work.spans()[1] == ("ondon", "geo changed")


def test_undo_and_redo_reach_every_step(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    ana_at_work.review()
    states = [ana_at_work.spans()]
    for keys in (["j", "a"], ["j", "4"], ["x"], ["v", "Home", "Control+ArrowRight", "2"]):
        ana_at_work.press(*keys)
        states.append(ana_at_work.spans())
    for state in reversed(states[:-1]):
        ana_at_work.press("z")
        assert ana_at_work.spans() == state
    for state in states[1:]:
        ana_at_work.press("Control+y")
        assert ana_at_work.spans() == state


def test_redo_works_after_the_undo_of_an_addition(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    ana_at_work.review()
    ana_at_work.drag("moved")
    ana_at_work.press("Control+z", "Control+y")
    assert ("moved", "geo human") in ana_at_work.spans()


def test_a_drag_may_start_at_the_first_letter_of_a_span(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    ana_at_work.review()
    ana_at_work.drag("London in")
    assert ("London in", "geo human") in ana_at_work.spans()
    assert ("London", "geo rejected") in ana_at_work.spans(), "it stands instead of the model's"


def test_offsets_past_emoji_and_combining_marks_are_pythons(queue: Queue, ana_at_work: Reviewer) -> None:
    text = "👨‍👩‍👧 met Ann in Málaga\r\nand José 🎉🎉 saw Boston"
    (task,) = queue(text)
    ana_at_work.review()
    ana_at_work.press("1")
    ana_at_work.drag("Málaga")
    ana_at_work.drag("José")
    ana_at_work.drag("👨‍👩‍👧")
    ana_at_work.press("Enter")
    ana_at_work.nothing_left()
    assert stored(task) == [
        ("👨‍👩‍👧", "geo"),
        ("Ann", "per"),
        ("Málaga", "geo"),
        ("José", "geo"),
        ("Boston", "geo"),
    ]


def test_right_to_left_text_is_marked_in_its_logical_order(queue: Queue, ana_at_work: Reviewer) -> None:
    (task,) = queue("زارت Ann مدينة القاهرة")
    ana_at_work.review()
    ana_at_work.press("v", "End", "Control+Shift+ArrowRight", "1", "Enter")
    ana_at_work.nothing_left()
    assert stored(task) == [("Ann", "per"), ("القاهرة", "geo")]


def test_overlapping_spans_stand_side_by_side_where_the_project_allows_them(
    queue: Queue, ana_at_work: Reviewer, demo_project: Project
) -> None:
    demo_project.allow_overlap = True
    demo_project.save()
    (task,) = queue(ADA)
    page = ana_at_work.review()
    ana_at_work.press("3")
    ana_at_work.drag("Lovelace moved")
    assert ("Lovelace moved", "org human") in ana_at_work.spans()
    assert ("Ada Lovelace", "per suggested") in ana_at_work.spans()
    box = ana_at_work.box("Lovelace")
    page.mouse.click(box["x"] + 20, box["y"] + 8)
    first = page.inner_text("#inspector .surface")
    page.mouse.click(box["x"] + 20, box["y"] + 8, delay=600)
    assert {first, page.inner_text("#inspector .surface")} == {"Ada Lovelace", "Lovelace moved"}
    ana_at_work.press("Enter")
    ana_at_work.nothing_left()
    assert ("Lovelace moved", "org") in stored(task)


def test_a_skip_says_why_and_goes_on(queue: Queue, ana_at_work: Reviewer) -> None:
    task, _ = queue(ADA, "Ann wrote a letter to Boston.")
    page = ana_at_work.review()
    ana_at_work.press("s")
    page.keyboard.type("a test of skips")
    ana_at_work.press("Enter")
    ana_at_work.document("Boston")
    ana_at_work.arrived()
    task.refresh_from_db()
    assert (task.status, task.skip_reason) == ("skipped", "a test of skips")


def test_the_last_text_leads_to_the_page_that_says_so(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    page = ana_at_work.review()
    ana_at_work.press("Enter")
    page.get_by_role("heading", name="Nothing waits for you").wait_for()
    assert Task.objects.get().status == "done"


def test_the_sheet_of_keys_opens_and_closes_by_key(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    page = ana_at_work.review()
    ana_at_work.press("?")
    assert page.get_by_role("heading", name="Keys").is_visible()
    ana_at_work.press("Escape")
    assert not page.get_by_role("heading", name="Keys").is_visible()


def test_a_long_line_is_painted_in_pieces(queue: Queue, ana_at_work: Reviewer) -> None:
    (task,) = queue("word " * 1500 + "Ada Lovelace " + "word " * 500)
    page = ana_at_work.review(task)
    assert page.evaluate("document.querySelectorAll('#text .piece').length") > 3
    ana_at_work.press("j", "Alt+Control+ArrowRight", "Enter")
    ana_at_work.nothing_left()
    assert stored(task) == [("Ada Lovelace word", "per")]
