"""The fast version answers first, the better one what the first is unsure of, by a measured threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from audit.services import SYSTEM
from corpus.models import Project
from inference import metrics
from inference.engine import Serving, engine
from inference.errors import ModelUnsound
from inference.handovers import handovers
from inference.latency import latencies
from inference.models import Evaluation, ModelVersion, Prediction
from inference.services import deployment_set, evaluation_record, version_register
from ner.evaluate import evaluate
from ner.runtime import Recognition
from ner.spans import Example, Span
from tests.bundles import WORDS, tiny_bundle
from tests.inference.conftest import Post

SURE, UNSURE = "Ada saw London.", "Ann flew to Jordan."
EXAM = [
    *[Example(SURE, (Span(0, 3, "per"), Span(8, 14, "geo")))] * 40,
    *[Example(UNSURE, (Span(0, 3, "per"), Span(12, 18, "geo")))] * 20,
]
Pair = tuple[ModelVersion, ModelVersion]


@pytest.fixture
def pair(project: Project, post: Post, tmp_path: Path) -> Pair:
    """A quick one that takes Jordan for a person, hesitating, and a slow one that knows better."""
    made = []
    for name, slot, jordan, f1 in (("quick", "speed", "B-per", 0.8), ("slow", "champion", "B-geo", 0.9)):
        bundle = tiny_bundle(tmp_path / name, WORDS | {"Jordan": jordan}, f1=f1, unsure_of=["Jordan"])
        version = version_register(path=bundle, name=name, project=project, actor=SYSTEM)
        deployment_set(project=project, slot=slot, version=version, actor=SYSTEM, reason="for the test")
        made.append(version)
    for version in made:
        engine.recogniser_for(version)  # timed then
    latencies.forget()
    quick, slow = made
    take(quick, 4.0)
    take(slow, 40.0)
    return quick, slow


def take(version: ModelVersion, milliseconds: float) -> None:
    for _ in range(50):
        latencies.record(version.sha256, characters=len(SURE), milliseconds=milliseconds)


def sit(pair: Pair, exam: Sequence[Example], name: str = "a set", project: Project | None = None) -> None:
    """Let both sit an exam, as retraining does."""
    for version in pair:
        found = engine.recogniser_for(version).predict_many([example.text for example in exam])
        report = evaluate(
            exam, [one.spans for one in found], uncertainties=[one.uncertainty for one in found]
        )
        kind = Evaluation.Kind.TEST if project else Evaluation.Kind.GENERAL
        evaluation_record(version=version, kind=kind, set_fingerprint=name, report=report, project=project)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which version was asked about how many texts."""
    seen: list[tuple[str, int]] = []
    recognise = Serving.recognise

    def noted(self: Serving, texts: Sequence[str]) -> list[Recognition]:
        seen.append((self.version.name, len(texts)))
        return recognise(self, texts)

    monkeypatch.setattr(Serving, "recognise", noted)
    return seen


def routed(post: Post, text: str, path: str = "predict/route", **more: Any) -> dict[str, Any]:
    response = post(path, {"text": text, "routing_strategy": "cascade", **more})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def counted(outcome: str) -> float:
    return float(metrics.CASCADED.labels(outcome=outcome)._value.get())


def test_a_text_that_the_fast_one_is_sure_of_stays_with_it(
    post: Post, pair: Pair, asked: list[tuple[str, int]]
) -> None:
    sit(pair, EXAM)
    answer = routed(post, SURE)
    assert asked == [("quick", 1)]
    assert (answer["model_version"], answer["f1_score"]) == ("quick@1", 0.8)
    decision = answer["routing_decision"]
    assert decision["selected_model"] == "quick@1"
    assert decision["reason"].startswith("quick@1 answered first and is sure: ")
    [other] = decision["alternatives_considered"]
    assert (other["model_version"], other["p50_ms"]) == ("slow@1", 40.0)
    assert other["why_not"] == "it is asked only where the first is unsure"
    cascade = decision["cascade"]
    assert cascade["uncertainty"] < cascade["threshold"]
    assert (cascade["handed_on"], cascade["second"]["texts"]) == (0, 0)


