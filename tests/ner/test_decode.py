"""Decoding against the definition: every sequence enumerated."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ner.calibrate import ScoredBatch, fit_temperature, negative_log_likelihood
from ner.decode import Lattice, Spans, Transitions, spans_of, valid_transitions, viterbi
from ner.tags import chunks, is_iob2, tag_names

NAMES = tag_names(["a", "b"])
TAGS = len(NAMES)


def learned(seed: int) -> Transitions:
    rng = np.random.default_rng(seed)
    return Transitions.learned(rng.normal(size=TAGS), rng.normal(size=(TAGS, TAGS)), rng.normal(size=TAGS))


def enumerate_sequences(emissions: np.ndarray, moves: Transitions) -> dict[tuple[int, ...], float]:
    """The probability of every valid sequence, by definition."""
    scores = {}
    for path in product(range(TAGS), repeat=len(emissions)):
        if not is_iob2([NAMES[tag] for tag in path]):
            continue
        score = moves.start[path[0]] + moves.end[path[-1]]
        score += sum(emissions[place, tag] for place, tag in enumerate(path))
        score += sum(moves.matrix[pair] for pair in pairwise(path))
        scores[path] = score
    total = np.logaddexp.reduce(list(scores.values()))
    return {path: float(np.exp(score - total)) for path, score in scores.items()}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_paths_and_probabilities_are_those_of_the_definition(seed: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    moves = learned(seed) if seed % 2 else Transitions.free(2)
    lengths = np.array([4, 1, 3])
    emissions = rng.normal(scale=3, size=(3, 4, TAGS)).astype(np.float32)
    paths = viterbi(emissions, lengths, moves)
    lattice = Lattice(emissions, lengths, moves, temperature=temperature)
    tokens = lattice.token_probabilities()
    likelihood = lattice.log_probabilities(paths)
    assert (lattice.best_paths()[0] == paths).all()
    for row, length in enumerate(lengths):
        every = enumerate_sequences(emissions[row, :length] / temperature, moves.scaled(temperature))
        best = max(every, key=lambda path: every[path])
        assert tuple(paths[row, :length]) == best
        assert np.exp(likelihood[row]) == pytest.approx(every[best], rel=1e-5)
        for place, tag in product(range(length), range(TAGS)):
            share = sum(p for path, p in every.items() if path[place] == tag)
            assert tokens[row, place, tag] == pytest.approx(share, abs=1e-6)
        ends = [(0, 0), (0, length - 1), (length - 1, length - 1)]
        # Of other rows and lengths beside: they are computed together and must not touch each other.
        asked = [(row, first, last) for first, last in ends] + [(0, 1, 2), (2, 0, 1), (1, 0, 0)]
        found = lattice.span_probabilities(Spans(*np.array(asked).T))
        for (first, last), (*entity, outside) in zip(ends, found, strict=False):
            for number, label in enumerate("ab"):
                share = sum(
                    p
                    for path, p in every.items()
                    if (first, last + 1, label) in chunks([NAMES[tag] for tag in path])
                )
                assert entity[number] == pytest.approx(share, abs=1e-6)
            share = sum(p for path, p in every.items() if not any(path[first : last + 1]))
            assert outside == pytest.approx(share, abs=1e-6)


@settings(max_examples=25)
@given(
    arrays(np.float32, (2, 6, TAGS), elements=st.floats(-1e4, 1e4, width=32)),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.integers(0, 9),
)
def test_only_valid_iob2_comes_out_whatever_the_emissions(
    emissions: np.ndarray, lengths: tuple[int, int], seed: int
) -> None:
    moves = learned(seed)
    paths = viterbi(emissions, np.array(lengths), moves)
    lattice = Lattice(emissions, np.array(lengths), moves)
    tokens = lattice.token_probabilities()
    assert np.isfinite(lattice.log_probabilities(paths)).all()
    for row, length in enumerate(lengths):
        assert is_iob2([NAMES[tag] for tag in paths[row, :length]])
        assert np.allclose(tokens[row, :length].sum(axis=1), 1.0, atol=1e-6)


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.floats(0.1, 8.0))
def test_the_short_way_to_the_best_path_ends_where_viterbi_does(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 12, size=6)
    emissions = rng.normal(scale=scale, size=(6, 11, TAGS)).astype(np.float32)
    moves = learned(seed)
    paths, likelihoods = Lattice(emissions, lengths, moves, temperature=1.3).best_paths()
    assert (paths == viterbi(emissions, lengths, moves)).all()
    assert (likelihoods <= 0).all()


def test_the_entities_of_paths_are_those_of_their_tags() -> None:
    rng = np.random.default_rng(7)
    paths = viterbi(
        rng.normal(scale=3, size=(40, 8, TAGS)).astype(np.float32), rng.integers(1, 9, size=40), learned(1)
    )
    expected = [
        (row, first, stop - 1)
        for row, path in enumerate(paths)
        for first, stop, _ in chunks([NAMES[tag] for tag in path])
    ]
    assert list(zip(*(column.tolist() for column in spans_of(paths)), strict=True)) == expected
    assert len(expected) > 40


def test_padding_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    emissions = rng.normal(size=(1, 5, TAGS)).astype(np.float32)
    padded = np.concatenate([emissions, np.full((1, 7, TAGS), 9.0, np.float32)], axis=1)
    moves, length = learned(3), np.array([5])
    assert (viterbi(padded, length, moves)[:, :5] == viterbi(emissions, length, moves)).all()
    alone, beside = Lattice(emissions, length, moves), Lattice(padded, length, moves)
    assert beside.log_partition == pytest.approx(alone.log_partition)


def test_an_entity_can_only_be_continued_by_its_own_label() -> None:
    start, matrix = valid_transitions(TAGS)
    assert [NAMES[tag] for tag in np.flatnonzero(start)] == ["O", "B-a", "B-b"]
    assert [NAMES[tag] for tag in np.flatnonzero(matrix[:, 2])] == ["B-a", "I-a"]


def test_the_fitted_temperature_finds_the_one_that_made_the_data() -> None:
    rng = np.random.default_rng(5)
    moves, lengths = Transitions.free(2), np.full(120, 3)
    emissions = rng.normal(scale=2, size=(120, 3, TAGS)).astype(np.float32)
    tags = np.array([sample(row, moves, rng) for row in emissions])
    batch = ScoredBatch(emissions * 2.0, lengths, tags)
    fitted = fit_temperature([batch], moves)
    assert fitted == pytest.approx(2.0, rel=0.3)
    assert negative_log_likelihood([batch], moves, fitted) < negative_log_likelihood([batch], moves, 1.0)
    assert fit_temperature([], moves) == 1.0


def sample(emissions: np.ndarray, moves: Transitions, rng: np.random.Generator) -> tuple[int, ...]:
    every = enumerate_sequences(emissions, moves)
    paths = list(every)
    return paths[rng.choice(len(paths), p=list(every.values()))]
