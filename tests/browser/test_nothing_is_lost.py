"""Dead networks, killed tabs, ended sessions, two reviewers: no decision is lost and none is stored twice."""

from __future__ import annotations

import re
from datetime import timedelta

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Route

from audit.services import SYSTEM
from corpus.models import Project
from corpus.selectors import label_set_current
from corpus.services import LabelDraft, label_set_revise
from feedback.models import Correction
from labeling.models import Task
from labeling.services import task_submit
from tests.browser.conftest import Queue, SignIn, give_session

ADA = "Ada Lovelace moved to London in 1835."
ANN = "Ann wrote a letter to Boston."
GRACE = "Grace Hopper was never in London."


def surfaces(task: Task) -> list[str]:
    correction = Correction.objects.filter(document=task.document).latest("number")
    return [span["text"] for span in correction.spans]


def submitted_elsewhere(task: Task, user: User, spans: list[dict[str, object]], base_number: int = 0) -> None:
    """Somebody else got hold of the text and saved it."""
    Task.objects.filter(pk=task.pk).update(lease_expires_at=None, claimed_by=None)
    task_submit(
        task=task,
        user=user,
        spans=spans,
        base_number=base_number,
        idempotency_key=f"{user}{task.pk}",
        milliseconds=1,
    )


def test_offline_decisions_wait_here_and_arrive_once_when_the_network_is_back(
    queue: Queue, sign_in: SignIn, ana: User
) -> None:
    first, second, _third = queue(ADA, ANN, GRACE)
    reviewer = sign_in(ana)
    reviewer.review()
    reviewer.context.set_offline(True)
    reviewer.press("j", "x", "Enter")
    reviewer.saved("offline, 1 kept here")
    reviewer.document("Boston")
    reviewer.press("Enter")
    reviewer.saved("2 kept here")
    reviewer.told("the next text is not here yet")
    assert not Correction.objects.exists()
    reviewer.context.set_offline(False)
    reviewer.arrived()
    reviewer.document("Grace")
    assert surfaces(first) == ["London", "1835"]
    assert surfaces(second) == ["Ann", "Boston"]
    assert Correction.objects.count() == 2


def test_a_lost_answer_does_not_store_twice(queue: Queue, sign_in: SignIn, ana: User) -> None:
    task, _ = queue(ADA, ANN)
    reviewer = sign_in(ana)
    page = reviewer.review()
    answers = []

    def lose_the_first(route: Route) -> None:
        answers.append(route.fetch())
        if len(answers) == 1:
            route.abort()
        else:
            route.fulfill(response=answers[-1])

    page.route(re.compile(r"/submit$"), lose_the_first)
    reviewer.press("Enter")
    reviewer.saved("kept here")
    reviewer.arrived()
    assert [answer.status for answer in answers] == [200, 200]
    assert Correction.objects.filter(document=task.document).count() == 1


def test_a_killed_tab_keeps_the_work_and_its_undo_history(queue: Queue, sign_in: SignIn, ana: User) -> None:
    queue(ADA)
    reviewer = sign_in(ana)
    reviewer.review()
    reviewer.press("j", "x", "j", "3")
    reviewer.saved("draft kept here")
    before = reviewer.spans()
    reviewer.page.close()
    reviewer.page = reviewer.open()
    reviewer.review()
    assert reviewer.spans() == before
    reviewer.press("z", "z")
    assert [state for _, state in reviewer.spans()] == ["per suggested", "geo suggested", "tim suggested"]
    reviewer.press("Control+y")
    assert reviewer.spans()[0] == ("Ada Lovelace", "per rejected")
    reviewer.saved("draft kept here")
    reviewer.page.reload()
    reviewer.ready()
    reviewer.press("Control+y")
    assert reviewer.spans() == before, "what can be done again survives as well"


def test_a_tab_killed_with_unsent_decisions_sends_them_when_it_is_opened_again(
    queue: Queue, sign_in: SignIn, ana: User
) -> None:
    task, _ = queue(ADA, ANN)
    reviewer = sign_in(ana)
    page = reviewer.review()
    page.route(re.compile(r"/submit$"), lambda route: route.abort())
    reviewer.press("j", "x", "Enter")
    reviewer.saved("1 kept here")
    page.close()
    reviewer.page = reviewer.open()
    reviewer.review()
    reviewer.document("Boston")
    reviewer.arrived()
    assert surfaces(task) == ["London", "1835"]


def test_a_stale_save_shows_both_versions_and_the_reviewer_merges(
    queue: Queue, sign_in: SignIn, ana: User, ben: User
) -> None:
    task, _ = queue(ADA, ANN)
    reviewer = sign_in(ana)
    page = reviewer.review(task)
    submitted_elsewhere(task, ben, [{"start": 13, "end": 18, "label": "pest", "text": "moved"}])
    reviewer.press("j", "x", "Enter")
    page.get_by_role("button", name="Compare the two").click()
    page.get_by_role("heading", name="ben saved this text while you worked on it").wait_for()
    versions = page.locator(".version")
    assert "moved" in versions.nth(1).locator(".mark").all_inner_texts()
    assert versions.nth(0).locator(".mark").all_inner_texts() == ["London", "1835"]
    assert [row.inner_text().split() for row in page.locator(".choices li").all()] == [
        ["moved", "PEST", "ben"],
        ["London", "GEO", "yours"],
        ["1835", "TIM", "yours"],
    ]
    page.get_by_role("checkbox", name="1835").uncheck()
    page.get_by_role("button", name="Save the ticked spans").click()
    reviewer.arrived()
    assert surfaces(task) == ["moved", "London"]
    authors = Correction.objects.order_by("number").values_list("author__username", flat=True)
    assert list(authors) == ["ben", "ana"], "nothing was overwritten"


