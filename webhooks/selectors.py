"""Questions about who is told what."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max
from django.db.models.functions import Now

from corpus.models import Project
from webhooks.models import Attempt, PlannedChange, Webhook


def quiet_until(project: Project) -> datetime | None:
    """Until when a project's channels keep quiet; None where they do not."""
    changes = PlannedChange.objects.filter(project=project, begins_at__lte=Now(), ends_at__gt=Now())
    until: datetime | None = changes.aggregate(until=Max("ends_at"))["until"]
    return until


def last_failure(webhook: Webhook) -> Attempt | None:
    """Its last try that failed; None where none did."""
    ended_well_or_not_at_all = (Attempt.Outcome.OK, Attempt.Outcome.STARTED)
    tries = Attempt.objects.filter(delivery__webhook=webhook).exclude(outcome__in=ended_well_or_not_at_all)
    return tries.order_by("-pk").first()
