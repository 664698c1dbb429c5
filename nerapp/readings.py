"""What a version finds in an exam's texts, read when somebody looks."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from inference.engine import recogniser_for
from inference.models import ModelVersion
from ner.spans import Example, Span
from retraining.services.exams import Exam, latency_p95_ms

#: What was found last is kept: turning a page reads nothing again. It is places in texts, and no text.
_KEPT = 8
_readings: OrderedDict[str, Reading] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a version found, text by text, and how long the slowest twentieth of the texts took."""

    spans: Sequence[Sequence[Span]]
    p95_ms: float | None


def read(version: ModelVersion, exam: Exam, gold: Sequence[Example]) -> Reading:
    """Let a version read these texts of an exam. Raises BundleRefused or ModelLoading where it cannot."""
    key = _digest(version, exam, gold)
    with _lock:
        if key in _readings:
            _readings.move_to_end(key)
            return _readings[key]
    found = recogniser_for(version).predict_many([example.text for example in gold])
    reading = Reading(
        spans=[[span for span in one.spans if span.label in exam.labels] for one in found],
        p95_ms=latency_p95_ms(exam=exam, version=version),
    )
    with _lock:
        _readings[key] = reading
        while len(_readings) > _KEPT:
            _readings.popitem(last=False)
    return reading


def _digest(version: ModelVersion, exam: Exam, gold: Sequence[Example]) -> str:
    """Names the version, the labels that were asked for, and the very texts."""
    digest = hashlib.sha256(repr((version.pk, version.sha256, sorted(exam.labels))).encode())
    for example in gold:
        digest.update(repr(example.text).encode())
    return digest.hexdigest()
