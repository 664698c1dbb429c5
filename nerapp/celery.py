"""The Celery application. Queues: `default`, `predict`, and `train` (one training at a time)."""

from __future__ import annotations

import os

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nerapp.settings")

app = Celery("nerapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

from nerapp import heartbeat  # noqa: E402, F401  (its signal receivers; it needs the settings named above)


@signals.setup_logging.connect
def keep_our_logging(**_: object) -> None:
    """Having a receiver keeps Celery from replacing the logging that the settings set up."""
