"""Who sits at which text, and who must not see what others said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.models import Document
from labeling.models import Assignment, Task

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Parts that are not finished.
WAITING = (Assignment.State.ASSIGNED, Assignment.State.OPEN)


def seat_of(*, task: Task, user: User) -> Assignment | None:
    """A person's part in a task, whatever became of it."""
    return Assignment.objects.filter(task=task, user=user).first()


def seat_for_blind(*, task: Task, user: User) -> Assignment | None:
    """The same, where it matters for blindness: one reviewer's waiting text needs no query."""
    if task.annotators_wanted == 1 and task.status == Task.Status.OPEN:
        return None
    return seat_of(task=task, user=user)


def is_blind(*, task: Task, seat: Assignment | None) -> bool:
    """Must this person neither see what others said of the text nor answer for all?

    So until the annotators are done, and for a gold item always: who has once been measured on a text
    could else look its answer up.
    """
    if seat is not None and seat.is_gold:
        return True
    if task.annotators_wanted == 1:
        return False
    return task.status == Task.Status.OPEN or (seat is not None and seat.state in WAITING)


def is_blind_to(*, document: Document, user: User) -> bool:
    """The same of whatever task the document has now."""
    task = Task.objects.filter(document=document).order_by("-id").first()
    return task is not None and is_blind(task=task, seat=seat_for_blind(task=task, user=user))
