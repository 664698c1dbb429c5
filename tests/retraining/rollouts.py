"""What callers were answered while a version was on its way to them, made without a caller."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from inference.models import ApiKey, ModelVersion, Prediction
from inference.services import api_key_create


def key_of(project: Project) -> ApiKey:
    """A caller's key."""
    found = ApiKey.objects.filter(project=project).first()
    return found or api_key_create(project=project, name="a caller", scopes=["predict"], actor=SYSTEM)[0]


def answers_make(
    project: Project,
    version: ModelVersion,
    slot: str,
    count: int,
    *,
    at: datetime | None = None,
    latency_ms: float = 5.0,
    confidence: float = 0.9,
    uncertainty: float = 0.05,
    label: str = "",
    **more: Any,
) -> None:
    """So many answers of a version in a slot, the last one at `at`; a quarter has no entity."""
    draw, key, at = random.Random(count), key_of(project), at or timezone.now()
    rows = []
    for _ in range(count):
        chosen = label or draw.choice(["per", "per", "geo", ""])
        span = {"start": 0, "end": 3, "label": chosen, "text": "Ada", "confidence": confidence}
        rows.append(
            Prediction(
                project=project,
                version=version,
                slot=slot,
                text=f"Ada {uuid.uuid4()}",
                spans=[span] if chosen else [],
                uncertainty=uncertainty,
                latency_ms=latency_ms,
                api_key=key,
                **more,
            )
        )
        rows[-1].pk = uuid.uuid4()
    Prediction.objects.bulk_create(rows)
    # `created_at` is set when a row is made.
    for number, row in enumerate(rows):
        row.created_at = at - timedelta(milliseconds=50 * number)
    Prediction.objects.bulk_update(rows, ["created_at"])
