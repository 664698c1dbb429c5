"""The live F1 and its interval: from texts, not from entities, and never surer than it may be."""

from __future__ import annotations

import numpy as np
import pytest

from bench.experiments.coverage import covered
from bench.experiments.worlds import SPARSE, USUAL
from ner.live_quality import FEWEST, Estimate, live_f1, reviews_needed


def test_f1_is_that_of_all_entities_together() -> None:
    found = live_f1([(3, 1, 0), (1, 0, 2), (0, 0, 0)] * 20)
    assert found.f1 == pytest.approx(2 * 4 / (2 * 4 + 1 + 2))
    assert (found.documents, found.entities) == (60, 120)
    assert found.low < found.f1 < found.high


def test_texts_of_which_all_was_right_are_not_called_perfect_for_sure() -> None:
    found = live_f1([(2, 0, 0)] * 40)
    assert (found.f1, found.high) == (1.0, 1.0)
    assert 0.9 < found.low < 0.99


def test_more_of_the_same_texts_make_it_surer() -> None:
    some = [(3, 1, 0), (1, 0, 2), (2, 0, 0)] * 20
    few, many = live_f1(some), live_f1(some * 4)
    assert few.f1 == many.f1
    assert many.half_width == pytest.approx(few.half_width / 2, rel=0.05)


def test_entities_that_go_wrong_together_make_it_less_sure() -> None:
    apart = live_f1([(9, 1, 1)] * 60)
    together = live_f1([(10, 0, 0)] * 54 + [(0, 10, 10)] * 6)
    assert apart.f1 == pytest.approx(together.f1)
    assert together.half_width > 3 * apart.half_width


@pytest.mark.parametrize("few", [[], [(0, 0, 0)] * 100, [(1, 1, 0)] * (FEWEST - 1)])
def test_too_few_texts_tell_nothing(few: list[tuple[int, int, int]]) -> None:
    found = live_f1(few)
    assert (found.low, found.high) == (0.0, 1.0)
    assert reviews_needed(found) is None


def test_it_says_the_same_of_the_same_texts_in_any_order() -> None:
    texts = np.stack(USUAL.answers(0.8, (200,), np.random.default_rng(1)), axis=1)
    shuffled = np.random.default_rng(2).permutation(texts)
    assert live_f1(texts).low == pytest.approx(live_f1(shuffled).low, abs=1e-12)
    assert live_f1(texts) == live_f1(texts)


def test_a_higher_confidence_is_a_wider_interval() -> None:
    texts = [(3, 1, 0), (1, 0, 2)] * 30
    assert live_f1(texts, confidence=0.99).half_width > 1.2 * live_f1(texts).half_width


def test_so_many_reviews_as_needed_do_narrow_it() -> None:
    random = np.random.default_rng(3)
    first = np.stack(USUAL.answers(0.85, (200,), random), axis=1)
    needed = reviews_needed(live_f1(first))
    assert needed is not None
    assert needed > 100
    more = np.concatenate([first, np.stack(USUAL.answers(0.85, (needed,), random), axis=1)])
    assert live_f1(more).half_width == pytest.approx(0.02, rel=0.2)


def test_the_number_of_reviews_is_a_round_one() -> None:
    assert reviews_needed(Estimate(0.82, 0.776, 0.864, 420, 900)) == 1_700
    assert reviews_needed(Estimate(0.82, 0.75, 0.85, 4, 900)) == 21


def test_what_is_narrow_enough_needs_no_more() -> None:
    assert reviews_needed(Estimate(0.9, 0.89, 0.91, 4_000, 12_000)) == 0


@pytest.mark.parametrize(
    ("world", "f1", "documents"), [(USUAL, 0.8, 50), (SPARSE, 0.98, 30), (USUAL, 0.95, 300)]
)
def test_the_interval_holds_the_truth_as_often_as_it_says(world, f1: float, documents: int) -> None:
    share, _ = covered(world, f1, documents, runs=2_000, seed=1)
    assert 0.93 <= share <= 0.97
