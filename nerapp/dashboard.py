"""The four questions of the back office's first page, answered for the projects a person may see.

Is serving healthy? How good is the champion now? What waits for people? What is the machine learning?
The number of queries does not grow with the number of projects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, FloatField, Max, Q, QuerySet
from django.utils import timezone

from corpus.models import Project
from feedback.models import Correction, SpanDecision
from inference.models import Deployment, Evaluation, Prediction
from labeling.models import Task
from ner.intervals import wilson
from nerapp.charts import Estimate
from nerapp.health import Ready, ready
from retraining.models import RetrainDecision, TrainingRun

#: Traffic is told of the last hour, the reviewers' verdict of the last four weeks.
TRAFFIC = timedelta(hours=1)
REVIEWS = timedelta(days=28)

Decision = SpanDecision.Decision


class Percentile95(Aggregate):
    """The value that 95 % of rows do not exceed."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.95) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was answered in the last hour."""

    answers: int
    p95_ms: float | None
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class ChampionRow:
    """A project's champion: what its exam says, and what reviewers say of it since."""

    deployment: Deployment
    exam: Evaluation | None
    kept: Estimate | None
    reviewed: int


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """What waits for people in a project."""

    project: Project
    open: int
    held: int
    done_today: int


@dataclass(frozen=True, slots=True)
class LearningRow:
    """What a project's machine is doing, or why it is not."""

    project: Project
    run: TrainingRun | None
    decision: RetrainDecision | None

    @property
    def share(self) -> int:
        """How far the run is, in per cent."""
        progress: dict[str, Any] = self.run.progress if self.run is not None else {}
        total = progress.get("total") or 0
        return round(100 * (progress.get("step") or 0) / total) if total else 0


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The answers to the four questions."""

    ready: Ready
    traffic: Traffic
    champions: Sequence[ChampionRow]
    without_champion: Sequence[Project]
    waiting: Sequence[WaitingRow]
    candidates: Sequence[TrainingRun]
    learning: Sequence[LearningRow]
    projects: Sequence[Project] = field(default_factory=list)


def dashboard_of(projects: QuerySet[Project]) -> Dashboard:
    """The four answers, of these projects."""
    known = list(projects.order_by("name"))
    now = timezone.now()
    champions = list(
        Deployment.objects.filter(project__in=known, slot=Deployment.Slot.CHAMPION)
        .select_related("project", "version", "previous")
        .order_by("project__name")
    )
    served = {deployment.project_id for deployment in champions}
    return Dashboard(
        ready=ready(),
        traffic=_traffic(known, now),
        champions=_champions(champions, now),
        without_champion=[project for project in known if project.pk not in served],
        waiting=_waiting(known, now),
        candidates=_candidates(champions),
        learning=_learning(known),
        projects=known,
    )


def _traffic(projects: list[Project], now: datetime) -> Traffic:
    # Answers to callers; predictions for the review queue are not traffic.
    answers = Prediction.objects.filter(project__in=projects, document=None, created_at__gte=now - TRAFFIC)
    found = answers.aggregate(count=Count("pk"), p95=Percentile95("latency_ms"), newest=Max("created_at"))
    return Traffic(answers=found["count"], p95_ms=found["p95"], newest=found["newest"])


def _champions(champions: list[Deployment], now: datetime) -> list[ChampionRow]:
    versions = [deployment.version_id for deployment in champions]
    exams: dict[int, Evaluation] = {}
    # The project's own exam rather than the general one, and of one kind the newest.
    sat = Evaluation.objects.filter(version__in=versions).exclude(kind=Evaluation.Kind.GOLDEN)
    for exam in sat.defer("report").order_by("created_at"):
        known = exams.get(exam.version_id)
        if known is None or exam.kind == Evaluation.Kind.TEST or known.kind != Evaluation.Kind.TEST:
            exams[exam.version_id] = exam
    decided = {
        (row["correction__project"], row["correction__prediction__version"]): row
        for row in SpanDecision.objects.filter(
            correction__prediction__version__in=versions, correction__created_at__gte=now - REVIEWS
        )
        .values("correction__project", "correction__prediction__version")
        .annotate(kept=Count("pk", filter=Q(decision=Decision.ACCEPT)), total=Count("pk"))
    }
    rows = []
    for deployment in champions:
        row = decided.get((deployment.project_id, deployment.version_id))
        kept = (
            Estimate(row["kept"] / row["total"], *wilson(row["kept"] / row["total"], row["total"]))
            if row
            else None
        )
        rows.append(
            ChampionRow(
                deployment=deployment,
                exam=exams.get(deployment.version_id),
                kept=kept,
                reviewed=row["total"] if row else 0,
            )
        )
    return rows


def _waiting(projects: list[Project], now: datetime) -> list[WaitingRow]:
    tasks = {
        row["project"]: (row["open"], row["held"])
        for row in Task.objects.filter(project__in=projects, status=Task.Status.OPEN)
        .values("project")
        .annotate(open=Count("pk"), held=Count("pk", filter=Q(lease_expires_at__gt=now)))
    }
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    done = dict(
        Correction.objects.filter(project__in=projects, created_at__gte=midnight)
        .values_list("project")
        .annotate(count=Count("pk"))
        .order_by()
    )
    return [
        WaitingRow(
            project=project,
            open=tasks.get(project.pk, (0, 0))[0],
            held=tasks.get(project.pk, (0, 0))[1],
            done_today=done.get(project.pk, 0),
        )
        for project in projects
    ]


def _candidates(champions: list[Deployment]) -> list[TrainingRun]:
    """Candidates past the gate that wait for a person to promote them."""
    serving = {deployment.project_id: deployment.version_id for deployment in champions}
    passed = TrainingRun.objects.filter(
        project__in=serving, status=TrainingRun.Status.DONE, verdict__passed=True
    ).select_related("project", "candidate")
    return [
        run
        for run in passed.order_by("-ended_at")[:50]
        if run.start_from_id == serving[run.project_id] and run.candidate_id != serving[run.project_id]
    ]


def _learning(projects: list[Project]) -> list[LearningRow]:
    active = {
        run.project_id: run
        for run in TrainingRun.objects.filter(
            project__in=projects, status__in=[TrainingRun.Status.QUEUED, TrainingRun.Status.RUNNING]
        )
    }
    newest = RetrainDecision.objects.filter(project__in=projects).order_by("project_id", "-created_at", "-id")
    decisions = {decision.project_id: decision for decision in newest.distinct("project_id")}
    return [
        LearningRow(project=project, run=active.get(project.pk), decision=decisions.get(project.pk))
        for project in projects
    ]