def test_of_a_stale_save_the_other_version_can_be_kept(
    queue: Queue, sign_in: SignIn, ana: User, ben: User
) -> None:
    task, _ = queue(ADA, ANN)
    reviewer = sign_in(ana)
    page = reviewer.review(task)
    submitted_elsewhere(task, ben, [])
    reviewer.press("Enter")
    page.get_by_role("button", name="Compare the two").click()
    page.get_by_role("button", name="Keep ben's and drop mine").click()
    page.get_by_role("heading", name="ben saved").wait_for(state="hidden")
    assert Correction.objects.count() == 1
    page.get_by_role("button", name="Compare the two").wait_for(state="hidden")


def test_two_browsers_on_one_text_end_with_both_versions_and_no_loss(
    queue: Queue, sign_in: SignIn, ana: User, ben: User
) -> None:
    task, _ = queue(ADA, ANN)
    one, two = sign_in(ana), sign_in(ben)
    one.review(task)
    Task.objects.filter(pk=task.pk).update(lease_expires_at=None, claimed_by=None)
    two.review(task)
    Task.objects.filter(pk=task.pk).update(lease_expires_at=None, claimed_by=None)
    one.press("j", "x", "Enter")
    one.arrived()
    two.press("Enter")
    two.page.get_by_role("button", name="Compare the two").click()
    two.page.get_by_role("heading", name="ana saved this text").wait_for()
    assert [row.inner_text().split() for row in two.page.locator(".choices li").all()] == [
        ["Ada", "Lovelace", "PER", "yours"]
    ]
    two.page.get_by_role("button", name="Save the ticked spans").click()
    two.arrived()
    assert surfaces(task) == ["Ada Lovelace", "London", "1835"]
    assert Correction.objects.filter(document=task.document).count() == 2


def test_what_another_holds_is_kept_until_it_is_free(
    queue: Queue, sign_in: SignIn, ana: User, ben: User
) -> None:
    task, _ = queue(ADA, ANN)
    reviewer = sign_in(ana)
    page = reviewer.review(task)
    Task.objects.filter(pk=task.pk).update(
        claimed_by=ben, lease_expires_at=timezone.now() + timedelta(minutes=2)
    )
    reviewer.press("Enter")
    reviewer.told("ben is reviewing this document")
    Task.objects.filter(pk=task.pk).update(claimed_by=None, lease_expires_at=None)
    page.get_by_role("button", name="Try again").click()
    reviewer.arrived()
    assert surfaces(task) == ["Ada Lovelace", "London", "1835"]


def test_an_ended_session_is_said_and_the_work_goes_on_after_signing_in(
    queue: Queue, sign_in: SignIn, ana: User
) -> None:
    task, _ = queue(ADA, ANN)
    reviewer = sign_in(ana)
    page = reviewer.review()
    Session.objects.all().delete()
    reviewer.press("j", "x", "Enter")
    reviewer.saved("Your session has ended")
    link = page.get_by_role("link", name="Sign in as ana")
    assert link.get_attribute("target") == "_blank"
    give_session(reviewer.context, ana, reviewer.base)
    page.evaluate("dispatchEvent(new Event('focus'))")
    reviewer.arrived()
    assert surfaces(task) == ["London", "1835"]


def test_another_persons_session_never_signs_what_was_decided(
    queue: Queue, sign_in: SignIn, ana: User, ben: User
) -> None:
    queue(ADA, ANN)
    reviewer = sign_in(ana)
    reviewer.review()
    reviewer.context.clear_cookies()
    give_session(reviewer.context, ben, reviewer.base)

    reviewer.press("Enter")
    reviewer.saved("Your session has ended")
    assert not Correction.objects.exists()


def test_a_label_retired_meanwhile_keeps_the_spans_to_be_mended(
    queue: Queue, sign_in: SignIn, ana: User, demo_project: Project
) -> None:
    task, _ = queue(ADA, ANN)
    reviewer = sign_in(ana)
    page = reviewer.review()
    names = [label.name for label in label_set_current(project=demo_project).labels.all()]
    label_set_revise(
        project=demo_project,
        labels=[LabelDraft(name=name) for name in names if name != "tim"],
        actor=SYSTEM,
    )
    reviewer.press("Enter")
    reviewer.told("tim is no longer in use")
    page.get_by_role("button", name="Open it").click()
    reviewer.document("1835")
    reviewer.press("k", "x", "Enter")
    reviewer.arrived()
    assert surfaces(task) == ["Ada Lovelace", "London"]
