"""`GET drift`, `drift/{id}` and `retraining/decisions`: have the texts moved, and is a training due?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from inference.models import ApiKey
from inference.wire import KeyView
from ner.drift import CONFIDENCES, LENGTHS
from retraining.api.paging import PAGE, page_asked
from retraining.models import DriftReport, RetrainDecision
from retraining.selectors import drift_reports_of, row_numbered


class DriftMeasure(msgspec.Struct, kw_only=True):
    """One comparison of the newest texts with the reference."""

    name: Annotated[
        str, Meta(description="`length`, `vocabulary`, `unknown_words`, `labels` or `confidence`.")
    ]
    value: Annotated[
        float | None,
        Meta(
            description="Of `vocabulary` and `unknown_words` a share, of the others the population stability "
            "index without what chance makes of few texts; null where there are too few to say anything."
        ),
    ]
    threshold: Annotated[float, Meta(description="Beyond it (of `vocabulary`, below) it has drifted.")]
    drifted: bool
    kl: Annotated[float | None, Meta(description="Relative entropy in nats, of histograms.")]
    reference_texts: int
    current_texts: int


class DriftSummary(msgspec.Struct, kw_only=True):
    """One comparison of a project's newest texts with those that its champion was made from."""

    id: int
    model_version: Annotated[str, Meta(description="The champion of then.", examples=["orchard@3"])]
    measured_at: datetime
    window_from: datetime
    window_to: datetime
    texts: int
    drifted: Annotated[list[str], Meta(description="The measures that have drifted.")]
    reference: Annotated[
        str,
        Meta(
            description="`training`: what the version was trained and judged with; `general`: the sentences "
            "that bundled models are judged with, from which every project's texts differ."
        ),
    ]
    reference_fingerprint: str
    measures: list[DriftMeasure]


class Histogram(msgspec.Struct, kw_only=True):
    """Counts of the reference and of the newest texts; bin n ends where edge n stands."""

    edges: list[float]
    reference: list[int]
    current: list[int]


class LabelMix(msgspec.Struct, kw_only=True):
    """Entities by label; `-` counts the texts without any."""

    reference: dict[str, int]
    current: dict[str, int]


class DriftDetail(DriftSummary, kw_only=True):
    """A comparison with its histograms."""

    length: Histogram
    confidence: Histogram
    labels: LabelMix


class DriftList(msgspec.Struct, kw_only=True):
    """The comparisons of the key's project, newest first."""

    reports: list[DriftSummary]
    next: Annotated[int | None, Meta(description="Ask for those before it with `before`; null at the end.")]


class Decision(msgspec.Struct, kw_only=True):
    """One answer to "is a retraining due?"."""

    id: int
    due: bool
    explanation: Annotated[str, Meta(examples=["not due: 143 of 200 corrections"])]
    numbers: Annotated[dict[str, Any], Meta(description="What the newest check with this answer saw.")]
    run: Annotated[int | None, Meta(description="The training that it queued.")]
    checks: Annotated[int, Meta(description="How often in a row it was the answer.")]
    first_at: datetime
    last_at: datetime


class DecisionList(msgspec.Struct, kw_only=True):
    """The answers for the key's project, newest first."""

    decisions: list[Decision]
    next: Annotated[int | None, Meta(description="Ask for those before it with `before`; null at the end.")]


class DriftView(KeyView):
    """Have the texts moved away from those that the champion was made from?"""

    scope = ApiKey.Scope.MODELS
    parameters = ("limit", "before")

    @extend_schema(operation_id="drift_list", tags=["models"], responses=DriftList, parameters=PAGE)
    def get(self, request: Request) -> Response:
        shown, following = page_asked(request, drift_reports_of(self.key(request).project))
        return Response(
            DriftList(reports=[DriftSummary(**_summary(report)) for report in shown], next=following)
        )


class DriftReportView(KeyView):
    """One comparison with its histograms."""

    scope = ApiKey.Scope.MODELS

    @extend_schema(operation_id="drift_read", tags=["models"], responses=DriftDetail)
    def get(self, request: Request, report_id: int) -> Response:
        report = row_numbered(drift_reports_of(self.key(request).project), report_id)
        profile, today = report.reference.counts, report.histograms
        return Response(
            DriftDetail(
                **_summary(report),
                length=Histogram(
                    edges=list(map(float, LENGTHS)), reference=profile.length, current=today["length"]
                ),
                confidence=Histogram(
                    edges=list(CONFIDENCES), reference=profile.confidence, current=today["confidence"]
                ),
                labels=LabelMix(reference=profile.labels, current=today["labels"]),
            )
        )


class DecisionsView(KeyView):
    """Is a retraining due, and why?"""

    scope = ApiKey.Scope.MODELS
    parameters = ("limit", "before")

    @extend_schema(
        operation_id="retraining_decisions", tags=["models"], responses=DecisionList, parameters=PAGE
    )
    def get(self, request: Request) -> Response:
        shown, following = page_asked(
            request, RetrainDecision.objects.filter(project=self.key(request).project)
        )
        return Response(
            DecisionList(
                decisions=[
                    Decision(
                        id=one.pk,
                        due=one.due,
                        explanation=one.explanation,
                        numbers=one.numbers,
                        run=one.run_id,
                        checks=one.checks,
                        first_at=one.created_at,
                        last_at=one.last_checked_at,
                    )
                    for one in shown
                ],
                next=following,
            )
        )


def _summary(report: DriftReport) -> dict[str, Any]:
    return {
        "id": report.pk,
        "model_version": str(report.version),
        "measured_at": report.created_at,
        "window_from": report.window_from,
        "window_to": report.window_to,
        "texts": report.texts,
        "drifted": report.drifted,
        "reference": report.reference.source,
        "reference_fingerprint": report.reference.fingerprint,
        "measures": [DriftMeasure(**body) for body in report.measures],
    }
