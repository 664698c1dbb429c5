"""When a version on its way to all callers goes on, waits, or is taken back: the arithmetic of it.

Numbers go in, findings in words come out; who counts and who acts is elsewhere. Somebody looks every few
seconds, so a limit counts as broken only where chance would do it once in a thousand looks. A version that
is slow while the champion is slow, too, is not taken back for it: the machine is slow, and it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ner.certainty import ALPHA, Z, chi_square_high, difference_low, surely_above
from ner.drift import psi
from ner.intervals import Share, wilson
from ner.sequential import Sample, compare

#: A span below this confidence, or a text above 1 minus it in uncertainty, makes an answer an unsure one.
UNSURE_BELOW = 0.5
#: How many answers are slower than a percentile says.
_P95, _P99 = 0.05, 0.01
NOTHING = ""
"""The label that stands for a text without any entity."""


class State(StrEnum):
    """What one criterion says of a step."""

    MET = "met"
    WAITING = "waiting"
    HELD = "held"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rollout was started with: its steps in percent, and what each of them asks."""

    steps: Sequence[float]
    approval: str
    min_samples: int
    min_seconds: int
    watch_seconds: int
    shadow_percent: float
    max_error_rate: float
    max_p95_ms: float
    max_p99_ms: float
    min_agreement: float
    max_low_confidence_rise: float
    max_label_drift: float
    max_edit_rate_rise: float
    min_reviews: int


@dataclass(frozen=True, slots=True)
class Arm:
    """What one version answered while somebody counted."""

    answers: int = 0
    failures: int = 0
    """Answers that it owed and did not give."""

    slow: int = 0
    """Answers above the limit of the 95th percentile."""

    very_slow: int = 0
    """Answers above the limit of the 99th."""

    unsure: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    """Entities by label, and texts without any; of `labelled` texts."""

    labelled: int = 0
    refused: str = ""
    """Why a process would not load it."""

    @property
    def asked(self) -> int:
        """How often it was its turn."""
        return self.answers + self.failures


@dataclass(frozen=True, slots=True)
class Seen:
    """Both arms in this step, and in the last minute of it."""

    seconds: float
    candidate: Arm
    champion: Arm
    candidate_now: Arm
    champion_now: Arm
    window_seconds: float
    edits: Sample = field(default=Sample(0, 0.0, 0.0))
    champion_edits: Sample = field(default=Sample(0, 0.0, 0.0))


