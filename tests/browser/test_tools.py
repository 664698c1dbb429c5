"""The workbench's tools: many decisions at once, labels by name, the filter, one's own keys, comments."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, label_set_revise
from feedback.models import Correction
from inference.models import Prediction
from labeling.models import Comment, Task
from labeling.services.propagations import propagation_apply
from tests.browser.conftest import Queue, Reviewer, SignIn

ADA = "Ada Lovelace moved to London in 1835."
#: What the tiny model knows stands in it once; "Smyrna" it does not know.
TWICE = "Smyrna, not London. In Smyrna Ann wrote; in Smyrnaean songs nobody did. Smyrna!"


@pytest.fixture
def sureness(queue: Queue) -> Any:
    """Queue a text and say how sure the model was of each of its spans."""

    def fill(text: str, *confidences: float) -> Task:
        (task,) = queue(text)
        prediction = Prediction.objects.get(pk=task.prediction_id)
        for span, confidence in zip(prediction.spans, confidences, strict=True):
            span["confidence"] = confidence
        prediction.save()
        return task

    return fill


def states(reviewer: Reviewer) -> dict[str, str]:
    return dict(reviewer.spans())


def test_everything_above_a_confidence_is_accepted_in_one_step(sureness: Any, ana_at_work: Reviewer) -> None:
    sureness(ADA, 0.95, 0.7, 0.3)
    page = ana_at_work.review()
    ana_at_work.press("Shift+A")
    sheet = page.locator("#above")
    expect(sheet).to_contain_text("1 of 3 undecided")
    ana_at_work.press(*["ArrowLeft"] * 11)
    expect(sheet).to_contain_text("2 of 3 undecided")
    ana_at_work.press("Enter")
    expect(sheet).to_be_hidden()
    assert [state for _, state in ana_at_work.spans()] == ["per accepted", "geo accepted", "tim suggested"]
    ana_at_work.press("z")
    assert {state.split()[1] for _, state in ana_at_work.spans()} == {"suggested"}
    page.get_by_role("button", name="Accept all above").click()
    page.get_by_role("button", name="Accept 2", exact=True).click()
    assert [state for _, state in ana_at_work.spans()][:2] == ["per accepted", "geo accepted"]


def test_one_decision_holds_for_all_equal_words_of_the_text(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(TWICE)
    page = ana_at_work.review()
    ana_at_work.press("1")
    ana_at_work.drag("Smyrna")
    ana_at_work.press("=")
    sheet = page.locator("#equal")
    expect(sheet).to_contain_text("The other places of “Smyrna”")
    sheet.get_by_role("button", name="Mark 2 as geo").click()
    marked = [surface for surface, state in ana_at_work.spans() if state == "geo human"]
    assert marked == ["Smyrna", "Smyrna", "Smyrna"], "and not a part of Smyrnaean"
    ana_at_work.press("z")
    assert [surface for surface, state in ana_at_work.spans() if state == "geo human"] == ["Smyrna"]


def test_equal_suggestions_are_rejected_together_by_keyboard(queue: Queue, ana_at_work: Reviewer) -> None:
    queue("London and London and London")
    ana_at_work.review()
    ana_at_work.press("j", "x", "=", "Enter")
    assert [state for _, state in ana_at_work.spans()] == ["geo rejected"] * 3
    assert "Rejected 2 more" in ana_at_work.page.inner_text("#live")
    ana_at_work.press("z", "z")
    assert [state for _, state in ana_at_work.spans()] == ["geo suggested"] * 3


def test_among_forty_labels_one_is_chosen_by_typing_its_name(
    queue: Queue, ana_at_work: Reviewer, demo_project: Project
) -> None:
    names = ["per", "geo", "tim", *(f"kind_{number:02}" for number in range(37))]
    labels = [LabelDraft(name=name, title=name.replace("_", " of ")) for name in names]
    label_set_revise(project=demo_project, labels=labels, actor=SYSTEM)
    queue(ADA)
    page = ana_at_work.review()
    ana_at_work.press("j", "Space")
    menu = page.get_by_role("combobox", name="Label")
    expect(menu).to_be_focused()
    page.keyboard.type("of 3")
    expect(page.locator("#label-menu").get_by_role("option").first).to_contain_text("kind of 30")
    ana_at_work.press("ArrowDown", "Enter")
    assert ana_at_work.spans()[0] == ("Ada Lovelace", "kind_31 changed")
    # The menu marks too: what the caret has chosen gets the label.
    ana_at_work.press("v", "Home", "Control+ArrowRight", "Control+ArrowRight", "ArrowRight")
    ana_at_work.press("Control+Shift+ArrowRight", "Space")
    page.keyboard.type("kind_07")
    ana_at_work.press("Enter")
    assert ("moved", "kind_07 human") in ana_at_work.spans()
    ana_at_work.press("j", "Space", "Escape")
    expect(page.locator("#label-menu")).to_be_hidden()
    page.locator("#inspector").get_by_role("button", name="Label…").click()
    page.locator("#label-menu").get_by_role("option", name="kind_36").click()
    assert [state for surface, state in ana_at_work.spans() if surface == "London"] == ["kind_36 changed"]


def test_the_filter_narrows_text_list_and_keys_alike(sureness: Any, ana_at_work: Reviewer) -> None:
    sureness(ADA, 0.95, 0.7, 0.3)
    page = ana_at_work.review()
    ana_at_work.press("/")
    page.keyboard.type("18")
    assert page.locator("#span-list li bdi").all_inner_texts() == ["1835"]
    assert page.locator("#text .mark.dimmed").all_inner_texts() == ["Ada Lovelace", "London"]
    ana_at_work.press("Enter", "j")
    assert page.inner_text("#live").startswith("1835")
    ana_at_work.press("j")
    assert "filter" in page.inner_text("#live")
    ana_at_work.press("/", "Escape")
    expect(page.locator("#text .mark.dimmed")).to_have_count(0)
    expect(page.get_by_label("With the words")).to_have_value("")
    page.get_by_label("Labelled").select_option("geo")
    assert page.locator("#span-list li bdi").all_inner_texts() == ["London"]
    page.get_by_label("Labelled").select_option("")
    page.get_by_label("Sure up to").fill("70")
    assert page.locator("#span-list li bdi").all_inner_texts() == ["London", "1835"]
    page.get_by_label("only undecided").check()
    page.get_by_role("button", name="1835 TIM").click()
    ana_at_work.press("a")
    assert page.locator("#span-list li bdi").all_inner_texts() == ["London"]
    assert page.inner_text("#span-count").startswith("1 of 3")


def test_a_key_that_can_do_nothing_says_why_where_everybody_sees_it(
    queue: Queue, ana_at_work: Reviewer
) -> None:
    queue("Ada Lovelace, London")
    page = ana_at_work.review()
    line = page.locator("#hint")
    ana_at_work.press("a")
    expect(line).to_have_text("Choose a span first: j goes to the next one.")
    ana_at_work.press("j", "=")
    expect(line).to_have_text("“Ada Lovelace” stands nowhere else undecided.")
    ana_at_work.press(*["Alt+ArrowDown"] * 2)
    expect(line).to_have_text("“London” is in the way: reject it first, or mark the words anew.")
    ana_at_work.press("j", "Alt+ArrowDown")
    expect(line).to_have_text("It goes no further.")
    page.set_viewport_size({"width": 390, "height": 800})
    ana_at_work.press("j")
    expect(line).to_have_text("No further span.")
    expect(line).to_be_visible()
    expect(line.locator("kbd")).to_have_count(0)


def test_the_sheet_of_keys_scrolls_by_keyboard_at_once(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    page = ana_at_work.review()
    ana_at_work.press("?")
    expect(page.locator(".help-keys")).to_be_focused()
    key, words = page.locator("#help-keys tr").first.locator("th, td").all()[:2]
    assert key.bounding_box()["width"] < words.bounding_box()["width"]  # type: ignore[index]
    ana_at_work.press("Escape", "j")
    assert page.inner_text("#live").startswith("Ada Lovelace")


def test_the_offer_of_the_last_text_does_not_stand_beside_the_next(
    queue: Queue, ana_at_work: Reviewer
) -> None:
    queue("Ann met Ada", "Ada wrote", "Ada, Ada")
    page = ana_at_work.review()
    ana_at_work.press("v", "End", "Control+Shift+ArrowLeft", "2")
    expect(page.locator("#offer")).to_contain_text("3 other places wait Decide alike… Shift e")
    ana_at_work.press("Enter")
    ana_at_work.document("Ada wrote")
    expect(page.locator("#offer")).to_be_empty()
    ana_at_work.press("Shift+E")
    expect(page.locator("#hint")).to_contain_text("Decide on a name first")


def test_the_same_decision_elsewhere_is_one_key_away_and_leads_back(
    queue: Queue, ana_at_work: Reviewer
) -> None:
    first, *_ = queue("Ann met Zelda", "Zelda wrote", "Zelda, Zelda")
    page = ana_at_work.review()
    ana_at_work.press("v", "End", "Control+Shift+ArrowLeft", "1")
    expect(page.locator("#offer")).to_contain_text("3 other places wait")
    ana_at_work.press("Shift+E")
    page.get_by_text("3 places in 2 waiting texts.").wait_for()
    expect(page.get_by_role("checkbox").first).to_be_focused()
    ana_at_work.press("Space", "Enter")
    page.wait_for_url(f"**/review/?task={first.pk}")
    ana_at_work.ready()
    page.get_by_text("Marked in 2 places.").wait_for()
    assert ("Zelda", "geo human") in ana_at_work.spans(), "the work on the text is as it was"


def test_a_text_is_left_for_later_with_the_work_on_it_and_comes_again_when_nothing_else_waits(
    queue: Queue, ana_at_work: Reviewer
) -> None:
    first, _ = queue(ADA, "Grace Hopper wrote.")
    page = ana_at_work.review()
    ana_at_work.press("j", "x")
    ana_at_work.saved("draft kept here")
    with page.expect_response("**/release"):
        ana_at_work.press("Shift+Enter")
    ana_at_work.document("Grace Hopper")
    first.refresh_from_db()
    assert (first.claimed_by, first.status) == (None, Task.Status.OPEN)
    ana_at_work.press("Enter")
    ana_at_work.document("Ada Lovelace")
    ana_at_work.ready()
    assert ana_at_work.spans()[0] == ("Ada Lovelace", "per rejected")


def test_a_boundary_moves_by_token(queue: Queue, ana_at_work: Reviewer) -> None:
    queue("Ada moved, and wrote")
    ana_at_work.review()
    ana_at_work.press("j", "Alt+ArrowDown")
    assert ana_at_work.spans()[0][0] == "Ada moved"
    ana_at_work.press("Alt+ArrowDown")
    assert ana_at_work.spans()[0][0] == "Ada moved,"
    ana_at_work.press("Alt+ArrowUp", "Alt+Shift+ArrowDown")
    assert ana_at_work.spans()[0][0] == "moved"
    ana_at_work.press("Alt+Shift+ArrowUp")
    assert ana_at_work.spans()[0][0] == "Ada moved"


def test_the_caret_goes_to_the_ends_of_lines_paragraphs_and_the_text(
    queue: Queue, ana_at_work: Reviewer
) -> None:
    queue("One two.\nThree four.\nFive six.")
    page = ana_at_work.review()
    ana_at_work.press("v", "Control+Home", "ArrowDown", "Home", "Shift+End", "1")
    assert ana_at_work.spans() == [("Three four.", "geo human")]
    ana_at_work.press("z", "v", "Control+Home", "Control+ArrowDown", "Control+ArrowDown")
    ana_at_work.press("Control+Shift+ArrowUp", "2")
    assert ana_at_work.spans() == [("Three four.", "gpe human")]
    ana_at_work.press("z", "v", "Control+End", "Control+Shift+ArrowLeft", "3")
    assert ana_at_work.spans() == [("six.", "org human")]
    assert page.locator("#text .caret").count() == 0


def test_in_a_right_to_left_text_the_edges_go_where_the_arrows_point(
    queue: Queue, ana_at_work: Reviewer
) -> None:
    queue("زارت Ann مدينة القاهرة")
    ana_at_work.review()
    ana_at_work.press("v", "End", "Control+Shift+ArrowRight", "1")
    assert ana_at_work.spans()[-1][0] == "القاهرة"
    # The start of the word is at its right: pointing right takes the word before it in.
    ana_at_work.press("Control+Alt+Shift+ArrowRight")
    assert ana_at_work.spans()[-1][0] == "مدينة القاهرة"


def test_a_key_is_changed_and_one_that_is_taken_is_refused(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    page = ana_at_work.review()
    ana_at_work.press("?")
    page.get_by_role("button", name="Change the key: accept the span", exact=True).click()
    ana_at_work.press("j")
    expect(page.locator("#keys-said")).to_have_text("Not possible. j is taken: next span.")
    ana_at_work.press("1")
    expect(page.locator("#keys-said")).to_have_text("Not possible. 1 marks geo.")
    ana_at_work.press("Control+t")
    expect(page.locator("#keys-said")).to_contain_text("belongs to the browser")
    ana_at_work.press("y")
    expect(page.locator("#keys-said")).to_have_text("y: accept the span.")
    page.get_by_role("button", name="Close").click()
    ana_at_work.press("j", "a")
    assert ana_at_work.spans()[0][1] == "per suggested"
    ana_at_work.press("y")
    assert ana_at_work.spans()[0][1] == "per accepted"
    ana_at_work.saved("draft kept here")
    page.reload()
    ana_at_work.ready()
    # The draft came back, and with it the choice of the first span.
    ana_at_work.press("j", "y")
    assert ana_at_work.spans()[1][1] == "geo accepted"
    ana_at_work.press("?")
    page.get_by_role("button", name="All keys as they came").click()
    ana_at_work.press("Escape", "j", "a")
    assert ana_at_work.spans()[2][1] == "tim accepted"


def test_the_reading_size_and_the_edges_stay_as_they_were_left(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA)
    page = ana_at_work.review()
    ana_at_work.press("?")
    page.get_by_role("slider", name="Reading size").fill("23")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Queue", exact=True).click()
    assert size(page) == "23px"
    page.reload()
    ana_at_work.ready()
    assert size(page) == "23px"
    expect(page.locator("#rail")).to_be_hidden()
    expect(page.get_by_role("button", name="Queue", exact=True)).to_have_attribute("aria-expanded", "false")
    page.get_by_role("button", name="Queue", exact=True).click()
    expect(page.locator("#rail")).to_be_visible()


def size(page: Page) -> str:
    return str(page.evaluate("() => getComputedStyle(document.getElementById('text')).fontSize"))


def test_the_mouse_over_a_span_shows_how_sure_the_model_is(sureness: Any, ana_at_work: Reviewer) -> None:
    sureness(ADA, 0.95, 0.7, 0.3)
    page = ana_at_work.review()
    box = ana_at_work.box("London")
    page.mouse.move(box["x"] + 10, box["y"] + 8)
    expect(page.get_by_role("tooltip")).to_contain_text("suggested by the model, 70 % sure")
    ana_at_work.press("Escape")
    expect(page.get_by_role("tooltip")).to_be_hidden()


def test_a_finger_marks_and_decides_by_the_bar(queue: Queue, sign_in: SignIn, ana: User) -> None:
    queue(ADA)
    reviewer = sign_in(ana, has_touch=True, is_mobile=True)
    page = reviewer.review()
    box = reviewer.box("London")
    page.touchscreen.tap(box["x"] + 10, box["y"] + 8)
    bar = page.get_by_role("toolbar", name="Selected text")
    bar.get_by_role("button", name="Accept").tap()
    assert ("London", "geo accepted") in reviewer.spans()
    bar.get_by_role("button", name="Done").tap()
    expect(bar).to_be_hidden()
    # Held on a word, as the system's own selection does it.
    page.evaluate(
        """() => {
          const walker = document.createTreeWalker(document.getElementById('text'), NodeFilter.SHOW_TEXT);
          for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const at = node.data.indexOf('moved');
            if (at >= 0) getSelection().setBaseAndExtent(node, at, node, at + 5);
          }
        }"""
    )
    bar.get_by_role("button", name="Mark as pest").tap()
    assert ("moved", "pest human") in reviewer.spans()
    assert reviewer.complaints == []


def test_a_long_text_has_a_map_that_leads_to_its_places(queue: Queue, ana_at_work: Reviewer) -> None:
    queue("\n".join(["A line of no interest."] * 150 + ["Ada Lovelace"]))
    page = ana_at_work.review()
    chart = page.locator("#minimap")
    expect(chart).to_be_visible()
    box = chart.bounding_box()
    assert box
    page.mouse.click(box["x"] + 5, box["y"] + box["height"] - 4)
    page.wait_for_function("() => document.getElementById('page').scrollTop > 1000")
    painted = (
        "(canvas) => canvas.getContext('2d').getImageData(0, 0, 14, canvas.height).data.some((part) => part)"
    )
    assert chart.evaluate(painted)


def test_a_comment_on_a_span_is_kept_shown_and_resolved(
    queue: Queue, ana_at_work: Reviewer, sign_in: SignIn, ben: User
) -> None:
    (task,) = queue("🎉 " + ADA)
    page = ana_at_work.review()
    ana_at_work.press("j", "Shift+C")
    expect(page.locator("#comment-about")).to_have_text("About “Ada Lovelace”")
    page.keyboard.type("Mother or daughter?")
    ana_at_work.press("Control+Enter")
    expect(page.locator("#comment-list")).to_contain_text("Mother or daughter?")
    ana_at_work.arrived()
    comment = Comment.objects.get()
    assert task.document.text[comment.start : comment.end] == "Ada Lovelace"
    ana_at_work.press("j")
    assert page.inner_text("#live").startswith("London"), "the keys go on working on the text"
    Task.objects.update(claimed_by=None, lease_expires_at=None)
    other = sign_in(ben)
    other.review(task)
    other.page.get_by_role("button", name="Ada Lovelace").last.click()
    assert other.page.inner_text("#inspector .surface") == "Ada Lovelace"
    other.page.get_by_role("button", name="Resolve").click()
    expect(other.page.locator("#comment-list")).to_contain_text("resolved by ben")
    comment.refresh_from_db()
    assert comment.resolved_by == ben


def test_a_comment_without_a_network_waits_here_and_arrives_once(
    queue: Queue, sign_in: SignIn, ana: User
) -> None:
    queue(ADA, "Ann wrote a letter to Boston.")
    reviewer = sign_in(ana)
    page = reviewer.review()
    reviewer.context.set_offline(True)
    reviewer.press("Shift+C")
    page.keyboard.type("Who?")
    page.get_by_role("button", name="Comment Ctrl ↵").click()
    reviewer.saved("1 kept here")
    reviewer.press("Enter")
    reviewer.saved("2 kept here")
    reviewer.context.set_offline(False)
    reviewer.arrived()
    assert Comment.objects.count() == 1
    assert Correction.objects.count() == 1


def test_the_queue_is_narrowed_by_a_word(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA, "Ann wrote a letter to Boston.")
    page = ana_at_work.review()
    page.get_by_role("searchbox", name="Show only texts with").fill("boston")
    expect(page.locator("#queue li:visible")).to_have_count(1)
    assert "Boston" in page.locator("#queue li:visible").inner_text()


def test_a_hidden_page_counts_no_time(queue: Queue, ana_at_work: Reviewer) -> None:
    queue(ADA, "Ann wrote a letter to Boston.")
    page = ana_at_work.review()
    page.clock.install()
    page.reload()
    ana_at_work.ready()
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.clock.fast_forward(40_000)
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.clock.fast_forward(5_000)
    ana_at_work.press("Enter")
    page.clock.run_for(5_000)
    ana_at_work.document("Boston")
    page.wait_for_function("() => document.getElementById('saved').textContent.startsWith('saved')")
    assert 5_000 <= Correction.objects.get().milliseconds < 20_000


def test_a_decision_says_where_else_the_same_words_wait(queue: Queue, ana_at_work: Reviewer) -> None:
    queue("Smyrna is old.", "Nobody knows Smyrna.", "In Smyrna and Smyrna.")
    page = ana_at_work.review()
    ana_at_work.press("1")
    ana_at_work.drag("Smyrna")
    offer = page.locator("#offer")
    expect(offer).to_contain_text("wait")
    offer.get_by_role("link", name="Decide alike").click()
    expect(page.get_by_role("checkbox").first).to_be_visible()


def test_what_was_carried_over_is_a_proposal_to_be_accepted_or_rejected(
    queue: Queue, ana_at_work: Reviewer, demo_project: Project, ana: User
) -> None:
    first, second = queue("Smyrna is old.", "Nobody knows Smyrna or Smyrna.")
    propagation_apply(
        project=demo_project,
        user=ana,
        surface="Smyrna",
        label="geo",
        places=[(second.pk, 13), (second.pk, 23)],
        task=first,
    )
    page = ana_at_work.review(second)
    assert ana_at_work.spans() == [("Smyrna", "geo propagated")] * 2
    ana_at_work.press("j", "x", "j", "a")
    assert ana_at_work.spans() == [("Smyrna", "geo rejected"), ("Smyrna", "geo accepted")]
    assert page.locator("#inspector .state").inner_text() == "accepted"
    ana_at_work.press("Enter")
    page.wait_for_function("id => !location.search.includes(id)", arg=f"task={second.pk}")
    ana_at_work.arrived()
    assert [span["start"] for span in Correction.objects.get().spans] == [23]
