"""Telling which version answered, why it did, and where the time went."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from django.conf import settings
from msgspec import UNSET, UnsetType

from inference.api.bodies import (
    Alternative,
    CascadePart,
    CascadeTold,
    Notice,
    Options,
    PredictRequest,
    RouteRequest,
    RoutingDecided,
    RoutingDecision,
    Timing,
)
from inference.engine import Serving
from inference.latency import Latency, latencies
from inference.router import Choice
from inference.services import Answer


class Spent(NamedTuple):
    """Milliseconds of one answer."""

    routing_ms: float
    recognition_ms: float
    recording_ms: float


def answered(choice: Choice, answers: list[Answer]) -> Choice:
    """A cascade's choice once its answers are there: whose last word it was, and why.

    The other of the two stands among what could have answered, with what spoke against it.
    """
    cascade = choice.cascade
    if cascade is None or not answers:
        return choice
    first, second = cascade.first.version, cascade.second.version
    handed_on = sum(answer.tried is not None for answer in answers)
    if len(answers) > 1:
        reason = f"{first} answered {len(answers) - handed_on} of the {len(answers)} texts, "
        return replace(choice, reason=f"{reason}{second} the {handed_on} that it was unsure of")
    [answer] = answers
    uncertainty, threshold = _uncertainty(answer), cascade.handover.threshold
    unsure = f"{first} was unsure: {uncertainty:.4f} is not below {threshold:.4f}"
    if handed_on:
        other, serving, against = first, cascade.second, f"{first} answered first"
        reason = f"{unsure}; {second} answered instead"
    elif uncertainty >= threshold:
        other, serving, against = second, cascade.first, "it gave no answer that can be right"
        reason = f"{unsure}, but {second} gave no answer that can be right"
    else:
        reason = f"{first} answered first and is sure: {uncertainty:.4f} is below {threshold:.4f}"
        other, serving, against = second, cascade.first, "it is asked only where the first is unsure"
    candidates = [
        replace(one, objections=(*one.objections, against)) if one.serving.version.pk == other.pk else one
        for one in choice.candidates
    ]
    return replace(choice, serving=serving, reason=reason, candidates=candidates)


def decision(asked: Options, choice: Choice, answers: list[Answer]) -> RoutingDecision:
    """Which version answered, and why."""
    return RoutingDecision(
        requested=asked.model,
        slot=choice.serving.slot,
        reason=choice.reason,
        cascade=_shared(choice, answers),
    )


def _shared(choice: Choice, answers: list[Answer]) -> CascadeTold | UnsetType:
    cascade = choice.cascade
    if cascade is None or not answers:
        return UNSET
    measured = cascade.handover
    went_on = [answer for answer in answers if answer.tried is not None]
    first_ms = [answer.tried.latency_ms if answer.tried else answer.latency_ms for answer in answers]
    second_ms = [answer.latency_ms - answer.tried.latency_ms for answer in went_on if answer.tried]
    return CascadeTold(
        first=_part(cascade.first, measured.first_f1, first_ms),
        second=_part(cascade.second, measured.second_f1, second_ms),
        uncertainty=round(_uncertainty(answers[0]), 4) if len(answers) == 1 else None,
        threshold=round(measured.threshold, 4),
        handed_on=len(went_on),
        measured_on=cascade.on,
        measured_texts=measured.texts,
        measured_share=round(measured.share, 4),
        measured_f1=round(measured.f1, 4),
        margin=settings.CASCADE_MARGIN,
    )


def _part(serving: Serving, f1: float, milliseconds: list[float]) -> CascadePart:
    return CascadePart(
        model_version=str(serving.version),
        slot=serving.slot,
        f1_score=round(f1, 4),
        texts=len(milliseconds),
        recognition_ms=round(sum(milliseconds) / max(len(milliseconds), 1), 3),
    )


def _uncertainty(answer: Answer) -> float:
    """Of the version that was asked first."""
    return answer.tried.uncertainty if answer.tried else answer.recognition.uncertainty


def timing(asked: PredictRequest, choice: Choice, spent: Spent) -> Timing:
    """Where the time of one answer went."""
    return Timing(
        routing_ms=spent.routing_ms,
        recognition_ms=round(spent.recognition_ms, 3),
        recording_ms=round(spent.recording_ms, 3),
        **_usual(asked, choice),
    )


def _usual(asked: PredictRequest | RouteRequest, choice: Choice) -> dict[str, float | None]:
    return _percentiles(latencies.of(choice.serving.version.sha256, characters=len(asked.text)))


def _percentiles(latency: Latency | None) -> dict[str, float | None]:
    return {
        "p50_ms": round(latency.p50_ms, 3) if latency else None,
        "p95_ms": round(latency.p95_ms, 3) if latency else None,
    }


def decided(asked: RouteRequest, choice: Choice, answer: Answer, spent: Spent) -> RoutingDecided:
    """Which version answered, why, and what else could have."""
    return RoutingDecided(
        requested=asked.model,
        slot=choice.serving.slot,
        reason=choice.reason,
        cascade=_shared(choice, [answer]),
        selected_model=str(choice.serving.version),
        strategy=asked.routing_strategy,
        **_usual(asked, choice),
        alternatives_considered=[
            Alternative(
                model_version=str(one.serving.version),
                slot=one.serving.slot,
                f1_score=one.serving.f1,
                why_not="; ".join(one.objections),
                **_percentiles(one.latency),
            )
            for one in choice.others()
        ],
        decision_time_ms=spent.routing_ms,
    )


def warnings(asked: Options, choice: Choice) -> list[Notice]:
    """What is worth knowing about an answer."""
    ours = choice.serving.language
    wanted = asked.language.partition("-")[0].lower()
    if not wanted or not ours or wanted == ours:
        return []
    return [
        Notice(
            code="language_unsupported",
            detail=f"The text is said to be {wanted}; this model was trained on {ours} and may miss much.",
        )
    ]
