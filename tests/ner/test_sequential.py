"""The test that may be looked at at any time."""

from __future__ import annotations

from math import erf, inf, sqrt

import numpy as np
import pytest

from ner.sequential import (
    MIN_COUNT,
    Sample,
    compare,
    needed_per_arm,
    ratio_sample,
    sample_of,
    sample_ratio_p,
)


def test_it_says_nothing_of_few_observations() -> None:
    few, many = Sample(MIN_COUNT - 1, 0.0, 1.0), Sample(10_000, 5.0, 1.0)
    for control, treatment in [(few, many), (many, few)]:
        said = compare(control, treatment, tau=0.1)
        assert not said.is_said
        assert (said.low, said.high, said.p_value) == (-inf, inf, 1.0)


def test_it_says_nothing_where_nothing_varies() -> None:
    assert not compare(Sample(500, 0.0, 0.0), Sample(500, 1.0, 0.0), tau=0.1).is_said


def test_the_difference_is_treatment_minus_control() -> None:
    said = compare(Sample(2_000, 0.30, 0.2), Sample(2_000, 0.20, 0.2), tau=0.03)
    assert said.difference == pytest.approx(-0.10)
    assert said.low < said.difference < said.high < 0


@pytest.mark.parametrize("difference", [0.0, 0.01, 0.03, 0.049, 0.051, 0.2])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_interval_leaves_zero_out_exactly_where_p_is_below_alpha(difference: float, alpha: float) -> None:
    said = compare(Sample(1_500, 0.1, 0.2), Sample(900, 0.1 + difference, 0.3), alpha=alpha, tau=0.03)
    assert (said.p_value <= alpha) == (said.low > 0)


def test_it_is_wider_than_a_test_for_a_single_look() -> None:
    said = compare(Sample(1_000, 0.1, 0.2), Sample(1_000, 0.1, 0.2), tau=0.03)
    assert said.high > 1.96 * sqrt(0.4 / 1_000)


def test_a_huge_difference_is_no_overflow() -> None:
    assert compare(Sample(10**6, 0.0, 1e-9), Sample(10**6, 1e6, 1e-9), tau=1.0).p_value == 0.0


def test_a_ratio_counts_documents_not_spans() -> None:
    sample = ratio_sample([1, 0, 2, 0], [10, 2, 10, 2])
    assert sample.count == 4
    assert sample.mean == pytest.approx(3 / 24)


def test_the_variance_of_a_ratio_is_that_of_repeated_draws() -> None:
    random = np.random.default_rng(1)
    spans = random.poisson(4, size=(4_000, 200))
    edits = random.binomial(spans, 0.2)
    expected = (edits.sum(1) / spans.sum(1)).var()
    said = ratio_sample(edits.ravel(), spans.ravel()).variance / 200
    assert said == pytest.approx(expected, rel=0.06)


def test_a_ratio_of_no_spans_is_no_ratio() -> None:
    assert ratio_sample([0, 0], [0, 0]) == Sample(2, 0.0, 0.0)
    assert ratio_sample([], []) == Sample(0, 0.0, 0.0)
    with pytest.raises(ValueError, match="one numerator and one denominator"):
        ratio_sample([1, 2], [1])


def test_a_sample_has_the_variance_of_a_sample() -> None:
    assert sample_of([1.0, 2.0, 3.0]) == Sample(3, 2.0, 1.0)
    assert sample_of([7.0]) == Sample(1, 7.0, 0.0)


def test_more_is_needed_for_a_smaller_effect_and_for_more_power() -> None:
    usual = needed_per_arm(0.2, 0.03, power=0.8)
    assert needed_per_arm(0.2, 0.015, power=0.8) > 3 * usual
    assert needed_per_arm(0.2, 0.03, power=0.95) > usual
    assert needed_per_arm(0.2, -0.03, power=0.8) == usual
    assert needed_per_arm(1e-9, 0.5) == MIN_COUNT
    with pytest.raises(ValueError, match="nothing differs"):
        needed_per_arm(0.2, 0.0)


def test_so_many_as_needed_are_enough() -> None:
    count = needed_per_arm(0.2, 0.03, alpha=0.05, power=0.8)
    # The effect less the luck of one in five.
    seen = 0.03 - 0.8416 * sqrt(2 * 0.2 / count)
    for wanted, enough in [(count - 5, False), (count + 5, True)]:
        said = compare(Sample(wanted, 0.0, 0.2), Sample(wanted, seen, 0.2), tau=0.03)
        assert (said.p_value <= 0.05) is enough


def test_shares_that_were_kept_are_likely() -> None:
    assert sample_ratio_p({"champion": 905, "challenger": 95}, {"champion": 90.0, "challenger": 10.0}) > 0.5
    assert sample_ratio_p({"champion": 850, "challenger": 150}, {"champion": 90.0, "challenger": 10.0}) < 1e-6
    assert sample_ratio_p({"champion": 100}, {"champion": 50.0, "challenger": 50.0}) < 1e-6


def test_nothing_counted_is_no_mismatch() -> None:
    assert sample_ratio_p({}, {"champion": 50.0, "challenger": 50.0}) == 1.0
    assert sample_ratio_p({"champion": 7}, {"champion": 100.0}) == 1.0


def test_it_is_the_chi_square_test() -> None:
    """Critical values of the tables, one to five degrees of freedom."""
    for freedom, critical in enumerate([3.8415, 5.9915, 7.8147, 9.4877, 11.0705], start=1):
        # With equal shares, +x and -x on two of the arms make a distance of 2 x^2 / expected.
        arms, expected = freedom + 1, 10**10
        off = round(sqrt(critical * expected / 2))
        counts = {str(i): expected for i in range(arms)}
        counts["0"] += off
        counts["1"] -= off
        assert sample_ratio_p(counts, dict.fromkeys(counts, 1.0)) == pytest.approx(0.05, abs=1e-4)


def test_two_arms_are_the_square_of_a_normal() -> None:
    assert sample_ratio_p({"a": 520, "b": 480}, {"a": 1.0, "b": 1.0}) == pytest.approx(
        1 - erf(sqrt(1.6 / 2)), rel=1e-9
    )
