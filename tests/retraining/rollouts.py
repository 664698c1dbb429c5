"""Rollouts under way, and what callers were answered meanwhile, made without a caller."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM, Actor
from corpus.models import Project
from inference.models import ApiKey, Deployment, ModelVersion, Prediction, ShadowTest
from inference.services import api_key_create
from retraining.models import Rollout
from retraining.services import rollout_policy_change, rollout_start, rollouts_check

MIA = Actor(ref="user:1", name="mia")


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


def plan(project: Project, **values: Any) -> None:
    """A policy in which a step takes 100 answers and no time."""
    quick = {"min_samples": 100, "min_seconds": 0, "watch_seconds": 0} | values
    rollout_policy_change(project=project, actor=MIA, **quick)


def begun(project: Project, version: ModelVersion, **values: Any) -> Rollout:
    """A rollout at its first step, begun ten minutes ago."""
    plan(project, **values)
    return backdated(rollout_start(project=project, version=version, actor=MIA, reason="better on pests"))


def backdated(rollout: Rollout) -> Rollout:
    """Its present step began ten minutes ago."""
    ago = timezone.now() - timedelta(minutes=10)
    Rollout.objects.filter(pk=rollout.pk).update(started_at=ago, step_started_at=ago)
    rollout.refresh_from_db()
    return rollout


def looked(rollout: Rollout) -> Rollout:
    """What a check made of it."""
    rollouts_check()
    rollout.refresh_from_db()
    return rollout


def shadowed(rollout: Rollout, *, compared: int = 200, agreement: float = 0.9, **more: Any) -> None:
    """What the shadow has read so far."""
    now = timezone.now()
    ShadowTest.objects.update_or_create(
        project=rollout.project,
        champion=rollout.champion,
        shadow=rollout.version,
        ended_at=None,
        defaults={
            "read_until": now,
            "compared": compared,
            "identical": 0,
            "agreement_sum": compared * agreement,
            **more,
        },
    )


def served(rollout: Rollout, *, count: int = 150, **more: Any) -> None:
    """What both arms answered in this step; at the last one the champion of before answers nobody."""
    if rollout.share < 100:
        answers_make(rollout.project, rollout.champion, "champion", count)
    answers_make(
        rollout.project, rollout.version, "champion" if rollout.share == 100 else "challenger", count, **more
    )


def slots(project: Project) -> dict[str, str]:
    """Which version stands where."""
    found = Deployment.objects.filter(project=project).select_related("version")
    return {one.slot: str(one.version) for one in found}


def actions() -> list[str]:
    """What the audit log says of rollouts."""
    found = AuditEvent.objects.filter(action__startswith="rollout.").order_by("number")
    return list(found.values_list("action", flat=True))


class Killed(BaseException):
    """A process that ends here."""


def killed(*_: Any, **__: Any) -> None:
    raise Killed
