"""Reading the queue: what waits, why, for whom, and how far today's work is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Left, Length
from django.utils import timezone
from django.utils.translation import gettext as _

from corpus.errors import NotFound
from corpus.models import Project
from feedback.models import Stratum
from labeling.choice import strata_in_turn, strata_shares
from labeling.models import Assignment, Tally, Task
from labeling.selectors.names import Naming, naming
from labeling.selectors.seats import WAITING
from labeling.selectors.tallies import tallies

if TYPE_CHECKING:
    from django.contrib.auth.models import User

EXCERPT = 90


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of the queue."""

    id: int
    excerpt: str
    reason: str
    stratum: str
    is_mine: bool
    holder: str
    is_corrected: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the review of a project is."""

    waiting: int
    done: int
    skipped: int
    mine_today: int

    @property
    def share_done(self) -> float:
        """Reviewed tasks among all that are not skipped."""
        total = self.waiting + self.done
        return self.done / total if total else 0.0


def task_get(*, project: Project, task_id: int) -> Task:
    """A task of the project with all that the workbench shows, or NotFound."""
    task = (
        Task.objects.filter(project=project, pk=task_id)
        .select_related("document", "prediction__version", "claimed_by")
        .first()
    )
    if task is None:
        raise NotFound()
    task.project = project
    return task


def stratum_reason(*, stratum: str, priority: float, cause: str = "", is_raised: bool = False) -> str:
    """Why a task is in the queue, in words."""
    if is_raised:
        return _("asked for next")
    if stratum == Stratum.UNCERTAIN:
        return _("unsure: {score}").format(score=f"{priority:.2f}")
    if stratum == Stratum.DIVERSE:
        return _("unlike the others: {score}").format(score=f"{priority:.2f}")
    if cause == Task.Cause.LOW:
        return _("a caller's text, least sure span {score}").format(score=f"{1 - priority:.2f}")
    if cause == Task.Cause.RATED:
        return _("a caller's text, rated badly")
    if cause == Task.Cause.DIFFERS:
        return _("a caller's text, a shadow agrees to {score}").format(score=f"{1 - priority:.2f}")
    if cause == Task.Cause.DRAWN:
        return _("random check of callers' texts")
    return str(Stratum(stratum).label).lower()


def task_reason(task: Task) -> str:
    """Why this task is in the queue, in words."""
    return stratum_reason(
        stratum=task.stratum,
        priority=task.priority,
        cause=task.cause,
        is_raised=task.raised_at is not None,
    )


def queue_rows(*, project: Project, user: User, limit: int = 40) -> list[QueueRow]:
    """The head of the queue: what the reviewer holds, then the rest as it will be handed out."""
    waiting = Task.objects.filter(project=project, status=Task.Status.OPEN)
    seats = Assignment.objects.filter(project=project, user=user, state__in=WAITING)
    seats = seats.filter(Q(task__status=Task.Status.OPEN) | Q(is_gold=True)).order_by("id")
    kept = list(seats.values_list("task_id", flat=True)[:limit])
    held = Task.objects.filter(pk__in=kept)
    mine = [
        *_with_excerpt(waiting.filter(claimed_by=user).order_by("lease_expires_at", "id"))[:limit],
        *(_with_excerpt(held.exclude(claimed_by=user, status=Task.Status.OPEN)) if kept else ()),
    ]
    others = waiting.filter(~Q(claimed_by=user) | Q(claimed_by=None), seats__gt=0)
    others = others.exclude(Exists(Assignment.objects.filter(task=OuterRef("pk"), user=user)))
    raised = others.filter(raised_at__isnull=False).order_by("raised_at", "id")
    rest = others.filter(raised_at=None).order_by("-priority", "id")
    # The head of each stratum's index, in one query: all of them sorted together would be the whole queue.
    heads: list[QuerySet[Task, int]] = [
        rest.filter(stratum=stratum).values_list("pk", flat=True)[:limit] for stratum in Stratum.values
    ]
    ids = heads[0].union(*heads[1:], raised.values_list("pk", flat=True)[:limit], all=True)
    found = list(_with_excerpt(Task.objects.filter(pk__in=list(ids))))
    first = sorted((task for task in found if task.raised_at), key=lambda task: (task.raised_at, task.pk))
    mixed = _as_served([task for task in found if not task.raised_at], project, limit=limit)
    name = naming(project=project, viewer=user)
    rows = [_row(task, user, name) for task in [*mine, *first, *mixed][:limit]]
    # A gold item is closed for all others: whoever it measures sees a text like any other.
    return [
        replace(row, is_mine=True, holder="", is_corrected=False) if row.id in kept else row for row in rows
    ]


def done_rows(*, project: Project, user: User, limit: int = 5) -> list[QueueRow]:
    """What the reviewer closed last, newest first: for a second look."""
    closed = Task.objects.filter(project=project, claimed_by=user, closed_at__isnull=False)
    name = naming(project=project, viewer=user)
    return [_row(task, user, name) for task in _with_excerpt(closed.order_by("-closed_at"))[:limit]]


def progress_of(*, project: Project, user: User) -> Progress:
    """Counts of the project's tasks and of the reviewer's own today."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    counts = tallies(project=project, kind=Tally.Kind.TASK)
    by_status: Counter[str] = Counter()
    for (status, _stratum), count in counts.items():
        by_status[status] += count
    return Progress(
        waiting=by_status[Task.Status.OPEN],
        done=by_status[Task.Status.DONE],
        skipped=by_status[Task.Status.SKIPPED],
        mine_today=Task.objects.filter(
            project=project, claimed_by=user, closed_at__gte=midnight, status=Task.Status.DONE
        ).count(),
    )


