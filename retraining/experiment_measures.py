"""What an experiment measured, arm by arm: aggregates of its answers, reviews and ratings.

What is dealt to an arm is a subject, so subjects are what varies independently, not answers or reviews: those
of one subject are alike. Every comparison is therefore made over the subjects' groups
(`inference.shares.BUCKETS`). Only answers that the shares decided on count: who named a version, or came with
an internal key, is in none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf, sqrt
from typing import Any

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum

from feedback.models import Correction, Rating, SpanDecision, Stratum
from feedback.selectors.summaries import judging
from inference.models import Prediction
from ner.intervals import wilson
from ner.sequential import Sample, Sequential, compare, needed_per_arm, ratio_sample, sample_ratio_p
from retraining.arms import rowless_counted
from retraining.models import Experiment, ExperimentArm

Kind = SpanDecision.Decision
Metric = Experiment.Metric

#: An answer with a span below this confidence, or as unsure as a whole, is one of low confidence.
SURE = 0.5
#: How fast and how sure an arm is, is read from its newest answers.
NEWEST = 20_000
#: Below this the numbers of callers are so uneven that the assignment must be broken.
RATIO_ALARM = 0.001
_Z = 1.96

Buckets = Mapping[int, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> list[float]:
        """Value, low, high."""
        return [round(number, 6) for number in (self.value, self.low, self.high)]


@dataclass(slots=True)
class ArmMeasures:
    """What was measured of one arm; None where there was nothing to measure."""

    answers: int = 0
    reviews: int = 0
    ratings: int = 0
    edit_rate: Interval | None = None
    reviewed_f1: Interval | None = None
    rating: Interval | None = None
    p50_ms: Interval | None = None
    p95_ms: Interval | None = None
    p99_ms: Interval | None = None
    error_rate: Interval | None = None
    low_confidence: Interval | None = None
    seconds_per_answer: float | None = None

    def to_json(self) -> dict[str, Any]:
        """For the row of a look."""
        return {
            name: value.to_json() if isinstance(value, Interval) else value
            for name in self.__slots__
            if (value := getattr(self, name)) is not None
        }


@dataclass(slots=True)
class Measured:
    """What one look at an experiment sees."""

    arms: dict[str, ArmMeasures]
    comparisons: dict[str, Sequential] = field(default_factory=dict)
    """By slot of a challenger: challenger minus control, at the experiment's alpha for all together."""
    ratio_p: float = 1.0
    reviews: int = 0
    needed: int | None = None
    """So many more reviews (ratings, where they are the metric) in all arms; None while nobody knows."""


@dataclass(slots=True)
class _Sums:
    """By group of subjects: accepted, wrong, missed spans; ratings; answers."""

    spans: dict[int, list[float]] = field(default_factory=dict)
    ratings: dict[int, tuple[float, float]] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)


def measure(experiment: Experiment, arms: Sequence[ExperimentArm], *, until: datetime) -> Measured:
    """Look at a started experiment. Of an arm that was dropped only the callers count, for the shares."""
    sums = {arm.slot: _Sums() for arm in arms}
    live = [arm for arm in arms if not arm.is_dropped]
    found = {arm.slot: ArmMeasures() for arm in live}
    _reviews_read(experiment, until, sums, found)
    _ratings_read(experiment, until, sums, found)
    _answers_read(experiment, until, sums, found)
    for arm in live:
        _newest_read(experiment, arm, until, found[arm.slot])
        found[arm.slot].error_rate = _error_rate(experiment, arm, until, found[arm.slot].answers)
        found[arm.slot].edit_rate = _rate(metric_sample(Metric.EDIT_RATE, sums[arm.slot].spans.values()))
        found[arm.slot].reviewed_f1 = _rate(metric_sample(Metric.REVIEWED_F1, sums[arm.slot].spans.values()))
        found[arm.slot].rating = _mean(_rating_sample(sums[arm.slot]))
    measured = Measured(
        arms=found,
        ratio_p=ratio_p(
            {arm.slot: sums[arm.slot].answers for arm in arms}, {arm.slot: arm.share for arm in arms}
        ),
    )
    _compare(experiment, arms, sums, measured)
    return measured


def metric_sample(metric: str, spans: Any) -> Sample:
    """A metric of reviewed spans over its (accepted, wrong, missed) counts, which each come of one group.

    A span with a moved boundary or another label is both wrong and missed, as F1 counts.
    """
    counts = [
        (float(right), float(wrong), float(missed), float(both)) for right, wrong, missed, both in spans
    ]
    if metric == Metric.REVIEWED_F1:
        return ratio_sample(
            [2 * right for right, *_ in counts],
            [2 * right + wrong + missed + 2 * both for right, wrong, missed, both in counts],
        )
    edits = [wrong + missed + both for _, wrong, missed, both in counts]
    return ratio_sample(edits, [right + edit for (right, *_), edit in zip(counts, edits, strict=True)])


