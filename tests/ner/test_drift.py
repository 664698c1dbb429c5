"""Texts that moved are told from texts that did not, and few texts from many."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from functools import cache

import pytest

from ner.drift import (
    MIN_TEXTS,
    NO_ENTITY,
    Measure,
    Profile,
    drift,
    kl,
    psi,
    unknown_ratio,
    unknown_ratio_expected,
    vocabulary_overlap,
)
from ner.formats import read_examples
from ner.spans import Example, Span
from nerapp.env import PROJECT


@cache
def corpus(name: str) -> tuple[Example, ...]:
    return tuple(read_examples(PROJECT / "corpora" / f"{name}.jsonl", format="jsonl"))


def profile(examples: Iterable[Example], *, key: bytes = b"", confidence: float | None = 0.97) -> Profile:
    made = Profile()
    for example in examples:
        made.add(example.text, spans=example.spans, confidence=confidence, key=key)
    return made


def halves(name: str, size: int, *, seed: int = 0) -> tuple[Profile, Profile]:
    drawn = random.Random(seed).sample(corpus(name), 2 * size)
    return profile(drawn[:size]), profile(drawn[size:])


def drifted(measures: Sequence[Measure]) -> set[str]:
    return {measure.name for measure in measures if measure.drifted}


def named(measures: Sequence[Measure], name: str) -> Measure:
    return next(measure for measure in measures if measure.name == name)


@pytest.mark.parametrize("name", ["general", "orchard"])
@pytest.mark.parametrize("size", [MIN_TEXTS, 100, 200])
def test_two_halves_of_one_corpus_have_not_drifted(name: str, size: int) -> None:
    alarms = sum(len(drifted(drift(*halves(name, size, seed=seed)))) for seed in range(10))
    assert alarms <= (1 if size == MIN_TEXTS else 0)


def test_other_texts_have_drifted_in_words_and_labels() -> None:
    general, orchard = profile(corpus("general")), profile(corpus("orchard"))
    measures = drift(general, orchard)
    assert drifted(measures) == {"vocabulary", "unknown_words", "labels"}
    assert named(measures, "labels").value == pytest.approx(4.54, abs=0.01)


def test_longer_texts_have_drifted_in_length_alone() -> None:
    texts = [example.text for example in corpus("orchard")]
    short, long = Profile(), Profile()
    for text in texts[:200]:
        short.add(text)
    for first, second, third in zip(texts[200:400], texts[:200], texts[100:300], strict=True):
        long.add(f"{first} {second} {third}")
    assert drifted(drift(short, long)) == {"length"}


def test_a_collapse_of_confidence_is_drift() -> None:
    assert "confidence" in drifted(
        drift(profile(corpus("orchard")[:200]), profile(corpus("orchard")[200:400], confidence=0.55))
    )


def test_when_entities_are_no_longer_found_the_mix_of_labels_has_drifted() -> None:
    blind = Profile()
    for example in corpus("orchard")[200:400]:
        blind.add(example.text, spans=(), confidence=0.97)
    assert blind.labels == {NO_ENTITY: 200}
    assert drifted(drift(profile(corpus("orchard")[:200]), blind)) == {"labels"}


def test_of_too_few_texts_nothing_is_said() -> None:
    few = profile(corpus("orchard")[: MIN_TEXTS - 1])
    for measure in drift(profile(corpus("general")), few):
        assert (measure.value, measure.drifted) == (None, False)
        assert measure.current_texts == MIN_TEXTS - 1


def test_texts_without_an_answer_say_nothing_of_labels_and_confidence() -> None:
    unanswered = Profile()
    for example in corpus("orchard"):
        unanswered.add(example.text)
    measures = drift(profile(corpus("orchard")), unanswered)
    assert [measure.name for measure in measures if measure.value is None] == ["labels", "confidence"]


def test_chance_between_small_samples_is_taken_off_and_raises_the_threshold() -> None:
    # 60 texts each from one source: the plain index calls that a large shift.
    weights = [1, 2, 3, 4, 4, 3, 2, 1]
    dice = random.Random(3)
    plain, corrected, alarms = 0, 0.0, 0
    for _ in range(500):
        samples = [dice.choices(range(8), weights, k=60) for _ in range(2)]
        first, second = (
            Profile(texts=60, length=[drawn.count(bin) for bin in range(8)]) for drawn in samples
        )
        plain += psi(first.length, second.length) > 0.25
        measure = named(drift(first, second), "length")
        assert measure.value is not None
        corrected += measure.value / 500
        alarms += measure.drifted
    assert plain > 50
    assert alarms <= 3
    assert corrected < 0.05


def test_with_many_texts_the_threshold_is_the_usual_one() -> None:
    many = Profile(texts=4000, length=[1000, 1000, 2000])
    moved = Profile(texts=4000, length=[2200, 1200, 600])
    measure = named(drift(many, moved), "length")
    assert measure.threshold == 0.25
    assert measure.drifted


def test_the_indices_are_those_of_the_textbook() -> None:
    reference, current = [5000, 5000], [8000, 2000]
    assert psi(reference, current) == pytest.approx(0.3 * 1.3863, abs=1e-3)
    assert kl(reference, current) == pytest.approx(0.8 * 0.47 + 0.2 * -0.9163, abs=1e-3)
    assert psi(reference, reference) == kl(reference, reference) == 0
    assert psi([10, 0], [0, 10]) < float("inf")


def test_only_usual_words_are_asked_for() -> None:
    reference, current = Profile(), Profile()
    for number in range(60):
        reference.add("apples and pears")
        current.add(f"apples and quinces rare{chr(97 + number % 20) * (number + 1)}")
    assert vocabulary_overlap(reference, current) == pytest.approx(2 / 3)
    assert unknown_ratio(reference, current) == pytest.approx(2 / 4)


def test_what_the_next_text_will_not_know_is_foreseen() -> None:
    sample = random.Random(1).sample(corpus("orchard"), 581)
    reference, following = profile(sample[:400]), profile(sample[400:])
    assert unknown_ratio(reference, following) == pytest.approx(unknown_ratio_expected(reference), abs=0.03)


def test_numbers_and_case_are_no_new_words() -> None:
    reference, current = Profile(), Profile()
    reference.add("Paid 1,250 EUR on 3 May")
    current.add("PAID 9,999 eur on 7 may!")
    assert unknown_ratio(reference, current) == 0


def test_profiles_add_up_and_survive_json() -> None:
    whole = profile(corpus("orchard"))
    first, rest = profile(corpus("orchard")[:300]), profile(corpus("orchard")[300:])
    merged = first.merged(rest)
    assert merged == whole
    assert Profile.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_a_profile_holds_no_word_and_nobody_without_the_key_can_look_one_up() -> None:
    example = Example("Bramley grows in Kent.", (Span(0, 7, "cultivar"),))
    mine, other = profile([example], key=b"k" * 32), profile([example], key=b"o" * 32)
    assert "bramley" not in json.dumps(mine.to_json()).lower()
    assert not set(mine.words) & set(other.words)
    assert mine.words.keys() == profile([example], key=b"k" * 32).words.keys()
