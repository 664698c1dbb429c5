"""The sequential test looked at all the time: false alarms without a difference, power with one."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bench.experiments.worlds import USUAL, World
from ner.sequential import MIN_COUNT, Sample, Sequential, compare, needed_per_arm, ratio_sample

ALPHA, POWER = 0.05, 0.8
#: The difference that is looked for: three points of the edit rate.
EFFECT = 0.03
#: Somebody looks whenever each arm has so many more reviews.
EVERY = 5
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Looks:
    """Of each run the reviews per arm at which the test said that the arms differ; 0 where it never did."""

    stopped: NDArray[np.int64]

    @property
    def share(self) -> float:
        """The share of the runs in which it ever said so."""
        return float(np.mean(self.stopped > 0))

    @property
    def median(self) -> float:
        """How many reviews per arm a run took, those that never ended counted as longest."""
        return float(np.median(np.where(self.stopped > 0, self.stopped, np.iinfo(np.int64).max)))


def watched(
    world: World, rates: tuple[float, float], *, runs: int, reviews: int, seed: int, every: int = EVERY
) -> Looks:
    """Let two arms be reviewed and looked at after every few reviews, run after run."""
    random = np.random.default_rng(seed)
    stopped = []
    for first in range(0, runs, _BATCH):
        size = (min(_BATCH, runs - first), reviews)
        arms = [samples(*world.edits(rate, size, random), every) for rate in rates]
        stopped += [_first_said(*(arm[run] for arm in arms)) for run in range(size[0])]
    return Looks(np.asarray(stopped))


def false_alarms(world: World, rate: float, *, runs: int, reviews: int, seed: int = 1) -> float:
    """The share of runs without a difference in which the test ever says that there is one."""
    return watched(world, (rate, rate), runs=runs, reviews=reviews, seed=seed).share


def power(*, runs: int, rate: float = 0.15, world: World = USUAL, seed: int = 2) -> dict[str, float]:
    """What becomes of a difference of three points, in at most as many reviews as the plan asks for."""
    random = np.random.default_rng(seed)
    variance = ratio_sample(*world.edits(rate, (200_000,), random)).variance
    planned = needed_per_arm(variance, EFFECT, alpha=ALPHA, power=POWER)
    looks = watched(world, (rate, rate + EFFECT), runs=runs, reviews=planned, seed=seed)
    return {"planned_per_arm": planned, "power": looks.share, "median_needed_per_arm": looks.median}


def compared_once(control: Sample, treatment: Sample, *, alpha: float, tau: float) -> Sequential:
    """What `compare` must not be: an ordinary test, which holds its error rate for a single look."""
    difference = treatment.mean - control.mean
    error = sqrt(control.variance / control.count + treatment.variance / treatment.count)
    p_value = 2 * NormalDist().cdf(-abs(difference) / error) if error else 1.0
    half = NormalDist().inv_cdf(1 - alpha / 2) * error
    return Sequential(difference, difference - half, difference + half, p_value)


def samples(edits: NDArray[np.int64], spans: NDArray[np.int64], every: int) -> list[list[Sample]]:
    """What `ratio_sample` says of each run's first reviews, look by look; from running sums, for speed."""
    looks = np.arange(MIN_COUNT, edits.shape[1] + 1, every)
    above, below, squares, mixed, wide = (
        np.cumsum(values, axis=1)[:, looks - 1].astype(float)
        for values in (edits, spans, edits * edits, edits * spans, spans * spans)
    )
    ratio = above / np.maximum(below, 1)
    spread = squares - 2 * ratio * mixed + ratio**2 * wide
    variance = spread / (looks - 1) / (below / looks) ** 2
    return [
        [Sample(int(count), *numbers) for count, *numbers in zip(looks, *rows, strict=True)]
        for rows in zip(ratio.tolist(), variance.tolist(), strict=True)
    ]


def _first_said(control: list[Sample], treatment: list[Sample]) -> int:
    for before, after in zip(control, treatment, strict=True):
        if compare(before, after, alpha=ALPHA, tau=EFFECT).p_value <= ALPHA:
            return before.count
    return 0
