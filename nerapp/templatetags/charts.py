"""`{% chart data %}` draws what nerapp.charts laid out; the other tags lay plain numbers out and draw them.

So an app below nerapp hands a template shares and counts, and need not know how they are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ner.intervals import Share
from nerapp.charts import (
    BarsChart,
    CalibrationChart,
    Estimate,
    LineChart,
    RowsChart,
    bars_chart,
    calibration_chart,
    line_chart,
    rows_chart,
)
from nerapp.sequential_chart import SequentialChart, SequentialLook, sequential_chart

register = template.Library()

#: Longer names would stick out of the chart on the left; the table behind it has them whole.
_NAME = 13

_TEMPLATES: dict[type, str] = {
    BarsChart: "partials/charts/bars.html",
    RowsChart: "partials/charts/rows.html",
    CalibrationChart: "partials/charts/calibration.html",
    LineChart: "partials/charts/line.html",
    SequentialChart: "partials/charts/sequential.html",
}


@register.simple_tag
def chart(data: BarsChart | RowsChart | CalibrationChart | LineChart | SequentialChart) -> SafeString:
    """The figure of a chart: SVG, and its table behind it."""
    return render_to_string(_TEMPLATES[type(data)], {"chart": data})


@register.simple_tag
def learning_chart(points: Sequence[tuple[int, float, float]]) -> SafeString:
    """`points` are (epoch, F1 on the tuning texts, loss)."""
    return chart(
        line_chart(
            title=_("F1 on the tuning texts after each pass over the training texts"),
            series="candidate",
            points=[(str(epoch), 100 * f1, None, None) for epoch, f1, _loss in points],
            from_zero=False,
        )
    )


@register.simple_tag
def spark_chart(days: Iterable[tuple[Any, int]]) -> SafeString:
    """`days` are (date, texts reviewed), oldest first."""
    return chart(
        bars_chart(
            title=_("Texts reviewed, day by day"),
            names=[("champion", _("reviewed"))],
            groups=[(date_format(day, "j M"), [count]) for day, count in days],
            width=340,
            height=84,
            is_small=True,
        )
    )


@register.simple_tag
def edited_chart(rows: Iterable[Any], what: str) -> SafeString:
    """Edit rates with their intervals: each row has a `name` and a share `edited`; `what` says of what."""
    return chart(
        rows_chart(
            title=what,
            names=[("champion", _("edited, %"))],
            rows=[
                (
                    _short(row.name),
                    _("%(count)d spans") % {"count": row.edited.whole},
                    [_estimate(row.edited)],
                )
                for row in rows
                if row.edited
            ],
        )
    )


@register.simple_tag
def spans_chart(stretches: Iterable[Any], by_week: bool) -> SafeString:
    """How many spans the machine and people had; each stretch has `starts`, `machine` and `human`."""
    return chart(
        bars_chart(
            title=_("Spans by week") if by_week else _("Spans by day"),
            names=[("champion", _("by the model")), ("human", _("by people"))],
            groups=[(date_format(row.starts, "j M"), [row.machine, row.human]) for row in stretches],
        )
    )


@register.simple_tag
def rate_chart(stretches: Iterable[Any], by_week: bool) -> SafeString:
    """The edit rate over time with its intervals; each stretch has `starts` and a share `edited`."""
    return chart(
        line_chart(
            title=_("Edited by week, %") if by_week else _("Edited by day, %"),
            points=[
                (
                    date_format(row.starts, "j M"),
                    100 * row.edited.value,
                    100 * row.edited.low,
                    100 * row.edited.high,
                )
                for row in stretches
                if row.edited
            ],
        )
    )


@register.simple_tag
def reliability_chart(found: Any) -> SafeString:
    """Confidence against correctness; `found` has an `ece` and `tenths` of a mean confidence and a share."""
    return chart(
        calibration_chart(
            ece=found.ece,
            bins=[(tenth.right.whole, tenth.confidence, tenth.right.value) for tenth in found.tenths],
        )
    )


@register.simple_tag
def looks_chart(
    looks: Iterable[Any], title: str, effect: float, unit: str = "", decimals: int = 1
) -> SafeString:
    """A sequential test; each look has `at`, `reviews`, `difference`, `low` and `high`."""
    looks = list(looks)
    is_one_day = len({timezone.localdate(look.at) for look in looks}) == 1
    return chart(
        sequential_chart(
            title=title,
            looks=[
                SequentialLook(
                    at=look.at,
                    name=date_format(timezone.localtime(look.at), "H:i" if is_one_day else "j M"),
                    reviews=look.reviews,
                    difference=look.difference,
                    low=look.low,
                    high=look.high,
                )
                for look in looks
            ],
            effect=effect,
            unit=unit,
            decimals=decimals,
        )
    )


def _estimate(share: Share) -> Estimate:
    return Estimate(share.value, share.low, share.high)


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
