"""Nearly the same texts are found, and others are not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ner.alike import BANDS, SAME, bands_of, resemblance, shingles

KEY = b"k" * 32
LONG = (
    "The committee met on Monday to discuss the harvest, the weather of the coming weeks and the price of"
    " apples, which had risen since spring because of late frost in the valleys of the north."
)


def meet(one: str, other: str) -> bool:
    return bool(set(bands_of(shingles(one), key=KEY)) & set(bands_of(shingles(other), key=KEY)))


def test_case_spaces_and_punctuation_do_not_make_another_text() -> None:
    one, other = "Ada moved to London, in 1835.", "  ada MOVED to\nLondon (in 1835)!"
    assert shingles(one) == shingles(other)
    assert meet(one, other)


def test_one_word_in_a_long_text_changes_little_and_in_a_short_one_much() -> None:
    assert resemblance(shingles(LONG), shingles(LONG.replace("Monday", "Friday"))) >= SAME
    assert resemblance(shingles("Ada moved to London."), shingles("Ada moved to Boston.")) < SAME


def test_texts_about_the_same_are_not_the_same() -> None:
    other = "Apples cost more since spring, the committee said on Monday, for there was frost in the valleys."
    assert resemblance(shingles(LONG), shingles(other)) < 0.2
    assert not meet(LONG, other)


def test_alike_texts_meet_in_a_band() -> None:
    words = [f"word{number}" for number in range(60)]
    met = 0
    for at in range(60):
        changed = [*words[:at], "other", *words[at + 1 :]]
        met += meet(" ".join(words), " ".join(changed))
    assert met >= 58


def test_another_project_sees_other_numbers() -> None:
    assert not set(bands_of(shingles(LONG), key=KEY)) & set(bands_of(shingles(LONG), key=b"o" * 32))


def test_a_text_without_words_is_like_nothing() -> None:
    assert bands_of(shingles("... !"), key=KEY) == []
    assert resemblance(shingles(""), shingles("")) == 0


@given(st.text(max_size=300))
def test_every_text_is_exactly_like_itself(text: str) -> None:
    runs = shingles(text)
    bands = bands_of(runs, key=KEY)
    assert bands == bands_of(shingles(text), key=KEY)
    assert len(bands) == (BANDS if runs else 0)
    assert all(-(2**63) <= band < 2**63 for band in bands)
    assert resemblance(runs, runs) == (1.0 if runs else 0.0)
