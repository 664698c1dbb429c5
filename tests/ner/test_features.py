"""Features, configuration and splits: the same in training and in serving, on every machine."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.acquisition import uncertainty
from ner.config import FeatureSettings, ModelConfig, TrainConfig, from_json, to_json
from ner.errors import BadConfig
from ner.features import CASES, FIRST_WORD, FeatureEncoder, case_class, shape, word_key
from ner.spans import Example
from ner.splits import SPLITS, deduplicated, split_of, take_split
from ner.training.embeddings import pack
from tests.ner.tiny import tiny_job

SETTINGS = FeatureSettings(lowercase=True, hashed=("prefix3", "shape"), buckets=50, vectors=2)
ENCODER = FeatureEncoder(SETTINGS, ["obama", "0000"], ["obama", "u.s"])


def test_the_rows_of_a_release_never_change() -> None:
    rows = ENCODER.encode(["Obama", "2016", "unseen", "U.S."]).tolist()
    assert rows == [
        [FIRST_WORD, 1, 33, 37, 1],
        [FIRST_WORD + 1, 5, 29, 49, 0],
        [1, 0, 19, 39, 0],
        [1 + 3, 3, 19, 26, 2],
    ]


@given(st.lists(st.text(min_size=1, max_size=80), max_size=5))
def test_every_word_has_a_row_within_its_tables(words: list[str]) -> None:
    rows = ENCODER.encode(words)
    assert rows.shape == (len(words), ENCODER.columns)
    assert (rows >= 0).all()
    assert (rows[:, 0] < FIRST_WORD + 2).all()
    assert (rows[:, 1] < CASES).all()
    assert (rows[:, 2:4] < SETTINGS.buckets).all()
    assert (rows[:, 4] <= 2).all()


def test_an_unknown_word_is_known_by_its_case() -> None:
    assert [case_class(word) for word in ("ab", "Ab", "AB", "A", "aB", "12", "a1", "--")] == list(range(8))
    assert ENCODER.encode(["Zzz"])[0, 0] == 1 + case_class("Zzz")
    assert ENCODER.knows("OBAMA")
    assert not ENCODER.knows("Zzz")


def test_a_part_of_a_word_that_nobody_computes_is_refused() -> None:
    with pytest.raises(BadConfig):
        FeatureEncoder(FeatureSettings(hashed=("soul",)), [])


def test_shapes_and_keys() -> None:
    assert shape("McDonald-777") == "XxXxx-dd"
    assert word_key("A4-Size", SETTINGS) == "a0-size"
    assert word_key("A4-Size", FeatureSettings()) == "A4-Size"


def test_packed_vectors_stay_within_half_a_step() -> None:
    vectors = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    packed = pack([str(row) for row in range(20)], vectors)
    found = packed.table.look_up(np.arange(1, 21, dtype=np.int32))
    assert np.abs(found - vectors).max() <= np.abs(vectors).max() / 127 / 2 + 1e-6
    assert not packed.table.look_up(np.array([0], np.int32)).any()


def model_config() -> ModelConfig:
    job = tiny_job()
    return ModelConfig(
        family="flagship", architecture=job.architecture, features=job.features, labels=job.labels
    )


@pytest.mark.parametrize("config", [model_config(), replace(model_config(), parent="ab" * 32)])
def test_a_configuration_reads_back_as_itself(config: ModelConfig) -> None:
    assert from_json(ModelConfig, json.loads(to_json(config))) == config
    assert from_json(TrainConfig, json.loads(to_json(config.training))) == config.training


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"labels": "per"},
        {"labels": ["per", 1]},
        {"labels": ["per", "per"]},
        {"temperature": "hot"},
        {"temperature": 0},
        {"tokenizer": 999},
        {"tokenizer": True},
        {"architecture": {"word_dim": 5}},
        {"training": {"epochs": 1.5}},
        {"features": {"lowercase": 1}},
        {"family": None},
    ],
)
def test_a_configuration_with_anything_odd_is_refused(change: dict[str, object]) -> None:
    body = json.loads(to_json(model_config())) | change
    with pytest.raises(BadConfig):
        from_json(ModelConfig, body)


def test_a_configuration_with_a_missing_key_is_refused() -> None:
    body = json.loads(to_json(model_config()))
    del body["labels"]
    with pytest.raises(BadConfig, match="labels"):
        from_json(ModelConfig, body)
    with pytest.raises(BadConfig):
        from_json(ModelConfig, [])


def test_a_text_belongs_to_one_part_for_ever() -> None:
    assert [split_of(text) for text in ("one", "two", "three", "four", "five", "six")] == [
        split_of(text) for text in ("One", " two", "three ", "four", "FIVE", "six")
    ]
    parts = [split_of(f"text {number}") for number in range(2000)]
    assert [round(parts.count(part) / 2000, 1) for part in SPLITS] == [0.6, 0.2, 0.2]


def test_duplicates_never_stand_on_two_sides() -> None:
    texts = [f"text {number % 50}" for number in range(200)] + ["", "  "]
    examples = [Example(text) for text in texts]
    assert len(list(deduplicated(examples))) == 50
    parts = {split: {e.text for e in take_split(examples, split)} for split in SPLITS}
    assert sum(len(part) for part in parts.values()) == 50
    assert list(take_split(examples, None)) == examples


def test_uncertainty_is_fair_by_length() -> None:
    assert uncertainty([], []) == 0.0
    assert uncertainty([0.0], [5]) == 0.0
    assert uncertainty([-5.0], [5]) == pytest.approx(uncertainty([-2.0, -8.0], [4, 6]))
    assert 0.0 < uncertainty([-1.0], [9]) < uncertainty([-4.0], [9]) < 1.0
