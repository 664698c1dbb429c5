"""Template words of the common look: the theme, a label's colours, times and marked text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.template.context import Context
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from nerapp.heartbeat import QUEUES, workers_alive

register = template.Library()

HUES = 12
PATTERNS = 4
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (60 * 86_400, 86_400, "days"))


@register.simple_tag(takes_context=True)
def theme_attribute(context: Context) -> str | SafeString:
    """` data-theme="dark"` where the person chose a theme; written here, so that no page flashes."""
    request = context.get("request")
    theme = request.COOKIES.get("theme", "") if request else ""
    return format_html(' data-theme="{}"', theme) if theme in {"light", "dark"} else ""


#: What stands still without a worker of each queue.
_WORK = {
    "default": "new texts do not reach the queue, imports and exports wait, "
    "and nobody asks whether a retraining is due",
    "predict": "batches sent by callers wait",
    "train": "queued trainings wait",
}


@register.inclusion_tag("partials/parts_missing.html", takes_context=True)
def parts_missing(context: Context) -> dict[str, Any]:
    """The parts of nerapp that do not run, what that means, and how to start them."""
    user = context.get("user")
    if user is None or not user.is_authenticated:
        return {"missing": [], "redis_down": False}
    alive = workers_alive()
    missing = [] if alive is None else [queue for queue in QUEUES if queue not in alive]
    return {
        "redis_down": alive is None,
        "missing": [{"queue": queue, "work": _WORK[queue]} for queue in missing],
        "all": len(missing) == len(QUEUES),
        "queues": ",".join(missing),
    }


@register.filter
def label_classes(hue: int) -> str:
    """The CSS classes of a label by its place in the palette; past 12 the underline tells them apart."""
    return f"hue-{hue % HUES} pattern-{hue // HUES % PATTERNS}"


@register.filter
def ago(moment: datetime | None) -> str | SafeString:
    """A moment relative to now, with the exact time on hover."""
    if moment is None:
        return "never"
    seconds = (timezone.now() - moment).total_seconds()
    size = abs(seconds)
    if size < 5:
        words = "just now"
    else:
        words = next(
            (f"{size / unit:.0f} {name}" for limit, unit, name in _STEPS if size < limit),
            f"{moment:%-d %B %Y}",
        )
        if words[0].isdigit() and size < _STEPS[-1][0]:
            words = f"{words} ago" if seconds > 0 else f"in {words}"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        words,
    )


@register.filter
def points(share: float | str | None) -> str:
    """A share between 0 and 1 in per cent with one decimal, as F1 is read."""
    # A template hands on "" for what is not there.
    return f"{100 * share:.1f}" if isinstance(share, int | float) else "–"


@register.filter
def signed_points(share: float | str | None) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * share:+.1f}" if isinstance(share, int | float) else "–"


@register.simple_tag
def marked_text(text: str, spans: Iterable[Mapping[str, Any]], hues: Mapping[str, int]) -> SafeString:
    """A text with its spans marked and tagged, read only. Spans that overlap an earlier one are left out."""
    pieces: list[tuple[SafeString]] = []
    end = 0
    for span in sorted(spans, key=lambda span: (span["start"], -span["end"])):
        if span["start"] < end:
            continue
        pieces.append((format_html("{}", text[end : span["start"]]),))
        pieces.append(
            (
                format_html(
                    '<mark class="{}">{}<span class="tag">{}</span></mark>',
                    label_classes(hues.get(span["label"], 0)),
                    text[span["start"] : span["end"]],
                    span["label"],
                ),
            )
        )
        end = span["end"]
    pieces.append((format_html("{}", text[end:]),))
    return format_html_join("", "{}", pieces)
