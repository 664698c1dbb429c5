"""Which version answers a request: the one that was named, or the one that measurements speak for.

What a version is worth is its measured F1; what it costs is what this process measured of it
(`inference.latency`). No number here stands for either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from corpus.models import Project
from inference import metrics
from inference.circuit import circuits
from inference.engine import Serving, engine
from inference.errors import MissingScope, NoModelFits
from inference.handovers import Cascade, handovers
from inference.latency import Latency, latencies
from inference.models import ApiKey, Deployment
from inference.selectors import CHOSEN_AMONG
from inference.shares import Subject, arm_of, bucket_of, shares_of

AUTO = "auto"
Strategy = Literal["intelligent", "performance", "speed", "accuracy", "cascade"]
_SLOTS = frozenset(Deployment.Slot.values)


@dataclass(frozen=True, slots=True)
class Demands:
    """What a caller asks of the version that answers."""

    characters: int = 0
    subject: Subject = field(default=Subject())
    strategy: Strategy | None = None
    max_latency_ms: float | None = None
    min_accuracy: float | None = None
    may_fall_back: bool = True

    @property
    def are_none(self) -> bool:
        """Is the project's champion simply meant?"""
        return self.strategy is None and self.max_latency_ms is None and self.min_accuracy is None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that could answer, what was measured of it, and what speaks against it."""

    serving: Serving
    latency: Latency | None
    objections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The version that answers, why it does, and what stands in for it."""

    serving: Serving
    reason: str
    candidates: Sequence[Candidate] = field(default=())
    is_fitting: bool = True
    cascade: Cascade | None = None
    """Where set, `serving` answers first, and only what it is sure of."""
    bucket: int | None = None
    """The group of the caller's subject, where the shares decided and every version of them was sound."""
    passed_over: Serving | None = None
    """Whose turn it was, where it failed so often that it is left alone for a while."""

    def others(self) -> list[Candidate]:
        """What could have answered too."""
        return [one for one in self.candidates if one.serving.version.pk != self.serving.version.pk]


def choose(*, project: Project, model: str, scopes: frozenset[str], demands: Demands) -> Choice:
    """The version for what a caller asked: `auto`, a slot, a family, or `name@number`.

    Slots and single versions need the scope `route`: they reach what the project has not promoted. Demands
    are for `auto`, and without any the slots' shares decide. NoModelFits where no version meets them and
    none may stand in.
    """
    if model == AUTO:
        return _drawn(project, demands) if demands.are_none else _weighed(project, demands)
    if model in _SLOTS:
        _route_require(scopes)
        return Choice(engine.serving(project_id=project.pk, slot=model), f"the slot {model} was asked for")
    if "@" in model:
        _route_require(scopes)
        return Choice(engine.serving_named(project=project, name=model), "this version was asked for")
    serving = engine.serving_named(project=project, name=model)
    return Choice(serving, f"the family {serving.version.family} was asked for")


def stand_in(*, project: Project, demands: Demands, besides: Choice) -> Choice | None:
    """The next version in the place of one that gave no answer; None where there is no other."""
    failed = besides.serving.version
    others = [one for one in _servings(project) if one.version.pk != failed.pk]
    candidates = [_candidate(serving, demands) for serving in others]
    sound = next((one for one in candidates if not one.objections), None)
    if sound is None:
        return None
    return Choice(sound.serving, f"{failed} gave no answer that can be right; the next stands in", candidates)


def _drawn(project: Project, demands: Demands) -> Choice:
    """The version whose share of the callers this subject belongs to; versions that fail have none."""
    slots = engine.slots(project_id=project.pk)
    shares = shares_of({slot: serving.share for slot, serving in slots.items()})
    sound = [slot for slot in shares if not circuits.seconds_closed_to(slots[slot].version.sha256)]
    if list(shares) == [Deployment.Slot.CHAMPION] and sound:
        return Choice(slots[Deployment.Slot.CHAMPION], "the project's champion")
    if demands.subject.is_internal and Deployment.Slot.CHAMPION in sound:
        return Choice(slots[Deployment.Slot.CHAMPION], "the champion answers every internal key")
    division = engine.division(project_id=project.pk)
    subject = demands.subject.by(division.by)
    # Another version in a slot draws anew, so that it is not always the same callers' turn. Where a salt sees
    # to that, as an experiment's does, whoever belongs to a slot stays with it.
    arms = {slot if division.salt else f"{slot} {slots[slot].version.pk}": slot for slot in shares}
    slot = arms[arm_of(subject, {arm: shares[slot] for arm, slot in arms.items()}, division.salt)]
    if slot in sound:
        return Choice(
            slots[slot],
            f"the slot {slot} answers {shares[slot]:g} % of the callers, and this is one",
            # Beside one that fails now nobody is compared with anybody.
            bucket=bucket_of(subject, division.salt) if len(sound) == len(shares) else None,
        )
    passed_over = slots[slot]
    if not sound:
        return replace(_weighed(project, demands), passed_over=passed_over)
    others = {arm: shares[slot] for arm, slot in arms.items() if slot in sound}
    instead = arms[arm_of(subject, others, division.salt)]
    reason = f"the slot {slot} is left alone for a while, and the slot {instead} stands in"
    return Choice(slots[instead], reason, passed_over=passed_over)


