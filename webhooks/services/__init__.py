"""What can be done with webhooks, and what the workers do for them."""

from webhooks.services.channels import (
    channel_change,
    channel_create,
    planned_change_create,
    planned_change_end,
)
from webhooks.services.deliveries import (
    deliveries_forget,
    delivery_resend,
    webhook_publish,
    webhook_test,
    webhook_turn,
    webhooks_wake,
)
from webhooks.services.endpoints import (
    webhook_change,
    webhook_create,
    webhook_rotate,
    webhook_switch_off,
    webhook_switch_on,
)
from webhooks.services.events import events_take

__all__ = [
    "channel_change",
    "channel_create",
    "deliveries_forget",
    "delivery_resend",
    "events_take",
    "planned_change_create",
    "planned_change_end",
    "webhook_change",
    "webhook_create",
    "webhook_publish",
    "webhook_rotate",
    "webhook_switch_off",
    "webhook_switch_on",
    "webhook_test",
    "webhook_turn",
    "webhooks_wake",
]
