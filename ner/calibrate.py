"""Confidence that means what it says: one temperature, fitted on sentences the model has not seen.

All scores are divided by the temperature before probabilities are taken, which leaves the best
path, and so every prediction, as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from ner.decode import Ints, Lattice, Transitions

_COOLEST, _HOTTEST = 0.3, 10.0
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """Emissions of some sentences with their true tags."""

    emissions: NDArray[np.float32]
    lengths: Ints
    tags: Ints


def negative_log_likelihood(
    batches: Iterable[ScoredBatch], transitions: Transitions, temperature: float
) -> float:
    """Mean over sentences of minus the log-probability of the true tags."""
    total, count = 0.0, 0
    for batch in batches:
        lattice = Lattice(batch.emissions, batch.lengths, transitions, temperature=temperature)
        total -= float(lattice.log_probabilities(batch.tags).sum())
        count += len(batch.lengths)
    return total / max(count, 1)


def fit_temperature(batches: list[ScoredBatch], transitions: Transitions, *, rounds: int = 12) -> float:
    """The temperature under which the true tags are most likely (golden-section search)."""
    if not batches:
        return 1.0
    low, high = log(_COOLEST), log(_HOTTEST)

    def loss(place: float) -> float:
        return negative_log_likelihood(batches, transitions, exp(place))

    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(rounds):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return round(exp((low + high) / 2), 4)
