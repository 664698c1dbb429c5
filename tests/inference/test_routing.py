"""Which version answers: decided by what was measured, and told with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from audit.services import SYSTEM
from corpus.models import Project
from inference.circuit import FAILURES, OPEN_SECONDS, Circuits
from inference.engine import Serving
from inference.errors import ModelUnsound
from inference.latency import Latencies, latencies
from inference.models import ModelVersion
from inference.services import deployment_set, version_register
from ner.runtime import Recognition
from tests.bundles import tiny_bundle
from tests.inference.conftest import Post

TEXT = "Ada Lovelace moved to London in 1835."


@pytest.fixture
def speed(project: Project, champion: ModelVersion, tmp_path: Path) -> ModelVersion:
    """A second version in the speed slot: less good (0.8 beside 0.9)."""
    version = version_register(
        path=tiny_bundle(tmp_path / "quick", f1=0.8), name="quick", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="speed", version=version, actor=SYSTEM, reason="quick")
    return version


def measured(version: ModelVersion, milliseconds: float) -> None:
    for _ in range(50):
        latencies.record(version.sha256, characters=len(TEXT), milliseconds=milliseconds)


@pytest.fixture
def pair(post: Post, champion: ModelVersion, speed: ModelVersion) -> tuple[ModelVersion, ModelVersion]:
    """The champion takes 40 ms here, the other one 4."""
    for slot in ("champion", "speed"):
        assert post("predict", {"text": TEXT, "model": slot}).status_code == 200  # loaded, and timed then
    latencies.forget()
    measured(champion, 40.0)
    measured(speed, 4.0)
    return champion, speed


def routed(post: Post, **asked: Any) -> dict[str, Any]:
    response = post("predict/route", {"text": TEXT, **asked})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ({}, "tiny@1"),
        ({"max_latency_ms": 10}, "quick@1"),
        ({"min_accuracy": 0.85}, "tiny@1"),
        ({"routing_strategy": "speed"}, "quick@1"),
        ({"routing_strategy": "speed", "min_accuracy": 0.85}, "tiny@1"),
        ({"routing_strategy": "performance"}, "tiny@1"),
        ({"routing_strategy": "performance", "max_latency_ms": 10}, "quick@1"),
        ({"routing_strategy": "accuracy", "max_latency_ms": 10}, "tiny@1"),
    ],
)
def test_the_version_follows_from_what_was_measured(post: Post, asked: dict[str, Any], version: str) -> None:
    answer = routed(post, **asked)
    assert answer["model_version"] == answer["routing_decision"]["selected_model"] == version
    assert answer["entities"][0]["text"] == "Ada Lovelace"


@pytest.mark.usefixtures("pair")
def test_what_was_not_chosen_is_told_with_its_numbers_and_why(post: Post) -> None:
    decision = routed(post, max_latency_ms=10)["routing_decision"]
    assert decision["reason"] == "the best F1 of those that meet what was asked for"
    assert decision["alternatives_considered"] == [
        {
            "model_version": "tiny@1",
            "slot": "champion",
            "f1_score": 0.9,
            "p50_ms": 40.0,
            "p95_ms": 40.0,
            "why_not": "its p95 of 40.0 ms for this length is above 10 ms",
        }
    ]


@pytest.mark.usefixtures("pair")
def test_where_none_fits_the_nearest_answers_and_says_so(post: Post) -> None:
    answer = routed(post, min_accuracy=0.99)
    assert answer["model_version"] == "tiny@1"
    assert answer["routing_decision"]["reason"].startswith("none meets what was asked for")
    assert answer["sla_met"] is False


@pytest.mark.usefixtures("pair")
def test_where_none_fits_and_none_may_stand_in_it_is_refused_with_the_reasons(post: Post) -> None:
    response = post("predict/route", {"text": TEXT, "min_accuracy": 0.99, "fallback_enabled": False})
    assert (response.status_code, response.json()["code"]) == (409, "no_model_fits")
    assert "tiny@1: its F1 of 0.900 is below 0.99" in response.json()["detail"]


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("asked", [{"speed_priority": True}, {"max_latency_ms": 10}])
def test_predict_listens_to_demands_too(post: Post, asked: dict[str, Any]) -> None:
    assert post("predict", {"text": TEXT} | asked).json()["model_version"] == "quick@1"


@pytest.mark.usefixtures("pair")
def test_a_version_that_was_named_answers_whatever_was_demanded(post: Post) -> None:
    answer = post("predict", {"text": TEXT, "model": "champion", "max_latency_ms": 1}).json()
    assert answer["model_version"] == "tiny@1"


def test_a_version_is_timed_when_it_is_loaded(post: Post, champion: ModelVersion) -> None:
    post("predict", {"text": TEXT})
    for length in (len(TEXT), 1_000):
        latency = latencies.of(champion.sha256, characters=length)
        assert latency is not None
        assert 0 < latency.p50_ms <= latency.p95_ms


@pytest.fixture
def broken(pair: tuple[ModelVersion, ModelVersion], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The champion's answers cannot be right; the list is filled with who was asked."""
    from inference.circuit import circuits

    asked: list[str] = []
    recognise = Serving.recognise

    def impossible(self: Serving, texts: Sequence[str]) -> list[Recognition]:
        asked.append(str(self.version))
        if self.version.pk == pair[0].pk:
            circuits.failed(self.version.sha256)
            raise ModelUnsound(model=str(self.version))
        return recognise(self, texts)

    monkeypatch.setattr(Serving, "recognise", impossible)
    return asked


