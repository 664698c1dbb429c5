"""`POST feedback`: a caller's human corrects or rates a prediction."""

from __future__ import annotations

from typing import Any

import pytest

from audit.models import AuditEvent
from corpus.models import Document
from feedback.models import Correction, Rating
from inference.models import ApiKey
from tests.inference.conftest import Post

TEXT = "Ada Lovelace moved to London in 1835."
ADA = {"start": 0, "end": 12, "label": "per"}

pytestmark = pytest.mark.usefixtures("champion")


@pytest.fixture
def prediction_id(post: Post) -> str:
    return str(post("predict", {"text": TEXT}).json()["prediction_id"])


def test_full_spans_become_a_correction_of_a_document(
    post: Post, prediction_id: str, key: tuple[ApiKey, str]
) -> None:
    response = post("feedback", {"prediction_id": prediction_id, "spans": [ADA]})

    assert response.status_code == 200, response.content
    body = response.json()
    assert body["kind"] == "correction"
    assert body["number"] == 1
    assert response.headers["ETag"] == '"1"'
    assert body["spans"] == [ADA | {"text": "Ada Lovelace"}]
    assert body["decisions"] == {"accept": 1, "reject": 2}
    assert "next retraining" in body["retraining"]
    correction = Correction.objects.get()
    assert correction.api_key == key[0]
    assert correction.author is None
    assert str(correction.prediction_id) == prediction_id
    assert Document.objects.get().text == TEXT
    assert AuditEvent.objects.get(action="correction.submit").actor == f"key:{key[0].pk}"


@pytest.mark.parametrize("where", ["header", "field"])
def test_a_retry_under_the_same_key_gets_the_same_answer(post: Post, prediction_id: str, where: str) -> None:
    def send(spans: list[Any]) -> Any:
        body: dict[str, Any] = {"prediction_id": prediction_id, "spans": spans}
        if where == "field":
            return post("feedback", body | {"idempotency_key": "once"})
        return post("feedback", body, headers={"Idempotency-Key": "once"})

    first, again, other = send([ADA]), send([ADA]), send([])

    assert first.status_code == again.status_code == 200
    assert first.json() | {"request_id": ""} == again.json() | {"request_id": ""}
    assert Correction.objects.count() == 1
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


@pytest.mark.parametrize("given", ["", "x" * 256])
def test_a_wrong_idempotency_key_is_refused(post: Post, prediction_id: str, given: str) -> None:
    body = {"prediction_id": prediction_id, "spans": []}
    response = post("feedback", body | {"idempotency_key": given})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_idempotency_key")


