"""What is surely so, and what may be chance: for limits that somebody looks at again and again."""

from __future__ import annotations

from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist

from ner.intervals import Share, wilson

#: How rarely chance alone is taken for more at one look.
ALPHA = 0.001
Z = NormalDist().inv_cdf(1 - ALPHA)


def surely_above(part: int, whole: int, limit: float) -> bool:
    """Would so many of so many be seen less than once in a thousand times, if the true share were the limit?

    The binomial distribution's own tail: an approximation would call one failure of one a certainty.
    """
    if not whole or part <= limit * whole:
        return False
    if limit <= 0:
        return part > 0
    if limit >= 1:
        return False
    tail, term = 0.0, _binomial(part, whole, limit)
    for count in range(part, whole + 1):
        tail += term
        if tail >= ALPHA or term < tail * 1e-9:
            break
        term *= (whole - count) / (count + 1) * limit / (1 - limit)
    return tail < ALPHA


def difference_low(mine: Share, theirs: Share) -> float:
    """The lower end of how much larger one share is (Newcombe, Statistics in Medicine 1998, method 10)."""
    low, _ = wilson(mine.value, mine.whole, Z)
    _, high = wilson(theirs.value, theirs.whole, Z)
    return mine.value - theirs.value - sqrt((mine.value - low) ** 2 + (high - theirs.value) ** 2)


def chi_square_high(freedom: int) -> float:
    """What a chi-square exceeds once in a thousand times (Wilson and Hilferty, PNAS 1931)."""
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + Z * sqrt(spread)) ** 3)


def _binomial(part: int, whole: int, share: float) -> float:
    """The probability of just so many of so many."""
    ways = lgamma(whole + 1) - lgamma(part + 1) - lgamma(whole - part + 1)
    return exp(ways + part * log(share) + (whole - part) * log1p(-share))
