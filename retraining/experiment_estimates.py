"""How long an experiment will take: from the reviews a project had lately, before anybody is dealt out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from math import ceil
from typing import Any

from django.db.models import Count
from django.utils import timezone

from corpus.models import Project
from feedback.models import Correction, Rating, Stratum
from inference.models import Division, Prediction
from ner.sequential import Sample, needed_per_arm, sample_of
from retraining.experiment_measures import metric_sample, span_counts
from retraining.models import Experiment

Metric = Experiment.Metric

#: How much a metric varies is read from so long a past; how much is reviewed, from a shorter one.
VARIANCE_DAYS = 90
RATE_DAYS = 14
#: From fewer reviews no variance is read.
ENOUGH = 30
#: What is assumed then. Per review: 15 % of 3 spans edited; ratings spread evenly over four of the stars.
ASSUMED = {Metric.EDIT_RATE: 0.0425, Metric.REVIEWED_F1: 0.0425, Metric.RATING: 1.25}
#: Among fewer keys no difference is ever said to be one, see `ner.sequential.MIN_COUNT`.
FEW_KEYS = 200


@dataclass(frozen=True, slots=True)
class ExperimentEstimate:
    """What an experiment needs, and by when it would have it."""

    variance: float
    is_assumed: bool
    """Were there too few reviews to read the variance from?"""
    per_arm: int
    """Reviews (ratings, where they are the metric) that each arm needs."""
    total: int
    """So many in all, for the arm with the fewest callers has to come to its own, too."""
    answers_per_day: float
    reviews_per_day: float
    days: float | None
    """None where nothing was reviewed lately."""
    keys: int
    """API keys that asked lately."""
    is_by_few: bool
    """Are there too few subjects to tell arms apart?"""

    def to_json(self) -> dict[str, Any]:
        """For the experiment's row."""
        return asdict(self)


def experiment_estimate(
    *,
    project: Project,
    shares: Sequence[float],
    metric: str = Metric.EDIT_RATE,
    by: str = Division.By.SUBJECT,
    effect: float = 0.03,
    alpha: float = 0.05,
    power: float = 0.8,
) -> ExperimentEstimate:
    """The estimate for challengers with these shares; a champion answers whom they leave."""
    variance, is_assumed = _variance(project, metric)
    per_arm = needed_per_arm(variance, effect, alpha=alpha / max(len(shares), 1), power=power)
    least = min(*shares, 100 - sum(shares))
    total = ceil(per_arm * 100 / max(least, 0.01))
    since = timezone.now() - timedelta(days=RATE_DAYS)
    answers = Prediction.objects.filter(project=project, created_at__gte=since, api_key__internal=False)
    if metric == Metric.RATING:
        seen = Rating.objects.filter(prediction__project=project, created_at__gte=since).count()
    else:
        seen = _reviews(project, days=RATE_DAYS).count()
    keys = answers.values("api_key").order_by().aggregate(many=Count("api_key", distinct=True))["many"]
    return ExperimentEstimate(
        variance=variance,
        is_assumed=is_assumed,
        per_arm=per_arm,
        total=total,
        answers_per_day=round(answers.count() / RATE_DAYS, 1),
        reviews_per_day=round(seen / RATE_DAYS, 1),
        days=round(total * RATE_DAYS / seen, 1) if seen else None,
        keys=keys,
        is_by_few=by == Division.By.API_KEY and keys < FEW_KEYS,
    )


def _reviews(project: Project, *, days: int) -> Any:
    """Reviews of what callers were answered, drawn at random."""
    return Correction.objects.filter(
        project=project,
        created_at__gte=timezone.now() - timedelta(days=days),
        stratum=Stratum.RANDOM,
        prediction__api_key__isnull=False,
    )


def _variance(project: Project, metric: str) -> tuple[float, bool]:
    """How much one review differs from the next, and whether that is only assumed."""
    if metric == Metric.RATING:
        since = timezone.now() - timedelta(days=VARIANCE_DAYS)
        rated = Rating.objects.filter(prediction__project=project, created_at__gte=since)
        sample = sample_of(list(rated.values_list("score", flat=True)[:10_000]))
    else:
        rows = span_counts(_reviews(project, days=VARIANCE_DAYS), "pk")
        counts = [tuple(row[name] for name in ("right", "wrong", "missed", "both")) for row in rows]
        sample = metric_sample(metric, counts) if counts else Sample(0, 0.0, 0.0)
    if sample.count < ENOUGH or sample.variance <= 0:
        return ASSUMED[Metric(metric)], True
    return sample.variance, False
