"""Looking at running experiments, and ending those whose question is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from audit.services import SYSTEM
from corpus.errors import DomainError
from inference.models import Deployment, ModelVersion
from ner.said import Facts, Number, joined
from ner.said import Said as _
from ner.sequential import Sequential
from retraining.experiment_measures import RATIO_ALARM, Measured, measure, said
from retraining.experiment_words import METRICS
from retraining.models import Experiment, ExperimentArm, ExperimentLook
from retraining.selectors import arms_of, look_newest
from retraining.services.experiments import arm_drop, experiment_end, serves, winner_promote

log = structlog.get_logger(__name__)
Status, Outcome = Experiment.Status, Experiment.Outcome

#: A young experiment is looked at this often; an old one each time it is half a percent older, so that it
#: never has more than some thousand looks, and nothing reads a month's answers every minute.
EVERY = timedelta(minutes=1)
OF_ITS_AGE = 1 / 200


@dataclass(frozen=True, slots=True)
class Ending:
    """Why an experiment ends."""

    outcome: Experiment.Outcome
    why: str
    winner: ModelVersion | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a look: which arms go, each with why, and whether that or anything else ends it."""

    dropped: Sequence[tuple[ExperimentArm, str]] = ()
    ending: Ending | None = None


def experiments_check(*, now: datetime | None = None) -> None:
    """Look at every running experiment whose next look is due; safe to be started twice."""
    for pk in Experiment.objects.filter(status=Status.RUNNING).order_by("pk").values_list("pk", flat=True):
        try:
            experiment_check(pk=pk, now=now or timezone.now())
        except DomainError as error:
            log.warning("experiment_check_refused", experiment=pk, code=error.code)


@transaction.atomic
def experiment_check(*, pk: int, now: datetime) -> ExperimentLook | None:
    """Look at one, store what was seen, and end it where that decides; None where nothing was due.

    Whether somebody has moved its slots is asked each time.
    """
    experiment = (
        Experiment.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("project")
        .filter(pk=pk, status=Status.RUNNING)
        .first()
    )
    if experiment is None:
        return None
    arms = arms_of(experiment=experiment)
    interruption = _interruption(experiment, arms)
    if interruption is None and not _is_due(experiment, now):
        return None
    measured = measure(experiment, arms, until=now)
    look = _kept(experiment, arms, measured, now)
    decision = Decision(ending=interruption) if interruption else decide(experiment, arms, measured, now=now)
    if decision.ending is not None:
        _end(experiment, decision.ending)
    else:
        for arm, why in decision.dropped:
            arm_drop(experiment=experiment, arm=arm, at=now, why=why, actor=SYSTEM)
    return look


def decide(
    experiment: Experiment, arms: list[ExperimentArm], measured: Measured, *, now: datetime
) -> Decision:
    """The stop rules, in their order: a win, a loss, futility, time. A loss ends it only for those who lose.

    Gains are positive where a challenger is better. While the numbers of callers are too uneven to be
    believed, only losses and the time are acted upon: both leave everything as it was.
    """
    by_slot = {arm.slot: arm for arm in arms}
    gains = {slot: gain(experiment, one) for slot, one in measured.comparisons.items() if one.is_said}
    won = sorted(
        (slot for slot, (low, _high) in gains.items() if low > 0), key=lambda slot: -sum(gains[slot])
    )
    lost = sorted(slot for slot, (_low, high) in gains.items() if high < 0)
    left = measured.comparisons.keys() - lost
    is_trusted = measured.ratio_p >= RATIO_ALARM
    found: dict[str, Facts] = {
        slot: {"version": str(by_slot[slot].version), "found": _interval(experiment, one)}
        for slot, one in measured.comparisons.items()
    }
    dropped = [(by_slot[slot], _("{version} is worse: {found}", **found[slot])) for slot in lost]
    ending = None
    if won and is_trusted:
        ending = Ending(
            Outcome.WIN, _("{version} is better: {found}", **found[won[0]]), by_slot[won[0]].version
        )
    elif not left:
        ending = Ending(Outcome.LOSS, joined(why for _arm, why in dropped))
    elif is_trusted and all(slot in gains and gains[slot][1] < experiment.effect for slot in left):
        why = _(
            "no version is better by {effect} or more, as far as can be told",
            effect=Number(experiment.effect, "g"),
        )
        ending = Ending(Outcome.FUTILITY, why)
    elif experiment.started_at and now - experiment.started_at >= timedelta(days=experiment.max_days):
        ending = Ending(Outcome.FUTILITY, _("nothing was found in {days} days", days=experiment.max_days))
    return Decision(dropped, ending)


