"""What reviews of random texts say about the answers of single versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from corpus.models import Project
from feedback.models import Correction, QualityEstimate, SpanDecision, Stratum
from feedback.selectors.summaries import judging
from inference.models import ModelVersion

#: The newest reviews tell how good answers are now; older ones are left out.
WINDOW = 2_000
#: Days of a trend.
TREND = 90

ALL = ""
Counts = list[tuple[int, int, int]]
Kind = SpanDecision.Decision


def quality_newest(project: Project, version: ModelVersion, label: str = ALL) -> QualityEstimate | None:
    """The newest estimate of a version in a project, of one label or of all; None before the first review."""
    return QualityEstimate.objects.filter(project=project, version=version, label=label).first()


def quality_by_label(project: Project, version: ModelVersion) -> list[QualityEstimate]:
    """The newest estimate of each label, all together first and then the most frequent."""
    found = QualityEstimate.objects.filter(project=project, version=version).order_by("label", "-day")
    newest = list(found.distinct("label"))
    return sorted(newest, key=lambda one: (one.label != ALL, -one.support, one.label))


def quality_trend(project: Project, version: ModelVersion | None = None) -> list[QualityEstimate]:
    """The newest estimates of all labels together, day by day, oldest first; of one version or of all."""
    found = QualityEstimate.objects.filter(project=project, label=ALL).select_related("version")
    if version is not None:
        found = found.filter(version=version)
    return list(found[:TREND])[::-1]


def versions_reviewed(project: Project, since: datetime | None) -> QuerySet[ModelVersion]:
    """The versions of whose answers to random texts any was reviewed since a moment, or ever."""
    found = _at_random(project)
    if since is not None:
        found = found.filter(created_at__gte=since)
    return ModelVersion.objects.filter(pk__in=found.values("prediction__version")).order_by("pk")


def counts_reviewed(project: Project, version: ModelVersion) -> dict[str, Counts]:
    """(tp, fp, fn) of each of the newest reviewed texts that a version answered: by label, and of all.

    Only random texts, and only what was said about the machine's own answer: the first correction of it.
    """
    of_version = judging(_at_random(project).filter(prediction__version=version))
    newest = of_version.order_by("-created_at", "-id").values_list("pk", flat=True)[:WINDOW]
    reviewed = {pk: place for place, pk in enumerate(newest)}
    counts: dict[str, list[list[int]]] = defaultdict(lambda: [[0, 0, 0] for _ in reviewed])
    counts[ALL]  # texts without any entity count, too
    decided = SpanDecision.objects.filter(correction__in=list(reviewed))
    for correction, decision, predicted, label in decided.values_list(
        "correction_id", "decision", "predicted_label", "label"
    ):
        for name, column in _counted(decision, predicted, label):
            counts[name][reviewed[correction]][column] += 1
            counts[ALL][reviewed[correction]][column] += 1
    return {name: [(tp, fp, fn) for tp, fp, fn in texts] for name, texts in counts.items()}


def _counted(decision: str, predicted: str, label: str) -> Sequence[tuple[str, int]]:
    """What a decision counts as, as in `ner.evaluate`: a changed span is one too many and one too few."""
    if decision == Kind.ACCEPT:
        return [(label, 0)]
    return [(name, column) for name, column in ((predicted, 1), (label, 2)) if name]


def _at_random(project: Project) -> QuerySet[Correction]:
    return Correction.objects.filter(project=project, stratum=Stratum.RANDOM, prediction__isnull=False)
