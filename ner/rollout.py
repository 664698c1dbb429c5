"""When a version on its way to all callers goes on, waits, or is taken back: the arithmetic of it.

Numbers go in, findings in words come out (`ner.criteria`); who counts and who acts is elsewhere. A version
that is slow while the champion is slow, too, is not taken back for it: the machine is slow, and it waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ner import criteria
from ner.certainty import chi_square_high
from ner.criteria import Finding, State
from ner.drift import psi
from ner.evaluate import DocumentCounts
from ner.intervals import Share
from ner.said import joined
from ner.sequential import Sample

#: A span below this confidence, or a text above 1 minus it in uncertainty, makes an answer an unsure one.
UNSURE_BELOW = 0.5
#: How many answers are slower than a percentile says.
_P95, _P99 = 0.05, 0.01
NOTHING = ""
"""The label that stands for a text without any entity."""


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

    unkept: int = 0
    """Answers of which nothing was kept, at the callers' wish."""

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
        """How often it was its turn, as far as there is more to tell of it."""
        return self.answers + self.failures

    @property
    def owed(self) -> int:
        """How often it was its turn."""
        return self.asked + self.unkept


@dataclass(frozen=True, slots=True)
class Seen:
    """Both arms in this step, and in the last minute of it."""

    seconds: float
    candidate: Arm
    champion: Arm
    candidate_now: Arm
    champion_now: Arm
    window_seconds: float
    drift_expected: float = 0.0
    """How differently both label the texts of an exam in which the candidate did no worse."""

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
        return joined(one.words for one in self.findings if one.state in (State.WAITING, State.HELD))

    @property
    def why_back(self) -> str:
        """What takes it back, in a sentence; empty where nothing."""
        return joined(one.words for one in self.broken)

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
        criteria.time(seen.seconds, plan.min_seconds),
        criteria.samples(seen.compared, plan.min_samples, rate, is_shadow=True),
        criteria.rate(
            "error_rate", plan.max_error_rate, [(Share(seen.failed, seen.compared + seen.failed), none)]
        ),
        # A shadow reads in batches: alone a text takes no less than its part of the batch.
        criteria.rate("p95_ms", _P95, [(Share(seen.slow, seen.timed), none)], plan.max_p95_ms),
        criteria.rate("p99_ms", _P99, [(Share(seen.very_slow, seen.timed), none)], plan.max_p99_ms),
        criteria.agreement(seen.agreement, seen.compared, agreement_asked(plan, seen)),
    ]
    if seen.problem:
        findings.append(criteria.shadow_refused(seen.problem, seen.compared))
    return Judgement(tuple(findings))


def judge_share(plan: Plan, seen: Seen) -> Judgement:
    """May a version that answers some of the callers answer more of them?"""
    rate = seen.candidate_now.asked / seen.window_seconds if seen.window_seconds > 0 else 0.0
    return Judgement(
        (
            criteria.time(seen.seconds, plan.min_seconds),
            criteria.samples(seen.candidate.asked, plan.min_samples, rate),
            *_serving(plan, seen, must_compare=True),
            criteria.edits(plan.max_edit_rate_rise, seen.edits, seen.champion_edits),
            criteria.reviews(seen.edits.count, plan.min_reviews),
        )
    )


def judge_watch(plan: Plan, seen: Seen) -> Judgement:
    """Has a version that answers everybody been watched for long enough?"""
    return Judgement(
        (
            criteria.time(seen.seconds, plan.watch_seconds),
            *_serving(plan, seen, must_compare=False),  # nobody is left to answer beside it
            criteria.edits(plan.max_edit_rate_rise, seen.edits, seen.champion_edits),
        )
    )


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


def exam_arm(documents: Sequence[DocumentCounts]) -> Arm:
    """What a version answered in an exam, from (tp, fp, fn) by label of each text."""
    labels: Counter[str] = Counter()
    for counts in documents:
        found = {label: tp + fp for label, (tp, fp, _) in counts.items() if tp + fp}
        labels.update(found or {NOTHING: 1})
    return Arm(answers=len(documents), labels=labels, labelled=len(documents))


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
        criteria.rate("error_rate", plan.max_error_rate, shares("failures", "owed")),
        criteria.rate("p95_ms", _P95, shares("slow"), plan.max_p95_ms, seen.candidate.p95_ms),
        criteria.rate("p99_ms", _P99, shares("very_slow"), plan.max_p99_ms, seen.candidate.p99_ms),
        criteria.unsure(plan.max_low_confidence_rise, shares("unsure"), must_compare=must_compare),
        criteria.labels(
            plan.max_label_drift,
            [(*label_drift(mine, theirs), mine.labelled) for mine, theirs in pairs],
            expected=seen.drift_expected,
        ),
    ]
    refused = seen.candidate.refused or seen.candidate_now.refused
    if refused:
        findings.append(criteria.bundle_refused(refused))
    return findings
