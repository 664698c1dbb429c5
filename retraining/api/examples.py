"""Requests about experiments with their answers, for the OpenAPI document; a test asks them all."""

from __future__ import annotations

from typing import Any

from inference.wire import exchange

_DRAFT: dict[str, Any] = {
    "question": "Does flagship@2 need fewer edits?",
    "arms": [{"version": "flagship@2", "share": 50.0}],
}


def _told(**changed: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "question": "Does flagship@2 need fewer edits?",
        "status": "draft",
        "outcome": "",
        "verdict": ["It has not been started: nobody is answered differently yet."],
        "by": "subject",
        "metric": "edit_rate",
        "effect": 0.03,
        "alpha": 0.05,
        "power": 0.8,
        "max_days": 28,
        "promotes_winner": False,
        "arms": [
            {"slot": "champion", "version": "flagship@1", "share": 50.0, "measured": {}},
            {"slot": "challenger", "version": "flagship@2", "share": 50.0, "measured": {}},
        ],
        "comparisons": [],
        "reviews": 0,
        "reviews_needed": None,
        "sample_ratio_p": None,
        "looked_at": None,
        "winner": None,
        "created_at": "2026-11-26T09:20:41.120000Z",
        "started_at": None,
        "ended_at": None,
        "promoted_at": None,
        **changed,
    }


_RUNNING = {"status": "running", "started_at": "..."}
_STOPPED = {**_RUNNING, "status": "ended", "outcome": "stopped", "ended_at": "..."}

CREATE = exchange("Half of the callers", asked=_DRAFT, answered=_told(), status=201)
ESTIMATE = exchange(
    "How long it would take",
    asked=_DRAFT,
    answered={
        "total": 2874,
        "per_arm": 1437,
        "answers_per_day": 410.5,
        "reviews_per_day": 0.0,
        "days": None,
        "is_assumed": True,
        "is_by_few": False,
    },
)
START = exchange(
    "Deal the callers out",
    asked={"reason": "The gate saw no difference."},
    answered=_told(**_RUNNING, verdict=["It has just begun; the first look comes within a minute or two."]),
)
STOP = exchange(
    "Seen enough",
    asked={"reason": "Seen enough."},
    answered=_told(**_STOPPED, verdict=["It was stopped by hand, without a decision.", "Seen enough."]),
)
CONCLUDE = exchange(
    "Keep the champion",
    asked={"version": "flagship@1", "reason": "It is as good and twice as fast."},
    answered=_told(
        **_STOPPED,
        verdict=["It was stopped by hand, without a decision.", "It is as good and twice as fast."],
    ),
)
