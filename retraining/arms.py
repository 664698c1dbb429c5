"""What a version answered callers while it had a share of them: counted in the database, at bounded cost.

However many answers there are, the newest MOST of them are read, by an index; what people edited is read from
the newest MOST_REVIEWED reviews.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet, Sum

from corpus.models import Project
from feedback.models import Correction, SpanDecision, Stratum
from feedback.selectors.summaries import judging
from inference.models import ArmFailure, ArmUnkept, Deployment, ModelVersion, ShadowComparison, ShadowTest
from ner.rollout import NOTHING, UNSURE_BELOW, Arm, Plan
from ner.sequential import Sample, ratio_sample

MOST = 10_000
MOST_REVIEWED = 2_000


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, open at its end where that is None."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A version in a slot of a project."""

    project: Project
    slot: str
    version: ModelVersion


def arm_counted(*, place: Place, during: Span, plan: Plan) -> Arm:
    """An arm's answers to callers, and those that it owed them.

    Answers of files are left out: read in batches, they say nothing of latency, and one file would outnumber
    everybody else. So are those of internal keys, which the champion alone answers.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # Right after many answers came the planner takes them for few, and would read and sort all of them.
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(_ANSWERS, _params(place, during, plan))
        answers, slow, very_slow, unsure, percentiles, labelled, labels, oldest = cursor.fetchone()
        cursor.execute("SET LOCAL enable_bitmapscan = DEFAULT")
    p50, p95, p99 = percentiles or (None, None, None)
    if answers == MOST:
        # What leaves no row is counted over the time of the answers that were read, not over all of it.
        during = Span(oldest, during.until)
    turns: dict[str, Any] = {
        "project": place.project,
        "version": place.version,
        "slot": place.slot,
        "at__gte": during.since,
    }
    if during.until is not None:
        turns["at__lt"] = during.until
    missed, unkept = rowless_counted(**turns)
    refused = ArmFailure.objects.filter(**turns, kind=ArmFailure.Kind.REFUSED).first()
    return Arm(
        answers=answers,
        failures=missed,
        unkept=unkept,
        slow=slow,
        very_slow=very_slow,
        unsure=unsure,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        labels={name: count for name, count in json.loads(labels or "{}").items() if count},
        labelled=labelled,
        refused=refused.reason if refused else "",
    )


def edits_sampled(*, project: Project, version: ModelVersion, since: datetime) -> Sample:
    """How much people edited of the entities that a version gave callers.

    Of texts drawn at random only, and each text's first review; what a caller asked of it by name is no draw.
    """
    reviewed = Correction.objects.filter(
        project=project,
        stratum=Stratum.RANDOM,
        prediction__version=version,
        prediction__slot__in=(Deployment.Slot.CHALLENGER, Deployment.Slot.CHAMPION),
        prediction__created_at__gte=since,
        created_at__gte=since,  # no review is older than its answer: for the index
    )
    newest = judging(reviewed).order_by("-created_at", "-id")[:MOST_REVIEWED]
    rows = list(
        Correction.objects.filter(pk__in=newest.values("pk"))
        .annotate(
            spans_seen=Count("decisions"),
            edited=Count("decisions", filter=~Q(decisions__decision=SpanDecision.Decision.ACCEPT)),
        )
        .order_by()
        .values_list("edited", "spans_seen")
    )
    return ratio_sample([edited for edited, _ in rows], [seen for _, seen in rows])


def shadow_slow(*, test: ShadowTest, plan: Plan) -> tuple[int, int, int]:
    """Of the newest comparisons: how many were above either limit of latency, and how many there are."""
    newest = ShadowComparison.objects.filter(test=test).order_by("-created_at", "-id")[:MOST]
    counted = ShadowComparison.objects.filter(pk__in=newest.values("pk")).aggregate(
        slow=Count("pk", filter=Q(latency_ms__gt=plan.max_p95_ms)),
        very_slow=Count("pk", filter=Q(latency_ms__gt=plan.max_p99_ms)),
        timed=Count("pk"),
    )
    return counted["slow"], counted["very_slow"], counted["timed"]


def rowless_counted(**turns: Any) -> tuple[int, int]:
    """What leaves no row: answers that an arm owed and missed, and answers that were not kept."""
    missed = ArmFailure.objects.filter(**turns).exclude(kind=ArmFailure.Kind.REFUSED)
    unkept = ArmUnkept.objects.filter(**turns)
    return _sum(missed), _sum(unkept)


def _sum(rows: QuerySet[Any]) -> int:
    return rows.aggregate(count=Sum("count"))["count"] or 0


def _params(place: Place, during: Span, plan: Plan) -> dict[str, Any]:
    return {
        "project": place.project.pk,
        "version": place.version.pk,
        "slot": place.slot,
        "since": during.since,
        "until": during.until,
        "most": MOST,
        "p95": plan.max_p95_ms,
        "p99": plan.max_p99_ms,
        "unsure": 1 - UNSURE_BELOW,
        "bar": UNSURE_BELOW,
        "nothing": NOTHING,
    }


#: The newest answers by the index of versions; one pass for their numbers, one for their labels.
_ANSWERS = """
WITH newest AS MATERIALIZED (
    SELECT latency_ms, uncertainty, spans, created_at
    FROM inference_prediction
    WHERE version_id = %(version)s AND project_id + 0 = %(project)s AND slot = %(slot)s
      AND created_at >= %(since)s AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
      AND api_key_id IS NOT NULL AND api_key_id NOT IN (SELECT id FROM inference_apikey WHERE internal)
      AND request_id NOT LIKE 'job-%%'
    ORDER BY created_at DESC
    LIMIT %(most)s
), labelled AS (
    SELECT coalesce(span ->> 'label', %(nothing)s) AS label, count(*) AS entities
    FROM newest LEFT JOIN LATERAL jsonb_array_elements(spans) AS span ON true
    GROUP BY 1
)
SELECT
    count(*),
    count(*) FILTER (WHERE latency_ms > %(p95)s),
    count(*) FILTER (WHERE latency_ms > %(p99)s),
    count(*) FILTER (
        WHERE uncertainty >= %(unsure)s
           OR jsonb_path_exists(spans, '$[*] ? (@.confidence < $bar)', jsonb_build_object('bar', %(bar)s))
    ),
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY latency_ms),
    count(*),
    (SELECT jsonb_object_agg(label, entities) FROM labelled),
    min(created_at)
FROM newest
"""
