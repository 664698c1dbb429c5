"""Agreement: published examples, and what must hold of any annotators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.agreement import (
    Annotated,
    agreement,
    cohen_kappa,
    krippendorff_alpha,
    regions,
    span_f1,
    token_categories,
)
from ner.spans import Span

TEXT = "Ada Lovelace met Charles Babbage in London on Monday"
#: The words of TEXT: where annotators begin and end.
BOUNDS = [(0, 3), (4, 12), (13, 16), (17, 24), (25, 32), (33, 35), (36, 42), (43, 45), (46, 52)]

#: Krippendorff 2011, example C: four observers, twelve units, values missing. Nominal alpha is 0.743.
OBSERVERS = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]


def some_spans() -> st.SearchStrategy[tuple[Span, ...]]:
    """Spans that do not overlap, over whole words."""

    def build(picks: list[tuple[int, str]]) -> tuple[Span, ...]:
        return tuple(Span(*BOUNDS[place], label) for place, label in picks)

    pick = st.tuples(st.integers(0, len(BOUNDS) - 1), st.sampled_from(["per", "loc"]))
    return st.lists(pick, unique_by=lambda one: one[0]).map(build)


def test_kappa_of_a_published_table() -> None:
    # 50 grant proposals, two readers: 20 both yes, 15 both no, 5 and 10 differ. Kappa is 0.4.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)


def test_alpha_of_krippendorffs_own_example() -> None:
    rows = [row.split() for row in OBSERVERS]
    units = [[value for value in unit if value != "."] for unit in zip(*rows, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_two_observers_and_two_values() -> None:
    # Krippendorff 2011, example A: ten articles, 0 or 1. Alpha is 0.095.
    first, second = "0100000010", "1110010000"
    assert krippendorff_alpha(list(zip(first, second, strict=True))) == pytest.approx(0.095, abs=5e-4)


def test_what_is_not_defined_is_none() -> None:
    assert cohen_kappa(["O", "O"], ["O", "O"]) is None
    assert cohen_kappa([], []) is None
    assert krippendorff_alpha([["O", "O"]]) is None
    assert span_f1((), ()) is None
    nothing = agreement([])
    assert (nothing.documents, nothing.kappa.value, nothing.alpha.value) == (0, None, None)


def test_a_token_is_what_lies_over_it() -> None:
    spans = [Span(0, 12, "per"), Span(4, 12, "name")]
    assert token_categories("Ada Lovelace wrote", spans) == ["per", "name+per", "O"]


def test_lenient_forgives_edges_and_strict_does_not() -> None:
    first, second = [Span(0, 12, "per")], [Span(4, 12, "per")]
    assert span_f1(first, second) == 0
    assert span_f1(first, second, lenient=True) == 1
    assert span_f1(first, [Span(4, 12, "loc")], lenient=True) == 0


def test_regions_tell_what_is_agreed_from_what_is_not() -> None:
    found = regions(
        {
            "a": [Span(0, 12, "per"), Span(17, 32, "per"), Span(36, 42, "loc")],
            "b": [Span(0, 12, "per"), Span(17, 24, "per"), Span(25, 32, "per")],
        }
    )
    assert [(one.start, one.end, one.is_agreed) for one in found] == [
        (0, 12, True),
        (17, 32, False),
        (36, 42, False),
    ]
    assert found[2].versions == {"a": (Span(36, 42, "loc"),), "b": ()}


def test_intervals_hold_the_figure_and_narrow_with_more_documents() -> None:
    right, wrong = [Span(0, 12, "per")], [Span(0, 3, "per")]
    few = [Annotated(TEXT, {"a": right, "b": right if number % 3 else wrong}) for number in range(9)]
    small, large = agreement(few), agreement(few * 20)
    assert small.strict.value == large.strict.value == pytest.approx(2 / 3)
    for found in (small.strict, small.kappa, small.alpha):
        assert found.low is not None
        assert found.value is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high
    assert large.strict.high - large.strict.low < small.strict.high - small.strict.low  # type: ignore[operator]


@given(some_spans(), some_spans())
def test_any_two_agree_the_same_both_ways_and_within_bounds(a: tuple[Span, ...], b: tuple[Span, ...]) -> None:
    for lenient in (False, True):
        there, back = span_f1(a, b, lenient=lenient), span_f1(b, a, lenient=lenient)
        assert there == back
        assert there is None or 0 <= there <= 1
    strict, lenient_f1 = span_f1(a, b), span_f1(a, b, lenient=True)
    assert strict is None or lenient_f1 is None or strict <= lenient_f1
    tags = token_categories(TEXT, a), token_categories(TEXT, b)
    kappa, other = cohen_kappa(*tags), cohen_kappa(*reversed(tags))
    assert kappa == pytest.approx(other)
    assert kappa is None or -1 <= kappa <= 1 + 1e-12
    alpha = krippendorff_alpha(list(zip(*tags, strict=True)))
    assert alpha is None or alpha <= 1 + 1e-12


@given(some_spans().filter(bool))
def test_perfect_agreement_is_one(spans: tuple[Span, ...]) -> None:
    found = agreement([Annotated(TEXT, dict.fromkeys("abc", spans))], draws=20)
    assert found.strict.value == found.lenient.value == 1
    assert found.kappa.value in (None, pytest.approx(1))
    assert found.alpha.value in (None, pytest.approx(1))
    assert {label.label for label in found.labels} == {span.label for span in spans}
    assert len(found.pairs) == 3
