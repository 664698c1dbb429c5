"""Making a candidate that passed the gate the champion."""

from __future__ import annotations

from functools import partial

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from audit.services import Actor
from corpus.said import say_kept
from inference.models import Deployment, ModelVersion
from inference.services import version_promote
from retraining.errors import GateNotPassed, ReasonRequired, RunUnfinished, StaleBase
from retraining.models import TrainingRun, TrainingRunEvent

log = structlog.get_logger(__name__)
Status = TrainingRun.Status


@transaction.atomic
def candidate_promote(*, run: TrainingRun, actor: Actor, reason: str) -> Deployment:
    """Promote a run's candidate: only past the gate, and only over the champion that it was judged against.

    Promoting what is already champion changes nothing.
    """
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")
    run = (
        TrainingRun.objects.select_for_update(of=("self",))
        .select_related("project", "candidate")
        .get(pk=run.pk)
    )
    champion = Deployment.objects.select_related("version").get(
        project=run.project, slot=Deployment.Slot.CHAMPION
    )
    candidate = run_require_passed(run, champion=champion)
    if champion.version_id == candidate.pk:
        return champion
    promoted = version_promote(
        project=run.project,
        version=candidate,
        expected_generation=champion.generation,
        actor=actor,
        reason=reason,
        verdict=run.verdict,
    )
    TrainingRunEvent.objects.create(
        run=run, message=f"{candidate} is champion now, promoted by {actor.name}: {reason}"
    )
    transaction.on_commit(partial(tracking_sync_ask))
    return promoted


def run_require_passed(run: TrainingRun, *, champion: Deployment) -> ModelVersion:
    """The candidate of a run that may go to callers: past the gate, over the champion it was judged against.

    Raises RunUnfinished, GateNotPassed or StaleBase.
    """
    if run.status != Status.DONE or run.verdict is None:
        raise RunUnfinished(status=run.get_status_display().lower())
    if not run.verdict["passed"]:
        refused = [say_kept(reason, "message") for reason in run.verdict["reasons"] if not reason["passed"]]
        raise GateNotPassed(reasons=" ".join(refused))
    assert run.candidate is not None  # noqa: S101  (what passed the gate is on the shelf)
    if champion.version_id not in (run.candidate_id, run.start_from_id):
        raise StaleBase()
    return run.candidate


def tracking_sync_ask() -> None:
    """MLflow hears of it from the training worker, which alone imports it."""
    try:
        current_app.send_task("retraining.tasks.tracking_sync", expires=600)
    except (KombuError, RedisError, OSError) as error:
        log.warning("tracking_sync_not_published", error=type(error).__name__)