def test_a_text_that_it_is_unsure_of_gets_the_better_ones_answer(
    post: Post, pair: Pair, asked: list[tuple[str, int]]
) -> None:
    sit(pair, EXAM)
    before = counted("handed_on")
    answer = routed(post, UNSURE)
    assert asked == [("quick", 1), ("slow", 1)]
    assert answer["model_version"] == answer["routing_decision"]["selected_model"] == "slow@1"
    assert [(one["text"], one["type"]) for one in answer["entities"]] == [("Ann", "per"), ("Jordan", "geo")]
    decision = answer["routing_decision"]
    assert decision["reason"].endswith("slow@1 answered instead")
    [other] = decision["alternatives_considered"]
    assert (other["model_version"], other["why_not"]) == ("quick@1", "quick@1 answered first")
    cascade = decision["cascade"]
    assert cascade["uncertainty"] >= cascade["threshold"]
    assert (cascade["first"]["texts"], cascade["second"]["texts"], cascade["handed_on"]) == (1, 1, 1)
    assert cascade["first"]["recognition_ms"] > 0
    assert cascade["second"]["recognition_ms"] > 0
    assert counted("handed_on") == before + 1
    kept = Prediction.objects.get()
    assert (kept.version, kept.slot, kept.latency_ms > 0) == (pair[1], "champion", True)


def test_the_measurement_is_told_with_its_texts_its_margin_and_both_scores(post: Post, pair: Pair) -> None:
    sit(pair, EXAM)
    cascade = routed(post, SURE)["routing_decision"]["cascade"]
    assert cascade["measured_on"] == "the general texts"
    assert (cascade["measured_texts"], cascade["measured_share"]) == (60, pytest.approx(1 / 3, abs=1e-4))
    assert (cascade["measured_f1"], cascade["second"]["f1_score"], cascade["margin"]) == (1.0, 1.0, 0.01)
    assert cascade["first"]["f1_score"] == pytest.approx(100 / 120, abs=1e-4)


def test_another_margin_is_another_threshold(post: Post, pair: Pair, settings: Any) -> None:
    settings.CASCADE_MARGIN = 0.2
    sit(pair, EXAM)
    answer = routed(post, UNSURE)
    assert answer["model_version"] == "quick@1"
    assert answer["routing_decision"]["cascade"]["measured_share"] == 0.0


@pytest.mark.parametrize("path", ["predict", "predict/route"])
def test_predict_can_be_asked_for_it_too(post: Post, pair: Pair, path: str) -> None:
    sit(pair, EXAM)
    answer = routed(post, UNSURE, path)
    assert answer["model_version"] == "slow@1"
    assert answer["routing_decision"]["cascade"]["handed_on"] == 1


def test_of_a_batch_only_the_unsure_texts_go_on(post: Post, pair: Pair, asked: list[tuple[str, int]]) -> None:
    sit(pair, EXAM)
    texts = [SURE, UNSURE, "Grace saw Boston.", 7, "Ada flew to Jordan."]
    answer = post("predict/batch", {"texts": texts, "routing_strategy": "cascade"}).json()
    assert asked == [("quick", 4), ("slow", 2)]
    assert [item["model_version"] for item in answer["results"]] == [
        *("quick@1", "slow@1", "quick@1"),
        *(None, "slow@1"),
    ]
    assert answer["models_used"] == ["quick@1", "slow@1"]
    assert answer["f1_score"] is None
    decision = answer["routing_decision"]
    assert decision["reason"] == "quick@1 answered 2 of the 4 texts, slow@1 the 2 that it was unsure of"
    assert (decision["cascade"]["first"]["texts"], decision["cascade"]["handed_on"]) == (4, 2)
    assert Prediction.objects.filter(version=pair[1]).count() == 2


