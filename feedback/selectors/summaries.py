"""What people decided, counted: the daily summaries, and the corrections that came since they were written.

A page reads days, not corrections. What is not counted yet is the tail: the corrections since the mark,
found by an index and cut off at TAIL, so that no page counts a whole import.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, Exists, F, FloatField, IntegerField, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Cast, Coalesce, Floor, Least, TruncDate
from django.utils import timezone

from corpus.models import Project
from feedback.models import Correction, DailyDecisions, DailyReviews, SpanDecision, SummaryMark
from inference.models import ModelVersion

#: A page counts at most this many corrections that no summary holds yet.
TAIL = 2_000

#: What a row of DailyDecisions and of DailyReviews is about.
DECISION_KEYS = ("day", "version_id", "stratum", "decision", "predicted_label", "label", "tenth")
DECISION_SUMS = ("spans", "confidence", "timed", "milliseconds")
REVIEW_KEYS = ("day", "author_id", "stratum")
REVIEW_SUMS = ("corrections", "timed", "milliseconds")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which decisions are meant: of a project, since a day, of one version or stratum."""

    project: Project
    since: date | None = None
    version_id: int | None = None
    stratum: str = ""


def reviews_between(project: Project, start: datetime, end: datetime | None) -> list[Row]:
    """The corrections stored in [start, end), counted as DailyReviews holds them."""
    rows = (
        _corrections(project, start, end)
        .values("stratum", "author_id", day=TruncDate("created_at", tzinfo=UTC))
        .annotate(
            sum_corrections=Count("pk"),
            sum_timed=Count("pk", filter=Q(milliseconds__gt=0)),
            sum_milliseconds=Sum("milliseconds"),
        )
        .order_by()
    )
    return [_named(row) for row in rows]


def decisions_between(project: Project, start: datetime, end: datetime | None) -> list[Row]:
    """The decisions of the corrections stored in [start, end), counted as DailyDecisions holds them."""
    first = judging(_corrections(project, start, end))
    tenth = Cast(Least(Floor(F("confidence") * 10), 9.0), IntegerField())
    rows = (
        SpanDecision.objects.filter(correction__in=first)
        .values(
            "decision",
            "predicted_label",
            "label",
            day=TruncDate("correction__created_at", tzinfo=UTC),
            version_id=F("correction__prediction__version"),
            stratum=F("correction__stratum"),
            tenth=tenth,
        )
        .annotate(
            sum_spans=Count("pk"),
            sum_timed=Count("milliseconds"),
            sum_confidence=Coalesce(Sum("confidence"), 0.0, output_field=FloatField()),
            sum_milliseconds=Coalesce(Sum("milliseconds"), 0),
        )
        .order_by()
    )
    return [_named(row) for row in rows]


def judging(corrections: QuerySet[Correction]) -> QuerySet[Correction]:
    """Of each document the first correction of a machine's answer; of one that no machine saw, the first."""
    earlier = Correction.objects.filter(
        document=OuterRef("document"), number__lt=OuterRef("number"), prediction__isnull=False
    )
    of_a_machine = Q(prediction__isnull=False) & ~Q(Exists(earlier))
    return corrections.filter(of_a_machine | Q(prediction__isnull=True, number=1))


def summary_tail(project: Project) -> tuple[datetime, datetime | None]:
    """From when on the summaries do not hold a project's corrections, and where a page must cut them off."""
    mark = SummaryMark.objects.filter(project=project).first()
    start = mark.counted_to if mark else datetime.min.replace(tzinfo=UTC)
    beyond = (
        Correction.objects.filter(project=project, created_at__gte=start)
        .order_by("created_at")
        .values_list("created_at", flat=True)[TAIL : TAIL + 1]
    )
    return start, next(iter(beyond), None)


def reviews_counted(*, project: Project, since: date) -> list[Row]:
    """Reviews since a day, by day, author and stratum, those of this minute included."""
    stored = DailyReviews.objects.filter(project=project, day__gte=since).values(*REVIEW_KEYS, *REVIEW_SUMS)
    start, end = summary_tail(project)
    tail = reviews_between(project, max(start, _midnight(since)), end)
    return merged([*stored, *tail], keys=REVIEW_KEYS, sums=REVIEW_SUMS)


def decisions_counted(*, scope: Scope, by: Sequence[str]) -> list[Row]:
    """Decisions in a scope, counted by some of DECISION_KEYS, those of this minute included."""
    stored = DailyDecisions.objects.filter(project=scope.project)
    if scope.since is not None:
        stored = stored.filter(day__gte=scope.since)
    if scope.version_id is not None:
        stored = stored.filter(version=scope.version_id)
    if scope.stratum:
        stored = stored.filter(stratum=scope.stratum)
    sums = {f"sum_{name}": Sum(name) for name in DECISION_SUMS}
    rows = [_named(row) for row in stored.values(*by).annotate(**sums).order_by()]
    start, end = summary_tail(scope.project)
    if scope.since is not None:
        start = max(start, _midnight(scope.since))
    tail = [row for row in decisions_between(scope.project, start, end) if _is_in(row, scope)]
    return merged([*rows, *tail], keys=by, sums=DECISION_SUMS)


def versions_judged(*, project: Project) -> list[ModelVersion]:
    """The versions whose spans people decided about, newest first."""
    start, end = summary_tail(project)
    counted = DailyDecisions.objects.filter(project=project, version__isnull=False)
    tail = _corrections(project, start, end).filter(prediction__isnull=False)
    judged = Q(pk__in=counted.values("version")) | Q(pk__in=tail.values("prediction__version"))
    return list(ModelVersion.objects.filter(judged).only("name", "number").order_by("-created_at", "-pk"))


def merged(rows: Iterable[Row], *, keys: Sequence[str], sums: Sequence[str]) -> list[Row]:
    """Rows with the same keys made one, their sums added; in the order in which they first came."""
    found: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(lambda: dict.fromkeys(sums, 0))
    for row in rows:
        total = found[tuple(row[key] for key in keys)]
        for name in sums:
            total[name] += row[name]
    return [{**dict(zip(keys, values, strict=True)), **total} for values, total in found.items()]


def today() -> date:
    """The day it is for the summaries, which count in UTC."""
    return timezone.now().astimezone(UTC).date()


def _corrections(project: Project, start: datetime, end: datetime | None) -> QuerySet[Correction]:
    found = Correction.objects.filter(project=project, created_at__gte=start)
    return found if end is None else found.filter(created_at__lt=end)


def _named(row: Row) -> dict[str, Any]:
    # The ORM lets no sum have the name of the column it sums.
    return {name.removeprefix("sum_"): value for name, value in row.items()}


def _is_in(row: Row, scope: Scope) -> bool:
    return (scope.version_id is None or row["version_id"] == scope.version_id) and (
        not scope.stratum or row["stratum"] == scope.stratum
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
