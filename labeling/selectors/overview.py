"""What a project's home says at a glance: how fast, how good, and where the machine is unsure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, Left
from django.utils import timezone

from corpus.models import Project
from feedback.models import Correction, QualityEstimate, SpanDecision, Stratum
from feedback.selectors import Scope, decisions_counted, quality_newest, reviews_counted, today
from inference.models import Deployment, ModelVersion
from labeling.models import Tally, Task
from labeling.selectors.queue import EXCERPT
from ner.intervals import Share

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: The spark line's days, and how far back quality is told.
SPARK = timedelta(days=14)
WEEK = timedelta(days=7)
QUALITY = timedelta(days=28)
#: Where the machine is unsure is told from this many of its least sure tasks.
HEAD = 40
UNSURE = 0.75
_HOUR_MS = 3_600_000

Kind = SpanDecision.Decision
_MACHINE = (Kind.ACCEPT, Kind.REJECT, Kind.RELABEL, Kind.RESIZE)


@dataclass(frozen=True, slots=True)
class Speed:
    """Reviewed texts, and per hour of active work where the time is known."""

    reviewed: int
    per_hour: float | None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the project is reviewed."""

    today: Speed
    week: Speed
    days: Sequence[tuple[date, int]]

    @property
    def total(self) -> int:
        """Reviewed in the days shown."""
        return sum(count for _, count in self.days)


@dataclass(frozen=True, slots=True)
class Quality:
    """What people left of the machine's spans: of all that they looked at, and of random checks alone.

    Only random checks tell how good live answers are: the queue's other texts were picked for being hard.
    """

    kept: Share
    random_kept: Share
    random_found: Share
    live: QualityEstimate | None


@dataclass(frozen=True, slots=True)
class UnsureLabel:
    """A label, how often it stands among the least sure spans, and how sure those are on average."""

    name: str
    spans: int
    confidence: float


@dataclass(frozen=True, slots=True)
class UnsureSurface:
    """A string that the machine is unsure of, and a task where it stands."""

    surface: str
    label: str
    confidence: float
    times: int
    task_id: int


