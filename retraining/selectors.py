"""Reading policies, training sets and runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from django.db.models import Exists, Model, OuterRef, QuerySet

from corpus.errors import NotFound
from corpus.models import Project
from corpus.selectors import projects_visible
from feedback.models import Correction
from feedback.selectors import corrections_newest
from inference.models import ModelVersion
from retraining.models import (
    BaseCorpus,
    DriftReport,
    Experiment,
    ExperimentArm,
    ExperimentLook,
    RetrainPolicy,
    Rollout,
    RolloutPolicy,
    TrainingRun,
    TrainingRunEvent,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

Row = TypeVar("Row", bound=Model)
Status = TrainingRun.Status

#: No training set takes longer to freeze.
FREEZING = timedelta(minutes=10)


def page_before(rows: QuerySet[Row], *, before: int | None, limit: int) -> tuple[list[Row], int | None]:
    """The newest rows below a number, and below which the next page begins; None where this is the last."""
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: limit + 1])
    return found[:limit], found[limit - 1].pk if len(found) > limit else None


def runs_visible(user: User | AnonymousUser) -> QuerySet[TrainingRun]:
    """The runs of the projects that a person may see, newest first."""
    return TrainingRun.objects.filter(project__in=projects_visible(user)).select_related(
        "project", "start_from", "candidate", "training_set"
    )


def run_active(*, project: Project) -> TrainingRun | None:
    """The project's run that is queued or running; there is at most one."""
    return TrainingRun.objects.filter(project=project, status__in=[Status.QUEUED, Status.RUNNING]).first()


def run_last(*, project: Project) -> TrainingRun | None:
    """The project's newest run that has ended."""
    ended = [Status.DONE, Status.FAILED, Status.CANCELLED]
    return TrainingRun.objects.filter(project=project, status__in=ended).order_by("-ended_at", "-id").first()


def run_events(*, run: TrainingRun, after: int = 0) -> QuerySet[TrainingRunEvent]:
    """A run's log in order, from the line after `after`."""
    return run.events.filter(pk__gt=after).order_by("pk")


def policy_of(*, project: Project) -> RetrainPolicy:
    """The project's policy; the defaults, unsaved, where nobody has set one."""
    return RetrainPolicy.objects.filter(project=project).first() or RetrainPolicy(project=project)


def drift_reports_of(project: Project) -> QuerySet[DriftReport]:
    """The drift reports of a project, newest first."""
    return DriftReport.objects.filter(project=project).select_related("version", "reference")


def drift_newest(*, project: Project, version: ModelVersion) -> DriftReport | None:
    """The newest comparison of a project's texts with those that a version was made from."""
    reports = DriftReport.objects.filter(project=project, version=version)
    return reports.select_related("version", "reference").first()


def rollout_policy_of(*, project: Project) -> RolloutPolicy:
    """How the project's versions are rolled out; the defaults, unsaved, where nobody has set it."""
    return RolloutPolicy.objects.filter(project=project).first() or RolloutPolicy(project=project)


def rollouts_of(*, project: Project) -> QuerySet[Rollout]:
    """A project's rollouts, newest first."""
    return Rollout.objects.filter(project=project).select_related("project", "version", "champion", "run")


def rollout_current(*, project: Project) -> Rollout | None:
    """The project's rollout that is under way; there is at most one."""
    return rollouts_of(project=project).filter(status__in=Rollout.UNFINISHED).first()


def experiments_of(*, project: Project) -> QuerySet[Experiment]:
    """A project's experiments, newest first."""
    return Experiment.objects.filter(project=project).select_related("project", "winner")


def row_numbered(rows: QuerySet[Row], number: int) -> Row:
    """The row of a number in an address, or NotFound; of a number larger than any row's too."""
    row = rows.filter(pk=number).first()
    if row is None:
        raise NotFound()
    return row


def arms_of(*, experiment: Experiment) -> list[ExperimentArm]:
    """What an experiment compares: the control, then the challengers in the order of their slots."""
    arms = experiment.arms.select_related("version")
    return sorted(arms, key=lambda arm: (not arm.is_control, arm.slot))


def look_newest(*, experiment: Experiment) -> ExperimentLook | None:
    """What the last look at an experiment saw."""
    return experiment.looks.order_by("-at", "-id").first()


def looks_thinned(*, experiment: Experiment, most: int = 120) -> list[ExperimentLook]:
    """An experiment's looks in their order, so many that a chart can show them; the last is among them."""
    looks = list(experiment.looks.order_by("-at", "-id").defer("arms"))
    return looks[:: max(-(-len(looks) // most), 1)][::-1]


def base_corpus_current(*, project: Project) -> BaseCorpus | None:
    """The base corpus imported last for a project."""
    return BaseCorpus.objects.filter(project=project).first()


def corrections_new(*, project: Project) -> QuerySet[Correction]:
    """Documents' newest corrections that no run has considered yet.

    A run considers what its set holds once it ends with a candidate (whatever the gate said) or is
    cancelled by a person; after a failure the same corrections stay new.
    """
    considered = _considered_last(project)
    newest = corrections_newest(project).filter(document__redacted_at=None)
    if considered is None:
        return Correction.objects.filter(pk__in=newest.values("pk"))
    return Correction.objects.filter(pk__in=newest.values("pk")).exclude(
        pk__in=considered.training_set.items.values("correction_id")
    )


def corrections_new_count(*, project: Project, limit: int) -> int:
    """How many documents have a new correction, counted as far as `limit`: what a page can afford.

    Read by index from the newest one backwards; `corrections_new` is exact, and reads the whole history.
    """
    considered = _considered_last(project)
    found = Correction.objects.filter(project=project, document__redacted_at=None)
    if considered is not None:
        frozen = considered.training_set
        known = frozen.items.filter(correction=OuterRef("pk"))
        # The set was read a little before it was stamped.
        found = found.filter(~Exists(known), created_at__gte=frozen.frozen_at - FREEZING)
    # A document may have been corrected several times since.
    documents = found.order_by("-created_at").values_list("document_id", flat=True)[: 4 * limit]
    return min(len(set(documents)), limit)


def failures_in_a_row(*, project: Project) -> int:
    """How many of the newest ended runs failed, without anything else in between."""
    ended = TrainingRun.objects.filter(project=project, ended_at__isnull=False)
    other = (
        ended.exclude(status=Status.FAILED).order_by("-ended_at").values_list("ended_at", flat=True).first()
    )
    failed = ended.filter(status=Status.FAILED)
    return (failed.filter(ended_at__gt=other) if other else failed).count()


def _considered_last(project: Project) -> TrainingRun | None:
    return (
        TrainingRun.objects.filter(project=project, status__in=[Status.DONE, Status.CANCELLED])
        .select_related("training_set")
        .order_by("-ended_at", "-id")
        .first()
    )
