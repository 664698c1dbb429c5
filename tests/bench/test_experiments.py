"""What `bench.experiments` measures in full, in the small: the same code, few runs, always the same draws."""

from __future__ import annotations

import numpy as np
import pytest

from bench.experiments import equals, looking, shares
from bench.experiments.worlds import USUAL, WORLDS, World
from ner.sequential import ratio_sample


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_the_worlds_are_as_true_as_they_say(world: World) -> None:
    random = np.random.default_rng(1)
    tp, fp, fn = world.answers(0.8, (200_000,), random)
    assert 2 * tp.sum() / (2 * tp + fp + fn).sum() == pytest.approx(0.8, abs=0.01)
    edits, spans = world.edits(0.15, (200_000,), random)
    assert edits.sum() / spans.sum() == pytest.approx(0.15, abs=0.01)


def test_running_sums_say_what_the_test_would_be_told() -> None:
    edits, spans = USUAL.edits(0.15, (1, 300), np.random.default_rng(2))
    (looks,) = looking.samples(edits, spans, every=50)
    for look in looks:
        expected = ratio_sample(edits[0, : look.count], spans[0, : look.count])
        assert look.mean == pytest.approx(expected.mean)
        assert look.variance == pytest.approx(expected.variance)


def test_equal_arms_looked_at_all_the_time_are_seldom_called_different() -> None:
    assert looking.false_alarms(USUAL, 0.15, runs=100, reviews=600) <= looking.ALPHA


def test_looking_at_an_ordinary_test_all_the_time_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can fail: with 1.96 standard errors a third of the equal arms would seem to differ."""
    monkeypatch.setattr(looking, "compare", looking.compared_once)
    assert looking.false_alarms(USUAL, 0.15, runs=100, reviews=600) > 3 * looking.ALPHA


def test_a_difference_of_three_points_is_found() -> None:
    found = looking.power(runs=30)
    assert found["power"] >= 0.7
    assert found["median_needed_per_arm"] < found["planned_per_arm"]


@pytest.mark.parametrize("split", shares.SPLITS, ids=lambda split: f"{len(split)} arms")
def test_callers_are_split_as_the_shares_say_and_always_alike(split: dict[str, float]) -> None:
    arms = shares.drawn(split, subjects=20_000)
    assert shares.split_error(arms, split) < 1
    assert shares.stickiness(arms, shares.drawn(split, subjects=20_000)) == 100


def test_the_gate_seldom_takes_an_equal_model_for_a_better_one() -> None:
    assert equals.passed(pairs=40, documents=50, f1=0.85) <= equals.ALPHA
