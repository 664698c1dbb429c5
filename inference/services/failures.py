"""Forgetting answers that were missed long ago."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from inference.models import ArmFailure

KEPT = timedelta(days=30)


def arm_failures_forget() -> int:
    """Remove counts that nothing is judged by any more; returns how many."""
    count, _ = ArmFailure.objects.filter(at__lt=Now() - KEPT).delete()
    return count
