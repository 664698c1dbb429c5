"""What a person may want of texts in the list: asked next, kept for somebody, vouched for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.errors import DocumentErased, DomainError
from corpus.models import Document, Project
from corpus.selectors import document_get, project_allows, project_require
from feedback.models import GoldItem
from feedback.selectors import correction_current
from feedback.services import gold_mark, gold_unmark
from labeling.errors import (
    GoldAlready,
    GoldNot,
    NotInTeam,
    SeatsTaken,
    TextNotKept,
    TextNotWaiting,
    TextTheirs,
    TextUndecided,
    TooManyTicked,
)
from labeling.models import Assignment, Standing, Task
from labeling.selectors.names import naming
from labeling.services.assignments import tasks_keep
from labeling.services.queue import task_make, task_make_done
from labeling.services.seats import lease_check

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: So many texts are changed in one step: a page of the list holds fewer.
TICKED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of ticked texts: of how many it was done, and why not of the others."""

    done: int
    left: list[tuple[UUID, DomainError]]


def texts_each(*, documents: Sequence[UUID], act: Callable[[UUID], object]) -> Acted:
    """Do the same with each of some texts, each by itself: that one is refused keeps no other from it.

    Raises TooManyTicked.
    """
    if len(documents) > TICKED_AT_ONCE:
        raise TooManyTicked(limit=TICKED_AT_ONCE, count=len(documents))
    done, left = 0, []
    for document_id in dict.fromkeys(documents):
        try:
            with transaction.atomic():
                act(document_id)
        except DomainError as refused:
            left.append((document_id, refused))
        else:
            done += 1
    return Acted(done, left)


@transaction.atomic
def text_raise(*, project: Project, document_id: UUID, user: User) -> Task:
    """Put a text at the head of the queue, behind those that were asked for before it.

    A text that was left out as nearly the same as another gets its task now. Asking twice changes nothing.
    """
    project_require(project=project, user=user, permission="review")
    task = _task_waiting(project, document_id)
    if task.raised_at is None:
        Task.objects.filter(pk=task.pk).update(raised_at=Coalesce(F("raised_at"), Now()))
        task.refresh_from_db(fields=["raised_at"])
        event_record(
            action="task.raise",
            actor=Actor.of_user(user),
            subject=task,
            chain=project.slug,
            data={"document": str(document_id), "stratum": task.stratum},
        )
    return task


@transaction.atomic
def text_assign(*, project: Project, document_id: UUID, assignee: User, user: User) -> Task:
    """Keep a text for a person. One for a single reviewer that is kept for another, not begun, changes hands.

    Raises NotInTeam; DocumentErased or TextNotWaiting where nobody is to review it any more; TaskLocked while
    somebody does; TextTheirs; SeatsTaken when several annotate it and none is wanted besides.
    """
    project_require(project=project, user=user, permission="adjudicate")
    name = naming(project=project, viewer=user)
    if not project_allows(project=project, user=assignee, permission="review"):
        raise NotInTeam(pointer="/user", person=name(assignee))
    task = _locked(_task_waiting(project, document_id))
    if task.assignments.filter(user=assignee).exists():
        raise TextTheirs(person=name(assignee))
    lease_check(task=task, user=assignee, viewer=user)
    others = _kept_off(task) if task.annotators_wanted == 1 else []
    if task.seats < 1:
        raise SeatsTaken(wanted=task.annotators_wanted)
    tasks_keep([(task, assignee.pk)], assigned_by=user)
    event_record(
        action="task.assign",
        actor=Actor.of_user(user),
        subject=project,
        chain=project.slug,
        data={"user": assignee.pk, "tasks": [task.pk], "instead_of": others},
    )
    return task


@transaction.atomic
def text_unassign(*, project: Project, document_id: UUID, user: User) -> Task:
    """Give a text back to all that is kept for somebody and not begun.

    Raises TextNotKept, also when whoever it is kept for has begun.
    """
    project_require(project=project, user=user, permission="adjudicate")
    task = Task.objects.filter(project=project, document=document_id, status=Task.Status.OPEN).first()
    task = _locked(task) if task is not None else None
    if task is None or _is_held(task) or not (people := _kept_off(task)):
        raise TextNotKept()
    for person_id in people:
        event_record(
            action="task.unassign",
            actor=Actor.of_user(user),
            subject=project,
            chain=project.slug,
            data={"user": person_id, "tasks": [task.pk]},
        )
    return task


@transaction.atomic
def text_gold_mark(*, project: Project, document_id: UUID, user: User) -> GoldItem:
    """Make a gold item of whatever is decided of a text, by whom and in however many steps it ever was.

    One that never went through the queue (imported with its spans) gets a closed task, so that it can be
    handed out. Raises DocumentErased, TextUndecided, GoldAlready.
    """
    project_require(project=project, user=user, permission="adjudicate")
    document = _document(project, document_id)
    correction = correction_current(document)
    waits = Task.objects.filter(document=document, status=Task.Status.OPEN)
    if correction is None or waits.exists():
        raise TextUndecided()
    if GoldItem.objects.filter(document=document, correction=correction).exists():
        raise GoldAlready()
    gold = gold_mark(correction=correction, user=user)
    if not Task.objects.filter(document=document, status=Task.Status.DONE).exists():
        task_make_done(project=project, document=document, correction=correction)
    return gold


@transaction.atomic
def text_gold_unmark(*, project: Project, document_id: UUID, user: User) -> None:
    """Measure nobody on a text any more. Raises GoldNot."""
    project_require(project=project, user=user, permission="adjudicate")
    gold = GoldItem.objects.filter(project=project, document=document_id).first()
    if gold is None:
        raise GoldNot()
    gold_unmark(gold=gold, user=user)


def _document(project: Project, document_id: UUID) -> Document:
    document = document_get(project=project, document_id=document_id)
    if document.redacted_at is not None:
        raise DocumentErased()
    return document


def _task_waiting(project: Project, document_id: UUID) -> Task:
    """The open task of a text; made now where the text had none and was not decided."""
    document = _document(project, document_id)
    standing = Standing.objects.select_for_update(of=("self",)).get(pk=document.pk)
    task = Task.objects.filter(document=document, status=Task.Status.OPEN).order_by("id").first()
    if task is None:
        if standing.state not in {Standing.State.NEW, Standing.State.LEFT_OUT}:
            raise TextNotWaiting(state=standing.get_state_display().lower())
        task = task_make(project=project, document=document)
    return task


def _locked(task: Task) -> Task:
    return (
        Task.objects.select_for_update(of=("self",)).select_related("project", "claimed_by").get(pk=task.pk)
    )


def _is_held(task: Task) -> bool:
    return task.lease_expires_at is not None and task.lease_expires_at > timezone.now()


def _kept_off(task: Task) -> list[int]:
    """Take a text off those for whom it is kept and who have not begun it, its row locked."""
    kept = task.assignments.filter(is_kept=True, is_gold=False, state=Assignment.State.ASSIGNED)
    people = list(kept.values_list("user_id", flat=True))
    kept.delete()
    task.seats += len(people)
    task.save(update_fields=["seats"])
    return people
