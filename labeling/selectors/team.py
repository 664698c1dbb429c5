"""What waits for adjudication, and for whom texts are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Left

from corpus.models import Project
from labeling.models import Assignment, Task
from labeling.selectors.queue import EXCERPT
from labeling.selectors.seats import WAITING

#: So many are listed of what waits for adjudication; the first of them is decided first.
LISTED = 50


@dataclass(frozen=True, slots=True)
class Disputed:
    """One line of what waits for adjudication."""

    id: int
    excerpt: str
    opinions: int
    since: datetime | None


def disputed_waiting(*, project: Project) -> QuerySet[Task]:
    """The tasks on whose text the annotators differ, the longest waiting first."""
    return Task.objects.filter(
        project=project, status=Task.Status.OPEN, disputed_at__isnull=False, document__redacted_at=None
    ).order_by("disputed_at", "id")


def disputed_rows(*, project: Project) -> list[Disputed]:
    """The head of what waits for adjudication."""
    tasks = disputed_waiting(project=project).annotate(
        excerpt=Left("document__text", EXCERPT),
        opinions=Count("assignments", filter=Q(assignments__state=Assignment.State.DONE)),
    )
    return [
        Disputed(
            id=task.pk,
            excerpt=" ".join(task.excerpt.split()),
            opinions=task.opinions,
            since=task.disputed_at,
        )
        for task in tasks.defer("skip_reason")[:LISTED]
    ]


def assignments_waiting(*, project: Project) -> dict[int, int]:
    """How many texts are kept for or in the hands of each person."""
    rows = (
        Assignment.objects.filter(project=project, state__in=WAITING, is_gold=False)
        .values_list("user_id")
        .annotate(count=Count("pk"))
        .order_by()
    )
    return dict(rows)
