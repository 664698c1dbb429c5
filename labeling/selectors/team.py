"""Who is in the team, under which name others see them, and what waits for adjudication."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from string import ascii_uppercase
from typing import TYPE_CHECKING

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Left
from django.utils.translation import gettext as _

from corpus.models import Membership, Project
from corpus.selectors import project_allows
from labeling.models import Assignment, Task
from labeling.selectors.queue import EXCERPT
from labeling.selectors.seats import WAITING

if TYPE_CHECKING:
    from django.contrib.auth.models import User

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


def letter(place: int) -> str:
    """A, B, ..., Z, AA, AB, ...: a name that tells nothing."""
    name = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, len(ascii_uppercase))
        name = ascii_uppercase[rest] + name
    return name


def members_of(*, project: Project) -> list[Membership]:
    """The people of a project in the order in which they came."""
    return list(project.memberships.select_related("user").order_by("pk"))


def names_shown(*, project: Project, viewer: User) -> dict[int, str]:
    """Under which name a person sees each member: their own always, others' unless names are hidden.

    Who manages the project sees all names.
    """
    may_see = not project.hide_names or project_allows(project=project, user=viewer, permission="manage")
    shown = {}
    for place, member in enumerate(members_of(project=project)):
        known = may_see or member.user_id == viewer.pk
        shown[member.user_id] = (
            str(member.user) if known else _("Reviewer %(letter)s") % {"letter": letter(place)}
        )
    return shown


def assignments_waiting(*, project: Project) -> dict[int, int]:
    """How many texts are kept for or in the hands of each person."""
    rows = (
        Assignment.objects.filter(project=project, state__in=WAITING, is_gold=False)
        .values_list("user_id")
        .annotate(count=Count("pk"))
        .order_by()
    )
    return dict(rows)
