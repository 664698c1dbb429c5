"""Looking at running experiments, and ending those whose question is answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from audit.services import SYSTEM
from corpus.errors import DomainError
from inference.models import Deployment, ModelVersion
from ner.sequential import Sequential
from retraining.experiment_measures import RATIO_ALARM, Measured, measure, said
from retraining.models import Experiment, ExperimentArm, ExperimentLook
from retraining.selectors import arms_of
from retraining.services.experiments import experiment_end, winner_promote

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
    ending = _interruption(experiment, arms)
    look = None
    if ending is not None or _is_due(experiment, now):
        measured = measure(experiment, arms, until=now)
        look = _kept(experiment, measured, now)
        ending = ending or decide(experiment, arms, measured, now=now)
    if ending is not None:
        _end(experiment, ending)
    return look


def decide(
    experiment: Experiment, arms: list[ExperimentArm], measured: Measured, *, now: datetime
) -> Ending | None:
    """The stop rules, in their order: a win, a loss, futility, time.

    Gains are positive where a challenger is better. While the numbers of callers are too uneven to be
    believed, only a loss and the time end an experiment: both leave everything as it was.
    """
    by_slot = {arm.slot: arm for arm in arms}
    gains = {slot: gain(experiment, one) for slot, one in measured.comparisons.items() if one.is_said}
    lost = [slot for slot, (_, high) in gains.items() if high < 0]
    won = sorted((slot for slot, (low, _) in gains.items() if low > 0), key=lambda slot: -sum(gains[slot]))
    futile = len(gains) == len(measured.comparisons) and all(
        high < experiment.effect for _, high in gains.values()
    )
    is_trusted = measured.ratio_p >= RATIO_ALARM
    metric = experiment.get_metric_display().split(":")[0].lower()
    if won and is_trusted:
        arm = by_slot[won[0]]
        return Ending(
            Outcome.WIN,
            f"{arm.version} is better: {metric}, {_interval(measured.comparisons[arm.slot])}",
            arm.version,
        )
    if lost:
        arm = by_slot[lost[0]]
        return Ending(
            Outcome.LOSS, f"{arm.version} is worse: {metric}, {_interval(measured.comparisons[arm.slot])}"
        )
    if futile and is_trusted:
        return Ending(
            Outcome.FUTILITY, f"no version is better by {experiment.effect:g} or more, as far as can be told"
        )
    if experiment.started_at is not None and now - experiment.started_at >= timedelta(
        days=experiment.max_days
    ):
        return Ending(Outcome.FUTILITY, f"nothing was found in {experiment.max_days} days")
    return None


def gain(experiment: Experiment, comparison: Sequential) -> tuple[float, float]:
    """The interval of a difference, turned so that more is better."""
    if experiment.lower_is_better:
        return -comparison.high, -comparison.low
    return comparison.low, comparison.high


def _interval(comparison: Sequential) -> str:
    return f"difference {comparison.difference:+.4f}, from {comparison.low:+.4f} to {comparison.high:+.4f}"


def _is_due(experiment: Experiment, now: datetime) -> bool:
    counted_from = experiment.counted_from
    if counted_from is None or now <= counted_from:
        return False
    last = experiment.looks.order_by("-at").values_list("at", flat=True).first()
    return last is None or now - last >= max(EVERY, (now - counted_from) * OF_ITS_AGE)


def _interruption(experiment: Experiment, arms: list[ExperimentArm]) -> Ending | None:
    """Does each slot still serve what the experiment put there? Somebody's own decision goes before it."""
    slots = {row.slot: row for row in Deployment.objects.filter(project=experiment.project)}
    for arm in arms:
        deployment = slots.get(arm.slot)
        if deployment is None or deployment.version_id != arm.version_id:
            return Ending(Outcome.INTERRUPTED, f"the slot {arm.slot} was given to another version")
        if not arm.is_control and deployment.share != arm.share:
            return Ending(Outcome.INTERRUPTED, f"the share of the slot {arm.slot} was changed")
    return None


def _kept(experiment: Experiment, measured: Measured, now: datetime) -> ExperimentLook:
    return ExperimentLook.objects.create(
        experiment=experiment,
        at=now,
        reviews=measured.reviews,
        needed=measured.needed,
        arms={slot: one.to_json() for slot, one in measured.arms.items()},
        comparisons={slot: said(one) for slot, one in measured.comparisons.items()},
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
        experiment.ended_why = f"{ending.why}. It was not promoted: {refused.detail}"
        experiment.save()
        log.warning("winner_not_promoted", experiment=experiment.pk, code=refused.code)
