"""Several annotators on one text, each blind to the others: seats taken, kept, given back, filled.

A seat is an `Assignment`. The task's row is the lock for all of them: whoever changes seats holds it, so
that two who come at once cannot take the last seat twice, and the last two answers see each other.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.models import Project
from feedback.models import Correction, GoldItem, Opinion, Stratum
from feedback.selectors import correction_current, opinions_newest
from feedback.services import correction_submit, opinion_submit
from labeling.errors import SeatsTaken, TaskKept, TaskLocked
from labeling.models import Assignment, Task
from labeling.selectors.names import naming
from labeling.selectors.seats import WAITING, seat_of

if TYPE_CHECKING:
    from datetime import timedelta

    from django.contrib.auth.models import User

#: So many lapsed seats are given back at once: the rest at the next claim.
_LAPSED_AT_ONCE = 20


def seats_lapse(*, project: Project) -> None:
    """Give back the seats that were left alone, so that others can take them. What is kept stays kept."""
    lapsed = Assignment.objects.filter(
        project=project, state=Assignment.State.OPEN, is_kept=False, lease_expires_at__lt=Now()
    )
    ids = list(lapsed.values_list("task_id", flat=True)[:_LAPSED_AT_ONCE])
    if not ids:
        return
    # The task first, as everywhere: locks taken in one order cannot deadlock.
    for task in Task.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk__in=ids):
        gone, _ = lapsed.filter(task=task).delete()
        Task.objects.filter(pk=task.pk).update(seats=F("seats") + gone)


def seat_waiting(*, project: Project, user: User, besides: Collection[int]) -> Task | None:
    """The text that a person holds a seat on or that is kept for them; what is in hand comes first."""
    waiting = (
        Assignment.objects.filter(project=project, user=user, state__in=WAITING)
        .filter(Q(task__status=Task.Status.OPEN) | Q(is_gold=True), task__document__redacted_at=None)
        .filter(
            Q(task__claimed_by=None)
            | Q(task__claimed_by=user)
            | Q(task__lease_expires_at__lt=Now())
            | Q(is_gold=True)
        )
        .exclude(task__in=besides)
        .order_by("-state", "id")  # "open" after "assigned" in the alphabet
        .values_list("task_id", flat=True)
        .first()
    )
    if waiting is None:
        return None
    return Task.objects.select_for_update(of=("self",)).get(pk=waiting)


def not_seated(user: User) -> Q:
    """The condition under which a task was never given to a person."""
    return ~Q(Exists(Assignment.objects.filter(task=OuterRef("pk"), user=user)))


def gold_instead(*, task: Task, project: Project, user: User, besides: Collection[int]) -> Task:
    """Now and then, in the project's share, a gold item in the place of a text."""
    share = project.gold_share
    if not share or secrets.randbelow(1_000_000) >= share * 1_000_000:
        return task
    mine = (
        Q(Exists(Correction.objects.filter(document=OuterRef("document"), author=user)))
        | Q(Exists(Opinion.objects.filter(document=OuterRef("document"), author=user)))
        | Q(declared_by=user)
    )
    # Only texts that came through the queue have the prediction to start from.
    through = Task.objects.filter(document=OuterRef("document"), status=Task.Status.DONE)
    gold = (
        GoldItem.objects.filter(Exists(through), project=project, document__redacted_at=None)
        .exclude(mine)
        .order_by("?")
        .first()
    )
    if gold is None:
        return task
    closed = Task.objects.filter(document=gold.document_id, status=Task.Status.DONE).filter(not_seated(user))
    found = closed.exclude(pk__in=besides).order_by("-id").first()
    if found is None:
        return task
    Assignment.objects.get_or_create(
        task=found,
        user=user,
        defaults={
            "project": project,
            "state": Assignment.State.OPEN,
            "is_kept": True,
            "is_gold": True,
        },
    )
    return found


def seat_take(*, task: Task, user: User, lease: timedelta) -> Assignment:
    """Sit down at a text, the task's row locked. Raises SeatsTaken when there is no seat left."""
    seat = Assignment.objects.filter(task=task, user=user).first()
    if seat is None:
        if task.seats < 1:
            raise SeatsTaken(wanted=task.annotators_wanted)
        Task.objects.filter(pk=task.pk).update(seats=F("seats") - 1)
        seat = Assignment(task=task, user=user, project=task.project, state=Assignment.State.OPEN)
        seat.save()
    if seat.state != Assignment.State.DONE:
        # The database's clock, as in every comparison: web processes may disagree about the time.
        Assignment.objects.filter(pk=seat.pk).update(
            state=Assignment.State.OPEN, lease_expires_at=Now() + lease
        )
        seat.refresh_from_db()
    return seat


def kept_check(*, task: Task, user: User) -> None:
    """Raise TaskKept when a text for one reviewer is kept for somebody else."""
    if task.seats > 0 or task.annotators_wanted > 1:
        return
    kept = task.assignments.filter(state__in=WAITING).select_related("user")
    holders = [seat.user for seat in kept]
    if holders and user not in holders:
        raise TaskKept(holder=naming(project=task.project, viewer=user)(holders[0]))


