"""Krippendorff's alpha for unitizing: agreement on where entities begin and end, by chance corrected.

Klaus Krippendorff, *On the reliability of unitizing continuous data*, Sociological Methodology 25 (1995),
with the expected disagreement as corrected in his *Content Analysis* (2nd edition 2004). The formulas are for
one continuum; several documents are taken as several continua of one study: sums over documents on both
sides, a gap ends where its document ends, and a document that m people annotated weighs in with its m.

Each label is compared by itself. Two overlapping units differ by the squared differences of their beginnings
and of their ends; a unit inside another's gap by its squared length. What chance would give is the same sum
over all ways in which the units and gaps that were drawn could have met. So long spans weigh more than short
ones, and a missed span weighs by its length, unlike in F1, where all spans weigh the same.

Spans of one label that overlap are one unit here: the definition knows no others.

The later family of 2016 (Krippendorff, Mathet, Bouvry, Widlöcher, *On the reliability of unitizing textual
continua*, Quality & Quantity 50) is built from lengths of intersections, as the alpha on tokens is; what that
one cannot see, where a span ends and the next begins, is what is asked here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ner.spans import Span

_Array: TypeAlias = npt.NDArray[np.float64]
#: A stretch of text as (start, length).
_Stretch: TypeAlias = tuple[int, int]


class Unitizing:
    """What a set of documents adds up to; `alpha` is then a matter of how often each is counted."""

    def __init__(self, documents: Sequence[tuple[int, Mapping[str, Sequence[Span]]]]) -> None:
        """Take each document's length and each annotator's spans of it."""
        self.labels = sorted({span.label for _, said in documents for mine in said.values() for span in mine})
        self._characters = np.array([length * len(said) for length, said in documents], np.float64)
        self._rows: dict[str, _Array] = {}
        self._crossed: dict[str, _Array] = {}
        for label in self.labels:
            units = [[_units(mine, label) for mine in said.values()] for _, said in documents]
            gaps = [
                [_gaps(mine, length) for mine in drawn]
                for (length, _), drawn in zip(documents, units, strict=True)
            ]
            self._rows[label] = np.array([_row(u, g) for u, g in zip(units, gaps, strict=True)])
            self._crossed[label] = _crossed(units, gaps)

    def alpha(self, weights: _Array | None = None, *, label: str = "") -> float | None:
        """The figure over all labels, or of one; None where nothing was marked.

        `weights` says how often each document is counted: once, if it is not given.
        """
        weights = np.ones(len(self._characters)) if weights is None else weights
        total = float(weights @ self._characters)
        observed = expected = 0.0
        for name in [label] if label else self.labels:
            apart, count, squares, selves = weights @ self._rows[name]
            met = (count - 1) * squares + float(weights @ self._crossed[name] @ weights)
            # Krippendorff's D_o and D_e, both times the length of the continuum, which cancels.
            observed += apart / total
            expected += 2 * met / (total * (total - 1) - selves)
        return None if expected < 1e-12 else float(1 - observed / expected)


def difference(first: _Stretch, second: _Stretch) -> float:
    """How far two overlapping units are apart; 0 of units that do not overlap, which gaps account for."""
    (start, length), (other, extent) = first, second
    apart = start - other
    if not -length < apart < extent:
        return 0.0
    return float(apart**2 + (apart + length - extent) ** 2)


def _units(spans: Sequence[Span], label: str) -> list[_Stretch]:
    """The stretches of one label in order, overlapping ones as one."""
    found: list[list[int]] = []
    for span in sorted(one for one in spans if one.label == label):
        if found and span.start < found[-1][1]:
            found[-1][1] = max(found[-1][1], span.end)
        else:
            found.append([span.start, span.end])
    return [(start, end - start) for start, end in found]


def _gaps(units: Sequence[_Stretch], length: int) -> list[_Stretch]:
    """What lies between the units, before and behind them."""
    edges = [0, *(edge for start, extent in units for edge in (start, start + extent)), length]
    return [(left, right - left) for left, right in zip(edges[::2], edges[1::2], strict=True) if right > left]


def _row(units: Sequence[Sequence[_Stretch]], gaps: Sequence[Sequence[_Stretch]]) -> list[float]:
    apart = 0.0
    for one, other in combinations(range(len(units)), 2):
        apart += _apart(units[one], units[other])
        apart += _inside(units[one], gaps[other]) + _inside(units[other], gaps[one])
    lengths = [length for mine in units for _, length in mine]
    return [
        # Each pair both ways round, and by m - 1, as in every alpha.
        2 * apart / (len(units) - 1),
        len(lengths),
        sum((2 * length**3 - 3 * length**2 + length) / 3 for length in lengths),
        sum(length * (length - 1) for length in lengths),
    ]


def _apart(mine: Sequence[_Stretch], theirs: Sequence[_Stretch]) -> float:
    """The differences of all that overlap; in order and free of overlaps among themselves, both are."""
    apart, one, other = 0.0, 0, 0
    while one < len(mine) and other < len(theirs):
        apart += difference(mine[one], theirs[other])
        if sum(mine[one]) <= sum(theirs[other]):
            one += 1
        else:
            other += 1
    return apart


def _inside(units: Sequence[_Stretch], gaps: Sequence[_Stretch]) -> float:
    """The squared lengths of the units that lie wholly in a gap of another's."""
    begins = [left for left, _ in gaps]
    found = 0
    for start, length in units:
        left, extent = gaps[bisect_right(begins, start) - 1] if gaps else (0, 0)
        found += length**2 if left <= start and start + length <= left + extent else 0
    return float(found)


def _crossed(
    units: Sequence[Sequence[Sequence[_Stretch]]], gaps: Sequence[Sequence[Sequence[_Stretch]]]
) -> _Array:
    """For the units of each document and the gaps of each: in how many ways a unit fits, by its square."""
    owned = [(row, length) for row, drawn in enumerate(units) for mine in drawn for _, length in mine]
    rows = np.array([row for row, _ in owned], np.int64)
    lengths = np.array([length for _, length in owned], np.float64)
    matrix = np.zeros((len(units), len(units)))
    for column, drawn in enumerate(gaps):
        extents = np.sort(np.array([extent for mine in drawn for _, extent in mine], np.float64))
        # Sorted, so that the gaps in which a unit fits are all from one place on.
        tails = np.append(np.cumsum(extents[::-1])[::-1], 0.0)
        first = np.searchsorted(extents, lengths)
        fits = tails[first] - (len(extents) - first) * (lengths - 1)
        matrix[:, column] = np.bincount(rows, weights=lengths**2 * fits, minlength=len(units))
    return matrix
