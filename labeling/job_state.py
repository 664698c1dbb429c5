"""What a page or a caller is told of a job while it runs."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from labeling.models import ExportJob, ImportJob, JobStatus

#: The class of a status word (static/css/base.css).
STATES = {
    JobStatus.UPLOADED: "",
    JobStatus.QUEUED: "busy",
    JobStatus.RUNNING: "busy",
    JobStatus.CHECKED: "good",
    JobStatus.DONE: "good",
    JobStatus.FAILED: "bad",
    JobStatus.CANCELLED: "warn",
}


def job_words(job: ImportJob | ExportJob) -> str:
    """Where a job is, in words."""
    if job.status == JobStatus.QUEUED:
        return _("Waiting for a worker")
    if job.status != JobStatus.RUNNING:
        return str(job.get_status_display())
    if job.cancel_requested_at is not None:
        return _("Stopping")
    if isinstance(job, ExportJob):
        return _("Writing")
    return _("Checking") if job.phase == ImportJob.Phase.CHECK else _("Storing")


def job_state(job: ImportJob | ExportJob) -> dict[str, Any]:
    """The same as JSON, for a page that watches."""
    read = job.counts.get("read", 0)
    checking = isinstance(job, ImportJob) and job.phase == ImportJob.Phase.CHECK
    return {
        "status": job.status,
        "words": job_words(job),
        "state": STATES[JobStatus(job.status)],
        "is_active": job.is_active,
        "percent": None if checking else job.percent,
        "records": read if checking else job.position,
        "total": None if checking else job.total,
    }


def job_listed(job: ImportJob | ExportJob, *numbers: object, address: str = "") -> dict[str, Any]:
    """One line of a list of jobs; without an address it leads nowhere."""
    words, state = job_words(job), STATES[JobStatus(job.status)]
    return {"job": job, "words": words, "state": state, "numbers": numbers, "address": address}
