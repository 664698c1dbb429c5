"""What people are told: sentences of ids and numbers, and where to look; never a text or a person's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhooks.models import TEST, Delivery, EventKind

Data = dict[str, Any]
#: More than so many events are counted, not told.
MOST_LINES = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One event: when, a sentence, and the page to look at ("" without one)."""

    at: datetime | None
    words: str
    link: str


@dataclass(frozen=True, slots=True)
class Message:
    """What one delivery says."""

    subject: str
    lines: list[Line]
    more: str
    link: str


def message_of(delivery: Delivery) -> Message:
    """The message of a delivery to people, in the language of its channel."""
    project = delivery.webhook.project
    with translation.override(delivery.webhook.language):
        if delivery.kind == TEST:
            words = _("This is a test: the channel “{name}” works.").format(name=delivery.webhook.name)
            return Message(f"[{project}] {words}", [Line(None, words, "")], "", _home())
        events = delivery.data["events"]
        lines = [_line(event) for event in events[:MOST_LINES]]
        left = len(events) - MOST_LINES
        more = (
            ngettext("And one more event.", "And {count} more events.", left).format(count=left)
            if left > 0
            else ""
        )
        return Message(f"[{project}] {_subject(delivery, lines)}", lines, more, _home())


def headline(delivery: Delivery) -> str:
    """What a delivery tells people, where it is seen whose project's it is."""
    if delivery.kind == TEST:
        return delivery.get_kind_display()
    return message_of(delivery).subject.removeprefix(f"[{delivery.webhook.project}] ")


def as_text(message: Message) -> str:
    """For a mail."""
    lines = [
        "\n".join(part for part in (f"{_moment(line)}{line.words}", line.link) if part)
        for line in message.lines
    ]
    return "\n\n".join(part for part in (*lines, message.more, message.link) if part) + "\n"


def as_slack(message: Message) -> str:
    """For a chat that takes what Slack's incoming webhooks take."""
    lines = [
        f"• {_moment(line)}"
        + (f"<{line.link}|{_escaped(line.words)}>" if line.link else _escaped(line.words))
        for line in message.lines
    ]
    text = "\n".join(part for part in (f"*{_escaped(message.subject)}*", *lines, message.more) if part)
    return json.dumps({"text": text}, ensure_ascii=False)


def _subject(delivery: Delivery, lines: list[Line]) -> str:
    events = delivery.data["events"]
    if delivery.data.get("summary"):
        count = len(events)
        return ngettext(
            "What happened during the planned change: one event",
            "What happened during the planned change: {count} events",
            count,
        ).format(count=count)
    rollbacks = [
        line.words
        for event, line in zip(events, lines, strict=False)
        if event["type"] == EventKind.ROLLED_BACK
    ]
    if rollbacks or len(events) == 1:
        # Whoever is woken by it sees at once what it is; the champion's own way back stands below.
        return next(iter(rollbacks), lines[0].words)
    return ngettext("One event", "{count} events", len(events)).format(count=len(events))


def _line(event: Data) -> Line:
    say, page = SAID[EventKind(event["type"])]
    data = event["data"]
    return Line(datetime.fromisoformat(event["at"]), say(data), _link(*page(data)))


def _promoted(data: Data) -> str:
    if data.get("rolled_back"):
        words = _("The champion was rolled back from {before} to {after}.")
    elif data.get("from") is None:
        words = _("{after} is the first champion.")
    else:
        words = _("{after} is champion now, in the place of {before}.")
    return words.format(before=data.get("from"), after=data.get("to"))


def _trained(data: Data) -> str:
    if data.get("status") != "done":
        return _("Training run {run} failed.").format(run=data.get("run"))
    words = (
        _("Training run {run} ended: {candidate} passed the gate.")
        if data.get("passed")
        else _("Training run {run} ended: {candidate} did not pass the gate.")
    )
    return words.format(run=data.get("run"), candidate=data.get("candidate"))


def _judged(data: Data) -> str:
    difference = data.get("difference")
    points = "–" if difference is None else f"{100 * difference:+.1f}"
    if data.get("passed"):
        return _("The gate let {candidate} pass: {points} points of F1 against the champion.").format(
            candidate=data.get("candidate"), points=points
        )
    return _("The gate refused {candidate} ({points} points of F1 against the champion): {codes}.").format(
        candidate=data.get("candidate"), points=points, codes=", ".join(data.get("refused") or ["–"])
    )


