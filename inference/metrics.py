"""What the serving path counts. Label values come from closed lists only, never from callers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError
from prometheus_client import Counter, Gauge, Histogram

from inference.errors import Unavailable

PREDICTED = Counter("ner_texts_predicted", "Texts answered.", ["slot"])
FAILED = Counter("ner_predictions_failed", "Requests that were in order and could not be answered.")
SECONDS = Histogram(
    "ner_prediction_seconds",
    "Time to recognise and record one request.",
    ["kind"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
ENTITIES = Counter("ner_entities_found", "Entities in answers.")
LOAD_REFUSED = Counter("model_load_refused", "Bundles refused when loading them.", ["reason"])
OUTPUT_REFUSED = Counter("model_output_refused", "Answers of models withheld as impossible.")
LOADED = Gauge("ner_recognisers_loaded", "Recognisers in memory, all processes.", multiprocess_mode="livesum")
CACHED = Counter(
    "ner_cache",
    "Texts asked about, by whether the answer was remembered: in the process, and if not there, in Redis.",
    ["level", "outcome"],
)
CASCADED = Counter(
    "ner_cascade",
    "Texts that were asked of a cascade: kept by the fast version, handed on, kept because the better one "
    "failed, or answered without a cascade because none is measured.",
    ["outcome"],
)
RATE_LIMITED = Counter("ner_rate_limited", "Requests refused by the rate limit.")
RATE_DEGRADED = Counter(
    "ner_rate_limit_degraded", "Requests limited by this process alone, Redis being away."
)
STREAM_PASSED = Counter(
    "ner_stream_passed_by", "Predictions recorded at once instead of by the stream.", ["reason"]
)
STREAM_WRITTEN = Counter("ner_stream_written", "Predictions of the stream that became rows.")
STREAM_REFUSED = Counter(
    "ner_stream_refused",
    "Predictions of the stream that the database will never take: their project is gone.",
)


@contextmanager
def measured(kind: str) -> Iterator[None]:
    """Count and time one request; refusals that are the caller's doing are no failures."""
    with SECONDS.labels(kind=kind).time(), FAILED.count_exceptions((Unavailable, DatabaseError)):
        yield