def span_counts(reviews: QuerySet[Correction], *by: str) -> QuerySet[Any]:
    """Reviews counted by some columns: how many, and their spans that were right, wrong, missed or both."""
    decided = "decisions__decision"
    counted: QuerySet[Any] = (
        judging(reviews)
        .values(*by)
        .annotate(
            reviews=Count("pk", distinct=True),
            right=Count("decisions", filter=Q(**{decided: Kind.ACCEPT})),
            wrong=Count("decisions", filter=Q(**{decided: Kind.REJECT})),
            missed=Count("decisions", filter=Q(**{decided: Kind.ADD})),
            both=Count("decisions", filter=Q(**{f"{decided}__in": [Kind.RELABEL, Kind.RESIZE]})),
        )
        .order_by()
    )
    return counted


def ratio_p(answers: Mapping[str, Mapping[int, int]], shares: Mapping[str, float]) -> float:
    """How likely answers as unevenly spread as these are, if every arm got its share of the subjects.

    Pearson's test on answers would call every subject who asks often an imbalance. So the counts are first
    divided by their design effect, how much more they vary from group to group than single answers would
    (Rao and Scott, "The analysis of categorical data from complex sample surveys", JASA 1981).
    """
    whole = sum(shares.values())
    total = sum(sum(groups.values()) for groups in answers.values())
    if not total or len(shares) < 2:
        return 1.0
    sizes: dict[int, int] = defaultdict(int)
    for groups in answers.values():
        for group, count in groups.items():
            sizes[group] += count
    design = 0.0
    for slot, share in shares.items():
        part = share / whole
        spread = sum((answers[slot].get(group, 0) - part * size) ** 2 for group, size in sizes.items())
        design += (1 - part) * spread / (total * part * (1 - part))
    design = max(design / (len(shares) - 1), 1.0)
    effective = {slot: round(sum(groups.values()) / design) for slot, groups in answers.items()}
    return sample_ratio_p(effective, shares)


def _counted(experiment: Experiment, until: datetime, path: str = "") -> dict[str, Any]:
    """The condition for answers that count."""
    return {
        f"{path}project": experiment.project_id,
        f"{path}created_at__gte": experiment.counted_from,
        f"{path}created_at__lt": until,
        f"{path}bucket__isnull": False,
    }


def _reviews_read(
    experiment: Experiment, until: datetime, sums: dict[str, _Sums], found: dict[str, ArmMeasures]
) -> None:
    reviews = Correction.objects.filter(
        project=experiment.project_id,
        created_at__gte=experiment.started_at,
        created_at__lt=until,
        stratum=Stratum.RANDOM,
        prediction__slot__in=list(found),
        **_counted(experiment, until, "prediction__"),
    )
    for row in span_counts(reviews, "prediction__slot", "prediction__bucket"):
        slot = row["prediction__slot"]
        counts = [row[name] for name in ("right", "wrong", "missed", "both")]
        sums[slot].spans[row["prediction__bucket"]] = counts
        found[slot].reviews += row["reviews"]


def _ratings_read(
    experiment: Experiment, until: datetime, sums: dict[str, _Sums], found: dict[str, ArmMeasures]
) -> None:
    ratings = Rating.objects.filter(
        created_at__gte=experiment.started_at,
        created_at__lt=until,
        prediction__slot__in=list(found),
        **_counted(experiment, until, "prediction__"),
    )
    by = ("prediction__slot", "prediction__bucket")
    rows = ratings.values_list(*by).annotate(Sum("score"), Count("pk")).order_by()
    for slot, bucket, total, many in rows:
        if bucket is not None:
            sums[slot].ratings[bucket] = (total, many)
            found[slot].ratings += many


def _answers_read(
    experiment: Experiment, until: datetime, sums: dict[str, _Sums], found: dict[str, ArmMeasures]
) -> None:
    answers = Prediction.objects.filter(slot__in=list(sums), **_counted(experiment, until))
    for slot, bucket, many in answers.values_list("slot", "bucket").annotate(Count("pk")).order_by():
        sums[slot].answers[bucket] = many
        if slot in found:
            found[slot].answers += many


