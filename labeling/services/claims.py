"""One task in a reviewer's hands: claimed, renewed, and submitted, skipped or given back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.models import Project
from corpus.selectors import project_allows, project_require
from feedback.models import Correction, GoldItem, Opinion, Stratum
from feedback.selectors import opinion_known
from feedback.services import correction_submit
from labeling.choice import strata_in_turn, strata_shares
from labeling.errors import DecisionStands, SkipReasonMissing, SkipReasonTooLong, TaskClosed
from labeling.models import Assignment, Task
from labeling.selectors import task_get
from labeling.selectors.seats import is_blind, seat_for_blind, seat_of
from labeling.services.seats import (
    gold_instead,
    kept_check,
    lease_check,
    not_seated,
    seat_release,
    seat_renew,
    seat_skip,
    seat_submit,
    seat_take,
    seat_waiting,
    seats_close,
    seats_lapse,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: The random share is kept over this many of the tasks last handed out.
MIX_WINDOW = 50
REASON_LIMIT = 300

_FREE = Q(claimed_by=None) | Q(lease_expires_at__lt=Now())


@transaction.atomic
def task_claim(*, project: Project, user: User, besides: Collection[int] = ()) -> Task | None:
    """Hand a reviewer the next task under a lease: one held already, else the best that is free.

    `besides` are tasks that the reviewer has on the screen or on the way to us. What somebody asked for
    comes first. Then each stratum gets its share of all tasks, whatever the priorities of the others,
    for else random checks would wait for ever. The task comes with all that the workbench shows.
    """
    project_require(project=project, user=user, permission="review")
    # Everybody waits for this: it reads no more columns than choosing and holding need.
    waiting = Task.objects.only("id", "status", "annotators_wanted", "seats").filter(
        project=project, status=Task.Status.OPEN, document__redacted_at=None
    )
    waiting = waiting.exclude(pk__in=besides) if besides else waiting
    held = waiting.filter(claimed_by=user).select_for_update(skip_locked=True, of=("self",))
    task = held.order_by("lease_expires_at", "id").first()
    task = task or seat_waiting(project=project, user=user, besides=besides)
    if task is None and (task := _next_free(project, user, waiting)) is not None:
        task = gold_instead(task=task, project=project, user=user, besides=besides)
    if task is None:
        return None
    task.project = project
    _hold(task, user)
    return task_get(project=project, task_id=task.pk)


def _next_free(project: Project, user: User, waiting: QuerySet[Task]) -> Task | None:
    """The best task that nobody holds and nothing keeps for others, locked."""
    seats_lapse(project=project)
    free = waiting.select_for_update(skip_locked=True, of=("self",)).order_by("-priority", "id")
    free = free.filter(_FREE, not_seated(user), seats__gt=0)
    task = free.filter(raised_at__isnull=False).order_by("raised_at", "id").first()
    for stratum in _strata_in_turn(project) if task is None else ():
        # One stratum at a time, all of them in the end: each is the head of an index at any size.
        if (task := free.filter(stratum=stratum).first()) is not None:
            break
    return task


@transaction.atomic
def task_take(*, task: Task, user: User) -> Task:
    """Claim a task that the reviewer picked. Raises TaskLocked while somebody else holds it.

    A closed task is not claimed: it may be looked at and corrected again by whoever comes.
    """
    project_require(project=task.project, user=user, permission="review")
    task = _locked(task)
    seat = seat_for_blind(task=task, user=user)
    if task.status == Task.Status.OPEN or (seat is not None and seat.is_gold):
        kept_check(task=task, user=user)
        lease_check(task=task, user=user)
        _hold(task, user)
        task.refresh_from_db(fields=["claimed_by", "lease_expires_at"])
    return task


def task_renew(*, task: Task, user: User) -> bool:
    """Prolong a lease. False when it has passed to somebody else or the task is closed."""
    if task.annotators_wanted > 1 or task.status == Task.Status.DONE:
        seat = seat_of(task=task, user=user)
        return seat is not None and seat_renew(seat=seat, lease=_lease())
    mine = Q(claimed_by=user) | _FREE
    renewed = Task.objects.filter(mine, pk=task.pk, status=Task.Status.OPEN).update(
        claimed_by=user, lease_expires_at=Now() + _lease()
    )
    return bool(renewed)


def task_release(*, task: Task, user: User) -> bool:
    """Give a task back to the queue."""
    if task.annotators_wanted > 1 or task.status == Task.Status.DONE:
        seat = seat_of(task=task, user=user)
        return seat is not None and seat_release(seat=seat)
    released = Task.objects.filter(pk=task.pk, claimed_by=user, status=Task.Status.OPEN).update(
        claimed_by=None, lease_expires_at=None
    )
    return bool(released)


@transaction.atomic
def task_submit(
    *,
    task: Task,
    user: User,
    spans: Sequence[Mapping[str, Any]],
    base_number: int,
    idempotency_key: str,
    milliseconds: int,
    decisions_ms: Mapping[str, int] | None = None,
) -> Correction | Opinion:
    """Store the reviewer's spans as a correction and close the task, both or neither.

    On a text that several annotate they are an opinion; the last one wanted closes the task or makes it
    wait for adjudication.

    Raises TaskLocked while another reviewer holds the task, and StaleVersion (with both versions) when
    the document was corrected since. A lease that merely ran out costs nobody their work, and a closed
    task can be corrected once more: the number guards both.
    """
    project_require(project=task.project, user=user, permission="review")
    task = _locked(task)
    seat = seat_for_blind(task=task, user=user)
    # An opinion sent again, after the others settled the text, is still that opinion.
    is_known = seat is not None and opinion_known(author=user, idempotency_key=idempotency_key)
    if is_known or is_blind(task=task, seat=seat):
        return seat_submit(
            task=task,
            user=user,
            spans=spans,
            base_number=base_number,
            idempotency_key=idempotency_key,
            milliseconds=milliseconds,
        )
    if task.status == Task.Status.OPEN:
        kept_check(task=task, user=user)
        lease_check(task=task, user=user)
    else:
        _require_undecided(task, user)
    correction = correction_submit(
        document=task.document,
        spans=spans,
        base_number=base_number,
        author=user,
        prediction=task.prediction,
        stratum=Stratum(task.stratum),
        milliseconds=milliseconds,
        idempotency_key=idempotency_key,
        decisions_ms=decisions_ms,
    )
    if task.status != Task.Status.DONE:
        task.status = Task.Status.DONE
        task.closed_at = timezone.now()
        task.claimed_by = user
        task.lease_expires_at = None
        task.correction = correction
        task.skip_reason = ""
        task.save()
        seats_close(task=task, user=user, state=Assignment.State.DONE)
    return correction


@transaction.atomic
def task_skip(*, task: Task, user: User, reason: str) -> Task:
    """Close a task without a correction, saying why."""
    project_require(project=task.project, user=user, permission="review")
    reason = " ".join(reason.split())
    if not reason:
        raise SkipReasonMissing(pointer="/reason")
    if len(reason) > REASON_LIMIT:
        raise SkipReasonTooLong(pointer="/reason", limit=REASON_LIMIT, length=len(reason))
    task = _locked(task)
    if is_blind(task=task, seat=seat_for_blind(task=task, user=user)):
        seat_skip(task=task, user=user, reason=reason)
        return task
    if task.status == Task.Status.SKIPPED:
        return task
    if task.status != Task.Status.OPEN:
        raise TaskClosed(status=task.get_status_display())
    kept_check(task=task, user=user)
    lease_check(task=task, user=user)
    task.status = Task.Status.SKIPPED
    task.closed_at = timezone.now()
    task.claimed_by = user
    task.lease_expires_at = None
    task.skip_reason = reason
    task.save()
    seats_close(task=task, user=user, state=Assignment.State.SKIPPED)
    event_record(
        action="task.skip",
        actor=Actor.of_user(user),
        subject=task,
        chain=task.project.slug,
        reason=reason,
        data={"document": str(task.document_id), "stratum": task.stratum},
    )
    return task


def _strata_in_turn(project: Project) -> list[Stratum]:
    """All strata in the order in which they are served next, judged by what was served last."""
    tasks = Task.objects.filter(project=project).values_list("stratum", "closed_at")
    held = tasks.filter(status=Task.Status.OPEN, claimed_by__isnull=False, lease_expires_at__gt=Now())
    closed = tasks.filter(closed_at__isnull=False).order_by("-closed_at")
    found = list(held[:MIX_WINDOW].union(closed[:MIX_WINDOW], all=True))
    # Held ones, which are not closed, first: a union keeps no order.
    found.sort(key=lambda row: (row[1] is not None, -row[1].timestamp() if row[1] else 0))
    served = [stratum for stratum, _closed_at in found[:MIX_WINDOW]]
    return strata_in_turn(served, shares=strata_shares(project))


def _locked(task: Task) -> Task:
    return (
        Task.objects.select_for_update(of=("self",))
        .select_related("document__project", "project", "prediction", "claimed_by")
        .get(pk=task.pk)
    )


def _require_undecided(task: Task, user: User) -> None:
    """What annotators or an adjudicator decided, or somebody vouched for, is not one person's to change."""
    decided = task.annotators_wanted > 1 or GoldItem.objects.filter(document=task.document_id).exists()
    if decided and not project_allows(project=task.project, user=user, permission="adjudicate"):
        raise DecisionStands()


def _lease() -> timedelta:
    return timedelta(seconds=settings.TASK_LEASE_SECONDS)


def _hold(task: Task, user: User) -> None:
    if task.annotators_wanted > 1 or task.status != Task.Status.OPEN:
        seat_take(task=task, user=user, lease=_lease())
        return
    # The database's clock, as in every comparison: web processes may disagree about the time.
    Task.objects.filter(pk=task.pk).update(claimed_by=user, lease_expires_at=Now() + _lease())