def gain(experiment: Experiment, comparison: Sequential) -> tuple[float, float]:
    """The interval of a difference, turned so that more is better."""
    if experiment.lower_is_better:
        return -comparison.high, -comparison.low
    return comparison.low, comparison.high


def _interval(experiment: Experiment, comparison: Sequential) -> str:
    return _(
        "{metric}, difference {difference}, from {low} to {high}",
        metric=METRICS[Experiment.Metric(experiment.metric)],
        difference=Number(comparison.difference, "+.4f"),
        low=Number(comparison.low, "+.4f"),
        high=Number(comparison.high, "+.4f"),
    )


def _is_due(experiment: Experiment, now: datetime) -> bool:
    counted_from = experiment.counted_from
    if counted_from is None or now <= counted_from:
        return False
    last = experiment.looks.order_by("-at").values_list("at", flat=True).first()
    return last is None or now - last >= max(EVERY, (now - counted_from) * OF_ITS_AGE)


def _interruption(experiment: Experiment, arms: list[ExperimentArm]) -> Ending | None:
    """Does each slot still serve what the experiment put there? Somebody's own decision goes before it."""
    slots = {row.slot: row for row in Deployment.objects.filter(project=experiment.project)}
    [control] = [arm for arm in arms if arm.is_control]
    for arm in arms:
        deployment = slots.get(arm.slot)
        if deployment is None or deployment.version_id != serves(arm, control):
            return Ending(
                Outcome.INTERRUPTED, _("the slot {slot} was given to another version", slot=arm.slot)
            )
        if not arm.is_control and deployment.share != arm.share:
            return Ending(Outcome.INTERRUPTED, _("the share of the slot {slot} was changed", slot=arm.slot))
    return None


def _kept(
    experiment: Experiment, arms: list[ExperimentArm], measured: Measured, now: datetime
) -> ExperimentLook:
    """The row of a look; arms that were dropped stand in it as they were seen last."""
    before = look_newest(experiment=experiment)
    last = {
        arm.slot: (before.arms[arm.slot], before.comparisons[arm.slot])
        for arm in arms
        if arm.is_dropped and before is not None
    }
    what = "ratings" if experiment.metric == Experiment.Metric.RATING else "reviews"
    return ExperimentLook.objects.create(
        experiment=experiment,
        at=now,
        reviews=measured.reviews + sum(seen[what] for seen, _ in last.values()),
        needed=measured.needed,
        arms={slot: seen for slot, (seen, _) in last.items()}
        | {slot: one.to_json() for slot, one in measured.arms.items()},
        comparisons={slot: one for slot, (_, one) in last.items()}
        | {slot: said(one) for slot, one in measured.comparisons.items()},
        ratio_p=measured.ratio_p,
    )


def _end(experiment: Experiment, ending: Ending) -> None:
    experiment_end(
        experiment=experiment, outcome=ending.outcome, why=ending.why, actor=SYSTEM, winner=ending.winner
    )
    if ending.winner is None or not experiment.promotes_winner:
        return
    try:
        with transaction.atomic():
            winner_promote(experiment=experiment, version=ending.winner, actor=SYSTEM, reason=ending.why)
    except DomainError as refused:
        # The decision stands; a human may promote when what is in the way is gone.
        experiment.ended_why = _(
            "{why}. It was not promoted: {refused}", why=ending.why, refused=refused.detail
        )
        experiment.save()
        log.warning("winner_not_promoted", experiment=experiment.pk, code=refused.code)
