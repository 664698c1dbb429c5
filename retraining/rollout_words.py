"""How a rollout's steps and criteria are told on its page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from corpus.said import say_kept
from ner.criteria import State
from retraining.models import Rollout, RolloutEvent

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Status = Rollout.Status
Kind = RolloutEvent.Kind

#: The class of a status word (static/css/base.css).
STATES: dict[str, str] = {
    Status.ACTIVE: "busy",
    Status.WAITING: "warn",
    Status.PAUSED: "warn",
    Status.DONE: "good",
    Status.ROLLED_BACK: "bad",
    Status.STOPPED: "",
}
_FOUND: dict[str, tuple[str, StrPromise]] = {
    State.MET: ("good", _("met")),
    State.WAITING: ("busy", _("waits")),
    State.HELD: ("warn", _("the machine is slow")),
    State.BROKEN: ("bad", _("broken")),
}
_NAMES: dict[str, StrPromise] = {
    "time": _("Time at this step"),
    "samples": _("Enough answers"),
    "error_rate": _("Answers missed"),
    "p95_ms": _("Latency, 95th percentile"),
    "p99_ms": _("Latency, 99th percentile"),
    "low_confidence": _("More unsure answers"),
    "label_drift": _("Mix of labels"),
    "edit_rate": _("More edits by reviewers"),
    "reviews": _("Random reviews"),
    "agreement": _("Agreement with the champion"),
    "bundle": _("Can be loaded"),
}
_PERCENT, _POINTS = {"error_rate", "agreement"}, {"low_confidence", "edit_rate"}
_LEAST = {"time", "samples", "reviews", "agreement"}


@dataclass(frozen=True, slots=True)
class FindingTold:
    """One row of the table of criteria."""

    name: str
    measured: str
    asked: str
    state: str
    said: str
    words: str


@dataclass(frozen=True, slots=True)
class StepTold:
    """One step of the way."""

    name: str
    state: str
    """`past`, `now` or `next`."""

    began: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened, with what was measured then."""

    event: RolloutEvent
    findings: Sequence[FindingTold]


def findings_told(findings: Iterable[Mapping[str, Any]]) -> list[FindingTold]:
    """The criteria as rows of a table: first what is broken, then what is waited for."""
    order = [State.BROKEN, State.HELD, State.WAITING, State.MET]
    rows = []
    for one in sorted(findings, key=lambda finding: order.index(State(finding["state"]))):
        code, (state, said) = one["code"], _FOUND[one["state"]]
        asked = _number(code, one["limit"])
        if asked:
            least, most = gettext("at least {number}"), gettext("at most {number}")
            asked = (least if code in _LEAST else most).format(number=asked)
        rows.append(
            FindingTold(
                name=str(_NAMES.get(code, code)),
                measured=_number(code, one["value"]) or "–",
                asked=asked or "–",
                state=state,
                said=str(said),
                words=say_kept(one, "words"),
            )
        )
    return rows


def steps_told(rollout: Rollout, events: Iterable[RolloutEvent]) -> list[StepTold]:
    """The way from the first step to the last, with when each began."""
    began = {event.share: event.at for event in events if event.kind in (Kind.START, Kind.ADVANCE)}
    told = []
    for place, share in enumerate(rollout.steps):
        name = f"{share:g} %" if share else gettext("Shadow")
        state = "next" if place > rollout.step else "past"
        if place == rollout.step and rollout.is_unfinished:
            state = "now"
        told.append(StepTold(name, state, began.get(share)))
    return told


def goes_on_at(rollout: Rollout) -> datetime | None:
    """When its next step comes at the present rate; None where nobody can say."""
    if rollout.status != Status.ACTIVE or not rollout.seconds_left or rollout.checked_at is None:
        return None
    return rollout.checked_at + timedelta(seconds=rollout.seconds_left)


def _number(code: str, value: float | None) -> str:
    if value is None:
        return ""
    if code in _PERCENT:
        return f"{number_format(100 * value, 2 if value < 0.1 else 1)} %"
    if code in _POINTS:
        points = number_format(100 * value, 1)
        return gettext("{number} points").format(number=points)
    if code.endswith("_ms"):
        return f"{number_format(value, 1)} ms"
    if code == "time":
        return f"{number_format(value, 0)} s"
    return number_format(value, 2 if code == "label_drift" else 0)
