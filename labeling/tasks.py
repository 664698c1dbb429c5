"""What the queue needs done in the background."""

from __future__ import annotations

from celery import shared_task


@shared_task
def queue_fill() -> None:
    """Fill the queue of every project."""
    from corpus.models import Project
    from labeling.services import queue_fill as fill

    for project in Project.objects.order_by("pk"):
        fill(project=project, limit=2_000)
