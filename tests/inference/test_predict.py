"""`POST predict`: what is asked, what is answered, what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from corpus.models import Label, Project
from inference.models import ApiKey, ModelVersion, Prediction
from tests.inference.conftest import Post

TEXT = "Ada Lovelace moved to London in 1835."

pytestmark = pytest.mark.usefixtures("champion")


def test_it_answers_with_words_entities_and_where_they_come_from(post: Post, champion: ModelVersion) -> None:
    response = post("predict", {"text": TEXT}, headers={"X-Request-Id": "my-request"})

    assert response.status_code == 200, response.content
    body = response.json()
    assert [
        (entity["text"], entity["type"], entity["start"], entity["end"]) for entity in body["entities"]
    ] == [
        ("Ada Lovelace", "per", 0, 12),
        ("London", "geo", 22, 28),
        ("1835", "tim", 32, 36),
    ]
    assert all(0.5 < entity["confidence"] <= 1 for entity in body["entities"])
    assert body["predictions"][:3] == [
        {
            "word": "Ada",
            "tag": "B-per",
            "start": 0,
            "end": 3,
            "confidence": body["predictions"][0]["confidence"],
        },
        body["predictions"][1] | {"word": "Lovelace", "tag": "I-per", "start": 4, "end": 12},
        body["predictions"][2] | {"word": "moved", "tag": "O"},
    ]
    assert body["model_used"] == "baseline"
    assert body["model_version"] == "tiny@1"
    assert body["f1_score"] == 0.9
    assert body["routing_decision"] == {
        "requested": "auto",
        "slot": "champion",
        "reason": "the project's champion",
    }
    assert body["request_id"] == response.headers["X-Request-Id"] == "my-request"
    assert body["processing_time_ms"] > 0
    assert body["warnings"] == []


def test_the_answer_is_kept_with_its_version_and_request(
    post: Post, champion: ModelVersion, key: tuple[ApiKey, str]
) -> None:
    body = post("predict", {"text": TEXT, "language": "en"}, headers={"X-Request-Id": "my-request"}).json()

    kept = Prediction.objects.get(pk=body["prediction_id"])
    assert kept.version == champion
    assert kept.text == TEXT
    assert [span["text"] for span in kept.spans] == ["Ada Lovelace", "London", "1835"]
    assert kept.request_id == "my-request"
    assert kept.api_key == key[0]
    assert kept.slot == "champion"
    assert kept.language == "en"
    assert kept.latency_ms > 0


def test_nothing_is_kept_when_asked_not_to(post: Post) -> None:
    body = post("predict", {"text": TEXT, "store": False}).json()

    assert body["prediction_id"] is None
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(
    ("text", "unit", "start", "end"),
    [
        ("👨\u200d👩\u200d👧 Ann", "codepoint", 6, 9),
        ("👨\u200d👩\u200d👧 Ann", "utf16", 9, 12),
        ("a\r\nAnn", "codepoint", 3, 6),
        ("  Ann ", "codepoint", 2, 5),
        ("\u202eAnn", "codepoint", 1, 4),
        ("Jose\u0301 Ann", "codepoint", 6, 9),
        ("José Ann", "codepoint", 5, 8),
        ("👍" * 100 + " Ann", "codepoint", 101, 104),
        ("👍" * 100 + " Ann", "utf16", 201, 204),
        ("\n" * 10_000 + "Ann", "codepoint", 10_000, 10_003),
    ],
)
def test_offsets_are_exact_in_any_text(post: Post, text: str, unit: str, start: int, end: int) -> None:
    body = post("predict", {"text": text, "offset_unit": unit}).json()

    [entity] = body["entities"]
    assert (entity["text"], entity["start"], entity["end"]) == ("Ann", start, end)
    assert body["offset_unit"] == unit
    [word] = [word for word in body["predictions"] if word["tag"] != "O"]
    assert (word["start"], word["end"]) == (start, end)


@pytest.mark.parametrize("text", [" ", "\n\t ", "\u200b\u200d", "\ufeff"])
def test_a_text_without_words_has_no_entities(post: Post, text: str) -> None:
    response = post("predict", {"text": text})
    assert response.status_code == 200
    assert response.json()["entities"] == []


def test_the_longest_text_is_answered(post: Post) -> None:
    text = ("x" * 9 + " ") * 9_999 + "in London."
    assert len(text) == 100_000
    body = post("predict", {"text": text, "output_format": "entities_only"}).json()
    assert [entity["start"] for entity in body["entities"]] == [99_993]


def test_spans_below_their_labels_threshold_are_left_out(post: Post, project: Project) -> None:
    Label.objects.filter(name="geo").update(confidence_threshold=1.0)

    body = post("predict", {"text": TEXT}).json()

    assert [entity["type"] for entity in body["entities"]] == ["per", "tim"]
    london = next(word for word in body["predictions"] if word["word"] == "London")
    assert london == {"word": "London", "tag": "O", "start": 22, "end": 28, "confidence": None}
    assert [span["label"] for span in Prediction.objects.get().spans] == ["per", "tim"]


def test_min_confidence_is_a_further_bar(post: Post) -> None:
    assert post("predict", {"text": TEXT, "min_confidence": 1}).json()["entities"] == []


def test_confidence_can_be_left_out(post: Post) -> None:
    body = post("predict", {"text": TEXT, "return_confidence": False}).json()
    assert "confidence" not in body["entities"][0]
    assert "confidence" not in body["predictions"][0]


def _formats() -> list[tuple[str, str, Any]]:
    ents = [
        {"start": 0, "end": 12, "label": "per"},
        {"start": 22, "end": 28, "label": "geo"},
        {"start": 32, "end": 36, "label": "tim"},
    ]
    tokens = [(0, 3), (4, 12), (13, 18), (19, 21), (22, 28), (29, 31), (32, 36), (36, 37)]
    words = ["Ada B-per", "Lovelace I-per", "moved O", "to O", "London B-geo", "in O", "1835 B-tim", ". O"]
    return [
        ("iob", "iob", "\n".join(words) + "\n"),
        (
            "spacy",
            "spacy",
            {
                "text": TEXT,
                "ents": ents,
                "tokens": [{"id": i, "start": s, "end": e} for i, (s, e) in enumerate(tokens)],
            },
        ),
        ("displacy", "displacy", {"text": TEXT, "ents": ents, "title": None}),
    ]


@pytest.mark.parametrize(("output_format", "field", "expected"), _formats())
def test_other_formats_hold_the_same_entities(
    post: Post, output_format: str, field: str, expected: Any
) -> None:
    body = post("predict", {"text": TEXT, "output_format": output_format}).json()
    assert body[field] == expected
    assert "predictions" not in body


def test_entities_only_leaves_the_words_out(post: Post) -> None:
    body = post("predict", {"text": TEXT, "output_format": "entities_only"}).json()
    assert len(body["entities"]) == 3
    assert "predictions" not in body


def test_a_language_that_the_model_does_not_know_is_said(post: Post) -> None:
    body = post("predict", {"text": TEXT, "language": "pt-BR"}).json()
    assert [warning["code"] for warning in body["warnings"]] == ["language_unsupported"]
    assert post("predict", {"text": TEXT, "language": "en-GB"}).json()["warnings"] == []


def test_personal_data_give_way_to_placeholders(post: Post, project: Project) -> None:
    Label.objects.filter(label_set__project=project, name="per").update(is_pii=True)
    text = "Ada Lovelace moved to London. Ada Lovelace wrote."
    answer = post("predict", {"text": text, "mask_pii": True}).json()
    assert answer["masked_text"] == "[PER_1] moved to London. [PER_1] wrote."
    assert "masked_text" not in post("predict", {"text": text}).json()
    batch = post("predict/batch", {"texts": [text, "London."], "mask_pii": True}).json()
    assert [item["masked_text"] for item in batch["results"]] == [answer["masked_text"], "London."]
