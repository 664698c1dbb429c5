"""Do two arms differ? A test that may be looked at after every review, and stopped at any of them.

An ordinary test holds its error rate for one look. This one is the mixture sequential probability ratio
test (Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 1970;
Johari, Koomen, Pekelis, Walsh, "Always Valid Inference", Operations Research 2022): the likelihood ratio of
"they differ", with differences weighed by a normal distribution of width `tau`, against "they do not". In a
world without a difference it ever exceeds 1 / alpha with a probability of at most alpha, however often
somebody looks. It treats means as normal, which they are only after some reviews: see MIN_COUNT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erfc, exp, gamma, inf, log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

#: Of fewer observations in an arm nothing is said: their mean is not normal yet, nor their variance known.
MIN_COUNT = 100
#: A difference is never asked for in more observations than this.
MOST = 10**9


@dataclass(frozen=True, slots=True)
class Sample:
    """What was observed in one arm: how often, the mean and the variance of a single observation."""

    count: int
    mean: float
    variance: float


@dataclass(frozen=True, slots=True)
class Sequential:
    """Treatment minus control, with an interval and a p-value that hold at every look.

    The interval is boundless, and the p-value 1, while nothing can be said.
    """

    difference: float
    low: float
    high: float
    p_value: float

    @property
    def is_said(self) -> bool:
        """Can anything be said yet?"""
        return self.high < inf


def compare(control: Sample, treatment: Sample, *, alpha: float = 0.05, tau: float) -> Sequential:
    """Compare two means; `tau` is about the difference one would like to see, which then shows soonest."""
    difference = treatment.mean - control.mean
    noise = _noise(control, treatment)
    if noise == 0:
        return Sequential(difference, -inf, inf, 1.0)
    half = _reach(noise, alpha=alpha, tau=tau)
    wide = noise + tau * tau
    ratio = log(noise / wide) / 2 + (tau * difference) ** 2 / (2 * noise * wide)
    return Sequential(difference, difference - half, difference + half, min(1.0, exp(min(-ratio, 0.0))))


def sample_of(values: ArrayLike) -> Sample:
    """The sample of single observations."""
    array = np.asarray(values, np.float64)
    if not len(array):
        return Sample(0, 0.0, 0.0)
    return Sample(len(array), float(array.mean()), float(array.var(ddof=1)) if len(array) > 1 else 0.0)


def ratio_sample(numerators: ArrayLike, denominators: ArrayLike) -> Sample:
    """The sample of a ratio of two sums, such as edits over spans, that documents contribute to.

    Spans of one document are not independent, documents are. The delta method makes the ratio a mean over
    documents (Deng, Knoblich, Lu, "Applying the delta method in metric analytics", KDD 2018).
    """
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if above.shape != below.shape:
        raise ValueError("every document has one numerator and one denominator")
    if not below.sum():
        return Sample(len(below), 0.0, 0.0)
    ratio = float(above.sum() / below.sum())
    spread = sample_of((above - ratio * below) / below.mean())
    return Sample(len(below), ratio, spread.variance)


def needed_per_arm(
    variance: float, effect: float, *, alpha: float = 0.05, power: float = 0.8, tau: float | None = None
) -> int:
    """How many observations each arm needs until `compare` says, with this probability, that they differ.

    An upper bound: who looks earlier, too, may stop earlier. `tau` is the effect unless given.
    """
    if effect == 0:
        raise ValueError("no number of observations shows that nothing differs")
    effect, width = abs(effect), abs(tau or effect)
    wanted = NormalDist().inv_cdf(power)
    low, high = MIN_COUNT, MOST
    while low < high:
        count = (low + high) // 2
        noise = 2 * variance / count
        if noise == 0 or _reach(noise, alpha=alpha, tau=width) + wanted * sqrt(noise) <= effect:
            high = count
        else:
            low = count + 1
    return low


def sample_ratio_p(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """How likely counts as uneven as these are, if every arm got its share (Pearson's chi-square test).

    A tiny value says that assignment or counting is broken, and that no comparison of the arms is fair.
    Arms without a share are left out; 1 where there is nothing to compare.
    """
    arms = [arm for arm, share in shares.items() if share > 0]
    total, whole = sum(counts.get(arm, 0) for arm in arms), sum(shares[arm] for arm in arms)
    if not total or len(arms) < 2:
        return 1.0
    expected = {arm: total * shares[arm] / whole for arm in arms}
    distance = sum((counts.get(arm, 0) - expected[arm]) ** 2 / expected[arm] for arm in arms)
    return _chi_square_tail(distance, len(arms) - 1)


def _noise(control: Sample, treatment: Sample) -> float:
    """The variance of the difference of the means; 0 where it is not known."""
    if min(control.count, treatment.count) < MIN_COUNT:
        return 0.0
    return control.variance / control.count + treatment.variance / treatment.count


def _reach(noise: float, *, alpha: float, tau: float) -> float:
    """Half the width of the interval."""
    wide = noise + tau * tau
    return sqrt(noise * wide / (tau * tau) * (log(wide / noise) + 2 * log(1 / alpha)))


def _chi_square_tail(distance: float, freedom: int) -> float:
    """P(X >= distance): a finite sum, for a whole number of degrees of freedom."""
    half = distance / 2
    if freedom % 2:
        steps = [sqrt(half) ** (2 * i - 1) / gamma(i + 0.5) for i in range(1, (freedom + 1) // 2)]
        return min(erfc(sqrt(half)) + exp(-half) * sum(steps), 1.0)
    return min(exp(-half) * sum(half**i / gamma(i + 1) for i in range(freedom // 2)), 1.0)
