"""Queueing, cancelling and reviving training runs. The row is the record; the broker only wakes workers."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog
from celery import current_app
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from audit.services import SYSTEM, Actor, event_record
from corpus.models import Project
from inference.models import Deployment
from ner.config import to_json
from retraining.errors import NoChampion, RunEnded
from retraining.models import TrainingRun, TrainingRunEvent
from retraining.plans import plan_make
from retraining.selectors import run_active
from retraining.services.sets import training_set_freeze

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
Status = TrainingRun.Status

#: A message that no worker took for this long expires, and the sweep sends the next one: at most one message
#: of a run is alive, and one that the broker lost is replaced.
MESSAGE_SECONDS = 30


def run_queue(
    *, project: Project, actor: Actor, reason: str, requested_by: User | None = None
) -> TrainingRun:
    """Queue a training on everything corrected so far; one that is queued or running already is returned."""
    if active := run_active(project=project):
        return active
    try:
        with transaction.atomic():
            champion = Deployment.objects.filter(project=project, slot=Deployment.Slot.CHAMPION).first()
            if champion is None:
                raise NoChampion()
            training_set = training_set_freeze(project=project)
            run = TrainingRun.objects.create(
                project=project,
                training_set=training_set,
                start_from=champion.version,
                config=json.loads(to_json(plan_make(champion=champion.version, training_set=training_set))),
                reason=reason,
                requested_by=requested_by,
            )
            counts = training_set.counts
            TrainingRunEvent.objects.create(
                run=run,
                message=(
                    f"Queued: {reason}. {counts['train']} documents to train on, {counts['dev']} to tune, "
                    f"{counts['test']} to be judged by."
                ),
                data=counts,
            )
            event_record(
                action="run.queue",
                actor=actor,
                subject=run,
                chain=project.slug,
                reason=reason,
                data={
                    "training_set": training_set.fingerprint,
                    "start_from": str(champion.version),
                    **counts,
                },
            )
            transaction.on_commit(partial(run_publish, run_id=run.pk))
            return run
    except IntegrityError:
        # The index let one of two through that asked at the same moment.
        active = run_active(project=project)
        if active is None:
            raise
        return active


def run_publish(*, run_id: int) -> None:
    """Tell the broker about a queued run. When it cannot hear, the sweep tells it again."""
    try:
        current_app.send_task("retraining.tasks.run_execute", args=[run_id], expires=MESSAGE_SECONDS)
    except (KombuError, RedisError, OSError) as error:
        log.warning("run_not_published", run=run_id, error=type(error).__name__)
        return
    TrainingRun.objects.filter(pk=run_id).update(published_at=Now())


@transaction.atomic
def run_cancel(*, run: TrainingRun, actor: Actor, reason: str = "") -> TrainingRun:
    """Stop a run: a queued one at once, a running one as soon as its process hears of it."""
    run = TrainingRun.objects.select_for_update(of=("self",)).select_related("project").get(pk=run.pk)
    if run.status == Status.QUEUED:
        TrainingRun.objects.filter(pk=run.pk).update(
            status=Status.CANCELLED, cancel_requested_at=Now(), ended_at=Now()
        )
    elif run.status == Status.RUNNING:
        if run.cancel_requested_at is not None:
            return run
        TrainingRun.objects.filter(pk=run.pk).update(cancel_requested_at=Now())
    else:
        raise RunEnded(status=run.get_status_display().lower())
    said = f"{actor.name} cancelled this run" + (f": {reason}" if reason else ".")
    TrainingRunEvent.objects.create(run=run, message=said)
    event_record(action="run.cancel", actor=actor, subject=run, chain=run.project.slug, reason=reason)
    run.refresh_from_db()
    return run


def runs_sweep() -> None:
    """Requeue or end the runs whose process died, and publish the queued ones that no worker has seen."""
    dead = TrainingRun.objects.filter(status=Status.RUNNING, lease_expires_at__lt=Now())
    for run_id in dead.values_list("pk", flat=True):
        _dead_run_settle(run_id)
    forgotten = Q(published_at=None) | Q(published_at__lt=Now() - timedelta(seconds=MESSAGE_SECONDS))
    for run_id in TrainingRun.objects.filter(forgotten, status=Status.QUEUED).values_list("pk", flat=True):
        run_publish(run_id=run_id)


@transaction.atomic
def _dead_run_settle(run_id: int) -> None:
    run = (
        TrainingRun.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("project")
        .filter(pk=run_id, status=Status.RUNNING, lease_expires_at__lt=Now())
        .first()
    )
    if run is None:  # its process renewed the lease after all, or another sweep was faster
        return
    run.lease_token = run.lease_expires_at = None
    if run.cancel_requested_at is not None:
        run.status, said = Status.CANCELLED, "Cancelled; its process is gone."
    elif run.attempts >= settings.RUN_MAX_ATTEMPTS:
        run.status, said = Status.FAILED, f"Its process died {run.attempts} times; giving up."
        run.error = said
    else:
        run.status, run.published_at = Status.QUEUED, None
        said = f"The process of attempt {run.attempts} is gone; queued again."
    run.save(update_fields=["status", "lease_token", "lease_expires_at", "error", "published_at"])
    TrainingRunEvent.objects.create(run=run, message=said)
    if run.status != Status.QUEUED:
        TrainingRun.objects.filter(pk=run.pk).update(ended_at=Now())
    if run.status == Status.FAILED:
        event_record(
            action="run.fail", actor=SYSTEM, subject=run, chain=run.project.slug, data={"error": said}
        )
