"""Requests and what they are answered with, for the OpenAPI document.

The answers are those of the bundled flagship in the demo project; a test sends each request and compares.
"""

from __future__ import annotations

from typing import Any

from inference.wire import exchange

_TEXT = "Ada Lovelace moved to London in 1835."
_REQUEST, _PREDICTION = "fb6f15792f6540c39b4e43dc3426f68d", "f1532274-e0cc-4ad9-8921-61271034b4b2"
_CHAMPION = {"requested": "auto", "slot": "champion", "reason": "the project's champion"}
_MODEL = {"model_used": "flagship", "model_version": "flagship@1", "f1_score": 0.8481}


def _entity(text: str, kind: str, start: int, confidence: float) -> dict[str, Any]:
    return {"text": text, "type": kind, "start": start, "end": start + len(text), "confidence": confidence}


def _word(word: str, tag: str, start: int, confidence: float) -> dict[str, Any]:
    return {"word": word, "tag": tag, "start": start, "end": start + len(word), "confidence": confidence}


_FOUND = [
    _entity("Ada Lovelace", "per", 0, 0.9604),
    _entity("London", "geo", 22, 0.9812),
    _entity("1835", "tim", 32, 0.9908),
]

PREDICT = [
    *exchange(
        "A text",
        asked={"text": _TEXT},
        answered={
            "predictions": [
                _word("Ada", "B-per", 0, 0.9695),
                _word("Lovelace", "I-per", 4, 0.9604),
                _word("moved", "O", 13, 0.9999),
                _word("to", "O", 19, 0.9998),
                _word("London", "B-geo", 22, 0.9815),
                _word("in", "O", 29, 0.9956),
                _word("1835", "B-tim", 32, 0.9909),
                _word(".", "O", 36, 0.9999),
            ],
            "entities": _FOUND,
            **_MODEL,
            "routing_decision": _CHAMPION,
            "offset_unit": "codepoint",
            "processing_time_ms": 4.936,
            "request_id": _REQUEST,
            "prediction_id": _PREDICTION,
            "warnings": [],
        },
    ),
    *exchange(
        "For JavaScript, not kept, with the time it took",
        asked={
            "text": "\U0001f600 Ada Lovelace moved to London.",
            "output_format": "entities_only",
            "offset_unit": "utf16",
            "include_metrics": True,
            "store": False,
        },
        answered={
            "entities": [
                _entity("Ada Lovelace", "per", 3, 0.9623),
                _entity("London", "geo", 25, 0.9868),
            ],
            **_MODEL,
            "routing_decision": _CHAMPION,
            "offset_unit": "utf16",
            "processing_time_ms": 4.936,
            "request_id": _REQUEST,
            "prediction_id": None,
            "warnings": [],
            "metrics": {
                "routing_ms": 0.096,
                "recognition_ms": 4.661,
                "recording_ms": 0.095,
                "p50_ms": 1.771,
                "p95_ms": 5.706,
            },
        },
    ),
    *exchange(
        "A word and its tag a line",
        asked={"text": _TEXT, "output_format": "iob"},
        answered={
            "iob": "Ada B-per\nLovelace I-per\nmoved O\nto O\nLondon B-geo\nin O\n1835 B-tim\n. O\n",
            **_MODEL,
            "routing_decision": _CHAMPION,
            "offset_unit": "codepoint",
            "processing_time_ms": 4.936,
            "request_id": _REQUEST,
            "prediction_id": _PREDICTION,
            "warnings": [],
        },
    ),
]

ROUTE = exchange(
    "In time and good enough",
    asked={"text": _TEXT, "max_latency_ms": 5000, "min_accuracy": 0.8, "output_format": "entities_only"},
    answered={
        "entities": _FOUND,
        **_MODEL,
        "routing_decision": {
            "requested": "auto",
            "slot": "champion",
            "reason": "the best F1 of those that meet what was asked for",
            "selected_model": "flagship@1",
            "strategy": "intelligent",
            "p50_ms": 1.771,
            "p95_ms": 5.706,
            "alternatives_considered": [],
            "decision_time_ms": 0.171,
        },
        "offset_unit": "codepoint",
        "processing_time_ms": 5.414,
        "request_id": _REQUEST,
        "prediction_id": _PREDICTION,
        "warnings": [],
        "sla_met": True,
    },
)


def _item(index: int, name: str, *entities: dict[str, Any]) -> dict[str, Any]:
    return {
        "entities": list(entities),
        "index": index,
        "id": name,
        "status": "ok",
        "model_version": "flagship@1",
        "prediction_id": _PREDICTION,
        "processing_time_ms": 0.75,
    }


BATCH = exchange(
    "Two texts and a bad one",
    asked={
        "texts": [
            "Ada Lovelace moved to London.",
            {"id": "b", "text": "Grace Hopper left Boston."},
            {"id": "c", "text": ""},
        ],
        "output_format": "entities_only",
    },
    answered={
        "batch_id": "234ae051-ab12-4010-a69b-ce7514c33b74",
        "results": [
            _item(0, "0", _entity("Ada Lovelace", "per", 0, 0.9655), _entity("London", "geo", 22, 0.9866)),
            _item(1, "b", _entity("Grace Hopper", "per", 0, 0.7174), _entity("Boston", "geo", 18, 0.9816)),
            {
                "index": 2,
                "id": "c",
                "status": "error",
                "model_version": None,
                "prediction_id": None,
                "processing_time_ms": 0.0,
                "error": {"code": "empty_text", "detail": "The text is empty.", "pointer": "/texts/2/text"},
            },
        ],
        "count": 3,
        "failed": 1,
        "models_used": ["flagship@1"],
        "average_confidence": 0.9128,
        "routing_decision": _CHAMPION,
        "offset_unit": "codepoint",
        "f1_score": 0.8481,
        "processing_time_ms": 7.776,
        "average_time_ms": 2.592,
        "request_id": _REQUEST,
        "warnings": [],
    },
)

TOKEN = exchange(
    "For five minutes, to predict",
    asked={"seconds": 300, "scopes": ["predict"]},
    answered={"access_token": "eyJhbGciOi...", "expires_in": 300, "scope": "predict", "token_type": "Bearer"},
)