def test_the_next_stands_in_for_a_champion_that_gives_no_right_answer(post: Post, broken: list[str]) -> None:
    answer = post("predict", {"text": "Ada went to Paris."}).json()
    assert answer["model_version"] == "quick@1"
    assert "stands in" in answer["routing_decision"]["reason"]
    assert broken == ["tiny@1", "quick@1"]


def test_whoever_names_a_version_gets_that_one_or_none(post: Post, broken: list[str]) -> None:
    response = post("predict", {"text": "Ada went to Paris.", "model": "champion"})
    assert (response.status_code, response.json()["code"]) == (503, "model_unsound")


def test_after_five_failures_the_champion_is_left_alone(post: Post, broken: list[str]) -> None:
    for number in range(FAILURES):
        post("predict", {"text": f"Ada went to Paris, no {number}."})
    broken.clear()
    answer = post("predict", {"text": "Ada went to Rome."}).json()
    assert answer["model_version"] == "quick@1"
    assert broken == ["quick@1"]


def test_a_circuit_opens_after_failures_in_a_row_and_is_tried_again_after_its_time() -> None:
    now = [0.0]
    circuits = Circuits(clock=lambda: now[0])
    for _ in range(FAILURES - 1):
        circuits.failed("v")
    circuits.succeeded("v")
    for _ in range(FAILURES):
        assert circuits.seconds_closed_to("v") == 0
        circuits.failed("v")
    assert circuits.seconds_closed_to("v") == OPEN_SECONDS
    now[0] = OPEN_SECONDS
    assert circuits.seconds_closed_to("v") == 0
    circuits.failed("v")
    assert circuits.seconds_closed_to("v") == OPEN_SECONDS
    now[0] = 2 * OPEN_SECONDS
    circuits.succeeded("v")
    circuits.failed("v")
    assert circuits.seconds_closed_to("v") == 0


def test_an_unmeasured_length_is_scaled_up_and_never_down() -> None:
    latencies = Latencies()
    assert latencies.of("v", characters=10) is None
    for _ in range(10):
        latencies.record("v", characters=400, milliseconds=2.0)
    longer, shorter = latencies.of("v", characters=40_000), latencies.of("v", characters=4)
    assert longer is not None
    assert shorter is not None
    assert (longer.p50_ms, shorter.p50_ms) == (200.0, 2.0)


def test_old_answers_are_forgotten_one_by_one() -> None:
    latencies = Latencies()
    for milliseconds in [100.0] * 200 + [1.0] * 200:
        latencies.record("v", characters=10, milliseconds=milliseconds)
    latency = latencies.of("v", characters=10)
    assert latency is not None
    assert (latency.p50_ms, latency.p95_ms, latency.answers) == (1.0, 1.0, 200)
