"""Asking whether a retraining is due, and writing the answer down in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from audit.services import SYSTEM, Actor, event_record
from corpus.errors import DomainError
from corpus.models import Project
from inference.models import Deployment
from retraining.models import RetrainDecision, RetrainPolicy, TrainingRun
from retraining.selectors import corrections_new, failures_in_a_row, run_active, run_last
from retraining.services.runs import run_queue

log = structlog.get_logger(__name__)

#: After one failed run; doubled with each further one.
BACK_OFF = timedelta(minutes=10)
BACK_OFF_LIMIT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one check saw."""

    new: int
    newest: datetime | None
    ripe: datetime | None  # when the corrections became enough, or the first of too few
    champion_since: datetime | None
    active: TrainingRun | None
    last: TrainingRun | None
    failures: int
    now: datetime

    def to_json(self, policy: RetrainPolicy) -> dict[str, Any]:
        """For the decision row."""
        return {
            "new_corrections": self.new,
            "threshold": policy.new_corrections,
            "quiet_seconds": _seconds(self.newest, self.now),
            "waiting_seconds": _seconds(self.ripe, self.now),
            "champion_age_days": (self.now - self.champion_since).days if self.champion_since else None,
            "failures_in_a_row": self.failures,
        }


@transaction.atomic
def policy_check(*, project: Project) -> RetrainDecision:
    """Ask whether a retraining is due, queue it when it is, and store the answer.

    A not-due answer equal to the newest one confirms that row instead of repeating it.
    """
    RetrainPolicy.objects.get_or_create(project=project)
    # Two beats at once: the second waits here, and then sees the run that the first one queued.
    policy = (
        RetrainPolicy.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project")
        .get(project=project)
    )
    numbers = _numbers(policy)
    due, explanation = verdict(policy, numbers)
    run = None
    if due:
        run = run_queue(project=project, actor=SYSTEM, reason=explanation.removeprefix("due: "))
    else:
        newest = RetrainDecision.objects.filter(project=project).first()
        if newest is not None and not newest.due and newest.explanation == explanation:
            RetrainDecision.objects.filter(pk=newest.pk).update(
                checks=F("checks") + 1, last_checked_at=Now(), numbers=numbers.to_json(policy)
            )
            newest.refresh_from_db()
            return newest
    return RetrainDecision.objects.create(
        project=project, due=due, explanation=explanation, numbers=numbers.to_json(policy), run=run
    )


def policies_check() -> None:
    """Ask for every project; one that cannot be asked does not keep the others from it."""
    for project in Project.objects.all():
        try:
            policy_check(project=project)
        except DomainError as error:
            log.warning("policy_check_refused", project=project.slug, code=error.code)


@transaction.atomic
def policy_change(*, project: Project, actor: Actor, reason: str = "", **values: Any) -> RetrainPolicy:
    """Change thresholds of a project's policy."""
    policy, _ = RetrainPolicy.objects.get_or_create(project=project)
    for name, value in values.items():
        setattr(policy, name, value)
    policy.full_clean()
    policy.save()
    event_record(
        action="policy.change",
        actor=actor,
        subject=policy,
        chain=project.slug,
        reason=reason,
        data={name: getattr(policy, name) for name in values},
    )
    return policy


def verdict(policy: RetrainPolicy, numbers: Numbers) -> tuple[bool, str]:
    """Is it due, and why: one sentence that stays the same as long as the reason does."""
    n = numbers
    if not policy.enabled:
        return False, "not due: automatic retraining is switched off"
    if n.champion_since is None:
        return False, "not due: there is no champion to start from"
    if n.active is not None:
        return False, f"not due: run {n.active.pk} is {n.active.get_status_display().lower()}"
    if n.newest is None or n.ripe is None:
        return False, "not due: no new corrections" + (f" since run {n.last.pk}" if n.last else "")
    cause = _cause(policy, n)
    if cause is None:
        return False, f"not due: {n.new} of {policy.new_corrections} corrections"
    if n.failures and n.last is not None and n.last.ended_at is not None:
        pause = min(BACK_OFF * 2 ** min(n.failures - 1, 20), BACK_OFF_LIMIT)
        if n.now < n.last.ended_at + pause:
            times = "the last run failed" if n.failures == 1 else f"the last {n.failures} runs failed"
            return False, f"not due: {cause}, but {times}; waiting {duration(pause)} before the next try"
    quiet, waited = n.now - n.newest, n.now - n.ripe
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


def _cause(policy: RetrainPolicy, numbers: Numbers) -> str | None:
    counted = f"{numbers.new} new correction" + ("" if numbers.new == 1 else "s")
    if numbers.new >= policy.new_corrections:
        return counted
    assert numbers.champion_since is not None  # noqa: S101  (the caller looked)
    age = numbers.now - numbers.champion_since
    if age >= timedelta(days=policy.max_age_days):
        return f"{counted} and a champion that is {age.days} days old"
    return None


def _numbers(policy: RetrainPolicy) -> Numbers:
    project = policy.project
    times = corrections_new(project=project).order_by("created_at").values_list("created_at", flat=True)
    new = times.count()
    enough = policy.new_corrections - 1 if new >= policy.new_corrections else 0
    champion = (
        Deployment.objects.filter(project=project, slot=Deployment.Slot.CHAMPION)
        .select_related("version")
        .first()
    )
    return Numbers(
        new=new,
        newest=times.last(),
        ripe=times[enough] if new else None,
        champion_since=champion.version.created_at if champion else None,
        active=run_active(project=project),
        last=run_last(project=project),
        failures=failures_in_a_row(project=project),
        now=timezone.now(),
    )


def _seconds(moment: datetime | None, now: datetime) -> int | None:
    return int((now - moment).total_seconds()) if moment else None
