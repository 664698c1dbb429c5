"""Forgetting counts of long ago."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from inference.models import ArmFailure, ArmUnkept

KEPT = timedelta(days=30)


def arm_failures_forget() -> int:
    """Remove counts that nothing is judged by any more; returns how many."""
    old = {"at__lt": Now() - KEPT}
    return sum(model.objects.filter(**old).delete()[0] for model in (ArmFailure, ArmUnkept))
