"""Is the difference of two models more than chance? A paired bootstrap over documents.

Documents are drawn again and again with replacement, both models are scored on the same draw, and
the spread of the differences in F1 is the interval. Of few documents a bootstrap sees too little spread:
its percentiles are moved outwards as far as Student's interval is wider than the normal one (Hesterberg,
"What Teachers Should Know About the Bootstrap", The American Statistician 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ner.intervals import student_quantile

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
    tail = _expanded_tail(confidence, documents=int(pairs.any(axis=1).sum()))
    low, high = np.quantile(differences, [tail, 1 - tail])
    value = _difference((frequency @ kinds)[np.newaxis])[0]
    return Difference(float(value), float(low), float(high), float(np.mean(differences > 0)))


def _expanded_tail(confidence: float, *, documents: int) -> float:
    if documents < 2:
        return (1 - confidence) / 2
    reach = student_quantile(confidence, freedom=documents - 1) * sqrt(documents / (documents - 1))
    return NormalDist().cdf(-reach)


def _difference(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return _f1(sums[:, 3:]) - _f1(sums[:, :3])


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    right = 2.0 * counts[:, 0]
    everything = right + counts[:, 1] + counts[:, 2]
    scores = np.zeros(len(right))
    np.divide(right, everything, out=scores, where=everything > 0)
    return scores
