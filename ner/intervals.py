"""Shares and how sure one may be of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

_Z = 1.96  # 95 %


def wilson(right: float, count: int) -> tuple[float, float]:
    """95 % interval of a share: sound for few cases and near 0 and 1."""
    if not count:
        return 0.0, 1.0
    centre = (right + _Z * _Z / (2 * count)) / (1 + _Z * _Z / count)
    half = _Z * sqrt(right * (1 - right) / count + _Z * _Z / (4 * count * count)) / (1 + _Z * _Z / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with the 95 % interval of the share."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """The share itself; 0 of nothing is 0."""
        return self.part / self.whole if self.whole else 0.0

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return wilson(self.value, self.whole)[0]

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return wilson(self.value, self.whole)[1]

    def __bool__(self) -> bool:
        """Is it a share of anything?"""
        return self.whole > 0