@dataclass(frozen=True, slots=True)
class ShadowSeen:
    """What a shadow would have answered."""

    seconds: float
    compared: int = 0
    agreement: float | None = None
    failed: int = 0
    slow: int = 0
    very_slow: int = 0
    timed: int = 0
    problem: str = ""
    champion_f1: float | None = None
    candidate_f1: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion: what was measured, what is asked, and what follows, in words."""

    code: str
    state: State
    words: str
    value: float | None = None
    limit: float | None = None
    samples: int = 0
    low: float | None = None
    high: float | None = None
    seconds_left: float | None = None
    """Until it is met at the present rate, where that can be said."""

    def to_json(self) -> dict[str, Any]:
        """As it is kept in a row."""
        rounded = {
            name: None if (number := getattr(self, name)) is None else round(number, 6)
            for name in ("value", "limit", "low", "high", "seconds_left")
        }
        return {
            "code": self.code,
            "state": self.state.value,
            "words": self.words,
            "samples": self.samples,
        } | (rounded)


@dataclass(frozen=True, slots=True)
class Judgement:
    """All criteria of a step."""

    findings: tuple[Finding, ...]

    @property
    def broken(self) -> list[Finding]:
        """What takes the version back."""
        return [one for one in self.findings if one.state == State.BROKEN]

    @property
    def is_met(self) -> bool:
        """May it go on?"""
        return all(one.state == State.MET for one in self.findings)

    @property
    def why_not(self) -> str:
        """What it waits for, in a sentence; empty where nothing."""
        return _sentence(one for one in self.findings if one.state in (State.WAITING, State.HELD))

    @property
    def why_back(self) -> str:
        """What takes it back, in a sentence; empty where nothing."""
        return _sentence(self.broken)

    @property
    def seconds_left(self) -> float | None:
        """Until the next step at the present rate; None where nobody can say."""
        left = [one.seconds_left for one in self.findings if one.state != State.MET]
        if any(seconds is None for seconds in left):
            return None
        return max((seconds for seconds in left if seconds is not None), default=0.0)


def judge_shadow(plan: Plan, seen: ShadowSeen) -> Judgement:
    """May a version that only read along answer callers now?"""
    none = Share(0, 0)
    rate = seen.compared / seen.seconds if seen.seconds > 0 else 0.0
    findings = [
        _time(seen.seconds, plan.min_seconds),
        _samples("comparisons", seen.compared, plan.min_samples, rate),
        _rate("error_rate", plan.max_error_rate, [(Share(seen.failed, seen.compared + seen.failed), none)]),
        # A shadow reads in batches: alone a text takes no less than its part of the batch.
        _rate("p95_ms", _P95, [(Share(seen.slow, seen.timed), none)], plan.max_p95_ms),
        _rate("p99_ms", _P99, [(Share(seen.very_slow, seen.timed), none)], plan.max_p99_ms),
        _agreement(plan, seen),
    ]
    if seen.problem:
        words = f"the shadow cannot read: {seen.problem}"
        findings.append(Finding("bundle", State.BROKEN, words, samples=seen.compared))
    return Judgement(tuple(findings))


def judge_share(plan: Plan, seen: Seen) -> Judgement:
    """May a version that answers some of the callers answer more of them?"""
    rate = seen.candidate_now.asked / seen.window_seconds if seen.window_seconds > 0 else 0.0
    return Judgement(
        (
            _time(seen.seconds, plan.min_seconds),
            _samples("answers", seen.candidate.asked, plan.min_samples, rate),
            *_serving(plan, seen, must_compare=True),
            _edits(plan, seen),
            _reviews(plan, seen),
        )
    )


def judge_watch(plan: Plan, seen: Seen) -> Judgement:
    """Has a version that answers everybody been watched for long enough?"""
    serving = _serving(plan, seen, must_compare=False)  # nobody is left to answer beside it
    return Judgement((_time(seen.seconds, plan.watch_seconds), *serving, _edits(plan, seen)))


def label_drift(mine: Arm, theirs: Arm) -> tuple[float, float]:
    """How differently two arms label (population stability index), and how much of it chance can explain.

    Between two samples of one distribution the index, times n m / (n + m), is about a chi-square. Entities
    of a text come together, so texts are counted as the samples.
    """
    names = sorted({*mine.labels, *theirs.labels})
    if not (mine.labelled and theirs.labelled) or len(names) < 2:
        return 0.0, 0.0
    index = psi(*([arm.labels.get(name, 0) for name in names] for arm in (theirs, mine)))
    return index, chi_square_high(len(names) - 1) * (1 / mine.labelled + 1 / theirs.labelled)


def agreement_asked(plan: Plan, seen: ShadowSeen) -> float:
    """How far both must agree: less where the exams say that two such versions cannot agree that far.

    Two that err independently of each other agree on about the product of their F1. A champion that knows
    little must not keep one that knows more from taking its place.
    """
    if seen.champion_f1 is None or seen.candidate_f1 is None:
        return plan.min_agreement
    return min(plan.min_agreement, seen.champion_f1 * max(seen.champion_f1, seen.candidate_f1))


def _serving(plan: Plan, seen: Seen, *, must_compare: bool) -> list[Finding]:
    """What holds for whoever answers callers, however many; unseen is not yet as good as the champion."""
    pairs = [(seen.candidate, seen.champion), (seen.candidate_now, seen.champion_now)]

    def shares(of: str, whole: str = "answers") -> list[tuple[Share, Share]]:
        return [
            (
                Share(getattr(mine, of), getattr(mine, whole)),
                Share(getattr(theirs, of), getattr(theirs, whole)),
            )
            for mine, theirs in pairs
        ]

    findings = [
        _rate("error_rate", plan.max_error_rate, shares("failures", "asked")),
        _rate("p95_ms", _P95, shares("slow"), plan.max_p95_ms, seen.candidate.p95_ms),
        _rate("p99_ms", _P99, shares("very_slow"), plan.max_p99_ms, seen.candidate.p99_ms),
        _unsure(plan.max_low_confidence_rise, shares("unsure"), must_compare=must_compare),
        _labels(plan.max_label_drift, pairs),
    ]
    refused = seen.candidate.refused or seen.candidate_now.refused
    if refused:
        findings.append(Finding("bundle", State.BROKEN, f"a process refused to load it: {refused}"))
    return findings


def _time(seconds: float, asked: float) -> Finding:
    left = max(asked - seconds, 0.0)
    words = f"{seconds:.0f} of {asked:g} s" + (" are over" if left else " and more are over")
    state = State.WAITING if left else State.MET
    return Finding("time", state, words, value=seconds, limit=asked, seconds_left=left)


def _samples(what: str, count: int, asked: int, per_second: float) -> Finding:
    missing = max(asked - count, 0)
    left = missing / per_second if per_second > 0 else None
    words = f"{count} of {asked} {what}"
    if missing and left is None:
        words += ", and none is coming in now"
    state = State.WAITING if missing else State.MET
    return Finding(
        "samples",
        state,
        words,
        value=count,
        limit=asked,
        samples=count,
        seconds_left=left if missing else 0.0,
    )


_SAID = {
    "error_rate": "of the answers failed",
    "p95_ms": "of the answers took more than {bar:g} ms",
    "p99_ms": "of the answers took more than {bar:g} ms",
}


def _rate(
    code: str,
    limit: float,
    windows: Sequence[tuple[Share, Share]],
    bar: float | None = None,
    measured: float | None = None,
) -> Finding:
    """A share that must stay below a limit, in each window; `bar` is what makes an answer one of them."""
    first, _ = windows[0]
    state, shown, why = State.MET, first, f"at most {_percent(limit)}"
    if first.value > limit:
        state, why = State.WAITING, f"above {_percent(limit)}, but that may be chance"
    for place, (mine, theirs) in enumerate(windows):
        if not surely_above(mine.part, mine.whole, limit):
            continue
        when = ", in the last minute" if place else ""
        if theirs and theirs.value > limit and difference_low(mine, theirs) <= limit:
            state, shown = State.HELD, mine
            why = f"above {_percent(limit)}{when}; but {_percent(theirs.value)} of the champion's, too"
        else:
            state, shown, why = State.BROKEN, mine, f"surely above {_percent(limit)}{when}"
            break
    said = _SAID[code].format(bar=bar)
    words = f"{_percent(shown.value)} {said} ({shown.part} of {shown.whole}; {why})"
    if bar is None:
        return Finding(code, state, words, shown.value, limit, shown.whole, shown.low, shown.high)
    return Finding(code, state, words, measured, bar, shown.whole)


def _unsure(limit: float, windows: Sequence[tuple[Share, Share]], *, must_compare: bool) -> Finding:
    mine, theirs = windows[0]
    rise = mine.value - theirs.value if mine and theirs else 0.0
    state, why = State.MET, f"at most {_points(limit)} more"
    if must_compare and not theirs:
        state = State.WAITING
    if rise > limit:
        state, why = State.WAITING, f"more than {_points(limit)} more, but that may be chance"
    for place, (now, other) in enumerate(windows):
        if now and other and difference_low(now, other) > limit:
            state, mine, theirs = State.BROKEN, now, other
            why = f"surely more than {_points(limit)} more" + (", in the last minute" if place else "")
            break
    words = "no answer of the champion to compare its sureness with"
    if theirs:
        words = f"{_percent(mine.value)} of the answers are unsure, of the champion's "
        words += f"{_percent(theirs.value)} ({why})"
    return Finding("low_confidence", state, words, mine.value - theirs.value, limit, mine.whole)


def _labels(limit: float, pairs: Sequence[tuple[Arm, Arm]]) -> Finding:
    index, _ = label_drift(*pairs[0])
    samples = pairs[0][0].labelled
    state, why = State.MET, f"at most {limit:g}"
    if index > limit:
        state, why = State.WAITING, f"above {limit:g}, but that may be chance"
    for place, (mine, theirs) in enumerate(pairs):
        now, explained = label_drift(mine, theirs)
        if now - explained > limit:
            state, index, samples = State.BROKEN, now, mine.labelled
            why = f"surely above {limit:g}" + (", in the last minute" if place else "")
            break
    words = f"the mix of labels differs from the champion's by {index:.2f} ({why})"
    return Finding("label_drift", state, words, index, limit, samples)


def _edits(plan: Plan, seen: Seen) -> Finding:
    limit = plan.max_edit_rate_rise
    found = compare(seen.champion_edits, seen.edits, alpha=ALPHA, tau=max(limit, 0.01))
    if not found.is_said:
        words = (
            f"{seen.edits.count} of its texts and {seen.champion_edits.count} of the champion's were "
            "reviewed at random, too few to compare how much of them is edited"
        )
        return Finding("edit_rate", State.MET, words, limit=limit, samples=seen.edits.count)
    state, why = State.MET, f"at most {_points(limit)} more"
    if found.low > limit:
        state, why = State.BROKEN, f"surely more than {_points(limit)} more"
    elif found.difference > limit:
        state, why = State.WAITING, f"more than {_points(limit)} more, but that may be chance"
    words = (
        f"people edit {_percent(seen.edits.mean)} of its entities and "
        f"{_percent(seen.champion_edits.mean)} of the champion's ({why})"
    )
    return Finding(
        "edit_rate", state, words, found.difference, limit, seen.edits.count, found.low, found.high
    )


def _reviews(plan: Plan, seen: Seen) -> Finding:
    words = f"{seen.edits.count} of {plan.min_reviews} random reviews"
    state = State.WAITING if seen.edits.count < plan.min_reviews else State.MET
    return Finding("reviews", state, words, seen.edits.count, plan.min_reviews, seen.edits.count)


def _agreement(plan: Plan, seen: ShadowSeen) -> Finding:
    asked = agreement_asked(plan, seen)
    if seen.agreement is None:
        return Finding("agreement", State.WAITING, "nothing was compared yet", limit=asked)
    # No mean of shares varies more than a share does.
    low, high = wilson(min(seen.agreement, 1.0), seen.compared, Z)
    state, why = State.MET, f"at least {_percent(asked)}"
    if high < asked:
        state, why = State.BROKEN, f"surely below {_percent(asked)}"
    elif seen.agreement < asked:
        state, why = State.WAITING, f"below {_percent(asked)}, but that may be chance"
    words = f"it agrees with the champion to {_percent(seen.agreement)} ({why})"
    return Finding("agreement", state, words, seen.agreement, asked, seen.compared, low, high)


def _sentence(findings: Iterable[Finding]) -> str:
    return "; ".join(one.words for one in findings)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _points(share: float) -> str:
    return f"{100 * share:g} points"
