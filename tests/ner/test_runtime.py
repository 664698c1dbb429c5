"""The recogniser: same answers alone and in batches, exact offsets, one thread or many."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.runtime import BundleRecogniser, Recognition, load_recogniser
from ner.tags import is_iob2
from tests.ner.tiny import LABELS, tiny_bundle

TEXTS = [
    "Obama visited Paris. The Obama's visit, in 2016, was long.",
    "",
    "Paris",
    " \n ",
    "the " * 40 + "Obama visited Paris.",
    "東京 \U0001f469\u200d\U0001f467 Obama!",
]


@pytest.fixture(scope="module", params=["window", "lstm", "dense"])
def recogniser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BundleRecogniser:
    folder = tiny_bundle(tmp_path_factory.mktemp("bundles") / request.param, request.param)
    loaded = load_recogniser(folder)
    assert isinstance(loaded, BundleRecogniser)
    return loaded


def check(text: str, answer: Recognition) -> None:
    for token in answer.tokens:
        assert text[token.start : token.end] == token.word
        assert 0.0 <= token.confidence <= 1.0
    assert len(answer.alternatives) == len(answer.spans)
    for span, rivals in zip(answer.spans, answer.alternatives, strict=True):
        assert text[span.start : span.end].strip()
        assert span.label in LABELS
        assert span.confidence is not None
        total = span.confidence + sum(probability for _, probability in rivals)
        assert 0.0 <= span.confidence <= total <= 1.0 + 1e-6
        assert span.label not in dict(rivals)
        assert [p for _, p in rivals] == sorted((p for _, p in rivals), reverse=True)
    assert 0.0 <= answer.uncertainty <= 1.0


def test_a_text_gets_the_same_answer_alone_and_in_a_batch(recogniser: BundleRecogniser) -> None:
    together = recogniser.predict_many(TEXTS * 3)
    for text, answer in zip(TEXTS * 3, together, strict=True):
        alone = recogniser.predict(text)
        check(text, answer)
        assert [token.tag for token in alone.tokens] == [token.tag for token in answer.tokens]
        assert alone.spans == answer.spans
        for one, other in zip(alone.spans, answer.spans, strict=True):
            assert one.confidence == pytest.approx(other.confidence, abs=1e-5)
        assert alone.uncertainty == pytest.approx(answer.uncertainty, abs=1e-5)
    assert recogniser.predict_many([]) == []


@given(st.text(max_size=120))
def test_any_text_gets_valid_tags_and_exact_offsets(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    answer = _shared(tmp_path_factory).predict(text)
    check(text, answer)
    assert len(answer.spans) == sum(token.tag[0] == "B" for token in answer.tokens)
    assert is_iob2([token.tag for token in answer.tokens])


_RECOGNISERS: list[BundleRecogniser] = []


def _shared(factory: pytest.TempPathFactory) -> BundleRecogniser:
    if not _RECOGNISERS:
        loaded = load_recogniser(tiny_bundle(factory.mktemp("shared") / "model"))
        assert isinstance(loaded, BundleRecogniser)
        _RECOGNISERS.append(loaded)
    return _RECOGNISERS[0]


def test_an_endless_sentence_is_the_same_through_windows(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = _shared(tmp_path_factory)
    words = ("the Obama visited Paris and " * 30).split()
    whole = recogniser.emissions([words])[0]
    monkeypatch.setattr("ner.runtime._WINDOW", 90)
    pieces = recogniser.emissions([words])[0]
    assert pieces.shape == whole.shape
    np.testing.assert_allclose(pieces, whole, atol=1e-4)


def test_many_threads_get_the_answers_of_one(recogniser: BundleRecogniser) -> None:
    expected = [recogniser.predict(text) for text in TEXTS]
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: [recogniser.predict(text) for text in TEXTS], range(16)):
            assert answers == expected


def test_the_blank_model_sees_tokens_and_finds_nothing() -> None:
    blank = load_recogniser(None)
    answer = blank.predict_many(["Obama visited Paris."])[0]
    assert [token.word for token in answer.tokens] == ["Obama", "visited", "Paris", "."]
    assert answer.spans == ()
    assert answer.uncertainty == 0.0
    assert blank.labels == ()
    assert blank.bundle is None


def test_serving_loads_neither_django_nor_tensorflow(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "model")
    code = (
        "import sys; from pathlib import Path; from ner.runtime import load_recogniser;"
        f"load_recogniser(Path({str(folder)!r})).predict('Obama');"
        "heavy = {'tensorflow', 'keras', 'django', 'celery', 'onnx', 'pandas'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_types_does_not_load_onnx_runtime() -> None:
    code = "import sys, ner.runtime; sys.exit('onnxruntime' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
