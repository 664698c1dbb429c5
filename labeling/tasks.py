"""What the queue needs done in the background."""

from __future__ import annotations

from celery import shared_task


@shared_task
def queue_fill() -> None:
    """Fill the queue of every project."""
    from labeling.services import queues_fill

    queues_fill()


@shared_task
def tallies_compact() -> None:
    """Add up the changes of counters."""
    from labeling.services.tallies import tallies_compact as compact

    compact()
