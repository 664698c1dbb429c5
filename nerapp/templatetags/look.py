"""Template words of the common look: theme, scripts' words, a label's colours, times, marked text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.template.context import Context
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from corpus.said import say, say_kept
from nerapp.formats import decimal
from nerapp.heartbeat import QUEUES, workers_alive

register = template.Library()

HUES = 12
PATTERNS = 4
#: Up to so many seconds, counted in units of so many.
_STEPS = ((60, 1), (3600, 60), (86_400, 3600), (60 * 86_400, 86_400))


@register.simple_tag(takes_context=True)
def theme_attribute(context: Context) -> str | SafeString:
    """` data-theme="dark"` where the person chose a theme; written here, so that no page flashes."""
    request = context.get("request")
    theme = request.COOKIES.get("theme", "") if request else ""
    return format_html(' data-theme="{}"', theme) if theme in {"light", "dark"} else ""


@register.filter
def said(sentence: str) -> str:
    """What was decided in English, in the reader's language."""
    return say(sentence)


@register.filter
def said_of(row: Mapping[str, Any], words: str) -> str:
    """The same for a row of JSON; `words` is where an old one holds it."""
    return say_kept(row, words)


@register.simple_tag
def script_language() -> str:
    """The static file with the words of the scripts; empty for English, which needs none."""
    name = f"js/locale/{get_language()}.js"
    return name if (settings.BASE_DIR / "static" / name).is_file() else ""


#: What stands still without a worker of each queue.
_WORK = {
    "default": gettext_lazy(
        "new texts do not reach the queue, imports and exports wait, "
        "and nobody asks whether a retraining is due"
    ),
    "control": gettext_lazy(
        "rollouts and experiments stand still, and a bad version is not rolled back by itself"
    ),
    "predict": gettext_lazy("batches sent by callers wait"),
    "train": gettext_lazy("queued trainings wait"),
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


def _past(count: int) -> dict[int, str]:
    return {
        60: ngettext("%(count)d s ago", "%(count)d s ago", count),
        3600: ngettext("%(count)d min ago", "%(count)d min ago", count),
        86_400: ngettext("%(count)d h ago", "%(count)d h ago", count),
        60 * 86_400: ngettext("%(count)d day ago", "%(count)d days ago", count),
    }


def _future(count: int) -> dict[int, str]:
    return {
        60: ngettext("in %(count)d s", "in %(count)d s", count),
        3600: ngettext("in %(count)d min", "in %(count)d min", count),
        86_400: ngettext("in %(count)d h", "in %(count)d h", count),
        60 * 86_400: ngettext("in %(count)d day", "in %(count)d days", count),
    }


@register.filter
def ago(moment: datetime | None) -> str | SafeString:
    """A moment relative to now, with the exact time on hover."""
    if moment is None:
        return _("never")
    seconds = (timezone.now() - moment).total_seconds()
    size = abs(seconds)
    if size < 5:
        words = _("just now")
    elif size < _STEPS[-1][0]:
        limit, unit = next(step for step in _STEPS if size < step[0])
        count = round(size / unit)
        words = (_past if seconds > 0 else _future)(count)[limit] % {"count": count}
    else:
        words = date_format(moment, "DATE_FORMAT")
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
    return decimal(100 * share) if isinstance(share, int | float) else "–"


@register.filter
def signed_points(share: float | str | None) -> str:
    """A difference of shares in points, with its sign."""
    if not isinstance(share, int | float):
        return "–"
    return ("" if share < 0 else "+") + decimal(100 * share)


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