def _weighed(project: Project, demands: Demands) -> Choice:
    candidates = [_candidate(serving, demands) for serving in _servings(project)]
    fitting = [candidate for candidate in candidates if not candidate.objections]
    if not fitting and not demands.may_fall_back:
        told = "; ".join(f"{one.serving.version}: {', '.join(one.objections)}" for one in candidates)
        raise NoModelFits(pointer="/model", objections=told)
    strategy = demands.strategy or "performance"
    reason = _REASONS[strategy]
    if strategy == "cascade" and fitting:
        cascade = _cascade(project, fitting, demands)
        if isinstance(cascade, Cascade):
            return Choice(cascade.first, reason, candidates, cascade=cascade)
        metrics.CASCADED.labels(outcome="no_cascade").inc()
        reason = f"no cascade: {cascade}; the best F1 of those that meet what was asked for answers"
    chosen = _best(fitting or candidates, strategy)
    if not fitting:
        reason = f"none meets what was asked for; {reason} stands in"
    return Choice(chosen.serving, reason, candidates, is_fitting=bool(fitting))


_REASONS = {
    "intelligent": "the best F1 of those that meet what was asked for",
    "performance": "the project's champion, or the next in its place",
    "speed": "the fastest of those that meet what was asked for",
    "accuracy": "the best F1",
    "cascade": "the fastest of those that meet what was asked for, and where it is unsure the best",
}


def _cascade(project: Project, fitting: Sequence[Candidate], demands: Demands) -> Cascade | str:
    """The fastest and the best of those that fit, in turn; or why that would not do."""
    first, second = _best(fitting, "speed"), _best(fitting, "accuracy")
    if first is second:
        return f"{first.serving.version} is both the fastest and the best"
    if first.latency is None or second.latency is None:
        return "no latency was measured yet"
    both = first.latency.p95_ms + second.latency.p95_ms
    if demands.max_latency_ms is not None and both > demands.max_latency_ms:
        return f"both in turn take up to {both:.1f} ms for this length, above {demands.max_latency_ms:g} ms"
    known = handovers.between(project=project, first=first.serving.version, second=second.serving.version)
    if known.handover is None:
        return known.why_not
    typical = first.latency.p50_ms + known.handover.share * second.latency.p50_ms
    if typical >= second.latency.p50_ms:
        return (
            f"{first.serving.version} would hand on {known.handover.share:.0%} of the texts, and both take "
            f"{typical:.2f} ms for a typical text where {second.serving.version} alone takes "
            f"{second.latency.p50_ms:.2f} ms"
        )
    return Cascade(first.serving, second.serving, known.handover, known.on)


def _best(candidates: Sequence[Candidate], strategy: Strategy) -> Candidate:
    if strategy == "performance":
        return candidates[0]
    if strategy == "speed":
        return min(candidates, key=_milliseconds)
    return min(candidates, key=lambda one: (-(one.serving.f1 or 0.0), _milliseconds(one)))


def _milliseconds(candidate: Candidate) -> float:
    return candidate.latency.p50_ms if candidate.latency else float("inf")


def _servings(project: Project) -> list[Serving]:
    """What a project's slots serve, each version once."""
    slots = engine.slots(project_id=project.pk)
    found: dict[int, Serving] = {}
    for slot in CHOSEN_AMONG:
        if slot in slots:
            found.setdefault(slots[slot].version.pk, slots[slot])
    return list(found.values())


def _candidate(serving: Serving, demands: Demands) -> Candidate:
    latency = latencies.of(serving.version.sha256, characters=demands.characters)
    objections = []
    if seconds := circuits.seconds_closed_to(serving.version.sha256):
        objections.append(f"it failed again and again and is left alone for {seconds:.0f} s")
    if demands.min_accuracy is not None:
        if serving.f1 is None:
            objections.append("its F1 was never measured")
        elif serving.f1 < demands.min_accuracy:
            objections.append(f"its F1 of {serving.f1:.3f} is below {demands.min_accuracy:g}")
    # Whoever wants the best F1 wants it at any speed; whether it was in time is told with the answer.
    if demands.max_latency_ms is not None and demands.strategy != "accuracy":
        if latency is None:
            objections.append("its latency was not measured yet")
        elif latency.p95_ms > demands.max_latency_ms:
            objections.append(
                f"its p95 of {latency.p95_ms:.1f} ms for this length is above {demands.max_latency_ms:g} ms"
            )
    return Candidate(serving, latency, tuple(objections))


def _route_require(scopes: frozenset[str]) -> None:
    if ApiKey.Scope.ROUTE not in scopes:
        raise MissingScope(pointer="/model", scope=str(ApiKey.Scope.ROUTE))
