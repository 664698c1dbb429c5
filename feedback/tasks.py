"""What feedback needs done in the background."""

from __future__ import annotations

from celery import shared_task


@shared_task
def summaries_update() -> None:
    """Count what people decided since the last time."""
    from feedback.services import summaries_update as update

    update()


@shared_task
def quality_update() -> None:
    """Estimate how good live answers are from what was reviewed since the last time."""
    from feedback.services import quality_update as update

    update()
