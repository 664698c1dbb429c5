"""May this candidate serve? Every rule is one reason with its numbers, in a sentence for people.

The champion and the candidate were scored on the same texts; their difference is judged by a paired
bootstrap, so that luck on a small set neither lets a worse model through nor passes for progress. A
candidate that is not better passes where better is asked for in at most one of 20 cases, which is what a 95 %
interval says of itself; `bench.experiments` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any

from ner.bootstrap import Difference, paired_bootstrap
from ner.errors import BadInput, BundleRefused
from ner.evaluate import EvalReport
from ner.said import Number, Said
from ner.said import Said as _

# A loss of exactly the limit is allowed, whatever binary fractions make of it.
_EXACT = 1e-9


class ReportsDiffer(BadInput):
    """Champion and candidate were not scored on the same {what}."""

    code = "reports_differ"


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What a candidate must show. F1 values are between 0 and 1; a limit of None is not judged.

    `margin`: the interval of the difference may reach this far below zero ("not worse").
    `must_be_better`: the whole interval must lie above zero.
    `max_label_drop`: no label may lose more F1, where chance does not explain the loss.
    `max_base_drop`: how much F1 may be lost on the general set ("not forgotten").
    `max_golden_lost`: of the golden texts that the champion gets right, this share may be lost, or one.
    `max_ece`: how far confidence may be off beyond chance, unless the champion's is as far off.
    """

    margin: float = 0.02
    min_difference: float = 0.0
    must_be_better: bool = False
    max_label_drop: float = 0.05
    min_label_support: int = 10
    max_base_drop: float = 0.01
    max_golden_lost: float = 0.1
    max_ece: float | None = 0.1
    min_test_documents: int = 10
    few_test_documents: int = 50
    max_size_mb: float | None = 40.0
    max_p95_ms: float | None = 200.0
    confidence: float = 0.95
    resamples: int = 2_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule and how the candidate did; `code` is stable, `message` is for people."""

    code: str
    passed: bool
    message: Said
    value: float
    limit: float | None

    def to_json(self) -> dict[str, Any]:
        """The reason as it is kept: the words as they were decided, and what says them in other languages."""
        return {
            "code": self.code,
            "passed": self.passed,
            "message": str(self.message),
            "sentence": self.message.to_json(),
            "value": self.value,
            "limit": self.limit,
        }


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The verdict: passed when every reason passed. Without a difference nothing could be compared."""

    passed: bool
    reasons: tuple[Reason, ...]
    difference: float | None = None
    interval: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The verdict as it is stored and shown."""
        return {
            "passed": self.passed,
            "difference": None if self.difference is None else round(self.difference, 6),
            "interval": None if self.interval is None else [round(end, 6) for end in self.interval],
            "reasons": [reason.to_json() for reason in self.reasons],
        }


def judge(
    *,
    champion: EvalReport,
    candidate: EvalReport,
    policy: GatePolicy,
    base_champion: EvalReport | None = None,
    base_candidate: EvalReport | None = None,
    golden_champion: EvalReport | None = None,
    golden_candidate: EvalReport | None = None,
    parameters: int | None = None,
    size_bytes: int | None = None,
    p95_ms: float | None = None,
) -> GateDecision:
    """Judge a candidate against the champion on the frozen test set, the general set and the golden one.

    `parameters` are those of a bundle that was opened just now, and so is whole; see `refuse_bundle`.
    """
    require_same_texts(champion, candidate)
    change = paired_bootstrap(
        champion.per_document,
        candidate.per_document,
        resamples=policy.resamples,
        confidence=policy.confidence,
        seed=policy.seed,
    )
    reasons = [
        _enough_documents(candidate, policy),
        _not_worse(champion, candidate, change, policy),
        *_large_enough_gain(change, policy),
        *_labels_kept(champion, candidate, policy),
        *_calibrated(champion, candidate, policy),
    ]
    if base_champion is not None and base_candidate is not None:
        require_same_texts(base_champion, base_candidate)
        reasons.append(_not_forgotten(base_champion, base_candidate, policy))
    if golden_champion is not None and golden_candidate is not None and golden_champion.documents:
        require_same_texts(golden_champion, golden_candidate)
        reasons.append(_golden_kept(golden_champion, golden_candidate, policy))
    if parameters is not None:
        reasons.append(_whole(parameters))
    if size_bytes is not None and policy.max_size_mb is not None:
        reasons.append(_small_enough(size_bytes, policy.max_size_mb))
    if p95_ms is not None and policy.max_p95_ms is not None:
        reasons.append(_fast_enough(p95_ms, policy.max_p95_ms))
    return GateDecision(
        passed=all(reason.passed for reason in reasons),
        reasons=tuple(reasons),
        difference=change.value,
        interval=(change.low, change.high),
    )


def refuse_bundle(error: BundleRefused) -> GateDecision:
    """The verdict on a candidate that cannot be served at all."""
    message = _(
        "The bundle cannot be served ({code}): {problem}.",
        code=error.code,
        problem=str(error.facts["problem"]),
    )
    return GateDecision(passed=False, reasons=(Reason("bundle", False, message, 1, 0),))


def require_same_texts(champion: EvalReport, candidate: EvalReport) -> None:
    """Raise ReportsDiffer where two reports cannot be of the same labelled texts."""
    if len(champion.documents) != len(candidate.documents):
        raise ReportsDiffer(what="number of texts")
    for ours, theirs in zip(champion.per_document, candidate.per_document, strict=True):
        if ours[0] + ours[2] != theirs[0] + theirs[2]:
            raise ReportsDiffer(what="true entities")


def _enough_documents(candidate: EvalReport, policy: GatePolicy) -> Reason:
    documents, entities, needed = len(candidate.documents), candidate.micro.support, policy.min_test_documents
    passed = documents >= needed and entities > 0
    if not entities:
        message = _(
            "The {documents} test documents hold no entity: nothing can be measured.", documents=documents
        )
    elif not passed:
        message = _(
            "Only {documents} test documents, {needed} are needed: "
            "review more documents of the random share.",
            documents=documents,
            needed=needed,
        )
    elif documents < policy.few_test_documents:
        message = _(
            "Only {documents} test documents ({entities} entities): the interval is wide.",
            documents=documents,
            entities=entities,
        )
    else:
        message = _(
            "{documents} test documents with {entities} entities.", documents=documents, entities=entities
        )
    return Reason("test_documents", passed, message, documents, needed)


def _not_worse(champion: EvalReport, candidate: EvalReport, change: Difference, policy: GatePolicy) -> Reason:
    limit = 0.0 if policy.must_be_better else -policy.margin
    passed = change.low > limit if policy.must_be_better else change.low >= limit - _EXACT
    margin = _points(policy.margin)
    if policy.must_be_better and not passed:
        verdict = _("not surely better than the champion")
    elif change.low > 0:
        verdict = _("better than the champion")
    elif passed:
        verdict = _("not worse than the champion by more than {margin} points", margin=margin)
    elif change.high < 0:
        verdict = _("worse than the champion")
    else:
        verdict = _(
            "could be worse than the champion by more than the allowed {margin} points", margin=margin
        )
    message = _(
        "F1 {before} -> {after} ({change} points, {confidence} % interval {low} points to {high} points): "
        "{verdict}.",
        before=_f1(champion.micro.f1),
        after=_f1(candidate.micro.f1),
        change=_change(change.value),
        confidence=Number(100 * policy.confidence, ".0f"),
        low=_change(change.low),
        high=_change(change.high),
        verdict=verdict,
    )
    return Reason("quality", passed, message, change.low, limit)


def _large_enough_gain(change: Difference, policy: GatePolicy) -> list[Reason]:
    if policy.min_difference <= 0:
        return []
    passed = change.value >= policy.min_difference - _EXACT
    message = _(
        "F1 changed by {change} points; a gain of {asked} points is asked for.",
        change=_change(change.value),
        asked=_points(policy.min_difference),
    )
    return [Reason("gain", passed, message, change.value, policy.min_difference)]


def _labels_kept(champion: EvalReport, candidate: EvalReport, policy: GatePolicy) -> list[Reason]:
    """One reason for each label that lost more than it may; one for all when none did."""
    reasons, judged, worst, most = [], 0, 0.0, _points(policy.max_label_drop)
    for label, before in sorted(champion.labels.items()):
        if before.support < policy.min_label_support:
            continue
        judged += 1
        change = paired_bootstrap(
            [document.get(label, (0, 0, 0)) for document in champion.documents],
            [document.get(label, (0, 0, 0)) for document in candidate.documents],
            resamples=policy.resamples,
            confidence=policy.confidence,
            seed=policy.seed,
        )
        worst = min(worst, change.value)
        if change.value < -policy.max_label_drop and change.high < 0:
            message = _(
                "Label {label} fell from F1 {before} to {after} ({support} true entities); "
                "at most {most} points may be lost.",
                label=label,
                before=_f1(before.f1),
                after=_f1(before.f1 + change.value),
                support=before.support,
                most=most,
            )
            reasons.append(Reason("label_floor", False, message, change.value, -policy.max_label_drop))
    if reasons:
        return reasons
    if judged:
        message = _(
            "Of {judged} labels none lost more than {most} points beyond chance.", judged=judged, most=most
        )
    else:
        message = _(
            "No label has {support} true entities: none is judged by itself.",
            support=policy.min_label_support,
        )
    return [Reason("label_floor", True, message, worst, -policy.max_label_drop)]


def _not_forgotten(champion: EvalReport, candidate: EvalReport, policy: GatePolicy) -> Reason:
    change = candidate.micro.f1 - champion.micro.f1
    passed = change >= -policy.max_base_drop - _EXACT
    message = _(
        "General texts: F1 {before} -> {after} ({change} points; at most {most} points may be lost): "
        "{verdict}.",
        before=_f1(champion.micro.f1),
        after=_f1(candidate.micro.f1),
        change=_change(change),
        most=_points(policy.max_base_drop),
        verdict=_("kept") if passed else _("forgotten too much"),
    )
    return Reason("forgetting", passed, message, change, -policy.max_base_drop)


def _small_enough(size_bytes: int, limit: float) -> Reason:
    size = size_bytes / 1_000_000
    message = _(
        "The model takes {size} MB; the limit is {limit} MB.",
        size=Number(size, ".1f"),
        limit=Number(limit, "g"),
    )
    return Reason("size", size <= limit, message, round(size, 3), limit)


def _fast_enough(p95_ms: float, limit: float) -> Reason:
    message = _(
        "95 % of texts take at most {took} ms; the limit is {limit} ms.",
        took=Number(p95_ms, ".1f"),
        limit=Number(limit, "g"),
    )
    return Reason("latency", p95_ms <= limit, message, p95_ms, limit)


def _golden_kept(champion: EvalReport, candidate: EvalReport, policy: GatePolicy) -> Reason:
    """Golden texts that the champion gets right must stay right; a model may have learned from them."""
    before, after = (
        [not fp and not fn for _tp, fp, fn in report.per_document] for report in (champion, candidate)
    )
    lost = sum(was and not is_now for was, is_now in zip(before, after, strict=True))
    allowed = max(floor(policy.max_golden_lost * sum(before) + _EXACT), 1)
    message = _(
        "Of {count} golden texts the champion gets {before} right, the candidate {after}; "
        "{lost} of the champion's were lost, at most {allowed} may be.",
        count=len(before),
        before=sum(before),
        after=sum(after),
        lost=lost,
        allowed=allowed,
    )
    return Reason("golden", lost <= allowed, message, lost, allowed)


def _calibrated(champion: EvalReport, candidate: EvalReport, policy: GatePolicy) -> list[Reason]:
    """A confidence that means nothing misleads the queue, the cascade and whoever reads it."""
    if policy.max_ece is None or candidate.calibration is None:
        return []
    before = champion.calibration.beyond_chance if champion.calibration else 0.0
    found = candidate.calibration
    limit = max(policy.max_ece, before)
    message = _(
        "Confidence is {off} points off on average over {count} predicted entities, "
        "{beyond} more than chance explains; the limit is {limit}.",
        off=_points(found.ece),
        count=found.count,
        beyond=_points(found.beyond_chance),
        limit=_points(limit),
    )
    passed = found.beyond_chance <= limit + _EXACT
    return [Reason("calibration", passed, message, found.beyond_chance, limit)]


def _whole(parameters: int) -> Reason:
    message = _(
        "The bundle is as it was written, and all of its {parameters} numbers are finite.",
        parameters=parameters,
    )
    return Reason("bundle", True, message, 0, 0)


def _f1(value: float) -> Number:
    return Number(value, ".3f")


def _points(value: float) -> Number:
    return Number(100 * value, ".1f")


def _change(value: float) -> Number:
    return Number(100 * value, "+.1f")
