"""Is the difference of two models more than chance? A paired bootstrap over documents.

Documents are drawn again and again with replacement, both models are scored on the same draw, and
the spread of the differences in F1 is the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Draws held in memory at once: a few megabytes for thousands of kinds of document.
_CHUNK = 100

Counts = Sequence[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus champion, with its confidence interval."""

    value: float
    low: float
    high: float
    probability_better: float


def paired_bootstrap(
    champion: Counts,
    candidate: Counts,
    *,
    resamples: int = 2_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """The difference in micro F1 from (tp, fp, fn) of each document under both models."""
    if len(champion) != len(candidate):
        raise ValueError("both models need counts for the same documents")
    if not champion:
        return Difference(0.0, 0.0, 0.0, 0.0)
    pairs = np.hstack([np.asarray(champion, np.float64), np.asarray(candidate, np.float64)])
    # Documents with equal counts are exchangeable: drawing how often each kind of document comes
    # up is the same experiment, and there are far fewer kinds than documents.
    kinds, frequency = np.unique(pairs, axis=0, return_counts=True)
    random = np.random.default_rng(seed)
    chunks = (min(_CHUNK, resamples - first) for first in range(0, resamples, _CHUNK))
    differences = np.concatenate(
        [
            _difference(random.multinomial(len(pairs), frequency / len(pairs), size=size) @ kinds)
            for size in chunks
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    value = _difference((frequency @ kinds)[np.newaxis])[0]
    return Difference(float(value), float(low), float(high), float(np.mean(differences > 0)))


def _difference(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return _f1(sums[:, 3:]) - _f1(sums[:, :3])


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    right = 2.0 * counts[:, 0]
    everything = right + counts[:, 1] + counts[:, 2]
    scores = np.zeros(len(right))
    np.divide(right, everything, out=scores, where=everything > 0)
    return scores
