"""What bulk prediction needs done in the background."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task


@shared_task
def job_work(job_id: str) -> None:
    """Answer what waits of a job."""
    from inference.services.jobs import job_work as work

    work(job_id=UUID(job_id))


@shared_task
def jobs_sweep() -> None:
    """Give back chunks of dead workers; wake workers for what waits."""
    from inference.services.jobs import jobs_sweep as sweep

    sweep()


@shared_task
def shadows_read() -> None:
    """Let shadows read what champions answered."""
    from inference.services.shadows import shadows_read as read

    read()


@shared_task
def shadow_comparisons_forget() -> None:
    """Remove comparisons with shadows that are too old to look at."""
    from inference.services.shadows import comparisons_forget as forget

    forget()


@shared_task
def arm_failures_forget() -> None:
    """Remove counts of missed answers that are too old to judge anything by."""
    from inference.services.failures import arm_failures_forget as forget

    forget()


@shared_task
def job_files_sweep() -> None:
    """Remove the files of jobs that ended long ago."""
    from inference.services.job_files import files_sweep as sweep

    sweep()
