"""What the queue needs done in the background."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task


@shared_task
def queue_fill() -> None:
    """Fill the queue of every project."""
    from labeling.services import queues_fill

    queues_fill()


@shared_task
def traffic_take() -> None:
    """Read what callers were answered, and queue what should be reviewed."""
    from labeling.services.traffic import traffic_take_all

    traffic_take_all()


@shared_task
def tallies_compact() -> None:
    """Add up the changes of counters."""
    from labeling.services.tallies import tallies_compact as compact

    compact()


@shared_task
def import_run(job_id: str) -> None:
    """Check and store one queued import."""
    from labeling.services import import_run as run

    run(job_id=UUID(job_id))


@shared_task
def export_run(job_id: str) -> None:
    """Write one queued export."""
    from labeling.services import export_run as run

    run(job_id=UUID(job_id))


@shared_task
def jobs_sweep() -> None:
    """Requeue dead imports and exports; publish queued ones that the broker lost."""
    from labeling.services import jobs_sweep as sweep

    sweep()


@shared_task
def files_sweep() -> None:
    """Remove the files of old imports and exports."""
    from labeling.services import files_sweep as sweep

    sweep()
