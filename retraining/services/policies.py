"""Asking whether a retraining is due, and writing the answer down in words."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from audit.services import SYSTEM, Actor, event_record
from corpus.errors import DomainError
from corpus.models import Project
from feedback.selectors import quality_newest
from inference.models import Evaluation, ModelVersion
from inference.selectors import deployment_of
from retraining.models import DriftReference, RetrainDecision, RetrainPolicy
from retraining.selectors import (
    corrections_new,
    drift_newest,
    failures_in_a_row,
    rollout_current,
    run_active,
    run_last,
)
from retraining.services.runs import run_queue
from retraining.services.verdict import DAY, Numbers, verdict

log = structlog.get_logger(__name__)


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


def _numbers(policy: RetrainPolicy) -> Numbers:
    project, now = policy.project, timezone.now()
    rollout = rollout_current(project=project)
    times = corrections_new(project=project).order_by("created_at").values_list("created_at", flat=True)
    new = times.count()
    enough = policy.new_corrections - 1 if new >= policy.new_corrections else 0
    early = policy.early_corrections - 1
    champion = deployment_of(project)
    started = RetrainDecision.objects.filter(project=project, due=True, created_at__gt=now - DAY)
    return Numbers(
        now=now,
        new=new,
        newest=times.last(),
        ripe=times[enough] if new else None,
        early=times[early] if new > early else None,
        champion_since=champion.version.created_at if champion else None,
        active=run_active(project=project),
        rolling_out=str(rollout.version) if rollout else "",
        last=run_last(project=project),
        failures=failures_in_a_row(project=project),
        started=list(started.values_list("created_at", flat=True)),
        **(_quality(project, champion.version) | _drift(project, champion.version) if champion else {}),
    )


def _quality(project: Project, version: ModelVersion) -> dict[str, Any]:
    """How good the champion was in its exam on the project's texts, and how good it is live."""
    exams = Evaluation.objects.filter(version=version, project=project, kind=Evaluation.Kind.TEST)
    exam, live = exams.defer("report").first(), quality_newest(project, version)
    return {
        "exam_f1": exam.f1 if exam else None,
        "live_f1": live.f1 if live else None,
        "live_high": live.high if live else None,
    }


def _drift(project: Project, version: ModelVersion) -> dict[str, Any]:
    """What drifted from the texts that the champion was made from.

    From the general sentences of a bundled model every project's texts differ: that is no alarm.
    """
    report = drift_newest(project=project, version=version)
    if report is None or report.reference.source != DriftReference.Source.TRAINING_SET:
        return {}
    return {
        "drift": {measure.name: measure.value for measure in report.measured if measure.drifted},
        "drift_report": report.pk,
    }