def strata_waiting(*, project: Project) -> dict[str, int]:
    """How many tasks of each stratum wait, by the stratum's name for people."""
    waiting = {
        stratum: count
        for (status, stratum), count in tallies(project=project, kind=Tally.Kind.TASK).items()
        if status == Task.Status.OPEN
    }
    in_order = sorted(waiting.items(), key=lambda item: -item[1])
    return {str(Stratum(stratum).label): count for stratum, count in in_order}


def _with_excerpt(tasks: QuerySet[Task]) -> QuerySet[Task]:
    # Not the document itself: texts may be a million characters long.
    return tasks.select_related("claimed_by").annotate(
        excerpt=Left("document__text", EXCERPT), length=Length("document__text")
    )


def _as_served(tasks: Sequence[Task], project: Project, *, limit: int) -> list[Task]:
    """The tasks in the order in which they would be handed out to one who began now."""
    shares = strata_shares(project)
    waiting: dict[str, deque[Task]] = {stratum: deque() for stratum in shares}
    for task in sorted(tasks, key=lambda task: (-task.priority, task.pk)):
        waiting[task.stratum].append(task)
    mixed: list[Task] = []
    served: list[str] = []
    while any(waiting.values()) and len(mixed) < limit:
        stratum = next(one for one in strata_in_turn(served, shares=shares) if waiting[one])
        mixed.append(waiting[stratum].popleft())
        served.append(stratum)
    return mixed


def _row(task: Task, user: User, name: Naming) -> QueueRow:
    is_held = task.lease_expires_at is not None and task.lease_expires_at > timezone.now()
    holder = task.claimed_by if is_held else None
    excerpt = " ".join(str(getattr(task, "excerpt", "")).split())
    return QueueRow(
        id=task.pk,
        excerpt=excerpt + ("…" if getattr(task, "length", 0) > EXCERPT else ""),
        reason=task_reason(task),
        stratum=task.stratum,
        is_mine=holder is not None and holder.pk == user.pk,
        holder=name(holder) if holder is not None and holder.pk != user.pk else "",
        is_corrected=task.status == Task.Status.DONE,
    )
