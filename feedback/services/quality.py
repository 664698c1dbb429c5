"""Estimating how good live answers are, behind the reviewers' path.

Derived from corrections and rebuilt from them each time: safe to repeat, and two at once write the same.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from corpus.models import Project
from feedback.models import QualityEstimate
from feedback.selectors.quality import counts_reviewed, versions_reviewed
from feedback.selectors.summaries import today
from inference.models import ModelVersion
from ner.live_quality import live_f1

#: A correction is stamped inside its transaction and seen after its end: young ones are looked at again.
OVERLAP = timedelta(minutes=10)


def quality_update() -> None:
    """Bring every project's estimates up to date."""
    for project in Project.objects.order_by("pk"):
        quality_estimate(project=project)


def quality_estimate(*, project: Project) -> None:
    """Count anew the versions of whose answers any was reviewed since the last time."""
    newest = QualityEstimate.objects.filter(project=project).order_by("-at").first()
    for version in versions_reviewed(project, newest.at - OVERLAP if newest else None):
        _store(project, version)


def _store(project: Project, version: ModelVersion) -> None:
    day, now = today(), timezone.now()
    rows = []
    for label, counts in counts_reviewed(project, version).items():
        found = live_f1(counts)
        tp, fp, fn = (sum(column) for column in zip(*counts, strict=True))
        rows.append(
            QualityEstimate(
                project=project,
                version=version,
                label=label,
                day=day,
                tp=tp,
                fp=fp,
                fn=fn,
                f1=found.f1,
                low=found.low,
                high=found.high,
                documents=found.documents,
                at=now,
            )
        )
    QualityEstimate.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["project", "version", "label", "day"],
        update_fields=["tp", "fp", "fn", "f1", "low", "high", "documents", "at"],
    )
