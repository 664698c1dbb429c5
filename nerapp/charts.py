"""Charts as plain numbers: where each mark of an SVG stands. Templates draw them, classes colour them.

A chart is drawn on the server, labelled directly instead of by a legend, shows its intervals, and carries
the table it was made from. `series` is a class of admin.css: the same model has the same colour everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, sqrt

from django.utils.translation import gettext as _

from ner.intervals import wilson
from nerapp.formats import decimal


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured share, with its 95 % interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> str:
        """In points, as F1 is read."""
        if self.low is None or self.high is None:
            return decimal(100 * self.value)
        return _("%(value)s (%(low)s to %(high)s)") % {
            "value": decimal(100 * self.value),
            "low": decimal(100 * self.low),
            "high": decimal(100 * self.high),
        }


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid and the number beside it."""

    at: float
    text: str


# --- Rows: one line per label, one mark per model ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowMark:
    """One model's value in a row."""

    series: str
    name: str
    estimate: Estimate
    x: float
    x_low: float | None
    x_high: float | None
    y: float
    is_named_before: bool
    """On the right there is no room for the name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its name, what to say about its size, and its marks."""

    name: str
    note: str
    y: float
    marks: list[RowMark]


@dataclass(frozen=True, slots=True)
class RowsChart:
    """Values with intervals, line by line, from 0 to 1."""

    title: str
    names: list[tuple[str, str]]
    rows: list[Row]
    ticks: list[Tick]
    width: int
    height: int
    left: int
    right: float


def rows_chart(
    *,
    title: str,
    names: Sequence[tuple[str, str]],
    rows: Sequence[tuple[str, str, Sequence[Estimate | None]]],
    width: int = 640,
) -> RowsChart:
    """`names` are (series, name) of each model; each row is (name, note, one estimate per model)."""
    left, margin, step = 96, 56, 14 * max(len(names), 1) + 10
    span = width - left - margin

    def x(value: float) -> float:
        return round(left + span * min(max(value, 0.0), 1.0), 1)

    drawn = []
    for index, (name, note, estimates) in enumerate(rows):
        top = 28 + index * step
        marks = [
            RowMark(
                series=series,
                name=model,
                estimate=estimate,
                x=x(estimate.value),
                x_low=None if estimate.low is None else x(estimate.low),
                x_high=None if estimate.high is None else x(estimate.high),
                y=top + 10 + 14 * place,
                is_named_before=(estimate.high or estimate.value) > 0.8,
            )
            for place, ((series, model), estimate) in enumerate(zip(names, estimates, strict=True))
            if estimate is not None
        ]
        drawn.append(Row(name=name, note=note, y=top + 7 * max(len(names), 1) + 7, marks=marks))
    return RowsChart(
        title=title,
        names=list(names),
        rows=drawn,
        ticks=[Tick(x(tenth / 4), f"{25 * tenth}") for tenth in range(5)],
        width=width,
        height=28 + len(rows) * step + 4,
        left=left,
        right=x(1.0),
    )


# --- Calibration: how often is a confidence of x right? ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Answers of similar confidence: how many, and which share was right, with its interval."""

    count: int
    confidence: float
    right: Estimate
    x: float
    y: float
    y_low: float
    y_high: float
    radius: float

    @property
    def confidence_words(self) -> str:
        """In per cent."""
        return decimal(100 * self.confidence)


@dataclass(frozen=True, slots=True)
class CalibrationChart:
    """Reliability diagram: on the diagonal, confidence means what it says."""

    series: str
    ece: float
    bins: list[CalibrationBin]
    ticks_x: list[Tick]
    ticks_y: list[Tick]
    size: int
    left: int
    top: int
    bottom: float
    right: float

    @property
    def ece_points(self) -> str:
        """The mean distance between confidence and truth, in points."""
        return decimal(100 * self.ece)


def calibration_chart(
    *, ece: float, bins: Sequence[tuple[int, float, float]], series: str = "champion", size: int = 320
) -> CalibrationChart:
    """`bins` are (count, mean confidence, share that was right)."""
    left, top, margin = 40, 12, 28
    span = size - left - margin

    def x(value: float) -> float:
        return round(left + span * value, 1)

    def y(value: float) -> float:
        return round(top + span * (1 - value), 1)

    most = max((count for count, _, _ in bins), default=1)
    drawn = []
    for count, confidence, accuracy in bins:
        low, high = wilson(accuracy, count)
        drawn.append(
            CalibrationBin(
                count=count,
                confidence=confidence,
                right=Estimate(accuracy, low, high),
                x=x(confidence),
                y=y(accuracy),
                y_low=y(low),
                y_high=y(high),
                radius=round(2.5 + 3.5 * sqrt(count / most), 1),
            )
        )
    fifths = [place / 4 for place in range(5)]
    return CalibrationChart(
        series=series,
        ece=ece,
        bins=drawn,
        ticks_x=[Tick(x(value), f"{100 * value:.0f}") for value in fifths],
        ticks_y=[Tick(y(value), f"{100 * value:.0f}") for value in fifths],
        size=size,
        left=left,
        top=top,
        bottom=y(0.0),
        right=x(1.0),
    )


# --- Lines: a value over steps ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinePoint:
    """One measurement."""

    name: str
    value: float
    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class LineChart:
    """One value over steps; the last point carries its number."""

    title: str
    series: str
    unit: str
    points: list[LinePoint]
    path: str
    ticks: list[Tick]
    width: int
    height: int
    left: int
    right: float
    bottom: float
    names: list[Tick] = field(default_factory=list)