@dataclass(frozen=True, slots=True)
class Unsure:
    """What the machine is unsure about, in the texts that wait."""

    labels: Sequence[UnsureLabel]
    surfaces: Sequence[UnsureSurface]
    tasks: int


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A project in a list: what waits in it, what the person did there today, and what answers for it."""

    project: Project
    waiting: int
    mine_today: int
    champion: str


def projects_at_a_glance(*, projects: Sequence[Project], user: User) -> list[ProjectLine]:
    """The numbers of a list of projects, by three queries whatever its length."""
    waiting: dict[int, int] = dict(
        Tally.objects.filter(project__in=projects, kind=Tally.Kind.TASK, state=Task.Status.OPEN)
        .values_list("project")
        .annotate(count=Sum("change"))
        .order_by()
    )
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    mine: dict[int, int] = dict(
        Correction.objects.filter(project__in=projects, author=user, created_at__gte=midnight)
        .values_list("project")
        .annotate(count=Count("pk"))
        .order_by()
    )
    champions = {
        deployment.project_id: str(deployment.version)
        for deployment in Deployment.objects.filter(
            project__in=projects, slot=Deployment.Slot.CHAMPION
        ).select_related("version")
    }
    return [
        ProjectLine(
            project=project,
            waiting=waiting.get(project.pk, 0),
            mine_today=mine.get(project.pk, 0),
            champion=champions.get(project.pk, ""),
        )
        for project in projects
    ]


def corrections_latest(*, project: Project, limit: int = 8) -> QuerySet[Correction]:
    """The corrections stored last, with what a list of them shows."""
    # Counted for the rows shown; joined, decisions would be counted for all rows before they are cut.
    decisions = SpanDecision.objects.filter(correction=OuterRef("pk")).order_by().values("correction")
    return (
        Correction.objects.filter(project=project)
        .select_related("author", "api_key")
        .defer("spans")
        .annotate(
            excerpt=Left("document__text", EXCERPT),
            decided=Coalesce(Subquery(decisions.values_list(Count("pk"))), 0),
            seconds=F("milliseconds") / 1000.0,
        )
        .order_by("-created_at", "-id")[:limit]
    )


def tasks_of_documents(*, document_ids: Collection[UUID]) -> dict[UUID, int]:
    """The newest task of each document, where it has one."""
    tasks = Task.objects.filter(document__in=document_ids).order_by("pk")
    return dict(tasks.values_list("document", "pk"))


def pace_of(*, project: Project) -> Pace:
    """How many texts were reviewed lately, by day, and how many in an hour of active work."""
    now = today()
    first = now - SPARK + timedelta(days=1)
    # What was imported or sent by callers was reviewed elsewhere, at a speed that says nothing here.
    rows = [
        row
        for row in reviews_counted(project=project, since=first)
        if row["stratum"] not in {Stratum.IMPORT, Stratum.API} or row["timed"]
    ]
    by_day = {first + timedelta(days=number): 0 for number in range(SPARK.days)}
    for row in rows:
        if row["day"] in by_day:
            by_day[row["day"]] += row["corrections"]
    return Pace(
        today=_speed([row for row in rows if row["day"] == now]),
        week=_speed([row for row in rows if row["day"] > now - WEEK]),
        days=list(by_day.items()),
    )


def quality_of(*, project: Project, version: ModelVersion) -> Quality:
    """What people left of a version's spans in the last four weeks."""
    scope = Scope(project, since=today() - QUALITY, version_id=version.pk)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for row in decisions_counted(scope=scope, by=("stratum", "decision")):
        counts[row["stratum"], row["decision"]] += row["spans"]

    def count(kinds: Sequence[str], *strata: str) -> int:
        return sum(n for (stratum, kind), n in counts.items() if kind in kinds and stratum in strata)

    strata = {stratum for stratum, _ in counts}
    human = (Kind.ACCEPT, Kind.RELABEL, Kind.RESIZE, Kind.ADD)
    kept_at_random = count([Kind.ACCEPT], Stratum.RANDOM)
    return Quality(
        kept=Share(count([Kind.ACCEPT], *strata), count(_MACHINE, *strata)),
        random_kept=Share(kept_at_random, count(_MACHINE, Stratum.RANDOM)),
        random_found=Share(kept_at_random, count(human, Stratum.RANDOM)),
        live=quality_newest(project, version),
    )


def unsure_of(*, project: Project, labels: int = 5, surfaces: int = 6) -> Unsure:
    """The labels and strings with the lowest confidence among the least sure texts that wait."""
    head = (
        Task.objects.filter(project=project, status=Task.Status.OPEN, stratum=Stratum.UNCERTAIN, seats__gt=0)
        .order_by("-priority", "id")
        .values_list("pk", "prediction__spans")[:HEAD]
    )
    by_label: dict[str, list[float]] = defaultdict(list)
    by_surface: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    tasks = 0
    for task_id, spans in head:
        tasks += 1
        for span in spans:
            confidence = span.get("confidence")
            if confidence is not None and confidence < UNSURE:
                by_label[span["label"]].append(confidence)
                by_surface[span.get("text", ""), span["label"]].append((confidence, task_id))
    return Unsure(
        labels=sorted(
            (UnsureLabel(name, len(found), sum(found) / len(found)) for name, found in by_label.items()),
            key=lambda row: (-row.spans, row.confidence, row.name),
        )[:labels],
        surfaces=sorted(
            (
                UnsureSurface(surface[:80], label, min(found)[0], len(found), min(found)[1])
                for (surface, label), found in by_surface.items()
            ),
            key=lambda row: (row.confidence, row.surface),
        )[:surfaces],
        tasks=tasks,
    )


def _speed(rows: Sequence[Any]) -> Speed:
    timed, milliseconds = sum(row["timed"] for row in rows), sum(row["milliseconds"] for row in rows)
    return Speed(
        reviewed=sum(row["corrections"] for row in rows),
        per_hour=timed * _HOUR_MS / milliseconds if milliseconds else None,
    )
