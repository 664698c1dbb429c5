"""Alpha for unitizing: Krippendorff's own example, and what chance is by trying all places out."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.agreement import Annotated, agreement
from ner.spans import Span
from ner.unitizing import Unitizing, difference

#: Krippendorff 2004 (p. 254): a continuum from 150 to 450, two observers, categories c and k.
FIRST = [(225, 70, "c"), (370, 30, "c"), (180, 60, "k"), (300, 50, "k")]
SECOND = [(220, 80, "c"), (355, 20, "c"), (400, 20, "c"), (180, 60, "k"), (300, 50, "k")]


def drawn(units: list[tuple[int, int, str]], *, begin: int = 0) -> list[Span]:
    return [Span(start - begin, start - begin + length, label) for start, length, label in units]


def test_krippendorffs_own_example() -> None:
    said = {"i": drawn(FIRST, begin=150), "j": drawn(SECOND, begin=150)}
    found = Unitizing([(300, said)])
    assert found.alpha() == pytest.approx(0.8591, abs=5e-4)
    assert found.alpha(label="c") == pytest.approx(0.7286, abs=1e-4)
    assert found.alpha(label="k") == 1


def test_the_differences_of_krippendorffs_figure() -> None:
    unit = (5, 6)
    others = [((4, 2), 26), ((5, 2), 16), ((6, 2), 10), ((7, 2), 8), ((6, 4), 2), ((5, 6), 0), ((2, 3), 0)]
    assert [difference(unit, other) for other, _ in others] == [float(apart) for _, apart in others]


def test_by_chance_is_the_mean_over_all_ways_to_meet() -> None:
    """Independent of the formula: every unit is laid at every place of every other's stretch."""
    lengths = [
        (10, {"a": [Span(1, 4, "x"), Span(6, 7, "x")], "b": [Span(2, 4, "x")]}),
        (7, {"a": [Span(0, 5, "x")], "b": [], "c": [Span(5, 7, "x")]}),
    ]
    observed = 0.0
    units, gaps, total = [], [], 0
    for length, said in lengths:
        total += length * len(said)
        marked = {name: [(s.start, s.end) for s in spans] for name, spans in said.items()}
        empty = {}
        for name, mine in marked.items():
            edges = [0, *(edge for pair in mine for edge in pair), length]
            empty[name] = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
            units += mine
            gaps += empty[name]
        for one, other in product(marked, marked):
            if one == other:
                continue
            for (a, b), (c, d) in product(marked[one], marked[other]):
                if a < d and c < b:
                    observed += ((a - c) ** 2 + (b - d) ** 2) / (len(said) - 1)
            for (a, b), (c, d) in product(marked[one], empty[other]):
                if c <= a and b <= d:
                    # Once as mine in theirs, once as theirs around mine.
                    observed += 2 * (b - a) ** 2 / (len(said) - 1)
    met = 0.0
    for (here, (a, b)), (there, (c, d)) in product(enumerate(units), enumerate(units)):
        if here != there:
            for offset in range(-(b - a) + 1, d - c):
                met += offset**2 + (offset + (b - a) - (d - c)) ** 2
    for (a, b), (c, d) in product(units, gaps):
        met += 2 * (b - a) ** 2 * max(0, (d - c) - (b - a) + 1)
    pairs = total * (total - 1) - sum((b - a) * (b - a - 1) for a, b in units)
    assert Unitizing(lengths).alpha() == pytest.approx(1 - (observed / total) / (met / pairs))


def test_it_sees_the_edge_that_the_alpha_on_tokens_does_not() -> None:
    """Two names side by side and one long name are the same tokens."""
    text = "Ada Lovelace Charles Babbage met"
    two, one = (Span(0, 12, "per"), Span(13, 28, "per")), (Span(0, 28, "per"),)
    split = agreement([Annotated(text, {"a": two, "b": one})])
    assert split.alpha.value == 1
    assert split.unitizing.value is not None
    assert split.unitizing.value < 0.5
    assert split.labels[0].unitizing.value == split.unitizing.value


def test_nothing_marked_has_no_figure_and_the_whole_text_no_chance() -> None:
    assert Unitizing([]).alpha() is None
    assert Unitizing([(9, {"a": [], "b": []})]).alpha() is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), max_size=5))
def test_whoever_marks_the_same_agrees_wholly(picks: list[tuple[int, int]]) -> None:
    spans = [Span(start, start + length, "x") for start, length in picks]
    assert Unitizing([(30, {"a": spans, "b": spans, "c": spans})]).alpha() in (None, pytest.approx(1))


def test_counting_a_document_twice_is_having_it_twice() -> None:
    one = (20, {"a": [Span(0, 4, "x")], "b": [Span(1, 4, "x")]})
    two = (12, {"a": [Span(3, 9, "x")], "b": []})
    import numpy as np

    weighed = Unitizing([one, two]).alpha(np.array([2.0, 1.0]))
    assert weighed == pytest.approx(Unitizing([one, one, two]).alpha())


def test_its_interval_is_of_the_same_bootstrap() -> None:
    text = "Ada Lovelace met Charles"
    right, wrong = [Span(0, 12, "per")], [Span(0, 3, "per")]
    found = agreement([Annotated(text, {"a": right, "b": right if n % 3 else wrong}) for n in range(9)])
    low, value, high = found.unitizing.low, found.unitizing.value, found.unitizing.high
    assert low is not None
    assert value is not None
    assert high is not None
    assert low <= value <= high
    assert low < high