def _error_rate(experiment: Experiment, arm: ExperimentArm, until: datetime, answers: int) -> Interval | None:
    """Of the answers that the arm owed, those that it did not give, or that were not sound."""
    missed, unkept = rowless_counted(
        project=experiment.project_id,
        version=arm.version_id,
        slot=arm.slot,
        dealt=True,
        at__gte=experiment.counted_from,
        at__lt=until,
    )
    owed = answers + unkept + missed
    return Interval(missed / owed, *wilson(missed / owed, owed)) if owed else None


def _newest_read(experiment: Experiment, arm: ExperimentArm, until: datetime, found: ArmMeasures) -> None:
    """How fast and how sure: quantiles with the order statistics that enclose them, whatever their shape."""
    seen = min(found.answers, NEWEST)
    if not seen:
        return
    fractions: list[float] = []
    for quantile in (0.5, 0.95, 0.99):
        half = _Z * sqrt(quantile * (1 - quantile) / seen)
        fractions += [quantile, max(quantile - half, 0.0), min(quantile + half, 1.0)]
    with connection.cursor() as cursor:
        cursor.execute(
            _NEWEST,
            {
                "fractions": fractions,
                "project": experiment.project_id,
                "slot": arm.slot,
                "since": experiment.counted_from,
                "until": until,
                "bar": SURE,
                "newest": NEWEST,
            },
        )
        values, unsure, count, mean = cursor.fetchone()
    if not count:
        return
    found.p50_ms, found.p95_ms, found.p99_ms = (Interval(*values[at : at + 3]) for at in (0, 3, 6))
    found.low_confidence = Interval(unsure / count, *wilson(unsure / count, count))
    found.seconds_per_answer = round(mean / 1000, 6)


_NEWEST = """
SELECT
    percentile_cont(%(fractions)s::float8[]) WITHIN GROUP (ORDER BY latency_ms),
    count(*) FILTER (
        WHERE uncertainty >= 1 - %(bar)s
           OR jsonb_path_exists(spans, '$[*] ? (@.confidence < $bar)', jsonb_build_object('bar', %(bar)s))
    ),
    count(*),
    avg(latency_ms)
FROM (
    SELECT latency_ms, uncertainty, spans
    FROM inference_prediction
    WHERE project_id = %(project)s AND slot = %(slot)s AND bucket IS NOT NULL
      AND created_at >= %(since)s AND created_at < %(until)s
    ORDER BY created_at DESC
    LIMIT %(newest)s
) AS newest
"""


def _rating_sample(sums: _Sums) -> Sample:
    pairs = list(sums.ratings.values())
    return ratio_sample([total for total, _ in pairs], [count for _, count in pairs])


def _mean(sample: Sample) -> Interval | None:
    if sample.count < 2:
        return None
    half = _Z * sqrt(sample.variance / sample.count)
    return Interval(sample.mean, sample.mean - half, sample.mean + half)


def _rate(sample: Sample) -> Interval | None:
    mean = _mean(sample)
    return mean and Interval(mean.value, max(mean.low, 0.0), min(mean.high, 1.0))


def _compare(
    experiment: Experiment, arms: Sequence[ExperimentArm], sums: dict[str, _Sums], measured: Measured
) -> None:
    is_rating = experiment.metric == Metric.RATING
    samples = {
        slot: _rating_sample(sums[slot])
        if is_rating
        else metric_sample(experiment.metric, sums[slot].spans.values())
        for slot in measured.arms
    }
    seen = {slot: one.ratings if is_rating else one.reviews for slot, one in measured.arms.items()}
    measured.reviews = sum(seen.values())
    [control] = (arm.slot for arm in arms if arm.is_control)
    # Those that were dropped keep their part: what is left of the alpha must not depend on what was seen.
    alpha = experiment.alpha / (len(arms) - 1)
    for slot in measured.arms.keys() - {control}:
        measured.comparisons[slot] = compare(
            samples[control], samples[slot], alpha=alpha, tau=experiment.effect
        )
    # A group counts once however many reviews it has: what one review is worth is measured, too.
    variances = [
        sample.variance / sample.count * seen[slot] for slot, sample in samples.items() if sample.count > 1
    ]
    if variances and max(variances) > 0:
        wanted = needed_per_arm(max(variances), experiment.effect, alpha=alpha, power=experiment.power)
        measured.needed = sum(max(wanted - count, 0) for count in seen.values())


def said(comparison: Sequential) -> dict[str, Any]:
    """A comparison as JSON, which knows no infinity."""
    return {
        "difference": round(comparison.difference, 6),
        "low": None if comparison.low == -inf else round(comparison.low, 6),
        "high": None if comparison.high == inf else round(comparison.high, 6),
        "p_value": comparison.p_value,
    }
