"""What a reviewer did: each span of both sides is in exactly one decision."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from ner.spans import Decision, Span, SpanChange, compare_spans

SPANS = st.lists(
    st.builds(
        lambda start, length, label: Span(start, start + length, label),
        st.integers(0, 30),
        st.integers(1, 8),
        st.sampled_from(["per", "org"]),
    ),
    max_size=8,
    unique=True,
)


def decisions(predicted: list[Span], corrected: list[Span]) -> list[str]:
    return [change.decision.value for change in compare_spans(predicted, corrected)]


def test_an_untouched_span_is_accepted_whatever_its_confidence() -> None:
    assert decisions([Span(0, 3, "per", 0.4)], [Span(0, 3, "per")]) == ["accept"]


def test_a_removed_span_is_rejected_and_a_new_one_added() -> None:
    assert decisions([Span(0, 3, "per")], [Span(10, 12, "org")]) == ["reject", "add"]


def test_another_label_at_the_same_place_is_a_relabel() -> None:
    assert decisions([Span(0, 3, "per")], [Span(0, 3, "org")]) == ["relabel"]


def test_a_moved_boundary_is_a_resize() -> None:
    old, new = Span(0, 3, "per"), Span(0, 8, "per")
    assert compare_spans([old], [new]) == [SpanChange(Decision.RESIZE, old, new)]


def test_a_moved_boundary_with_another_label_is_a_relabel_that_shows_both_places() -> None:
    old, new = Span(0, 3, "per"), Span(0, 8, "org")
    assert compare_spans([old], [new]) == [SpanChange(Decision.RELABEL, old, new)]


def test_a_split_span_is_one_resize_and_one_addition() -> None:
    assert decisions([Span(0, 10, "per")], [Span(0, 3, "per"), Span(4, 10, "per")]) == ["add", "resize"]


def test_a_merged_pair_is_one_resize_and_one_rejection() -> None:
    assert decisions([Span(0, 3, "per"), Span(4, 10, "per")], [Span(0, 10, "per")]) == ["reject", "resize"]


def test_the_same_label_wins_over_a_larger_overlap() -> None:
    predicted = [Span(0, 6, "org"), Span(6, 9, "per")]
    changes = compare_spans(predicted, [Span(0, 8, "per")])
    assert [(c.decision.value, c.predicted) for c in changes] == [
        ("reject", predicted[0]),
        ("resize", predicted[1]),
    ]


def test_touching_spans_are_not_the_same_entity() -> None:
    assert decisions([Span(0, 3, "per")], [Span(3, 6, "per")]) == ["reject", "add"]


def test_a_span_is_never_matched_with_one_it_does_not_touch() -> None:
    corrected = [Span(0, 10, "org"), Span(1, 2, "per")]
    assert decisions([Span(5, 7, "per")], corrected) == ["add", "relabel"]


@given(SPANS, SPANS)
def test_every_span_is_decided_once(predicted: list[Span], corrected: list[Span]) -> None:
    changes = compare_spans(predicted, corrected)
    assert sorted(c.predicted for c in changes if c.predicted) == sorted(predicted)
    assert sorted(c.corrected for c in changes if c.corrected) == sorted(corrected)
    accepted = {c.predicted for c in changes if c.decision is Decision.ACCEPT}
    assert accepted == set(predicted) & set(corrected)


@given(SPANS, SPANS, st.randoms())
def test_the_order_of_the_spans_does_not_matter(predicted, corrected, random) -> None:
    expected = compare_spans(predicted, corrected)
    random.shuffle(predicted)
    random.shuffle(corrected)
    assert compare_spans(predicted, corrected) == expected


def test_ten_thousand_spans_are_compared_quickly() -> None:
    predicted = [Span(10 * i, 10 * i + 6, "per") for i in range(10_000)]
    corrected = [Span(10 * i + 1, 10 * i + 7, "per") for i in range(10_000)]
    started = time.process_time()
    changes = compare_spans(predicted, corrected)
    assert {change.decision for change in changes} == {Decision.RESIZE}
    assert time.process_time() - started < 3
