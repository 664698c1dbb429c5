"""Is a retraining due? One sentence, from numbers alone: it stays the same as long as the reason does.

Enough new corrections, or an old champion and any, start a training. An alarm (the live F1 has fallen, the
texts have drifted) and the night make it start on fewer corrections; without anything new to learn from, none
does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from retraining.models import RetrainPolicy, TrainingRun

#: After one failed run; doubled with each further one.
BACK_OFF = timedelta(minutes=10)
BACK_OFF_LIMIT = timedelta(days=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one check saw."""

    now: datetime
    new: int = 0
    newest: datetime | None = None
    ripe: datetime | None = None
    """When the corrections became enough, or the first of too few."""

    early: datetime | None = None
    """When they became enough for an alarm or the night."""

    champion_since: datetime | None = None
    active: TrainingRun | None = None
    rolling_out: str = ""
    """The version that is on its way to callers, and may be champion soon."""

    last: TrainingRun | None = None
    failures: int = 0
    started: Sequence[datetime] = ()
    """When trainings started by themselves in the last day."""

    exam_f1: float | None = None
    live_f1: float | None = None
    live_high: float | None = None
    """The upper end of the live F1's interval."""

    drift: Mapping[str, float | None] = field(default_factory=dict)
    """What drifted in the newest report, and how far."""

    drift_report: int | None = None

    def to_json(self, policy: RetrainPolicy) -> dict[str, Any]:
        """For the decision row."""
        return {
            "new_corrections": self.new,
            "threshold": policy.new_corrections,
            "early_corrections": policy.early_corrections,
            "quiet_seconds": _seconds(self.newest, self.now),
            "waiting_seconds": _seconds(self.ripe, self.now),
            "champion_age_days": (self.now - self.champion_since).days if self.champion_since else None,
            "failures_in_a_row": self.failures,
            "runs_last_day": len(self.started),
            "max_runs_per_day": policy.max_runs_per_day,
            "exam_f1": self.exam_f1,
            "live_f1": self.live_f1,
            "live_f1_high": self.live_high,
            "max_f1_drop": policy.max_f1_drop,
            "drifted": dict(self.drift),
            "drift_report": self.drift_report,
            "nightly_hour": policy.nightly_hour,
        }


def verdict(policy: RetrainPolicy, numbers: Numbers) -> tuple[bool, str]:
    """Is it due, and why."""
    n = numbers
    if not policy.enabled:
        return False, "not due: automatic retraining is switched off"
    if n.champion_since is None:
        return False, "not due: there is no champion to start from"
    if n.active is not None:
        return False, f"not due: run {n.active.pk} is {n.active.get_status_display().lower()}"
    if n.rolling_out:
        # A candidate of now would be judged against a champion of yesterday.
        return False, f"not due: {n.rolling_out} is being rolled out"
    alarms = _alarms(policy, n)
    if n.newest is None or n.ripe is None:
        since = f" since run {n.last.pk}" if n.last else ""
        return False, f"not due: no new corrections{since}" + _though(alarms)
    found = _cause(policy, n, alarms)
    if found is None:
        wanted = f"; an alarm waits for {policy.early_corrections}" if alarms else ""
        return False, f"not due: {n.new} of {policy.new_corrections} corrections{_though(alarms)}{wanted}"
    cause, waiting_since = found
    if hindered := _hindrance(policy, n):
        return False, f"not due: {cause}, but {hindered}"
    quiet, waited = n.now - n.newest, n.now - waiting_since
    if quiet >= timedelta(seconds=policy.quiet_seconds):
        return True, f"due: {cause}, quiet for {duration(quiet)}"
    if waited >= timedelta(seconds=policy.max_quiet_wait_seconds):
        return True, f"due: {cause}, never quiet for {duration(waited)}"
    wanted = duration(timedelta(seconds=policy.quiet_seconds))
    return False, f"not due: {cause}, waiting until nobody corrected for {wanted}"


def duration(length: timedelta) -> str:
    """A length of time as people say it: 40 s, 3 min, 5 h, 31 days."""
    seconds = int(length.total_seconds())
    for unit, name, enough in ((86400, "days", 2 * 86400), (3600, "h", 2 * 3600), (60, "min", 120)):
        if seconds >= enough:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def night_of(policy: RetrainPolicy, now: datetime) -> datetime | None:
    """The moment of the newest night at which the policy's hour had come."""
    if policy.nightly_hour is None:
        return None
    local = timezone.localtime(now)
    hour = local.replace(hour=policy.nightly_hour, minute=0, second=0, microsecond=0)
    # In UTC: where the clock leaps over the hour, Python calls no moment equal to it.
    return (hour if hour <= local else hour - DAY).astimezone(UTC)


def _alarms(policy: RetrainPolicy, n: Numbers) -> list[str]:
    """What speaks for a training before there are corrections enough."""
    found = []
    drop, exam, live = policy.max_f1_drop, n.exam_f1, n.live_high
    if drop is not None and exam is not None and live is not None and live < exam - drop:
        found.append(f"a live F1 more than {100 * drop:g} points below the exam's")
    if policy.on_drift and n.drift:
        found.append(f"drift ({', '.join(name.replace('_', ' ') for name in n.drift)})")
    return found


def _cause(policy: RetrainPolicy, n: Numbers, alarms: Sequence[str]) -> tuple[str, datetime] | None:
    """Everything that speaks for a training, and since when its corrections are enough."""
    assert n.ripe is not None and n.champion_since is not None  # noqa: S101, PT018  (the caller looked)
    age = n.now - n.champion_since
    is_old = age >= timedelta(days=policy.max_age_days)
    is_full = n.new >= policy.new_corrections
    night = night_of(policy, n.now)
    is_night = (
        night is not None
        and n.early is not None
        and n.early <= night
        and not any(started >= night for started in n.started)
    )
    is_early = n.early is not None and (bool(alarms) or is_night)
    if not (is_full or is_old or is_early):
        return None
    causes = [f"{n.new} new correction" + ("" if n.new == 1 else "s"), *alarms]
    if is_night:
        causes.append(f"the night's {policy.nightly_hour:02d}:00 has come")
    if is_old:
        causes.append(f"a champion that is {age.days} days old")
    since = n.early if n.early is not None and not (is_full or is_old) else n.ripe
    return _joined(causes), since


def _hindrance(policy: RetrainPolicy, n: Numbers) -> str:
    """What keeps a training from starting although there is a cause; empty for nothing."""
    if n.failures and n.last is not None and n.last.ended_at is not None:
        pause = min(BACK_OFF * 2 ** min(n.failures - 1, 20), BACK_OFF_LIMIT)
        if n.now < n.last.ended_at + pause:
            times = "the last run failed" if n.failures == 1 else f"the last {n.failures} runs failed"
            return f"{times}; waiting {duration(pause)} before the next try"
    if len(n.started) >= policy.max_runs_per_day:
        return f"{_runs(len(n.started))} in the last 24 h, and no more are allowed"
    return ""


def _runs(count: int) -> str:
    return "one training started by itself" if count == 1 else f"{count} trainings started by themselves"


def _though(alarms: Sequence[str]) -> str:
    return f", though there is {_joined(alarms)}" if alarms else ""


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _seconds(moment: datetime | None, now: datetime) -> int | None:
    return int((now - moment).total_seconds()) if moment else None
