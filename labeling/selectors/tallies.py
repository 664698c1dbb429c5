"""Counters that cost the same at any number of rows."""

from __future__ import annotations

from django.db import connection
from django.db.models import Sum

from corpus.models import Project
from labeling.models import Standing, Tally

#: Each counter with the rows that it counts, for the check.
_COUNTED = {
    Tally.Kind.TASK: "SELECT status, stratum, count(*) FROM labeling_task WHERE project_id=%s GROUP BY 1, 2",
    Tally.Kind.TEXT: "SELECT state, '', count(*) FROM labeling_standing WHERE project_id=%s GROUP BY 1, 2",
}


def tallies(*, project: Project, kind: str) -> dict[tuple[str, str], int]:
    """A project's counters of one kind by `(state, stratum)`; what is zero is left out."""
    rows = (
        Tally.objects.filter(project=project, kind=kind)
        .values_list("state", "stratum")
        .annotate(count=Sum("change"))
        .order_by()
    )
    return {(state, stratum): count for state, stratum, count in rows if count}


def texts_count(*, project: Project) -> dict[str, int]:
    """How many documents of a project are in each state; every state has a number."""
    counts = tallies(project=project, kind=Tally.Kind.TEXT)
    return {state: counts.get((state, ""), 0) for state in Standing.State.values}


def tallies_counted(*, project: Project, kind: Tally.Kind) -> dict[tuple[str, str], int]:
    """The same by counting every row: what the counters must say, at a price."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED[kind], [project.pk])
        return {(state, stratum): count for state, stratum, count in cursor.fetchall()}
