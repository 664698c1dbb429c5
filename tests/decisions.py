"""Reviews at known times with known decisions: what is counted from them can be said by heart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from corpus.models import Project
from feedback.models import Correction, Stratum
from feedback.services import correction_submit
from inference.models import ModelVersion, Prediction
from tests.factories import document_make

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
TEXT = "Ada Lovelace moved to London in 1835."
ADA = {"start": 0, "end": 12, "label": "per"}
LONDON = {"start": 22, "end": 28, "label": "geo"}
MACHINE = [
    {**ADA, "text": "Ada Lovelace", "confidence": 0.96},
    {"start": 22, "end": 28, "label": "org", "text": "London", "confidence": 0.61},
    {"start": 32, "end": 36, "label": "tim", "text": "1835", "confidence": 1.0},
]

Review = Callable[..., Correction]


@pytest.fixture
def version(db: None) -> ModelVersion:
    return ModelVersion.objects.create(name="tiny", number=1, family="baseline", origin="bundled", sha256="x")


@pytest.fixture
def review(project: Project, version: ModelVersion, ana: User, monkeypatch: pytest.MonkeyPatch) -> Review:
    """Store one review at a moment, of a text of its own: Ada kept, London relabelled, 1835 rejected."""
    numbers = iter(range(10_000))

    def call(at: datetime, *, spans: list[Any] | None = None, **changed: Any) -> Correction:
        number = next(numbers)
        document = changed.pop("document", None) or document_make(project, f"{TEXT} {number}")
        prediction = changed.pop("prediction", "none yet")
        if prediction == "none yet":
            prediction = Prediction.objects.create(
                project=project,
                version=version,
                document=document,
                spans=MACHINE,
                uncertainty=0.5,
                latency_ms=1.0,
            )
        arguments: dict[str, Any] = {
            "document": document,
            "spans": [ADA, LONDON] if spans is None else spans,
            "base_number": 0,
            "author": ana,
            "prediction": prediction,
            "stratum": Stratum.UNCERTAIN,
            "milliseconds": 6_000,
            "idempotency_key": f"key-{number}",
            "decisions_ms": {"22:28:org": 900},
        }
        with monkeypatch.context() as then:
            then.setattr(timezone, "now", lambda: at)
            return correction_submit(**(arguments | changed))

    return call
