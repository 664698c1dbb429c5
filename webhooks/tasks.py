"""What the workers do for webhooks."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task


@shared_task
def webhooks_wake() -> None:
    """Read what there is to tell, and wake a worker where something is due."""
    from webhooks.services import webhooks_wake as wake

    wake()


@shared_task
def webhook_turn(webhook_id: str) -> None:
    """Send what is due to one webhook."""
    from webhooks.services import webhook_turn as turn

    turn(webhook_id=UUID(webhook_id))


@shared_task
def deliveries_forget() -> None:
    """Remove deliveries that ended long ago."""
    from webhooks.services import deliveries_forget as forget

    forget()
