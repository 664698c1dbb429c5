"""Counting what people decided, day by day, so that no page has to.

The counts follow the corrections at a distance: nothing is written on the reviewers' path. A mark says up
to which moment a project is counted; what is counted and the mark move in one transaction, so that a task
delivered twice counts nothing twice. A day that has ended is counted once more as a whole, which makes it
exact whatever a clock did; `manage.py summaries_rebuild` does the same for all days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from corpus.models import Project
from feedback.models import Correction, DailyDecisions, DailyReviews, SummaryMark
from feedback.selectors.summaries import (
    DECISION_KEYS,
    DECISION_SUMS,
    REVIEW_KEYS,
    REVIEW_SUMS,
    Row,
    decisions_between,
    merged,
    reviews_between,
)

#: How far the clocks of web processes may be off.
SKEW = timedelta(seconds=5)
#: A day is closed this long after its end: no transaction that stores corrections lasts longer.
CLOSING = timedelta(hours=1)
_DAY = timedelta(days=1)


def summaries_update() -> None:
    """Count what was stored since the last time, in every project."""
    for project in Project.objects.order_by("pk"):
        summary_update(project=project)


def summary_update(*, project: Project) -> None:
    """Bring a project's daily summaries up to date, a day at a time; safe to repeat and to interrupt."""
    settled = _settled()
    while _step(project, settled):
        pass


@transaction.atomic
def summary_rebuild(*, project: Project) -> None:
    """Count all of a project's corrections anew."""
    mark = _mark(project)
    if mark is not None:
        DailyDecisions.objects.filter(project=project).delete()
        DailyReviews.objects.filter(project=project).delete()
        mark.delete()
    summary_update(project=project)


@transaction.atomic
def _step(project: Project, settled: datetime) -> bool:
    """Count up to the end of one day, or close one; False when there is nothing left to do."""
    mark = _mark(project)
    if mark is None:
        return False
    ended = (settled - CLOSING).date()
    if mark.closed_to < min(mark.counted_to.astimezone(UTC).date(), ended):
        _day_recount(project, mark.closed_to)
        mark.closed_to = _next_with_corrections(project, mark.closed_to + _DAY, default=ended)
        mark.save()
        return True
    if mark.counted_to >= settled:
        return False
    start = mark.counted_to
    end = min(settled, _midnight(start.astimezone(UTC).date() + _DAY))
    decisions, reviews = decisions_between(project, start, end), reviews_between(project, start, end)
    if not reviews:
        # A quiet stretch is passed at once, up to the day of the next correction.
        upcoming = _next_with_corrections(project, end.astimezone(UTC).date(), default=settled.date())
        end = max(end, min(settled, _midnight(upcoming)))
    _add(project, decisions, reviews)
    mark.counted_to = end
    mark.save()
    return True


def _mark(project: Project) -> SummaryMark | None:
    """The project's mark, locked; None while another process has it, or where there is nothing to count."""
    known = SummaryMark.objects.filter(project=project)
    if not known.exists():
        oldest = Correction.objects.filter(project=project).order_by("created_at").first()
        if oldest is None:
            return None
        day = oldest.created_at.astimezone(UTC).date()
        SummaryMark.objects.get_or_create(
            project=project, defaults={"counted_to": _midnight(day), "closed_to": day}
        )
    return known.select_for_update(skip_locked=True).first()


def _settled() -> datetime:
    """A moment before which no transaction can still store a correction.

    A correction is stamped inside its transaction and seen after its end. What is older than the oldest
    transaction that is open now is therefore all there; the application role sees those of its own role,
    and no other role stores corrections.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least(now(), min(xact_start)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )
        (oldest,) = cursor.fetchone()
    settled: datetime = oldest - SKEW
    return settled


def _day_recount(project: Project, day: date) -> None:
    start, end = _midnight(day), _midnight(day + _DAY)
    DailyDecisions.objects.filter(project=project, day=day).delete()
    DailyReviews.objects.filter(project=project, day=day).delete()
    _add(project, decisions_between(project, start, end), reviews_between(project, start, end))


def _add(project: Project, decisions: list[Row], reviews: list[Row]) -> None:
    days = {row["day"] for row in reviews}
    _rows_add(DailyReviews, project, days, reviews, keys=REVIEW_KEYS, sums=REVIEW_SUMS)
    _rows_add(DailyDecisions, project, days, decisions, keys=DECISION_KEYS, sums=DECISION_SUMS)


def _rows_add(
    model: Any,
    project: Project,
    days: set[date],
    rows: list[Row],
    *,
    keys: Sequence[str],
    sums: Sequence[str],
) -> None:
    """Add counts to the rows of their days. The mark's lock makes this the only writer."""
    found = model.objects.filter(project=project, day__in=days)
    total = merged([*found.values(*keys, *sums), *rows], keys=keys, sums=sums)
    found.delete()
    model.objects.bulk_create([model(project=project, **row) for row in total], batch_size=500)


def _next_with_corrections(project: Project, day: date, *, default: date) -> date:
    stamped = (
        Correction.objects.filter(project=project, created_at__gte=_midnight(day))
        .order_by("created_at")
        .values_list("created_at", flat=True)
        .first()
    )
    return min(default, stamped.astimezone(UTC).date()) if stamped else default


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
