"""Training with real TensorFlow: parity with the exported graph, exact resume, no forgetting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ner.bundle import bundle_sha256, open_bundle
from ner.config import TrainConfig
from ner.errors import TrainingCancelled, TrainingFailed
from ner.evaluate import evaluate
from ner.runtime import BundleRecogniser, load_recogniser
from ner.spans import Example, Span
from tests.ner.tiny import tiny_bundle, tiny_job

pytestmark = pytest.mark.slow

PEOPLE = ("Ada Lovelace", "Grace Hopper", "Alan Turing", "Kurt Gödel", "Emmy Noether")
PLACES = ("London", "Vienna", "Zürich", "New York", "Göttingen")
FRUITS = ("Braeburn", "Cox", "Elstar", "Fuji")


def example(pattern: str, **values: tuple[str, str]) -> Example:
    """``pattern`` with each ``{name}`` filled by a surface that carries a label."""
    text, spans = pattern, []
    for name, (surface, label) in sorted(values.items(), key=lambda item: pattern.index(item[0])):
        start = text.index("{" + name + "}")
        text = text.replace("{" + name + "}", surface)
        spans.append(Span(start, start + len(surface), label))
    return Example(text, tuple(spans))


BASE = [
    example("{who} came from {place} to see us .", who=(who, "per"), place=(place, "geo"))
    for who in PEOPLE
    for place in PLACES
] + [example("Nobody in {place} knew .", place=(place, "geo")) for place in PLACES]
NEW = [
    example("They picked {fruit} near {place} today .", fruit=(fruit, "fruit"), place=(place, "geo"))
    for fruit in FRUITS
    for place in PLACES
]
CONFIG = TrainConfig(
    family="flagship", epochs=6, batch_tokens=60, min_count=1, learning_rate=5e-3, word_dropout=0.05
)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ner.training.embeddings import pack

    folder = tmp_path_factory.mktemp("vectors")
    words = sorted({word.lower() for text in BASE for word in text.text.split()})
    table = np.random.default_rng(0).normal(size=(len(words), 100)).astype(np.float32)
    for name, content in pack(words, table).files().items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory, vectors: Path) -> Path:
    from ner.training.loop import train

    out = tmp_path_factory.mktemp("champion") / "bundle"
    events = list(train(CONFIG, train=BASE, dev=BASE[::3], out=out, vectors=vectors))
    assert events[-1].bundle == out
    assert [event.step for event in events] == sorted(event.step for event in events)
    assert all(event.step <= event.total for event in events)
    return out


def f1(bundle: Path, gold: list[Example]) -> float:
    answers = load_recogniser(bundle).predict_many([text.text for text in gold])
    return evaluate(gold, [answer.spans for answer in answers]).micro.f1


@pytest.mark.parametrize("kind", ["window", "lstm", "dense"])
def test_the_exported_graph_computes_what_tensorflow_computes(kind: str, tmp_path: Path) -> None:
    from ner.training.network import Network

    job = tiny_job(kind)
    recogniser = load_recogniser(tiny_bundle(tmp_path / "model", kind))
    assert isinstance(recogniser, BundleRecogniser)
    sentences = [["the", "Obama", "visited", "Paris"], ["."], ["the"] * 9]
    features = np.zeros((3, 9, job.encoder.columns), np.int32)
    for row, words in enumerate(sentences):
        features[row, : len(words)] = job.encoder.encode(words)
    table = job.vectors.table.look_up(features[:, :, -1]) if job.vectors else np.zeros((3, 9, 0), "f4")
    network = Network(job.architecture, job.features, job.weights)
    lengths = np.array([4, 1, 9], np.int32)
    expected = network.emissions(features[:, :, :-1], lengths, table).numpy()
    for row, scores in enumerate(recogniser.emissions(sentences)):
        # The embedding tables are exported in half precision.
        np.testing.assert_allclose(scores, expected[row, : lengths[row]], atol=0.02)


def test_the_loss_is_the_probability_that_decoding_gives() -> None:
    from ner.decode import Lattice
    from ner.training.jobs import transitions_of
    from ner.training.network import Network

    job = tiny_job("window")
    network = Network(job.architecture, job.features, job.weights)
    emissions = np.random.default_rng(2).normal(size=(2, 5, 5)).astype(np.float32)
    lengths, paths = np.array([5, 3]), np.array([[1, 2, 0, 3, 4], [0, 1, 2, 0, 0]])
    allowed = paths[:, :, None] == np.arange(5)
    lattice = Lattice(emissions, lengths, transitions_of(job.architecture, job.weights))
    losses = network.losses(emissions, lengths.astype(np.int32), allowed).numpy()
    np.testing.assert_allclose(losses, -lattice.log_probabilities(paths), rtol=1e-3)
    free = network.losses(emissions, lengths.astype(np.int32), np.ones_like(allowed)).numpy()
    np.testing.assert_allclose(free, 0.0, atol=1e-3)


def test_it_learns_and_says_what_it_measured(champion: Path) -> None:
    bundle = open_bundle(champion)
    assert f1(champion, BASE) > 0.95
    assert set(bundle.config.labels) == {"per", "geo"}
    assert bundle.metrics["dev"]["f1"] > 0.9
    assert bundle.config.training == CONFIG
    assert bundle.config.parent is None
    assert "Measured" in bundle.card


def test_a_run_that_was_killed_ends_as_if_it_never_stopped(tmp_path: Path, vectors: Path) -> None:
    from ner.training.loop import Progress, train

    config = replace(CONFIG, epochs=3)

    def run(out: Path, checkpoint: Path | None) -> Iterator[Progress]:
        return train(
            config, train=BASE[:12], dev=BASE[12:16], out=out, vectors=vectors, checkpoint=checkpoint
        )

    list(run(tmp_path / "whole", None))
    checkpoint = tmp_path / "state.npz"
    for event in run(tmp_path / "broken", checkpoint):
        if event.epoch == 2:
            break  # the process dies here
    assert checkpoint.exists()
    resumed = list(run(tmp_path / "resumed", checkpoint))
    assert min(event.step for event in resumed if event.loss) > 1
    assert not checkpoint.exists()
    for name in ("model.onnx", "transitions.npy", "config.json"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_it_stops_when_asked_and_writes_nothing(tmp_path: Path, vectors: Path) -> None:
    from ner.training.loop import train

    with pytest.raises(TrainingCancelled):
        list(
            train(
                CONFIG, train=BASE, dev=BASE, out=tmp_path / "out", vectors=vectors, should_stop=lambda: True
            )
        )
    assert not (tmp_path / "out").exists()


def test_fine_tuning_adds_a_label_and_keeps_the_old_ones(champion: Path, tmp_path: Path) -> None:
    from ner.training.loop import train

    start = open_bundle(champion)
    texts = [text.text for text in BASE]
    out = tmp_path / "candidate"
    config = replace(CONFIG, fine_tuning_steps=200)
    list(train(config, train=NEW[::2], dev=NEW[1::4], out=out, start_from=start, rehearsal_texts=texts))
    candidate = open_bundle(out)
    assert candidate.config.labels == (*start.config.labels, "fruit")
    assert candidate.config.parent == bundle_sha256(champion)
    assert candidate.encoder.words[: len(start.encoder.words)] == start.encoder.words
    assert candidate.encoder.knows("Braeburn")
    assert f1(out, NEW) > 0.9 > f1(champion, NEW)
    assert f1(out, BASE) >= f1(champion, BASE) - 0.01


def test_before_the_first_step_a_grown_champion_answers_as_before(champion: Path) -> None:
    from ner.training.finetune import _grown

    start = open_bundle(champion)
    old = 1 + 2 * len(start.config.labels)
    weights, rates = _grown(start, (*start.config.labels, "fruit"), ("Elstar",), CONFIG)
    known = start.weights()
    np.testing.assert_array_equal(weights["out.kernel"][:, :old], known["out.kernel"])
    np.testing.assert_array_equal(weights["word"][:-1], np.asarray(known["word"], np.float32))
    np.testing.assert_array_equal(weights["word"][-1], weights["word"][2])
    np.testing.assert_array_equal(weights["crf.matrix"][:old, :old], start.transitions.matrix.astype("f4"))
    assert rates["out.bias"].tolist() == [np.float32(CONFIG.old_rate)] * old + [1.0] * 2


def test_nothing_to_train_on_is_said(tmp_path: Path, vectors: Path) -> None:
    from ner.training.loop import train

    for texts in ([], [Example("no entity here")]):
        with pytest.raises(TrainingFailed):
            list(train(CONFIG, train=texts, dev=[], out=tmp_path / "out", vectors=vectors))


def test_the_command_line_trains_tests_and_reports(tmp_path: Path) -> None:
    from ner.training.train import main

    data = tmp_path / "texts.jsonl"
    rows = [
        {
            "text": text.text + f" {n}",
            "spans": [{"start": s.start, "end": s.end, "label": s.label} for s in text.spans],
        }
        for n, text in enumerate(BASE * 2)
    ]
    data.write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "baseline"
    assert main(["--data", str(data), "--arch", "baseline", "--epochs", "1", "--out", str(out)]) == 0
    bundle = open_bundle(out)
    assert bundle.metrics["test"]["document_count"] > 0
    assert main(["--data", str(tmp_path / "none"), "--arch", "baseline", "--out", str(out)]) == 1
