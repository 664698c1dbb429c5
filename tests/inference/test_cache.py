"""The same text for the same version is computed once; what must not be remembered is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from audit.services import SYSTEM
from corpus.models import Project
from inference.cache import RecognitionCache
from inference.models import ModelVersion, Prediction
from inference.services import deployment_set, version_register
from ner.runtime import Recognition
from tests.bundles import tiny_bundle
from tests.inference.conftest import Post

TEXT = "Ada Lovelace moved to London in 1835."


class Model:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> list[Recognition]:
        self.asked += texts
        return [Recognition(uncertainty=len(text) / 100) for text in texts]


def test_a_batch_is_answered_in_order_from_what_is_known_and_what_is_not() -> None:
    cache, model = RecognitionCache(), Model()
    cache.recognise("v", ["bb", "dddd"], model)
    answers = cache.recognise("v", ["a", "bb", "ccc", "dddd"], model)
    assert [answer.uncertainty for answer in answers] == [0.01, 0.02, 0.03, 0.04]
    assert model.asked == ["bb", "dddd", "a", "ccc"]


def test_another_version_is_asked_itself() -> None:
    cache, model = RecognitionCache(), Model()
    cache.recognise("one", ["a"], model)
    cache.recognise("two", ["a"], model)
    assert model.asked == ["a", "a"]


def test_memory_is_bounded_by_characters_and_the_text_used_last_stays() -> None:
    cache, model = RecognitionCache(capacity=10), Model()
    for text in ("aaaa", "bbbb", "aaaa", "cccc"):
        cache.recognise("v", [text], model)
    model.asked.clear()
    cache.recognise("v", ["aaaa", "bbbb"], model)
    assert model.asked == ["bbbb"]


def test_a_long_text_is_not_remembered() -> None:
    cache, model = RecognitionCache(), Model()
    for _ in range(2):
        cache.recognise("v", ["x" * 2_001], model)
    assert len(model.asked) == 2


@pytest.fixture
def computed(champion: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that a model was really asked about."""
    from inference.engine import Serving

    texts: list[str] = []
    recognise = Serving.recognise

    def counted(self: Serving, asked: Sequence[str]) -> list[Recognition]:
        texts.extend(asked)
        return recognise(self, asked)

    monkeypatch.setattr(Serving, "recognise", counted)
    return texts


def test_a_remembered_answer_is_a_prediction_of_its_own(post: Post, computed: list[str]) -> None:
    first, second = (post("predict", {"text": TEXT}).json() for _ in range(2))
    assert first["entities"] == second["entities"] != []
    assert first["prediction_id"] != second["prediction_id"]
    assert Prediction.objects.count() == 2
    assert computed == [TEXT]


def test_each_caller_gets_what_they_asked_for_of_it(post: Post, computed: list[str]) -> None:
    assert post("predict", {"text": TEXT}).json()["entities"]
    assert post("predict", {"text": TEXT, "min_confidence": 1.0}).json()["entities"] == []
    assert computed == [TEXT]


def test_what_is_not_to_be_kept_is_not_remembered(post: Post, computed: list[str]) -> None:
    for _ in range(2):
        post("predict", {"text": TEXT, "store": False})
    assert computed == [TEXT, TEXT]


def test_after_a_promotion_the_new_champion_answers(
    post: Post, project: Project, computed: list[str], tmp_path: Path
) -> None:
    post("predict", {"text": TEXT})
    better: Any = version_register(
        path=tiny_bundle(tmp_path / "better", f1=0.95), name="better", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=better, actor=SYSTEM, reason="better")
    assert post("predict", {"text": TEXT}).json()["model_version"] == "better@1"
    assert computed == [TEXT, TEXT]
