"""Shares and how sure one may be of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

_Z = 1.96  # 95 %


def wilson(right: float, count: int, z: float = _Z) -> tuple[float, float]:
    """Interval of a share, of 95 % where nothing else is asked: sound for few cases and near 0 and 1."""
    if not count:
        return 0.0, 1.0
    centre = (right + z * z / (2 * count)) / (1 + z * z / count)
    half = z * sqrt(right * (1 - right) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def student_quantile(confidence: float, *, freedom: int) -> float:
    """How many standard errors an interval of few cases reaches to either side (Student's t).

    Hill's expansion: within 1 % for 4 degrees of freedom and more.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


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
