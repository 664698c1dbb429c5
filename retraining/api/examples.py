"""Requests about experiments and rollouts with their answers, for OpenAPI; a test asks them all."""

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
            {"slot": "champion", "version": "flagship@1", "share": 50.0, "dropped_at": None, "measured": {}},
            {
                "slot": "challenger",
                "version": "flagship@2",
                "share": 50.0,
                "dropped_at": None,
                "measured": {},
            },
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


_PLAN = {
    "steps": [0.0, 5.0, 10.0, 25.0, 50.0, 100.0],
    "approval": "never",
    "min_samples": 500,
    "min_seconds": 600,
    "min_reviews": 0,
    "watch_seconds": 1800,
    "shadow_percent": 25.0,
    "max_error_rate": 0.01,
    "max_p95_ms": 200.0,
    "max_p99_ms": 500.0,
    "min_agreement": 0.5,
    "max_low_confidence_rise": 0.15,
    "max_label_drift": 0.25,
    "max_edit_rate_rise": 0.05,
}


def _event(kind: str, reason: str, **changed: Any) -> dict[str, Any]:
    told = {"at": "2026-11-26T09:20:41.120000Z", "kind": kind, "by": "reader", "reason": reason}
    return {**told, "share_before": 0.0, "share": 0.0, "findings": [], **changed}


def _rollout(*events: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A rollout in the shadow after some events; the first is its start."""
    return {
        "id": 3,
        "version": "flagship@2",
        "champion": "flagship@1",
        "status": "active",
        "share": 0.0,
        "steps": _PLAN["steps"],
        "next_share": 5.0,
        "reason": "It passed the gate.",
        "outcome": "",
        "waits_for": "",
        "seconds_left": None,
        "generation": 1 + len(events),
        "started_by": "reader",
        "started_at": "2026-11-26T09:20:41.120000Z",
        "step_started_at": "2026-11-26T09:20:41.120000Z",
        "checked_at": None,
        "ended_at": None,
        "plan": _PLAN,
        "findings": [],
        "events": [_event("start", "It passed the gate."), *events],
        **changed,
    }


ROLL_OUT = exchange(
    "From the shadow to all callers",
    asked={"version": "flagship@2", "reason": "It passed the gate."},
    answered=_rollout(),
    status=201,
)
PAUSE = exchange(
    "Nobody is here at night",
    asked={"reason": "Until tomorrow morning."},
    answered=_rollout(_event("pause", "Until tomorrow morning."), status="paused"),
)
RESUME = exchange(
    "Go on",
    asked={"reason": "Good morning."},
    answered=_rollout(_event("pause", "Until tomorrow."), _event("resume", "Good morning.")),
)
APPROVE = exchange(
    "To 5 % of the callers",
    asked={"reason": "The disagreements are its improvements."},
    answered=_rollout(
        _event("ask", "A person approves 5 %.", by="nerapp"),
        _event("approve", "The disagreements are its improvements."),
        _event("advance", "reader approved it", share=5.0),
        share=5.0,
        next_share=10.0,
    ),
)
TAKE_BACK = exchange(
    "One click",
    asked={"reason": "Customers complain."},
    answered=_rollout(
        _event("roll_back", "Customers complain."),
        status="rolled_back",
        next_share=None,
        outcome="Customers complain.",
        ended_at="...",
    ),
)
