"""Which events of the audit log are told, as what: ids and numbers, never a text or a person's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from audit.models import AuditEvent
from webhooks.models import EventKind

#: So many events, and so many predictions, are made deliveries at once.
STEP = 500

Data = dict[str, Any]


def _id_in(subject: str) -> str:
    return subject.rpartition(":")[2]


def _corrected(event: AuditEvent) -> Data:
    told = ("document", "number", "prediction", "stratum", "spans", "decisions")
    return {"correction": _id_in(event.subject), **{name: event.data.get(name) for name in told}}


def _promoted(event: AuditEvent) -> Data | None:
    if event.data.get("slot", "champion") != "champion":
        return None
    return {
        "from": event.data.get("from"),
        "to": event.data.get("to"),
        "generation": event.data.get("generation"),
        "rolled_back": event.action == "version.roll_back",
    }


def _trained(event: AuditEvent) -> Data:
    return {
        "run": int(_id_in(event.subject)),
        "status": "done" if event.action == "run.finish" else "failed",
        "candidate": event.data.get("candidate"),
        "passed": event.data.get("passed"),
    }


def _judged(event: AuditEvent) -> Data:
    told = ("run", "candidate", "passed", "difference", "refused")
    return {name: event.data.get(name) for name in told}


def _moved_on(event: AuditEvent) -> Data:
    told = ("version", "champion", "status", "share_before", "share", "next_share")
    return {
        "rollout": int(_id_in(event.subject)),
        "change": event.action.partition(".")[2],
        **{name: event.data.get(name) for name in told},
    }


def _taken_back(event: AuditEvent) -> Data:
    broken = [found for found in event.data.get("findings", ()) if found["state"] == "broken"]
    return {
        "rollout": int(_id_in(event.subject)),
        **{name: event.data.get(name) for name in ("version", "champion", "share_before")},
        "broken": [{name: found[name] for name in ("code", "value", "limit")} for found in broken],
    }


def _dropped(event: AuditEvent) -> Data:
    return {
        "experiment": int(_id_in(event.subject)),
        **{name: event.data.get(name) for name in ("version", "slot", "share")},
    }


def _concluded(event: AuditEvent) -> Data:
    return {
        "experiment": int(_id_in(event.subject)),
        **{name: event.data.get(name) for name in ("outcome", "winner")},
    }


def _drifted(event: AuditEvent) -> Data:
    return {
        "report": int(_id_in(event.subject)),
        **{name: event.data.get(name) for name in ("version", "texts", "drifted")},
    }


#: Which audit events are told, as what, and which of their data: ids and numbers only, or None if not.
TOLD: dict[str, tuple[EventKind, Callable[[AuditEvent], Data | None]]] = {
    "correction.submit": (EventKind.CORRECTION, _corrected),
    "version.promote": (EventKind.PROMOTED, _promoted),
    "version.roll_back": (EventKind.PROMOTED, _promoted),
    "deployment.set": (EventKind.PROMOTED, _promoted),
    "run.finish": (EventKind.TRAINED, _trained),
    "run.fail": (EventKind.TRAINED, _trained),
    "gate.judge": (EventKind.JUDGED, _judged),
    # Not what a person approved: the step that follows is told.
    **{
        f"rollout.{change}": (EventKind.ROLLOUT_STEP, _moved_on)
        for change in ("start", "advance", "ask", "pause", "resume", "stop", "finish")
    },
    "rollout.roll_back": (EventKind.ROLLED_BACK, _taken_back),
    "experiment.drop": (EventKind.ARM_DROPPED, _dropped),
    "experiment.end": (EventKind.EXPERIMENT_ENDED, _concluded),
    "drift.found": (EventKind.DRIFTED, _drifted),
}
