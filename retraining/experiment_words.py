"""What an experiment says, in plain words: for its page, the API and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from corpus.said import say
from ner.said import Said
from retraining.experiment_estimates import RATE_DAYS
from retraining.experiment_measures import RATIO_ALARM
from retraining.models import Experiment, ExperimentArm, ExperimentLook

Status, Outcome = Experiment.Status, Experiment.Outcome
METRICS: Mapping[str, Said] = {
    Experiment.Metric.EDIT_RATE: Said(gettext_noop("edit rate")),
    Experiment.Metric.REVIEWED_F1: Said(gettext_noop("F1 of reviewed texts")),
    Experiment.Metric.RATING: Said(gettext_noop("rating")),
}
_STATES: Mapping[str, str] = {
    Outcome.WIN: "good",
    Outcome.LOSS: "bad",
    Outcome.INTERRUPTED: "warn",
}


@dataclass(slots=True)
class Verdict:
    """One sentence, what supports it, and the state that colours it."""

    sentence: str
    notes: list[str] = field(default_factory=list)
    state: str = ""


def verdict_of(experiment: Experiment, arms: Sequence[ExperimentArm], look: ExperimentLook | None) -> Verdict:
    """Where an experiment stands and what may be concluded from it now."""
    if experiment.status == Status.DRAFT:
        return Verdict(_("It has not been started: nobody is answered differently yet."))
    if experiment.status == Status.ENDED:
        verdict = _ended(experiment, arms)
    elif look is None:
        verdict = Verdict(_("It has just begun; the first look comes within a minute or two."), state="busy")
    else:
        verdict = _running(experiment, look)
    if look is not None:
        verdict.notes += _notes(experiment, arms, look)
    return verdict


def estimate_words(estimate: Mapping[str, Any], *, metric: str, max_days: int) -> list[str]:
    """What `experiment_estimate` found, sentence by sentence."""
    values = {
        "total": _count(estimate["total"]),
        "per_arm": _count(estimate["per_arm"]),
        "rate": _number(estimate["reviews_per_day"]),
        "days": RATE_DAYS,
        "answers": _number(estimate["answers_per_day"]),
    }
    if metric == Experiment.Metric.RATING:
        words = [_("About %(total)s ratings are needed in all, %(per_arm)s for each version.") % values]
    else:
        words = [_("About %(total)s reviews are needed in all, %(per_arm)s for each version.") % values]
    if estimate["days"] is None:
        words.append(
            _(
                "Nothing of the kind came in during the last %(days)s days, so nobody can say how long it "
                "will take."
            )
            % values
        )
    else:
        days = max(round(estimate["days"]), 1)
        words.append(
            ngettext(
                "At the rate of the last %(past)s days, %(rate)s a day, that takes about %(count)d day.",
                "At the rate of the last %(past)s days, %(rate)s a day, that takes about %(count)d days.",
                days,
            )
            % {"past": RATE_DAYS, "rate": values["rate"], "count": days}
        )
        if days > max_days:
            words.append(
                ngettext(
                    "It ends after %(count)d day, and may well have found nothing by then.",
                    "It ends after %(count)d days, and may well have found nothing by then.",
                    max_days,
                )
                % {"count": max_days}
            )
    words.append(_("Callers got %(answers)s answers a day.") % values)
    if estimate["is_assumed"]:
        words.append(
            _("There were too few to read from them how much one differs from the next: that is assumed.")
        )
    if estimate["is_by_few"]:
        words.append(
            ngettext(
                "Only %(count)d API key asked lately: divided by key, nothing will ever be told apart.",
                "Only %(count)d API keys asked lately: divided by key, nothing will ever be told apart.",
                estimate["keys"],
            )
            % {"count": estimate["keys"]}
        )
    return words


def scale_of(experiment: Experiment) -> float:
    """Rates are told in points, ratings as they are."""
    return 1.0 if experiment.metric == Experiment.Metric.RATING else 100.0


def _ended(experiment: Experiment, arms: Sequence[ExperimentArm]) -> Verdict:
    state = _STATES.get(experiment.outcome, "")
    winner = {"version": experiment.winner}
    if experiment.promoted_at is not None:
        return Verdict(
            _("It has ended, and %(version)s is champion now.") % winner, [say(experiment.ended_why)], "good"
        )
    if experiment.outcome == Outcome.WIN:
        sentence = _("%(version)s is better. It waits for somebody to make it champion.") % winner
    elif experiment.outcome == Outcome.LOSS and len(arms) > 2:
        sentence = _("All versions are worse; the champion answers everybody again.")
    elif experiment.outcome == Outcome.LOSS:
        sentence = _("A version is worse; the champion answers everybody again.")
    elif experiment.outcome == Outcome.FUTILITY:
        sentence = _("No version is better by enough to be worth the change; the champion stays.")
    elif experiment.outcome == Outcome.INTERRUPTED:
        sentence = _("Somebody moved a slot of it, so it ended without a decision.")
    else:
        sentence = _("It was stopped by hand, without a decision.")
    return Verdict(sentence, [say(experiment.ended_why)], state)


def _running(experiment: Experiment, look: ExperimentLook) -> Verdict:
    if look.ratio_p < RATIO_ALARM:
        return Verdict(
            _(
                "Do not trust it: the numbers of answers do not fit the shares, so something is wrong "
                "with who gets what."
            ),
            state="bad",
        )
    if all(one["low"] is None for one in look.comparisons.values()):
        return Verdict(_("It is too early to say anything: there are too few reviews."), state="busy")
    return Verdict(_("It is undecided: no difference can be told from chance yet."), state="busy")


def _notes(experiment: Experiment, arms: Sequence[ExperimentArm], look: ExperimentLook) -> list[str]:
    versions = {arm.slot: arm.version for arm in arms}
    notes = [
        _("%(version)s is worse, and out of it: the champion answers its callers.") % {"version": arm.version}
        for arm in arms
        if arm.is_dropped
    ]
    for slot, one in look.comparisons.items():
        if one["low"] is None:
            continue
        values = {
            "version": versions[slot],
            "difference": difference_words(experiment, one["difference"]),
            "low": difference_words(experiment, one["low"]),
            "high": difference_words(experiment, one["high"]),
            "metric": metric_name(experiment.metric),
        }
        notes.append(
            _("%(version)s against the champion: %(metric)s %(difference)s (%(low)s to %(high)s).") % values
        )
    if experiment.status == Status.RUNNING and look.needed:
        effect = difference_words(experiment, experiment.effect).removeprefix("+")
        values = {"count": _count(look.needed), "effect": effect}
        if experiment.metric == Experiment.Metric.RATING:
            notes.append(_("About %(count)s more ratings would show a difference of %(effect)s.") % values)
        else:
            notes.append(_("About %(count)s more reviews would show a difference of %(effect)s.") % values)
    return notes


def metric_name(metric: str) -> str:
    """The short name of a metric."""
    return say(METRICS[Experiment.Metric(metric)])


def difference_words(experiment: Experiment, value: float) -> str:
    """A difference with its sign and unit."""
    if experiment.metric == Experiment.Metric.RATING:
        return f"{'+' if value >= 0 else ''}{number_format(round(value, 2), 2)}"
    shown = round(100 * value, 1)
    return _("%(value)s points") % {"value": f"{'+' if shown >= 0 else ''}{number_format(shown, 1)}"}


def _number(value: float) -> str:
    return number_format(round(value, 1), 1) if value < 100 else _count(round(value))


def _count(value: int) -> str:
    return number_format(value, force_grouping=True)