def _stepped(data: Data) -> str:
    words = {
        "start": _("The rollout of {version} has begun: {share} % of the callers."),
        "advance": _("The rollout of {version} went on: {share} % of the callers."),
        "ask": _("The rollout of {version} waits for approval at {share} % of the callers."),
        "pause": _("The rollout of {version} was paused at {share} % of the callers."),
        "resume": _("The rollout of {version} goes on at {share} % of the callers."),
        "stop": _("The rollout of {version} was stopped: somebody moved a slot by hand."),
        "finish": _("The rollout of {version} is done: it answers all callers and was watched."),
    }[str(data.get("change"))]
    return words.format(version=data.get("version"), share=_number(data.get("share")))


def _taken_back(data: Data) -> str:
    broken = ", ".join(
        f"{one['code']} {_number(one['value'])} > {_number(one['limit'])}"
        if one.get("code") != "agreement"
        else f"{one['code']} {_number(one['value'])} < {_number(one['limit'])}"
        for one in data.get("broken") or []
    )
    words = (
        _("The rollout of {version} was rolled back from {share} % of the callers to {champion}: {broken}.")
        if broken
        else _("The rollout of {version} was rolled back from {share} % of the callers to {champion}.")
    )
    return words.format(
        version=data.get("version"),
        champion=data.get("champion"),
        share=_number(data.get("share_before")),
        broken=broken,
    )


def _dropped(data: Data) -> str:
    words = _("Experiment {number} goes on without {version}, which is worse than the champion.")
    return words.format(number=data.get("experiment"), version=data.get("version"))


def _concluded(data: Data) -> str:
    words = {
        "win": _("Experiment {number} ended: {winner} is better."),
        "loss": _("Experiment {number} ended: a version is worse than the champion."),
        "futility": _("Experiment {number} ended: no difference worth having."),
        "stopped": _("Experiment {number} was stopped by hand."),
        "interrupted": _("Experiment {number} ended: somebody moved a slot."),
    }[str(data.get("outcome"))]
    return words.format(number=data.get("experiment"), winner=data.get("winner"))


def _drifted(data: Data) -> str:
    measures = ", ".join(
        f"{name} {_number(value)} ({_number(threshold)})"
        for name, (value, threshold) in (data.get("drifted") or {}).items()
    )
    return _("The newest {texts} texts differ from those that {version} was made from: {measures}.").format(
        texts=data.get("texts"), version=data.get("version"), measures=measures
    )


#: Per event: the sentence, and the page that shows more.
SAID: dict[EventKind, tuple[Callable[[Data], str], Callable[[Data], tuple[str, Any]]]] = {
    EventKind.PROMOTED: (_promoted, lambda data: ("inference_deployment_changelist", None)),
    EventKind.TRAINED: (_trained, lambda data: ("retraining_trainingrun_change", data["run"])),
    EventKind.JUDGED: (_judged, lambda data: ("retraining_trainingrun_change", data["run"])),
    EventKind.ROLLOUT_STEP: (_stepped, lambda data: ("retraining_rollout_change", data["rollout"])),
    EventKind.ROLLED_BACK: (_taken_back, lambda data: ("retraining_rollout_change", data["rollout"])),
    EventKind.ARM_DROPPED: (
        _dropped,
        lambda data: ("retraining_experiment_change", data["experiment"]),
    ),
    EventKind.EXPERIMENT_ENDED: (
        _concluded,
        lambda data: ("retraining_experiment_change", data["experiment"]),
    ),
    EventKind.DRIFTED: (_drifted, lambda data: ("retraining_driftreport_change", data["report"])),
}


def _link(page: str, key: Any) -> str:
    if not settings.SITE_URL:
        return ""
    try:
        return settings.SITE_URL + reverse(f"admin:{page}", args=[] if key is None else [key])
    except NoReverseMatch:
        return ""


def _home() -> str:
    return settings.SITE_URL + reverse("admin:index") if settings.SITE_URL else ""


def _moment(line: Line) -> str:
    return f"{line.at:%Y-%m-%d %H:%M} UTC: " if line.at else ""


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}"


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
