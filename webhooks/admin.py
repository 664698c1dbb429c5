"""The back office of everything that tells somebody something."""

from webhooks import channel_admin, delivery_admin, webhook_admin  # noqa: F401  (they register their pages)