def test_once_a_correction_exists_the_caller_says_what_it_started_from(
    post: Post, prediction_id: str
) -> None:
    body = {"prediction_id": prediction_id, "spans": [ADA]}
    post("feedback", body)
    changed = body | {"spans": []}

    required = post("feedback", changed)
    assert (required.status_code, required.json()["code"]) == (428, "version_required")
    assert required.json()["current"]["number"] == 1
    stored = post("feedback", changed, headers={"If-Match": '"1"'})
    assert (stored.status_code, stored.json()["number"]) == (200, 2)
    stale = post("feedback", body, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
    assert stale.json()["current"] == {"number": 2, "spans": []}
    assert stale.json()["base"]["number"] == 1


@pytest.mark.parametrize("given", ["*", "abc", '""', "-1", '"١"', "1.0"])
def test_a_malformed_version_is_refused(post: Post, prediction_id: str, given: str) -> None:
    body = {"prediction_id": prediction_id, "spans": [ADA]}
    response = post("feedback", body, headers={"If-Match": given.encode().decode("latin-1")})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_version")


def test_the_same_spans_again_change_nothing(post: Post, prediction_id: str) -> None:
    body = {"prediction_id": prediction_id, "spans": [ADA]}
    post("feedback", body)
    again = post("feedback", body, headers={"If-Match": "1"})
    assert (again.status_code, again.json()["number"]) == (200, 1)
    assert AuditEvent.objects.filter(action="correction.submit").count() == 1


def test_a_rating_is_kept(post: Post, prediction_id: str) -> None:
    response = post(
        "feedback", {"prediction_id": prediction_id, "rating": 2, "comment": "London is missing."}
    )
    assert response.status_code == 200
    assert response.json()["kind"] == "rating"
    assert Rating.objects.get().score == 2


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({}, 400, "spans_or_rating", "/spans"),
        ({"spans": [], "rating": 3}, 400, "spans_or_rating", "/spans"),
        ({"spans": [], "comment": "x"}, 400, "spans_or_rating", "/spans"),
        ({"rating": 0}, 400, "out_of_range", "/rating"),
        ({"rating": 6}, 400, "out_of_range", "/rating"),
        ({"rating": 3.5}, 400, "not_an_integer", "/rating"),
        ({"rating": True}, 400, "not_an_integer", "/rating"),
        ({"rating": 3, "comment": "x" * 2001}, 400, "out_of_range", "/comment"),
        ({"spans": {}}, 400, "not_a_list", "/spans"),
        ({"spans": [[0, 3, "per"]]}, 400, "not_a_span", "/spans/0"),
        ({"spans": [ADA | {"start": "0"}]}, 400, "not_an_integer", "/spans/0/start"),
        ({"spans": [ADA | {"end": 12.0}]}, 400, "not_an_integer", "/spans/0/end"),
        ({"spans": [ADA | {"end": 10**30}]}, 400, "span_beyond_end", "/spans/0"),
        ({"spans": [ADA | {"text": "Bob"}]}, 400, "surface_mismatch", "/spans/0"),
        ({"spans": [ADA | {"text": "Ada\x00"}]}, 400, "null_character", "/spans/0/text"),
        ({"spans": [ADA | {"color": "red"}]}, 400, "unknown_field", "/spans/0"),
        ({"spans": [ADA | {"label": "PER"}]}, 400, "unknown_label", "/spans/0"),
        ({"spans": [ADA] * 10_001}, 413, "too_many_spans", "/spans"),
        ({"spans": [], "milliseconds": -1}, 400, "out_of_range", "/milliseconds"),
        ({"spans": [], "is_admin": True}, 400, "unknown_field", "/is_admin"),
        ({"spans": [], "prediction_id": "abc"}, 400, "invalid_id", "/prediction_id"),
        (
            {"spans": [], "prediction_id": "00000000-0000-4000-8000-000000000000"},
            404,
            "not_found",
            "",
        ),
    ],
)
def test_wrong_feedback_is_refused_with_its_code(
    post: Post, prediction_id: str, body: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    response = post("feedback", {"prediction_id": prediction_id} | body)

    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code)
    assert [error["pointer"] for error in problem["errors"]] == ([pointer] if pointer else [])
    assert not Correction.objects.exists()


def test_offsets_in_utf16_units_are_stored_as_code_points(post: Post) -> None:
    text = "👨\u200d👩\u200d👧 Ann"
    prediction_id = post("predict", {"text": text}).json()["prediction_id"]

    body = post(
        "feedback",
        {
            "prediction_id": prediction_id,
            "spans": [{"start": 9, "end": 12, "label": "per"}],
            "offset_unit": "utf16",
        },
    ).json()

    assert body["spans"] == [{"start": 9, "end": 12, "label": "per", "text": "Ann"}]
    assert Correction.objects.get().spans == [{"start": 6, "end": 9, "label": "per", "text": "Ann"}]


def test_a_span_that_nobody_would_mean_is_stored_with_a_warning(post: Post, prediction_id: str) -> None:
    body = post("feedback", {"prediction_id": prediction_id, "spans": [ADA | {"end": 13}]}).json()
    assert [warning["code"] for warning in body["warnings"]] == ["untrimmed"]