def test_without_an_exam_the_best_answers_and_it_is_said_why(post: Post, pair: Pair) -> None:
    before = counted("no_cascade")
    decision = routed(post, SURE)["routing_decision"]
    assert decision["selected_model"] == "slow@1"
    assert decision["reason"].startswith("no cascade: quick@1 and slow@1 have sat no exam together yet")
    assert "cascade" not in decision
    assert counted("no_cascade") == before + 1


def test_a_few_texts_are_no_measure(post: Post, pair: Pair) -> None:
    sit(pair, EXAM[:49])
    decision = routed(post, SURE)["routing_decision"]
    assert "the general texts are too few to tell by: 49, where 50 are needed" in decision["reason"]
    assert decision["selected_model"] == "slow@1"


def test_where_two_in_turn_are_slower_than_the_better_one_alone_it_is_asked_at_once(
    post: Post, pair: Pair
) -> None:
    sit(pair, EXAM)
    latencies.forget()
    take(pair[0], 30.0)
    take(pair[1], 40.0)
    decision = routed(post, SURE)["routing_decision"]
    assert decision["selected_model"] == "slow@1"
    assert "would hand on 33% of the texts" in decision["reason"]


def test_both_in_turn_must_be_in_time(post: Post, pair: Pair) -> None:
    sit(pair, EXAM)
    decision = routed(post, UNSURE, max_latency_ms=42)["routing_decision"]
    assert "both in turn take up to 44.0 ms" in decision["reason"]
    assert routed(post, UNSURE, max_latency_ms=50)["model_version"] == "slow@1"
    assert routed(post, SURE, max_latency_ms=10)["model_version"] == "quick@1", "the only one that fits"


def test_a_second_that_gives_no_right_answer_leaves_the_first_ones(
    post: Post, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    sit(pair, EXAM)
    recognise = Serving.recognise

    def broken(self: Serving, texts: Sequence[str]) -> list[Recognition]:
        if self.version.pk == pair[1].pk:
            raise ModelUnsound(model=str(self.version))
        return recognise(self, texts)

    monkeypatch.setattr(Serving, "recognise", broken)
    answer = routed(post, UNSURE)
    assert answer["model_version"] == "quick@1"
    assert answer["routing_decision"]["reason"].endswith("but slow@1 gave no answer that can be right")


def test_the_projects_own_texts_speak_before_the_general_ones(
    post: Post, pair: Pair, project: Project
) -> None:
    sit(pair, EXAM)
    assert routed(post, SURE)["routing_decision"]["cascade"]["measured_on"] == "the general texts"
    sit(pair, EXAM * 2, "own", project)
    handovers.refresh()
    cascade = routed(post, SURE)["routing_decision"]["cascade"]
    assert (cascade["measured_on"], cascade["measured_texts"]) == ("the project's test texts", 120)


def test_another_projects_texts_say_nothing_here(post: Post, pair: Pair, project: Project) -> None:
    sit(pair, EXAM, "theirs", Project.objects.create(slug="other", name="Other"))
    assert "have sat no exam together" in routed(post, SURE)["routing_decision"]["reason"]


def test_the_measurement_is_read_once_and_not_with_every_text(
    pair: Pair, project: Project, django_assert_num_queries: Any
) -> None:
    sit(pair, EXAM)
    handovers.between(project=project, first=pair[0], second=pair[1])
    with django_assert_num_queries(0):
        known = handovers.between(project=project, first=pair[0], second=pair[1])
    assert known.handover is not None


def test_a_certificate_that_says_how_unsure_takes_the_place_of_one_that_does_not(pair: Pair) -> None:
    report = evaluate(EXAM, [example.spans for example in EXAM])
    for version in pair:
        evaluation_record(version=version, kind="general", set_fingerprint="a set", report=report)
    sit(pair, EXAM)
    assert Evaluation.objects.count() == 2
    assert all("uncertainties" in exam.report for exam in Evaluation.objects.all())
