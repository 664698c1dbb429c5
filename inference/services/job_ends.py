"""How a bulk prediction ends. Each is said by whoever holds the job's row, and told to the audit log."""

from __future__ import annotations

import uuid
from functools import partial

from django.db import transaction
from django.db.models.functions import Now

from audit.services import Actor, event_record
from inference.errors import JobEnded
from inference.models import ApiKey, PredictionJob
from inference.services.job_files import files_remove, upload_remove

Status = PredictionJob.Status


def job_finish(job: PredictionJob) -> None:
    """All is answered. The caller has locked the row."""
    _end(job, Status.DONE, "job.finish", _asker(job))
    transaction.on_commit(partial(upload_remove, job.pk))


@transaction.atomic
def job_fail(*, job_id: uuid.UUID, code: str, error: str) -> None:
    """The job cannot be done, whoever tries. One that has ended already stays as it is."""
    job = _locked(job_id)
    if job.is_active:
        _end(job, Status.FAILED, "job.fail", _asker(job), code=code, error=error)
        transaction.on_commit(partial(files_remove, job.pk))


@transaction.atomic
def job_cancel(*, job: PredictionJob, api_key: ApiKey) -> PredictionJob:
    """Stop a job, whose result nobody will get; JobEnded when there is nothing left to stop.

    Who works on a chunk of it hears of it at the next sign of life, and can hand in nothing.
    """
    locked = _locked(job.pk)
    if not locked.is_active:
        raise JobEnded(status=str(locked.get_status_display()).lower())
    _end(locked, Status.CANCELLED, "job.cancel", Actor.of_key(api_key.pk, api_key.name))
    transaction.on_commit(partial(files_remove, locked.pk))
    locked.refresh_from_db()
    return locked


def _locked(job_id: uuid.UUID) -> PredictionJob:
    jobs = PredictionJob.objects.select_for_update(of=("self",), no_key=True)
    return jobs.select_related("project", "api_key", "version").get(pk=job_id)


def _asker(job: PredictionJob) -> Actor:
    return Actor.of_key(job.api_key.pk, job.api_key.name)


def _end(
    job: PredictionJob, status: str, action: str, actor: Actor, *, code: str = "", error: str = ""
) -> None:
    PredictionJob.objects.filter(pk=job.pk).update(
        status=status, error_code=code, error=error, ended_at=Now()
    )
    job.refresh_from_db(fields=["lines", "failed"])
    event_record(
        action=action,
        actor=actor,
        subject=job,
        chain=job.project.slug,
        reason=error,
        data={"sha256": job.sha256, "version": str(job.version), "lines": job.lines, "failed": job.failed},
    )
