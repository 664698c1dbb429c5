"""Reading the queue: what waits, why, for whom, and how far today's work is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Left, Length
from django.utils import timezone

from corpus.errors import NotFound
from corpus.models import Project
from feedback.models import Correction, Stratum
from labeling.models import Task

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
        .select_related("document", "project", "prediction__version", "claimed_by")
        .first()
    )
    if task is None:
        raise NotFound()
    return task


def stratum_reason(*, stratum: str, priority: float) -> str:
    """Why a task is in the queue, in words."""
    if stratum == Stratum.UNCERTAIN:
        return f"unsure: {priority:.2f}"
    return str(Stratum(stratum).label).lower()


def queue_rows(*, project: Project, user: User, limit: int = 40) -> list[QueueRow]:
    """The head of the queue: what the reviewer holds, then the rest as it will be handed out."""
    waiting = Task.objects.filter(project=project, status=Task.Status.OPEN)
    mine = _with_excerpt(waiting.filter(claimed_by=user).order_by("lease_expires_at", "id"))[:limit]
    others = waiting.filter(~Q(claimed_by=user) | Q(claimed_by=None)).order_by("-priority", "id")
    random = _with_excerpt(others.filter(stratum=Stratum.RANDOM))[:limit]
    rest = _with_excerpt(others.exclude(stratum=Stratum.RANDOM))[:limit]
    mixed = _interleaved(list(rest), list(random), share=project.random_share)
    return [_row(task, user) for task in [*mine, *mixed][:limit]]


def done_rows(*, project: Project, user: User, limit: int = 5) -> list[QueueRow]:
    """What the reviewer closed last, newest first: for a second look."""
    closed = Task.objects.filter(project=project, claimed_by=user, closed_at__isnull=False)
    return [_row(task, user) for task in _with_excerpt(closed.order_by("-closed_at"))[:limit]]


def progress_of(*, project: Project, user: User) -> Progress:
    """Counts of the project's tasks and of the reviewer's own today."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    status = Task.Status
    counts = Task.objects.filter(project=project).aggregate(
        waiting=Count("pk", filter=Q(status=status.OPEN)),
        done=Count("pk", filter=Q(status=status.DONE)),
        skipped=Count("pk", filter=Q(status=status.SKIPPED)),
        mine_today=Count("pk", filter=Q(status=status.DONE, claimed_by=user, closed_at__gte=midnight)),
    )
    return Progress(**counts)


def strata_waiting(*, project: Project) -> dict[str, int]:
    """How many tasks of each stratum wait, by the stratum's name for people."""
    rows = (
        Task.objects.filter(project=project, status=Task.Status.OPEN)
        .values("stratum")
        .annotate(count=Count("pk"))
        .order_by("-count")
    )
    return {str(Stratum(row["stratum"]).label): row["count"] for row in rows}


def corrections_latest(*, project: Project, limit: int = 8) -> QuerySet[Correction]:
    """The corrections stored last, with what a list of them shows."""
    return (
        Correction.objects.filter(project=project)
        .select_related("author", "api_key")
        .annotate(
            excerpt=Left("document__text", EXCERPT),
            decided=Count("decisions"),
            seconds=F("milliseconds") / 1000.0,
        )
        .order_by("-created_at", "-id")[:limit]
    )


def _with_excerpt(tasks: QuerySet[Task]) -> QuerySet[Task]:
    # Not the document itself: texts may be a million characters long.
    return tasks.select_related("claimed_by").annotate(
        excerpt=Left("document__text", EXCERPT), length=Length("document__text")
    )


def _interleaved(rest: Sequence[Task], random: Sequence[Task], *, share: float) -> list[Task]:
    mixed: list[Task] = []
    left, right = list(rest), list(random)
    taken = 0
    while left or right:
        if right and (not left or taken < share * (len(mixed) + 1)):
            mixed.append(right.pop(0))
            taken += 1
        else:
            mixed.append(left.pop(0))
    return mixed


def _row(task: Task, user: User) -> QueueRow:
    is_held = task.lease_expires_at is not None and task.lease_expires_at > timezone.now()
    holder = task.claimed_by if is_held else None
    excerpt = " ".join(str(getattr(task, "excerpt", "")).split())
    return QueueRow(
        id=task.pk,
        excerpt=excerpt + ("…" if getattr(task, "length", 0) > EXCERPT else ""),
        reason=stratum_reason(stratum=task.stratum, priority=task.priority),
        stratum=task.stratum,
        is_mine=holder is not None and holder.pk == user.pk,
        holder=str(holder) if holder is not None and holder.pk != user.pk else "",
        is_corrected=task.status == Task.Status.DONE,
    )
