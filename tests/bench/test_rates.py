"""The search for the highest rate."""

from __future__ import annotations

import pytest

from bench.serving.rates import search


@pytest.mark.parametrize("start", [300, 900])
def test_it_comes_near_to_the_highest_rate_from_above_and_from_below(start: float) -> None:
    assert 700 < search(lambda rate: rate <= 730, start=start, probes=9) <= 730


def test_it_does_not_look_for_ever() -> None:
    tried: list[float] = []
    assert search(lambda rate: bool(tried.append(rate)), start=100, probes=5) == 0
    assert tried == [100, 75, 56.25, 42.1875, 31.640625]
