"""One task in a reviewer's hands: claimed, renewed, and submitted, skipped or given back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.models import Project
from corpus.selectors import project_require
from feedback.models import Correction, Stratum
from feedback.services import correction_submit
from labeling.choice import strata_in_turn, strata_shares
from labeling.errors import SkipReasonMissing, SkipReasonTooLong, TaskClosed, TaskLocked
from labeling.models import Task

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
    for else random checks would wait for ever.
    """
    project_require(project=project, user=user, permission="review")
    waiting = Task.objects.filter(
        project=project, status=Task.Status.OPEN, document__redacted_at=None
    ).exclude(pk__in=besides)
    free = waiting.select_for_update(skip_locked=True, of=("self",)).order_by("-priority", "id")
    held = waiting.filter(claimed_by=user).select_for_update(skip_locked=True, of=("self",))
    task = held.order_by("lease_expires_at", "id").first()
    if task is None:
        task = free.filter(_FREE, raised_at__isnull=False).order_by("raised_at", "id").first()
    for stratum in _strata_in_turn(project) if task is None else ():
        # One stratum at a time, all of them in the end: each is the head of an index at any size.
        if (task := free.filter(_FREE, stratum=stratum).first()) is not None:
            break
    if task is not None:
        _hold(task, user)
    return task


@transaction.atomic
def task_take(*, task: Task, user: User) -> Task:
    """Claim a task that the reviewer picked. Raises TaskLocked while somebody else holds it.

    A closed task is not claimed: it may be looked at and corrected again by whoever comes.
    """
    project_require(project=task.project, user=user, permission="review")
    task = _locked(task)
    if task.status == Task.Status.OPEN:
        _require_free(task, user)
        _hold(task, user)
    return task


def task_renew(*, task: Task, user: User) -> bool:
    """Prolong a lease. False when it has passed to somebody else or the task is closed."""
    mine = Q(claimed_by=user) | _FREE
    renewed = Task.objects.filter(mine, pk=task.pk, status=Task.Status.OPEN).update(
        claimed_by=user, lease_expires_at=Now() + _lease()
    )
    return bool(renewed)


def task_release(*, task: Task, user: User) -> bool:
    """Give a task back to the queue."""
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
) -> Correction:
    """Store the reviewer's spans as a correction and close the task, both or neither.

    Raises TaskLocked while another reviewer holds the task, and StaleVersion (with both versions) when
    the document was corrected since. A lease that merely ran out costs nobody their work, and a closed
    task can be corrected once more: the number guards both.
    """
    project_require(project=task.project, user=user, permission="review")
    task = _locked(task)
    if task.status == Task.Status.OPEN:
        _require_free(task, user)
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
    if task.status == Task.Status.SKIPPED:
        return task
    if task.status != Task.Status.OPEN:
        raise TaskClosed(status=task.get_status_display())
    _require_free(task, user)
    task.status = Task.Status.SKIPPED
    task.closed_at = timezone.now()
    task.claimed_by = user
    task.lease_expires_at = None
    task.skip_reason = reason
    task.save()
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
    tasks = Task.objects.filter(project=project)
    held = tasks.filter(status=Task.Status.OPEN, claimed_by__isnull=False, lease_expires_at__gt=Now())
    closed = tasks.filter(closed_at__isnull=False).order_by("-closed_at")
    served = [
        *held.values_list("stratum", flat=True)[:MIX_WINDOW],
        *closed.values_list("stratum", flat=True)[:MIX_WINDOW],
    ][:MIX_WINDOW]
    return strata_in_turn(served, shares=strata_shares(project))


def _locked(task: Task) -> Task:
    return (
        Task.objects.select_for_update(of=("self",))
        .select_related("document__project", "project", "prediction", "claimed_by")
        .get(pk=task.pk)
    )


def _require_free(task: Task, user: User) -> None:
    held_until = task.lease_expires_at
    if task.claimed_by is None or task.claimed_by_id == user.pk or held_until is None:
        return
    if held_until > timezone.now():
        raise TaskLocked(holder=str(task.claimed_by), until=held_until)


def _lease() -> timedelta:
    return timedelta(seconds=settings.TASK_LEASE_SECONDS)


def _hold(task: Task, user: User) -> None:
    # The database's clock, as in every comparison: web processes may disagree about the time.
    Task.objects.filter(pk=task.pk).update(claimed_by=user, lease_expires_at=Now() + _lease())
    task.refresh_from_db(fields=["claimed_by", "lease_expires_at"])
