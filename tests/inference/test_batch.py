"""`POST predict/batch`: one bad text never fails the others."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from inference.models import ModelVersion, Prediction
from tests.inference.conftest import Post

pytestmark = pytest.mark.usefixtures("champion")


def test_each_text_gets_its_answer_in_order(post: Post, champion: ModelVersion) -> None:
    texts: list[Any] = [
        "Ann",
        {"id": "mine", "text": "x " * 300 + "London"},
        "nothing here",
        {"text": "Boston"},
    ]
    response = post("predict/batch", {"texts": texts, "output_format": "entities_only"})

    assert response.status_code == 200, response.content
    body = response.json()
    assert [(item["index"], item["id"], item["status"]) for item in body["results"]] == [
        (0, "0", "ok"),
        (1, "mine", "ok"),
        (2, "2", "ok"),
        (3, "3", "ok"),
    ]
    found = [[entity["text"] for entity in item["entities"]] for item in body["results"]]
    assert found == [["Ann"], ["London"], [], ["Boston"]]
    assert (body["count"], body["failed"]) == (4, 0)
    assert body["models_used"] == ["tiny@1"]
    assert 0.5 < body["average_confidence"] <= 1
    assert body["f1_score"] == 0.9
    assert body["processing_time_ms"] >= body["average_time_ms"] > 0
    assert all(item["processing_time_ms"] > 0 for item in body["results"])
    kept = {str(prediction.pk): prediction for prediction in Prediction.objects.all()}
    assert [kept[item["prediction_id"]].text for item in body["results"]] == [
        text["text"] if isinstance(text, dict) else text for text in texts
    ]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ("", "empty_text"),
        ({"id": "x", "text": ""}, "empty_text"),
        ("a" * 100_001, "text_too_long"),
        ("a\x00", "null_character"),
        ("\ud83d", "invalid_unicode"),
        (5, "not_a_string"),
        (None, "not_a_string"),
        ([], "not_a_string"),
        ({}, "not_a_string"),
        ({"id": 5, "text": "a"}, "not_a_string"),
        ({"id": "", "text": "a"}, "not_a_string"),
        ({"id": "x" * 201, "text": "a"}, "not_a_string"),
        ({"id": "a\ud83d", "text": "a"}, "not_a_string"),
        ({"id": "x", "text": "a", "more": 1}, "not_a_string"),
    ],
)
def test_one_bad_item_fails_alone_and_says_which(post: Post, item: Any, code: str) -> None:
    body = post("predict/batch", {"texts": ["Ann", item, "London"]}).json()

    first, bad, last = body["results"]
    assert (first["status"], bad["status"], last["status"]) == ("ok", "error", "ok")
    assert (bad["index"], bad["error"]["code"]) == (1, code)
    assert bad["error"]["pointer"].startswith("/texts/1")
    assert bad["prediction_id"] is None
    assert "entities" not in bad
    assert (body["count"], body["failed"]) == (3, 1)
    assert Prediction.objects.count() == 2


def test_a_batch_of_bad_texts_is_answered_too(post: Post) -> None:
    body = post("predict/batch", {"texts": ["", 5]}).json()
    assert (body["failed"], body["models_used"], body["average_confidence"]) == (2, [], None)


def test_a_thousand_texts_cost_as_many_queries_as_one(
    post: Post, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    post("predict", {"text": "warm"})
    with django_assert_num_queries(3):
        response = post("predict/batch", {"texts": ["Ann saw London."] * 900})
    assert response.json()["failed"] == 0
    assert Prediction.objects.count() == 901