def line_chart(
    *,
    title: str,
    points: Sequence[tuple[str, float, float | None, float | None]],
    series: str = "champion",
    from_zero: bool = True,
    unit: str = "",
    width: int = 640,
    height: int = 200,
) -> LineChart:
    """`points` are (name, value, low, high). Zero is on the axis unless small changes are the matter."""
    left, right, top, bottom = 44, width - 52, 14, height - 26
    values = [value for _, value, _, _ in points]
    ends = [end for _, _, low, high in points for end in (low, high) if end is not None]
    lowest, highest = min([*values, *ends], default=0.0), max([*values, *ends], default=1.0)
    step = round_step((highest - (0.0 if from_zero else lowest)) or abs(highest) or 1.0)
    floor = 0.0 if from_zero else step * int(lowest / step)
    count = max(ceil((highest - floor) / step - 1e-9), 1)
    ceiling = floor + step * count

    def x(index: int) -> float:
        return round(left + (right - left) * (index / max(len(points) - 1, 1)), 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - top) * ((value - floor) / (ceiling - floor)), 1)

    drawn = [
        LinePoint(
            name=name,
            value=value,
            x=x(index),
            y=y(value),
            low=None if low is None else y(low),
            high=None if high is None else y(high),
        )
        for index, (name, value, low, high) in enumerate(points)
    ]
    every = max(ceil(len(points) / 8), 1)
    decimals = 0 if step >= 1 else (1 if step >= 0.1 else 2 if step >= 0.01 else 3)
    return LineChart(
        title=title,
        series=series,
        unit=unit,
        points=drawn,
        path=" ".join(f"{point.x},{point.y}" for point in drawn),
        ticks=[
            Tick(y(floor + step * place), decimal(floor + step * place, decimals))
            for place in range(count + 1)
        ],
        width=width,
        height=height,
        left=left,
        right=right,
        bottom=bottom,
        names=[Tick(point.x, point.name) for point in drawn[::every]],
    )


# --- Bars: counts side by side, stretch by stretch ----------------------------------------------------------


#: So wide is a letter of a name below a bar, with the room between two names.
_LETTER = 7.5


@dataclass(frozen=True, slots=True)
class Bar:
    """One count."""

    series: str
    name: str
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class BarGroup:
    """What was counted in one stretch, with room for the pointer."""

    name: str
    bars: list[Bar]
    x: float
    width: float
    middle: float
    is_named: bool


@dataclass(frozen=True, slots=True)
class BarsChart:
    """Counts from zero, one group of bars for each stretch."""

    title: str
    names: list[tuple[str, str]]
    groups: list[BarGroup]
    ticks: list[Tick]
    width: int
    height: int
    left: int
    right: float
    bottom: float
    is_small: bool
    along: str


def bars_chart(
    *,
    title: str,
    names: Sequence[tuple[str, str]],
    groups: Sequence[tuple[str, Sequence[int]]],
    width: int = 640,
    height: int = 200,
    is_small: bool = False,
    along: str = "",
) -> BarsChart:
    """`names` are (series, name); each group is (name, one count per series): a time, or `along`."""
    left, right, top, bottom = (8 if is_small else 44), width - 8, 14, height - 22
    highest = max((value for _, values in groups for value in values), default=0)
    step = max(round_step(highest or 1.0), 1.0)
    ceiling = step * max(ceil(highest / step - 1e-9), 1)
    slot = (right - left) / max(len(groups), 1)
    gap = min(slot * 0.2, 12)
    each = (slot - gap) / max(len(names), 1)
    every = len(groups) - 1 if is_small else _every([name for name, _values in groups], slot)

    def group(index: int, name: str, values: Sequence[int]) -> BarGroup:
        x = left + slot * index
        bars = []
        for place, ((series, series_name), value) in enumerate(zip(names, values, strict=True)):
            tall = round((bottom - top) * value / ceiling, 1)
            bars.append(
                Bar(
                    series=series,
                    name=series_name,
                    value=value,
                    x=round(x + gap / 2 + each * place, 1),
                    y=round(bottom - tall, 1),
                    width=round(max(each - 1, 0.5), 1),
                    height=tall,
                )
            )
        return BarGroup(
            name=name,
            bars=bars,
            x=round(x, 1),
            width=round(slot, 1),
            middle=round(x + slot / 2, 1),
            is_named=not index % max(every, 1),
        )

    return BarsChart(
        title=title,
        names=list(names),
        groups=[group(index, name, values) for index, (name, values) in enumerate(groups)],
        ticks=[
            Tick(round(bottom - (bottom - top) * step * place / ceiling, 1), f"{step * place:.0f}")
            for place in range(round(ceiling / step) + 1)
        ],
        width=width,
        height=height,
        left=left,
        right=right,
        bottom=bottom,
        is_small=is_small,
        along=along or _("When"),
    )


def _every(names: Sequence[str], slot: float) -> int:
    """Below each bar, or only below every second or third, as the widest of the names finds room."""
    return ceil(_LETTER * max(map(len, names), default=0) / slot)


def round_step(span: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that cuts a span into about four."""
    rough, power = span / 4, 1.0
    while power > rough:
        power /= 10
    while power * 10 <= rough:
        power *= 10
    steps = [power * factor for factor in (1, 2, 5, 10)]
    return next((high for low, high in pairwise([0.0, *steps]) if low < rough <= high), steps[-1])
