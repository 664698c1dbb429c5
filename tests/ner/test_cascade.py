"""The threshold of a cascade: as high as the margin allows, from what both were measured to do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ner.cascade import handover
from ner.evaluate import EvalReport, evaluate
from ner.gate import ReportsDiffer
from ner.spans import Example, Span

ADA = Span(0, 3, "per")


def sat(right: Sequence[bool], unsure: Sequence[float]) -> EvalReport:
    """The report of a model that found Ada in the texts where it is right."""
    gold = [Example("Ada sang.", (ADA,)) for _ in right]
    return evaluate(gold, [[ADA] if found else [] for found in right], uncertainties=unsure)


# The fast one misses where it is unsure, and once where it is nearly sure; the better one misses once.
FAST = sat([True] * 6 + [False] + [True] + [False] * 2, [0.0, 0.1, 0.1, 0.1, 0.2, 0.2, 0.3, 0.4, 0.6, 0.8])
BETTER = sat([True] * 9 + [False], [0.0] * 10)


def test_without_a_margin_all_goes_on_that_the_better_one_has_right_alone() -> None:
    found = handover(FAST, BETTER, margin=0.0)
    assert found.threshold == pytest.approx(0.25), "between the last of the sure ones and the first miss"
    assert found.share == 0.4
    assert found.f1 == BETTER.micro.f1 == found.second_f1


def test_a_margin_saves_what_it_may_cost() -> None:
    found = handover(FAST, BETTER, margin=0.07)
    assert (found.threshold, found.share) == (pytest.approx(0.5), 0.2)
    assert BETTER.micro.f1 - 0.07 <= found.f1 < BETTER.micro.f1


def test_a_margin_that_the_fast_one_keeps_alone_hands_on_what_is_stranger_than_all_texts() -> None:
    found = handover(FAST, BETTER, margin=0.5)
    assert (found.threshold, found.share, found.f1) == (pytest.approx(0.9), 0.0, FAST.micro.f1)


def test_a_fast_one_that_is_sure_and_wrong_hands_on_everything() -> None:
    found = handover(sat([False] * 4, [0.0] * 4), sat([True] * 4, [0.0] * 4), margin=0.1)
    assert (found.threshold, found.share, found.f1) == (0.0, 1.0, 1.0)


def test_texts_of_one_uncertainty_stay_together() -> None:
    found = handover(
        sat([True, True, False, True], [0.1, 0.3, 0.3, 0.5]), sat([True] * 4, [0.0] * 4), margin=0.0
    )
    assert (found.threshold, found.share) == (pytest.approx(0.2), 0.75)


def test_exams_on_different_texts_are_no_measure() -> None:
    with pytest.raises(ReportsDiffer):
        handover(FAST, sat([True] * 9, [0.0] * 9), margin=0.0)


def test_how_unsure_it_was_is_kept_with_the_report() -> None:
    assert EvalReport.from_json(FAST.to_json()).uncertainties == FAST.uncertainties
    assert "uncertainties" not in sat([True], []).to_json()
