"""Charts are numbers before they are pictures."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils.translation import override

from ner.intervals import wilson
from nerapp.charts import Estimate, bars_chart, calibration_chart, line_chart, rows_chart
from nerapp.templatetags.charts import chart as drawn


def test_rows_stand_in_order_and_intervals_around_their_values() -> None:
    chart = rows_chart(
        title="F1",
        names=[("champion", "a@1"), ("candidate", "a@2")],
        rows=[
            ("all", "20 entities", [Estimate(0.5, 0.4, 0.6), Estimate(0.7, 0.6, 0.8)]),
            ("per", "4 entities", [None, Estimate(1.0, 0.9, 1.0)]),
        ],
    )
    first, second = chart.rows
    assert first.y < second.y < chart.height
    assert [mark.series for mark in second.marks] == ["candidate"]
    for mark in (*first.marks, *second.marks):
        assert mark.x_low is not None
        assert mark.x_high is not None
        assert chart.left <= mark.x_low <= mark.x <= mark.x_high <= chart.right
    assert first.marks[0].estimate.words == "50.0 (40.0 to 60.0)"
    assert chart.ticks[0].at == chart.left
    assert chart.ticks[-1].at == chart.right


def test_a_value_outside_its_scale_stays_in_the_picture() -> None:
    chart = rows_chart(title="", names=[("champion", "a")], rows=[("x", "", [Estimate(1.7, -0.5, 2.0)])])
    (mark,) = chart.rows[0].marks
    assert (mark.x_low, mark.x, mark.x_high) == (chart.left, chart.right, chart.right)


@pytest.mark.parametrize(("right", "count"), [(0.0, 1), (1.0, 1), (0.5, 10), (0.99, 1000), (0.0, 0)])
def test_the_interval_of_a_share_holds_it_and_stays_a_share(right: float, count: int) -> None:
    low, high = wilson(right, count)
    assert 0.0 <= low <= right <= high + 1e-9
    assert high <= 1.0


def test_the_interval_of_a_share_is_wilsons() -> None:
    low, high = wilson(0.5, 10)
    assert (round(low, 3), round(high, 3)) == (0.237, 0.763)


def test_calibration_is_drawn_from_the_bottom_left_up() -> None:
    chart = calibration_chart(ece=0.1, bins=[(10, 0.1, 0.2), (90, 0.9, 0.8)])
    low, high = chart.bins
    assert low.x < high.x
    assert low.y > high.y
    assert low.y_high < low.y < low.y_low
    assert low.radius < high.radius
    assert chart.ece_points == "10.0"


def test_a_line_keeps_zero_where_zero_matters() -> None:
    chart = line_chart(title="n", points=[("1", 90.0, None, None), ("2", 95.0, None, None)])
    assert chart.ticks[0].text == "0"
    close = line_chart(title="n", points=[("1", 90.0, None, None), ("2", 95.0, None, None)], from_zero=False)
    assert float(close.ticks[0].text) >= 80


@pytest.mark.parametrize(
    "values", [[], [0.0], [0.0, 0.0], [1e-9, 2e-9], [1e9, 3e9], [5.0, 5.0, 5.0], [0.123, 99.9]]
)
@pytest.mark.parametrize("from_zero", [True, False])
def test_any_numbers_make_a_line_inside_its_frame(values: list[float], from_zero: bool) -> None:
    points = [(str(place), value, None, None) for place, value in enumerate(values)]
    chart = line_chart(title="n", points=points, from_zero=from_zero)
    assert len(chart.points) == len(values)
    assert 2 <= len(chart.ticks) <= 8
    for point in chart.points:
        assert chart.left <= point.x <= chart.right
        assert 0 <= point.y <= chart.height


@pytest.mark.parametrize(
    "chart",
    [
        bars_chart(
            title="", names=[("champion", "a"), ("human", "b")], groups=[("1", [3, 7]), ("2", [2, 5])] * 3
        ),
        rows_chart(title="", names=[("champion", "a")], rows=[("x", "", [Estimate(0.333, 0.2, 0.41)])]),
        calibration_chart(ece=0.1, bins=[(7, 0.137, 0.21), (9, 0.9, 0.8)]),
        line_chart(title="", series="champion", points=[("a", 1.37, 1.0, 2.0), ("b", 2.11, None, None)] * 2),
    ],
    ids=["bars", "rows", "calibration", "line"],
)
def test_a_chart_is_drawn_at_the_same_places_in_every_language(chart: Any) -> None:
    with override("en"):
        english = places(drawn(chart))
    with override("de"):
        german = places(drawn(chart))
    assert "." in "".join(english)
    assert german == english


def places(figure: str) -> list[str]:
    return re.findall(r'\b(?:x[12]?|y[12]?|width|height|cx|cy|r|points|viewBox)="([^"]*)"', figure)
