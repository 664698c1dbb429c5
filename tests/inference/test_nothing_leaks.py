"""Texts and keys stay out of logs, metrics and messages; what counts callers has few labels."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from inference.models import ApiKey, ModelVersion
from tests.inference.conftest import Post

CANARY = "Zx-CANARY-4711"


def test_no_text_and_no_key_reaches_logs_or_metrics(
    post: Post,
    get: Post,
    client: Client,
    champion: ModelVersion,
    key: tuple[ApiKey, str],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.raise_request_exception = False
    bodies: list[Any] = [
        {"text": CANARY},
        {"text": CANARY, "model": CANARY},
        {"text": CANARY, "output_format": CANARY},
        {"text": f"{CANARY}\x00"},
        {CANARY: 1, "text": CANARY},
    ]
    for body in bodies:
        post("predict", body)
        post("predict/batch", {"texts": [body]})
    prediction_id = post("predict", {"text": CANARY}).json()["prediction_id"]
    span = {"start": 0, "end": 3, "label": "per", "text": CANARY}
    post("feedback", {"prediction_id": prediction_id, "spans": [span]})

    def broken(**_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("inference.api.predict.choose", broken)
    assert post("predict", {"text": CANARY}).status_code == 500

    metrics = get("metrics").content.decode()
    told = capfd.readouterr()
    everything = metrics + told.out + told.err + caplog.text
    assert "ner_prediction_seconds" in metrics
    assert CANARY not in everything
    assert key[1] not in everything


def test_no_caller_can_make_new_series_in_the_metrics(post: Post, get: Post, champion: ModelVersion) -> None:
    def series() -> int:
        lines = get("metrics").content.decode().splitlines()
        return sum(line.startswith(("ner_", "model_")) for line in lines)

    post("predict", {"text": "Ann"})
    before = series()
    for number in range(30):
        post("predict", {"text": "Ann", "model": f"family{number}", "language": "en"})
    assert series() == before
