"""What keeps an import or export alive: its lease, its message, and the sweep that finds dead ones."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from audit.services import SYSTEM, Actor, event_record
from corpus.errors import DomainError
from inference.errors import JobEnded
from inference.models import ApiKey
from inference.services.leases import MESSAGE_SECONDS, Lease, LeaseLost, lease_end, task_publish
from labeling.models import ExportJob, ImportJob, JobStatus, TransferJob
from ner.errors import FormatError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)

J = TypeVar("J", ImportJob, ExportJob)

#: So often a job may lose its process without getting any further.
MAX_ATTEMPTS = 5


class Cancelled(Exception):
    """Somebody asked the job to stop."""


class JobLease(Lease[J]):
    """The right to write to one running job."""

    @classmethod
    def claim(cls, model: type[J], pk: uuid.UUID) -> JobLease[J] | None:
        """Take a queued job; None when somebody else has it, or it has ended."""
        token, seconds = uuid.uuid4(), settings.TRANSFER_LEASE_SECONDS
        claimed = model.objects.filter(pk=pk, status=JobStatus.QUEUED).update(
            status=JobStatus.RUNNING,
            lease_token=token,
            lease_expires_at=lease_end(seconds),
            attempts=F("attempts") + 1,
            started_at=Coalesce("started_at", Now()),
            ended_at=None,
        )
        return cls(model, pk, token, seconds) if claimed else None

    def beat(self, **values: Any) -> None:
        """Call it often: now and then it writes, and raises Cancelled when somebody asked for that."""
        beaten_at = self.beaten_at
        super().beat(**values)
        if self.beaten_at != beaten_at:
            self.cancel_check()

    def cancel_check(self) -> None:
        """Raise Cancelled when somebody asked the job to stop."""
        if self.model.objects.filter(pk=self.pk, cancel_requested_at__isnull=False).exists():
            raise Cancelled

    @contextlib.contextmanager
    def holding(self) -> Iterator[J]:
        """A transaction in which the row is locked and ours; LeaseLost when it is not."""
        with transaction.atomic():
            job = (
                self.held()
                .select_for_update(of=("self",), no_key=True)
                .select_related("project", "requested_by", "api_key")
                .first()
            )
            if job is None:
                raise LeaseLost
            yield job


@contextlib.contextmanager
def job_work(lease: JobLease[J], *, undo: Callable[[J], None] | None = None) -> Iterator[None]:
    """Whatever ends the work inside ends its job, with a code and words; `undo` hears of a job that failed.

    Only a lost database is raised: it leaves the row as it is, and the sweep queues it again.
    """
    kind, pk = _kind(lease.model), str(lease.pk)
    status, code, error = JobStatus.FAILED, "", ""
    try:
        yield
        return
    except LeaseLost:
        log.warning(f"{kind}_lease_lost", job=pk)
        return
    except (OperationalError, InterfaceError):
        log.warning(f"{kind}_interrupted", job=pk)
        raise
    except Cancelled:
        status = JobStatus.CANCELLED
    except FormatError as problem:
        code, error = problem.code, str(problem)
    except DomainError as problem:
        code, error = problem.code, problem.detail
    except OSError as problem:
        code, error = "disk", f"The file could not be read or written here: {problem.strerror}."
    except Exception:
        log.exception(f"{kind}_failed", job=pk)
        code, error = "internal_error", "Something went wrong here; it was logged."
    try:
        with lease.holding() as job:
            is_told = status == JobStatus.FAILED and not (isinstance(job, ImportJob) and job.is_dry_run)
            job_end(job, status=status, action=f"{kind}.fail" if is_told else "", code=code, error=error)
    except LeaseLost:
        log.warning(f"{kind}_lease_lost", job=pk)
        return
    if undo is not None:
        undo(job)


def asker_of(user: User | None, api_key: ApiKey | None) -> Actor:
    """Who asked for a job: a person, a key, or nerapp itself where a command did."""
    if user is not None:
        return Actor.of_user(user)
    return Actor.of_key(api_key.pk, api_key.name) if api_key is not None else SYSTEM


def actor_of(job: TransferJob) -> Actor:
    """Who acts for a job, in the audit log."""
    return asker_of(job.requested_by, job.api_key)


def job_end(
    job: ImportJob | ExportJob,
    *,
    status: str,
    action: str,
    code: str = "",
    error: str = "",
    data: dict[str, Any] | None = None,
) -> None:
    """Close a row that the caller has locked, and tell the audit log in the same transaction."""
    job.status, job.error_code, job.error = status, code, error
    job.lease_token = job.lease_expires_at = None
    job.save(update_fields=["status", "error_code", "error", "lease_token", "lease_expires_at"])
    type(job).objects.filter(pk=job.pk).update(ended_at=Now())
    if action:
        event_record(
            action=action,
            actor=actor_of(job),
            subject=job,
            chain=job.project.slug,
            reason=error,
            data={"counts": job.counts, "sha256": job.sha256, "format": job.format, **(data or {})},
        )


@transaction.atomic
def job_cancel(*, job: J, actor: Actor) -> J:
    """Stop a job: a queued one at once, a running one as soon as its process hears of it."""
    model, kind = type(job), _kind(type(job))
    locked: J = model.objects.select_for_update(of=("self",)).select_related("project").get(pk=job.pk)
    if locked.status == JobStatus.RUNNING:
        if locked.cancel_requested_at is None:
            model.objects.filter(pk=job.pk).update(cancel_requested_at=Now())
    elif locked.status in (JobStatus.QUEUED, JobStatus.UPLOADED, JobStatus.CHECKED):
        model.objects.filter(pk=job.pk).update(
            status=JobStatus.CANCELLED, cancel_requested_at=Now(), ended_at=Now()
        )
    else:
        raise JobEnded(status=str(locked.get_status_display()).lower())
    event_record(action=f"{kind}.cancel", actor=actor, subject=locked, chain=locked.project.slug)
    locked.refresh_from_db()
    return locked


def job_publish(*, model: type[ImportJob] | type[ExportJob], pk: uuid.UUID) -> None:
    """Tell the broker about a queued job. When it cannot hear, the sweep tells it again."""
    if task_publish(f"labeling.tasks.{_kind(model)}_run", pk):
        model.objects.filter(pk=pk).update(published_at=Now())


def jobs_sweep() -> None:
    """Requeue or end the jobs whose process died, and publish the queued ones that no worker has seen."""
    forgotten = Q(published_at=None) | Q(published_at__lt=Now() - timedelta(seconds=MESSAGE_SECONDS))
    for model in (ImportJob, ExportJob):
        dead = model.objects.filter(status=JobStatus.RUNNING, lease_expires_at__lt=Now())
        for pk in dead.values_list("pk", flat=True):
            _dead_job_settle(model, pk)
        waiting = model.objects.filter(forgotten, status=JobStatus.QUEUED)
        for pk in waiting.values_list("pk", flat=True):
            job_publish(model=model, pk=pk)


@transaction.atomic
def _dead_job_settle(model: type[ImportJob] | type[ExportJob], pk: uuid.UUID) -> None:
    job = (
        model.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("project", "requested_by", "api_key")
        .filter(pk=pk, status=JobStatus.RUNNING, lease_expires_at__lt=Now())
        .first()
    )
    if job is None:  # its process renewed the lease after all, or another sweep was faster
        return
    if job.cancel_requested_at is not None:
        job_end(job, status=JobStatus.CANCELLED, action="", error="Cancelled; its process is gone.")
    elif job.attempts >= MAX_ATTEMPTS:
        said = f"Its process died {job.attempts} times at the same place; giving up."
        job_end(job, status=JobStatus.FAILED, action=f"{_kind(model)}.fail", code="process_died", error=said)
    else:
        model.objects.filter(pk=pk).update(
            status=JobStatus.QUEUED, lease_token=None, lease_expires_at=None, published_at=None
        )


def _kind(model: type[ImportJob] | type[ExportJob]) -> str:
    return "import" if model is ImportJob else "export"
