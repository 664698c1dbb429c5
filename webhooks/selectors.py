"""Questions about who is told what."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max
from django.db.models.functions import Now

from corpus.models import Project
from webhooks.models import PlannedChange


def quiet_until(project: Project) -> datetime | None:
    """Until when a project's channels keep quiet; None where they do not."""
    changes = PlannedChange.objects.filter(project=project, begins_at__lte=Now(), ends_at__gt=Now())
    until: datetime | None = changes.aggregate(until=Max("ends_at"))["until"]
    return until
