"""The chart of a sequential test: a difference with its always-valid interval, look after look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor

from nerapp.charts import Tick, round_step
from nerapp.formats import decimal


@dataclass(frozen=True, slots=True)
class SequentialLook:
    """One look at a test."""

    at: datetime
    name: str
    reviews: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SequentialChart:
    """A line, the band of its interval, and the line of no difference."""

    title: str
    unit: str
    decimals: int
    looks: list[SequentialLook]
    band: str
    path: str
    last: Tick
    end_x: float
    zero: float
    effects: list[Tick]
    """The smallest difference worth having, on both sides, where it is in the picture."""
    ticks: list[Tick]
    names: list[Tick]
    width: int
    height: int
    left: int
    right: float
    bottom: float

    @property
    def rows(self) -> list[SequentialLook]:
        """What the table behind it tells: some twenty of the looks, the newest first."""
        every = max(ceil(len(self.looks) / 20), 1)
        return self.looks[::-every]


def sequential_chart(
    *,
    title: str,
    looks: Sequence[SequentialLook],
    effect: float,
    unit: str = "",
    decimals: int = 1,
    width: int = 640,
    height: int = 220,
) -> SequentialChart:
    """The looks in their order. The wide beginning of the band is cut off: it would flatten the rest."""
    left, right, top, bottom = 44, width - 64, 14, height - 26
    newest = looks[-1]
    reach = max(3 * effect, 2 * (newest.high - newest.low), abs(newest.difference) * 1.5)
    lowest = max(min(-effect, *(look.low for look in looks)), -reach)
    highest = min(max(effect, *(look.high for look in looks)), reach)
    step = round_step(highest - lowest)
    low, high = step * floor(lowest / step), step * ceil(highest / step)
    begin, end = looks[0].at.timestamp(), newest.at.timestamp()

    def x(at: datetime) -> float:
        part = (at.timestamp() - begin) / (end - begin) if end > begin else 1.0
        return round(left + (right - left) * part, 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - top) * (min(max(value, low), high) - low) / (high - low), 1)

    upper = [f"{x(look.at)},{y(look.high)}" for look in looks]
    lower = [f"{x(look.at)},{y(look.low)}" for look in reversed(looks)]
    count = round((high - low) / step)
    places = 0 if step >= 1 else 1 if step >= 0.1 else 2
    every = max(ceil(len(looks) / 5), 1)
    return SequentialChart(
        title=title,
        unit=unit,
        decimals=decimals,
        looks=list(looks),
        band=" ".join([*upper, *lower]),
        path=" ".join(f"{x(look.at)},{y(look.difference)}" for look in looks),
        last=Tick(y(newest.difference), decimal(newest.difference, decimals)),
        end_x=x(newest.at),
        zero=y(0.0),
        effects=[Tick(y(value), "") for value in (-effect, effect) if low < value < high],
        ticks=[
            Tick(y(low + step * place), decimal(low + step * place, places)) for place in range(count + 1)
        ],
        names=[Tick(x(look.at), look.name) for look in looks[::every]],
        width=width,
        height=height,
        left=left,
        right=right,
        bottom=bottom,
    )
