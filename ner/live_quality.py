"""How good are the answers that callers get? F1 from reviews of a random share of them, and how sure that is.

Entities of one text go wrong together, so texts are what is counted. F1 is a ratio of two sums over texts;
the delta method gives its variance, on the scale of the log odds, where an interval cannot leave 0 to 1, with
Student's t for few texts. One made-up entity, half right, is added: without it a handful of texts without a
mistake would be called perfect for sure. `bench.experiments` measures how often the interval holds the truth,
for 30 to 2,000 texts and F1 of 0.5 to 0.98; bootstrap intervals and the delta method alone do worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, log, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ner.intervals import student_quantile

#: Of fewer texts with an entity nothing is said: their spread is not known.
FEWEST = 5
#: F1 counts what is right twice: this is one entity, of which half is right.
_MADE_UP_RIGHT, _MADE_UP = 1.0, 2.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Micro F1 with its interval, from so many texts with so many true entities."""

    f1: float
    low: float
    high: float
    documents: int
    entities: int

    @property
    def half_width(self) -> float:
        """How far the truth may be from the middle of the interval."""
        return (self.high - self.low) / 2


def live_f1(
    per_document: Sequence[tuple[int, int, int]] | ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Micro F1 from (tp, fp, fn) of each text of a random draw; the same texts always give the same."""
    counts = np.asarray(per_document, np.float64).reshape(-1, 3)
    right = 2 * counts[:, 0]
    whole = right + counts[:, 1] + counts[:, 2]
    f1 = float(right.sum() / whole.sum()) if whole.any() else 0.0
    low, high = _interval(right[whole > 0], whole[whole > 0], confidence)
    return Estimate(
        f1=f1,
        low=min(low, f1),
        high=max(high, f1),
        documents=len(counts),
        entities=int(counts[:, 0].sum() + counts[:, 2].sum()),
    )


def reviews_needed(estimate: Estimate, half_width: float = 0.02) -> int | None:
    """About how many more texts narrow the interval to this much on either side, in round numbers.

    None while too few were reviewed to tell; 0 where it is as narrow already.
    """
    if (estimate.low, estimate.high) == (0.0, 1.0):
        return None
    more = max(estimate.documents * ((estimate.half_width / half_width) ** 2 - 1), 0.0)
    # Two digits: a third one would claim to know more than anybody does.
    unit: int = 10 ** max(len(str(ceil(more))) - 2, 0)
    return ceil(more / unit - 1e-9) * unit


def _interval(
    right: NDArray[np.float64], whole: NDArray[np.float64], confidence: float
) -> tuple[float, float]:
    texts = len(whole)
    if texts < FEWEST:
        return 0.0, 1.0
    total = float(whole.sum()) + _MADE_UP
    f1 = (float(right.sum()) + _MADE_UP_RIGHT) / total
    squares = float(((right - f1 * whole) ** 2).sum()) + (_MADE_UP_RIGHT - f1 * _MADE_UP) ** 2
    error = sqrt(squares * texts / (texts - 1)) / total
    middle, reach = (
        log(f1 / (1 - f1)),
        student_quantile(confidence, freedom=texts - 1) * error / (f1 * (1 - f1)),
    )
    return 1 / (1 + exp(reach - middle)), 1 / (1 + exp(-reach - middle))
