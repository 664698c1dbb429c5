"""`{% chart data %}` draws what nerapp.charts laid out; `{% learning_chart points %}` how a run learned."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from nerapp.charts import CalibrationChart, LineChart, RowsChart, line_chart

register = template.Library()

_TEMPLATES: dict[type, str] = {
    RowsChart: "partials/charts/rows.html",
    CalibrationChart: "partials/charts/calibration.html",
    LineChart: "partials/charts/line.html",
}


@register.simple_tag
def chart(data: RowsChart | CalibrationChart | LineChart) -> SafeString:
    """The figure of a chart: SVG, and its table behind it."""
    return render_to_string(_TEMPLATES[type(data)], {"chart": data})


@register.simple_tag
def learning_chart(points: Sequence[tuple[int, float, float]]) -> SafeString:
    """`points` are (epoch, F1 on the tuning texts, loss)."""
    return chart(
        line_chart(
            title="F1 on the tuning texts after each pass over the training texts",
            series="candidate",
            points=[(str(epoch), 100 * f1, None, None) for epoch, f1, _ in points],
            from_zero=False,
        )
    )
