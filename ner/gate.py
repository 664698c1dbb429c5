"""May this candidate serve? Every rule is one reason with its numbers, in a sentence for people.

The champion and the candidate were scored on the same texts; their difference is judged by a paired
bootstrap, so that luck on a small set neither lets a worse model through nor passes for progress. A
candidate that is not better passes where better is asked for in at most one of 20 cases, which is what a 95 %
interval says of itself; `bench.experiments` measures it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import floor
from typing import Any

from ner.bootstrap import Difference, paired_bootstrap
from ner.errors import BadInput, BundleRefused
from ner.evaluate import EvalReport

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
    message: str
    value: float
    limit: float | None


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
            "reasons": [asdict(reason) for reason in self.reasons],
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
    problem = str(error.facts["problem"])
    message = f"The bundle cannot be served ({error.code}): {problem}."
    return GateDecision(passed=False, reasons=(Reason("bundle", False, message, 1, 0),))


def require_same_texts(champion: EvalReport, candidate: EvalReport) -> None:
    """Raise ReportsDiffer where two reports cannot be of the same labelled texts."""
    if len(champion.documents) != len(candidate.documents):
        raise ReportsDiffer(what="number of texts")
    for ours, theirs in zip(champion.per_document, candidate.per_document, strict=True):
        if ours[0] + ours[2] != theirs[0] + theirs[2]:
            raise ReportsDiffer(what="true entities")


def _enough_documents(candidate: EvalReport, policy: GatePolicy) -> Reason:
    documents, entities = len(candidate.documents), candidate.micro.support
    passed = documents >= policy.min_test_documents and entities > 0
    if not entities:
        message = f"The {documents} test documents hold no entity: nothing can be measured."
    elif not passed:
        message = (
            f"Only {documents} test documents, {policy.min_test_documents} are needed:"
            " review more documents of the random share."
        )
    elif documents < policy.few_test_documents:
        message = f"Only {documents} test documents ({entities} entities): the interval is wide."
    else:
        message = f"{documents:,} test documents with {entities:,} entities."
    return Reason("test_documents", passed, message, documents, policy.min_test_documents)


def _not_worse(champion: EvalReport, candidate: EvalReport, change: Difference, policy: GatePolicy) -> Reason:
    limit = 0.0 if policy.must_be_better else -policy.margin
    passed = change.low > limit if policy.must_be_better else change.low >= limit - _EXACT
    scores = (
        f"F1 {champion.micro.f1:.3f} -> {candidate.micro.f1:.3f}"
        f" ({_points(change.value)}, {policy.confidence:.0%} interval"
        f" {_points(change.low)} to {_points(change.high)})"
    )
    if policy.must_be_better:
        verdict = "better than the champion" if passed else "not surely better than the champion"
    elif change.low > 0:
        verdict = "better than the champion"
    elif passed:
        verdict = f"not worse than the champion by more than {policy.margin * 100:.1f} points"
    elif change.high < 0:
        verdict = "worse than the champion"
    else:
        verdict = (
            f"could be worse than the champion by more than the allowed {policy.margin * 100:.1f} points"
        )
    return Reason("quality", passed, f"{scores}: {verdict}.", change.low, limit)


def _large_enough_gain(change: Difference, policy: GatePolicy) -> list[Reason]:
    if policy.min_difference <= 0:
        return []
    passed = change.value >= policy.min_difference - _EXACT
    message = (
        f"F1 changed by {_points(change.value)};"
        f" a gain of {policy.min_difference * 100:.1f} points is asked for."
    )
    return [Reason("gain", passed, message, change.value, policy.min_difference)]


def _labels_kept(champion: EvalReport, candidate: EvalReport, policy: GatePolicy) -> list[Reason]:
    """One reason for each label that lost more than it may; one for all when none did."""
    reasons, judged, worst = [], 0, 0.0
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
            after = before.f1 + change.value
            message = (
                f"Label {label} fell from F1 {before.f1:.3f} to {after:.3f}"
                f" ({before.support:,} true entities);"
                f" at most {policy.max_label_drop * 100:.1f} points may be lost."
            )
            reasons.append(Reason("label_floor", False, message, change.value, -policy.max_label_drop))
    if reasons:
        return reasons
    message = (
        f"Of {judged} labels none lost more than {policy.max_label_drop * 100:.1f} points beyond chance."
        if judged
        else f"No label has {policy.min_label_support} true entities: none is judged by itself."
    )
    return [Reason("label_floor", True, message, worst, -policy.max_label_drop)]


def _not_forgotten(champion: EvalReport, candidate: EvalReport, policy: GatePolicy) -> Reason:
    change = candidate.micro.f1 - champion.micro.f1
    passed = change >= -policy.max_base_drop - _EXACT
    verdict = "kept" if passed else "forgotten too much"
    message = (
        f"General texts: F1 {champion.micro.f1:.3f} -> {candidate.micro.f1:.3f}"
        f" ({_points(change)}; at most {policy.max_base_drop * 100:.1f} points may be lost):"
        f" {verdict}."
    )
    return Reason("forgetting", passed, message, change, -policy.max_base_drop)


def _small_enough(size_bytes: int, limit: float) -> Reason:
    size = size_bytes / 1_000_000
    message = f"The model takes {size:.1f} MB; the limit is {limit:g} MB."
    return Reason("size", size <= limit, message, round(size, 3), limit)


def _fast_enough(p95_ms: float, limit: float) -> Reason:
    message = f"95 % of texts take at most {p95_ms:.1f} ms; the limit is {limit:g} ms."
    return Reason("latency", p95_ms <= limit, message, p95_ms, limit)


def _golden_kept(champion: EvalReport, candidate: EvalReport, policy: GatePolicy) -> Reason:
    """Golden texts that the champion gets right must stay right; a model may have learned from them."""
    before, after = (
        [not fp and not fn for _, fp, fn in report.per_document] for report in (champion, candidate)
    )
    lost = sum(was and not is_now for was, is_now in zip(before, after, strict=True))
    allowed = max(floor(policy.max_golden_lost * sum(before) + _EXACT), 1)
    message = (
        f"Of {len(before)} golden texts the champion gets {sum(before)} right, the candidate {sum(after)};"
        f" {lost} of the champion's were lost, at most {allowed} may be."
    )
    return Reason("golden", lost <= allowed, message, lost, allowed)


def _calibrated(champion: EvalReport, candidate: EvalReport, policy: GatePolicy) -> list[Reason]:
    """A confidence that means nothing misleads the queue, the cascade and whoever reads it."""
    if policy.max_ece is None or candidate.calibration is None:
        return []
    before = champion.calibration.beyond_chance if champion.calibration else 0.0
    found = candidate.calibration
    limit = max(policy.max_ece, before)
    message = (
        f"Confidence is {found.ece * 100:.1f} points off on average over {found.count:,} predicted entities,"
        f" {found.beyond_chance * 100:.1f} more than chance explains; the limit is {limit * 100:.1f}."
    )
    passed = found.beyond_chance <= limit + _EXACT
    return [Reason("calibration", passed, message, found.beyond_chance, limit)]


def _whole(parameters: int) -> Reason:
    message = f"The bundle is as it was written, and all of its {parameters:,} numbers are finite."
    return Reason("bundle", True, message, 0, 0)


def _points(difference: float) -> str:
    return f"{difference * 100:+.1f} points"
