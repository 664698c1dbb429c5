"""Texts unlike all others are told from more of the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ner.diversity import CENTRES, WIDTH, Cover, Placer

FLAGSHIP = Path(__file__).parents[2] / "models" / "flagship"


@pytest.fixture(scope="module")
def placer() -> Placer:
    """The vectors that come with nerapp."""
    return Placer.of_bundle(FLAGSHIP)


def test_texts_about_one_thing_lie_together(placer: Placer) -> None:
    football = placer.place("The striker scored twice and the team won the football match.")
    soccer = placer.place("A late goal gave the club victory in the cup game.")
    bank = placer.place("The central bank raised interest rates to slow inflation.")
    assert float(football @ soccer) > float(football @ bank) + 0.1


def test_frequent_words_say_little(placer: Placer) -> None:
    one = placer.place("the of and to in apples")
    assert float(one @ placer.place("apples")) > 0.9


def test_words_that_no_list_knows_count_too() -> None:
    hashed = Placer()
    one, same, other = (hashed.place(text) for text in ("яблоко груша", "груша яблоко", "война мир"))
    assert one @ same == pytest.approx(1.0, abs=1e-5)
    assert one @ other < 0.5


def test_a_text_without_words_lies_nowhere(placer: Placer) -> None:
    assert not placer.place(" ... ").any()
    assert Cover().add(placer.place("")) == 1.0


def test_the_first_of_a_kind_is_novel_and_the_next_is_not(placer: Placer) -> None:
    cover = Cover()
    first = cover.add(placer.place("The striker scored twice in the football match."))
    again = cover.add(placer.place("The striker scored twice in the football match."))
    bank = cover.add(placer.place("The central bank raised interest rates."))
    assert (first, again) == (1.0, pytest.approx(0, abs=1e-3))
    assert bank > 0.3


def test_the_cover_stays_small_and_covers_all_it_has_seen() -> None:
    random = np.random.default_rng(1)
    points = random.standard_normal((3000, WIDTH)).astype(np.float32)
    points[:, 8:] *= 0.1
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    cover = Cover()
    for point in points:
        cover.add(point)
    assert 1 < len(cover.centres) <= CENTRES
    # The doubling algorithm's promise: nobody is further from a centre than twice the radius.
    assert max(cover._distance(point) for point in points) <= 2 * cover.radius + 1e-6


def test_a_cover_is_stored_exactly() -> None:
    cover = Cover()
    for seed in range(20):
        cover.add(Placer().place(f"word{seed}"))
    again = Cover.from_bytes(cover.radius, cover.to_bytes())
    assert np.array_equal(again.centres, cover.centres)
