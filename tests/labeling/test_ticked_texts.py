"""What is done with ticked texts: kept for somebody, given back, asked for next, made gold items."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.errors import Refused
from corpus.models import Project
from corpus.services import document_store, project_change
from feedback.models import Correction, GoldItem
from feedback.services import correction_submit
from inference.models import ModelVersion
from labeling.errors import (
    GoldAlready,
    GoldNot,
    NotInTeam,
    SeatsTaken,
    TaskLocked,
    TextNotKept,
    TextNotWaiting,
    TextTheirs,
    TextUndecided,
)
from labeling.models import Assignment, Standing, Task
from labeling.selectors.texts import TextsAsked, texts_page
from labeling.services import task_claim, task_skip, task_submit
from labeling.services.claims import task_take
from labeling.services.texts import text_assign, text_gold_mark, text_gold_unmark, text_unassign
from tests.labeling.conftest import Queue
from tests.people import member

pytestmark = pytest.mark.django_db

ACT = "/projects/orchard/texts/act"
ADA = {"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"}


def kept_for(task: Task) -> list[User]:
    return [seat.user for seat in task.assignments.filter(is_gold=False).order_by("id")]


def review(task: Task, user: User, base: int = 0) -> Any:
    return task_submit(
        task=task,
        user=user,
        spans=[ADA],
        base_number=base,
        idempotency_key=f"{task.pk}-{base}",
        milliseconds=900,
    )


def said(client: Client, **sent: Any) -> list[str]:
    page = client.post(ACT, {"back": "/projects/orchard/texts/", **sent}, follow=True)
    return [str(message) for message in page.context["messages"]]


# --- Kept for somebody ----------------------------------------------------------------------------------


def test_a_picked_text_is_kept_and_changes_hands_while_nobody_has_begun(
    project: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    (task,) = queue(count=1)
    for person in (ana, ben):
        text_assign(project=project, document_id=task.document_id, assignee=person, user=mia)
        assert kept_for(task) == [person]
    assert task_claim(project=project, user=ana) is None
    assert task_claim(project=project, user=ben) == task
    first, second = AuditEvent.objects.filter(action="task.assign").order_by("number")
    assert first.data == {"user": ana.pk, "tasks": [task.pk], "instead_of": []}
    assert second.data["instead_of"] == [ana.pk]
    task.refresh_from_db()
    assert task.seats == 0


def test_what_somebody_works_on_had_or_finished_is_not_given_to_another(
    project: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    held, theirs, done, skipped = queue(count=4)
    task_take(task=held, user=ana)
    text_assign(project=project, document_id=theirs.document_id, assignee=ben, user=mia)
    review(done, ana)
    task_skip(task=skipped, user=ana, reason="odd")
    for task, refusal in (
        (held, TaskLocked),
        (theirs, TextTheirs),
        (done, TextNotWaiting),
        (skipped, TextNotWaiting),
    ):
        with pytest.raises(refusal):
            text_assign(project=project, document_id=task.document_id, assignee=ben, user=mia)
    text_assign(project=project, document_id=held.document_id, assignee=ana, user=mia)
    assert kept_for(held) == [ana], "what one holds can be kept for oneself"


def test_a_text_that_was_left_out_is_queued_for_whom_it_is_given(
    project: Project, queue: Queue, ben: User, mia: User
) -> None:
    queue(count=1)
    document, _ = document_store(project=project, text="Ada wrote.")
    Standing.objects.filter(pk=document.pk).update(state=Standing.State.LEFT_OUT)
    task = text_assign(project=project, document_id=document.pk, assignee=ben, user=mia)
    assert task.document == document
    assert task_claim(project=project, user=ben) == task


def test_a_text_of_several_has_as_many_seats_as_it_wants(
    project: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    project_change(project=project, actor=SYSTEM, annotators_per_document=2)
    project.refresh_from_db()
    (task,) = queue(count=1)
    for person in (ana, ben):
        text_assign(project=project, document_id=task.document_id, assignee=person, user=mia)
    with pytest.raises(SeatsTaken):
        text_assign(project=project, document_id=task.document_id, assignee=mia, user=mia)
    assert kept_for(task) == [ana, ben], "nobody is pushed off a text of several"


def test_a_text_is_given_back_unless_it_is_begun(
    project: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    (task,) = queue(count=1)
    document_id = task.document_id
    with pytest.raises(TextNotKept):
        text_unassign(project=project, document_id=document_id, user=mia)
    text_assign(project=project, document_id=document_id, assignee=ben, user=mia)
    text_unassign(project=project, document_id=document_id, user=mia)
    assert task_claim(project=project, user=ana) == task
    text_assign(project=project, document_id=document_id, assignee=ana, user=mia)
    with pytest.raises(TextNotKept):
        text_unassign(project=project, document_id=document_id, user=mia)
    assert AuditEvent.objects.get(action="task.unassign").data == {"user": ben.pk, "tasks": [task.pk]}


def test_texts_are_given_to_reviewers_by_who_may(
    project: Project, queue: Queue, otto: User, ben: User, mia: User
) -> None:
    (task,) = queue(count=1)
    annette = member(project, "annette", "annotator")
    for act in (text_unassign, text_gold_mark, text_gold_unmark):
        with pytest.raises(Refused):
            act(project=project, document_id=task.document_id, user=annette)
    with pytest.raises(Refused):
        text_assign(project=project, document_id=task.document_id, assignee=ben, user=annette)
    with pytest.raises(NotInTeam, match="otto"):
        text_assign(project=project, document_id=task.document_id, assignee=otto, user=mia)


# --- Gold items -----------------------------------------------------------------------------------------


def test_whatever_is_decided_becomes_a_gold_item_also_when_it_was_corrected_again(
    project: Project, queue: Queue, ana: User, mia: User
) -> None:
    (task,) = queue(count=1)
    with pytest.raises(TextUndecided):
        text_gold_mark(project=project, document_id=task.document_id, user=mia)
    review(task, ana)
    text_gold_mark(project=project, document_id=task.document_id, user=mia)
    with pytest.raises(GoldAlready):
        text_gold_mark(project=project, document_id=task.document_id, user=mia)
    newer = task_submit(task=task, user=mia, spans=[], base_number=1, idempotency_key="again", milliseconds=1)
    assert text_gold_mark(project=project, document_id=task.document_id, user=mia).correction == newer
    text_gold_unmark(project=project, document_id=task.document_id, user=mia)
    with pytest.raises(GoldNot):
        text_gold_unmark(project=project, document_id=task.document_id, user=mia)
    told = AuditEvent.objects.filter(action__startswith="gold").order_by("number")
    assert [event.action for event in told] == ["gold.mark", "gold.mark", "gold.unmark"]


def test_an_imported_text_that_is_made_a_gold_item_can_be_handed_out(
    project: Project, champion: ModelVersion, queue: Queue, ana: User, mia: User
) -> None:
    document, _ = document_store(project=project, text="Ada Lovelace came with a file.")
    correction = correction_submit(
        document=document,
        spans=[ADA],
        base_number=0,
        author=mia,
        prediction=None,
        stratum="import",
        idempotency_key="file",
        milliseconds=0,
    )
    before = timezone.now()
    text_gold_mark(project=project, document_id=document.pk, user=mia)
    task = Task.objects.get(document=document)
    assert (task.status, task.correction, task.claimed_by) == (Task.Status.DONE, correction, None)
    assert task.closed_at is not None
    assert task.closed_at < before, "nobody reviewed it today"
    project_change(project=project, actor=SYSTEM, gold_share=1.0)
    project.refresh_from_db()
    queue(count=1)
    assert task_claim(project=project, user=ana) == task


# --- The page -------------------------------------------------------------------------------------------


def test_the_page_says_what_was_done_and_why_not_with_the_others(
    project: Project, queue: Queue, client: Client, ana: User, ben: User, mia: User
) -> None:
    free, held, *done = queue(count=7)
    task_take(task=held, user=ana)
    for task in done:
        review(task, ana)
    client.force_login(mia)
    texts = [task.document_id for task in (free, held, *done)]
    kept, locked, decided = said(client, act="assign", user=ben.pk, text=texts)
    assert kept == "1 text is kept for ben."
    assert locked.startswith("1 text stays as it was. “Ada Lovelace wrote letter 1 in London.”: ana is")
    assert decided.startswith("5 texts stay as they were. “Ada Lovelace wrote letter 2 in London.”, ")
    assert decided.endswith("” and 2 more: Nothing is left to ask for: this text is reviewed.")
    assert kept_for(free) == [ben]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"act": "raise"}, "Tick the texts first."),
        ({"act": "assign", "text": uuid4()}, "Say who is to get them."),
        ({"act": "raise", "text": uuid4()}, "1 text stays as it was."),
        (
            {"act": "raise", "text": [uuid4() for _ in range(201)]},
            "At most 200 texts are changed",
        ),
    ],
)
def test_what_cannot_be_done_at_all_is_said(
    project: Project, client: Client, mia: User, sent: dict[str, Any], words: str
) -> None:
    client.force_login(mia)
    (message,) = said(client, **sent)
    assert message.startswith(words)


def test_each_act_takes_its_right(project: Project, queue: Queue, client: Client) -> None:
    (task,) = queue(count=1)
    client.force_login(member(project, "annette", "annotator"))
    for act, status in (("raise", 302), ("assign", 403), ("gold", 403), ("rename", 404)):
        assert client.post(ACT, {"act": act, "text": task.document_id}).status_code == status
    client.force_login(member(project, "vera", "viewer"))
    assert client.post(ACT, {"act": "raise", "text": task.document_id}).status_code == 403
    assert 'name="text"' not in client.get("/projects/orchard/texts/").content.decode()


def test_gold_items_and_kept_texts_are_told_to_adjudicators_only(
    project: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    gold, kept = queue(count=2)
    review(gold, ana)
    text_gold_mark(project=project, document_id=gold.document_id, user=mia)
    text_assign(project=project, document_id=kept.document_id, assignee=ben, user=mia)
    annette = member(project, "annette", "annotator")
    for viewer, expected in ((mia, [("ben", False), ("", True)]), (annette, [("", False), ("", False)])):
        rows = texts_page(project=project, viewer=viewer, asked=TextsAsked()).rows
        assert [(row.kept_for, row.is_gold) for row in rows] == expected


def test_a_reviewed_text_is_made_a_gold_item_on_its_own_page(
    project: Project, queue: Queue, client: Client, ana: User, ben: User, mia: User
) -> None:
    task, waiting = queue(count=2)
    review(task, ana)
    page, other = (f"/projects/orchard/review/?task={one.pk}" for one in (task, waiting))
    client.force_login(mia)
    assert "Make it a gold item" in client.get(page).content.decode()
    assert "Make it a gold item" not in client.get(other).content.decode()
    client.post(ACT, {"act": "gold", "text": task.document_id, "back": page})
    assert "No gold item any more" in client.get(page).content.decode()
    # Ben is being measured on it: his page tells nothing.
    Assignment.objects.create(
        project=project, task=task, user=ben, state=Assignment.State.OPEN, is_kept=True, is_gold=True
    )
    client.force_login(ben)
    assert "gold item" not in client.get(page).content.decode()
    assert GoldItem.objects.count() == 1
    assert Correction.objects.count() == 1