def lease_check(*, task: Task, user: User, viewer: User | None = None) -> None:
    """Raise TaskLocked while somebody else than `user` holds the task; it tells the viewer who."""
    until = task.lease_expires_at
    if task.claimed_by_id in (None, user.pk) or until is None or until <= timezone.now():
        return
    name = naming(project=task.project, viewer=viewer or user)
    raise TaskLocked(holder=name(task.claimed_by), until=until)


def seat_renew(*, seat: Assignment, lease: timedelta) -> bool:
    """Prolong the lease of a seat."""
    renewed = Assignment.objects.filter(pk=seat.pk, state=Assignment.State.OPEN).update(
        lease_expires_at=Now() + lease
    )
    return bool(renewed)


@transaction.atomic
def seat_release(*, seat: Assignment) -> bool:
    """Give a seat back; one that is kept for the person stays theirs."""
    task = Task.objects.select_for_update(of=("self",)).get(pk=seat.task_id)
    mine = Assignment.objects.filter(pk=seat.pk, state=Assignment.State.OPEN)
    if seat.is_kept:
        return bool(mine.update(state=Assignment.State.ASSIGNED, lease_expires_at=None))
    gone, _ = mine.delete()
    if gone:
        Task.objects.filter(pk=task.pk).update(seats=F("seats") + 1)
    return bool(gone)


def seat_submit(
    *,
    task: Task,
    user: User,
    spans: Sequence[Mapping[str, Any]],
    base_number: int,
    idempotency_key: str,
    milliseconds: int,
) -> Opinion:
    """Store an annotator's opinion, the task's row locked; the last one wanted settles the task.

    A seat that was lost to time costs nobody their work: the opinion is stored besides the others.
    """
    seat = seat_of(task=task, user=user)
    if seat is None:
        seat = Assignment(task=task, user=user, project=task.project, state=Assignment.State.OPEN)
        if task.seats > 0:
            Task.objects.filter(pk=task.pk).update(seats=F("seats") - 1)
    opinion = opinion_submit(
        document=task.document,
        author=user,
        spans=spans,
        base_number=base_number,
        prediction=task.prediction,
        milliseconds=milliseconds,
        idempotency_key=idempotency_key,
    )
    seat.state = Assignment.State.DONE
    seat.opinion = opinion
    seat.lease_expires_at = None
    seat.closed_at = timezone.now()
    seat.save()
    if not seat.is_gold and task.status == Task.Status.OPEN:
        _settle(task, opinion)
    return opinion


def seat_skip(*, task: Task, user: User, reason: str) -> None:
    """Leave a seat for somebody else; when as many as were wanted do, the text is skipped."""
    seat = seat_of(task=task, user=user)
    if seat is None or seat.state not in WAITING:
        return
    seat.state = Assignment.State.SKIPPED
    seat.skip_reason = reason
    seat.lease_expires_at = None
    seat.closed_at = timezone.now()
    seat.save()
    event_record(
        action="task.skip",
        actor=Actor.of_user(user),
        subject=task,
        chain=task.project.slug,
        reason=reason,
        data={"document": str(task.document_id), "stratum": task.stratum},
    )
    if seat.is_gold or task.status != Task.Status.OPEN:
        return
    task.seats += 1
    parts = list(task.assignments.values_list("state", flat=True))
    if parts.count(Assignment.State.SKIPPED) >= task.annotators_wanted == task.seats:
        task.status = Task.Status.SKIPPED
        task.closed_at = timezone.now()
        task.claimed_by = user
        task.skip_reason = reason
    task.save()


def seats_close(*, task: Task, user: User, state: str) -> None:
    """The task is closed: whoever closed it has done their part, and nothing is kept for others."""
    now = timezone.now()
    task.assignments.filter(user=user, state__in=WAITING).update(state=state, closed_at=now)
    task.assignments.filter(state=Assignment.State.ASSIGNED).delete()


def _settle(task: Task, last: Opinion) -> None:
    opinions = opinions_newest(document=task.document)
    if len(opinions) < task.annotators_wanted:
        return
    task.refresh_from_db(fields=["seats"])
    agreed = all(opinion.spans == last.spans for opinion in opinions)
    if agreed:
        current = correction_current(task.document)
        task.correction = correction_submit(
            document=task.document,
            spans=last.spans,
            base_number=current.number if current else 0,
            author=last.author,
            prediction=last.prediction,
            stratum=Stratum(task.stratum),
            milliseconds=last.milliseconds,
            idempotency_key=f"consensus-{last.pk}",
        )
        task.status = Task.Status.DONE
        task.closed_at = timezone.now()
        task.claimed_by = last.author
        task.disputed_at = None
    elif task.disputed_at is None:
        task.disputed_at = timezone.now()
    else:
        return
    task.seats = 0
    task.save()
    event_record(
        action="opinion.agree" if agreed else "opinion.dispute",
        actor=Actor.of_user(last.author),
        subject=task,
        chain=task.project.slug,
        data={
            "document": str(task.document_id),
            "opinions": len(opinions),
            "correction": str(task.correction_id) if agreed else None,
        },
    )
