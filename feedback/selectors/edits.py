"""Single decisions: which strings people edit most, how they move boundaries, and texts to look at.

Strings are read from the texts, never copied: what is erased there is gone here. So that no page reads a
whole history, all of it is about the newest WINDOW corrections of a scope, found by an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, CharField, Count, F, Max, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest, Left, Substr

from feedback.models import Correction, SpanDecision
from feedback.selectors.summaries import Scope, judging

WINDOW = 2_000
#: Longer strings are cut: a table of them is read, not searched.
SURFACE_LENGTH = 80
AROUND = 60

Kind = SpanDecision.Decision


@dataclass(frozen=True, slots=True)
class EditedSurface:
    """A string that people changed again and again in one way."""

    decision: str
    surface: str
    became: str
    predicted_label: str
    label: str
    times: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class Moves:
    """How often each end of a span was moved which way."""

    spans: int
    start_out: int
    start_in: int
    end_in: int
    end_out: int


@dataclass(frozen=True, slots=True)
class DecisionExample:
    """One decision with the text around it: the machine's span, or the human's where the machine had none."""

    document_id: UUID
    decision: str
    before: str
    surface: str
    after: str
    predicted_label: str
    label: str
    confidence: float | None
    at: datetime

    @property
    def shown_as(self) -> str:
        """The label that the marked words had."""
        return self.predicted_label or self.label

    @property
    def is_cut_before(self) -> bool:
        """Does the text go on before what is shown?"""
        return len(self.before) == AROUND

    @property
    def is_cut_after(self) -> bool:
        """Does the text go on after what is shown?"""
        return len(self.after) == AROUND


def decisions_newest(scope: Scope) -> QuerySet[SpanDecision]:
    """The decisions of the newest corrections of a scope, texts erased since left out."""
    corrections = Correction.objects.filter(project=scope.project, document__redacted_at=None)
    if scope.since is not None:
        corrections = corrections.filter(
            created_at__gte=datetime(scope.since.year, scope.since.month, scope.since.day, tzinfo=UTC)
        )
    if scope.version_id is not None:
        corrections = corrections.filter(prediction__version=scope.version_id)
    if scope.stratum:
        corrections = corrections.filter(stratum=scope.stratum)
    newest = judging(corrections.filter(prediction__isnull=False)).order_by("-created_at", "-id")[:WINDOW]
    return SpanDecision.objects.filter(correction__in=newest.values("pk"))


def surfaces_edited(*, scope: Scope, limit: int = 25) -> list[EditedSurface]:
    """The strings that people rejected, relabelled, moved or added most often, most often first."""
    rows = (
        _with_surface(decisions_newest(scope).exclude(decision=Kind.ACCEPT))
        .annotate(
            became=Case(
                When(decision=Kind.RESIZE, then=_cut("start", "end")),
                default=Value(""),
                output_field=CharField(),
            )
        )
        .values("decision", "surface", "became", "predicted_label", "label")
        .annotate(times=Count("pk"), newest=Max("correction__created_at"))
        .order_by("-times", "-newest", "surface")[:limit]
    )
    return [EditedSurface(**row) for row in rows]


def boundary_moves(*, scope: Scope) -> Moves:
    """Which way people moved the ends of the machine's spans."""
    moved = decisions_newest(scope).filter(decision=Kind.RESIZE)
    return Moves(
        **moved.aggregate(
            spans=Count("pk"),
            start_out=Count("pk", filter=Q(start__lt=F("predicted_start"))),
            start_in=Count("pk", filter=Q(start__gt=F("predicted_start"))),
            end_in=Count("pk", filter=Q(end__lt=F("predicted_end"))),
            end_out=Count("pk", filter=Q(end__gt=F("predicted_end"))),
        )
    )


def decision_examples(
    *,
    scope: Scope,
    predicted_label: str | None = None,
    label: str | None = None,
    decision: str = "",
    surface: str = "",
    limit: int = 50,
) -> list[DecisionExample]:
    """Decisions of one kind with the text around them, newest first. An empty label means none."""
    found = _with_surface(decisions_newest(scope))
    if predicted_label is not None:
        found = found.filter(predicted_label=predicted_label)
    if label is not None:
        found = found.filter(label=label)
    if decision:
        found = found.filter(decision=decision)
    if surface:
        found = found.filter(surface=surface)
    text, start, end = "correction__document__text", _start(), _end()
    rows = (
        found.annotate(
            before=Substr(text, Greatest(start - AROUND, 0) + 1, start - Greatest(start - AROUND, 0)),
            after=Substr(text, end + 1, AROUND),
        )
        .order_by("-correction__created_at", "id")[:limit]
        .values(
            "decision",
            "before",
            "surface",
            "after",
            "predicted_label",
            "label",
            "confidence",
            document_id=F("correction__document"),
            at=F("correction__created_at"),
        )
    )
    return [DecisionExample(**row) for row in rows]


def _start() -> Coalesce:
    return Coalesce("predicted_start", "start")


def _end() -> Coalesce:
    return Coalesce("predicted_end", "end")


def _with_surface(decisions: QuerySet[SpanDecision]) -> Any:
    cut = Substr("correction__document__text", _start() + 1, _end() - _start())
    return decisions.annotate(surface=Left(cut, SURFACE_LENGTH))


def _cut(start: str, end: str) -> Left:
    return Left(Substr("correction__document__text", F(start) + 1, F(end) - F(start)), SURFACE_LENGTH)
