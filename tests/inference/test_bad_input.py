"""Every kind of bad input has its status and its code, and nobody's text is in the message."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.test import Client

from inference.models import ApiKey, Prediction
from tests.inference.conftest import Post

SECRET_TEXT = "Zx-CANARY-4711"

pytestmark = pytest.mark.usefixtures("champion")


def _refused(response: Any, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["X-Request-Id"]
    assert set(problem) >= {"type", "title", "status", "code", "detail", "request_id", "errors"}
    assert SECRET_TEXT not in response.content.decode()
    if pointer is not None:
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert not Prediction.objects.exists()
    return problem


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({}, 400, "required", "/text"),
        ({"text": ""}, 400, "empty_text", "/text"),
        ({"text": 5}, 400, "not_a_string", "/text"),
        ({"text": True}, 400, "not_a_string", "/text"),
        ({"text": None}, 400, "not_a_string", "/text"),
        ({"text": [SECRET_TEXT]}, 400, "not_a_string", "/text"),
        ({"text": {"a": 1}}, 400, "not_a_string", "/text"),
        ({"text": SECRET_TEXT + "\x00"}, 400, "null_character", "/text"),
        ({"text": SECRET_TEXT + "\ud83d"}, 400, "invalid_unicode", "/text"),
        ({"text": "a" * 100_001}, 413, "text_too_long", "/text"),
        ({"text": SECRET_TEXT, "is_admin": True}, 400, "unknown_field", "/is_admin"),
        ({"text": SECRET_TEXT, "be_quick": True}, 400, "unknown_field", "/be_quick"),
        ({"text": SECRET_TEXT, "model": ""}, 400, "out_of_range", "/model"),
        ({"text": SECRET_TEXT, "model": 5}, 400, "not_a_string", "/model"),
        ({"text": SECRET_TEXT, "model": "nothing"}, 404, "unknown_model", "/model"),
        ({"text": SECRET_TEXT, "model": "tiny@99"}, 404, "unknown_model", "/model"),
        ({"text": SECRET_TEXT, "model": "tiny@" + "9" * 40}, 404, "unknown_model", "/model"),
        ({"text": SECRET_TEXT, "model": "speed"}, 404, "unknown_model", "/model"),
        ({"text": SECRET_TEXT, "offset_unit": "bytes"}, 400, "invalid_choice", "/offset_unit"),
        ({"text": SECRET_TEXT, "output_format": SECRET_TEXT}, 400, "invalid_choice", "/output_format"),
        ({"text": SECRET_TEXT, "min_confidence": 1.1}, 400, "out_of_range", "/min_confidence"),
        ({"text": SECRET_TEXT, "min_confidence": -0.1}, 400, "out_of_range", "/min_confidence"),
        ({"text": SECRET_TEXT, "min_confidence": "0.5"}, 400, "not_a_number", "/min_confidence"),
        ({"text": SECRET_TEXT, "min_confidence": True}, 400, "not_a_number", "/min_confidence"),
        ({"text": SECRET_TEXT, "store": 1}, 400, "not_a_boolean", "/store"),
        ({"text": SECRET_TEXT, "return_confidence": "yes"}, 400, "not_a_boolean", "/return_confidence"),
        ({"text": SECRET_TEXT, "language": "e"}, 400, "invalid_format", "/language"),
        ({"text": SECRET_TEXT, "language": "en-abcdefgh-abcdefgh"}, 400, "out_of_range", "/language"),
        ({"text": SECRET_TEXT, "project": "other"}, 403, "other_project", "/project"),
        ({"text": SECRET_TEXT, "model": "a\x00b"}, 400, "null_character", "/model"),
        ({"text": SECRET_TEXT, "x\x00": 1}, 400, "null_character", None),
        ({"text": SECRET_TEXT, "a": {"b": [{"c": "\ud83d"}]}}, 400, "invalid_unicode", "/a/b/0/c"),
    ],
)
def test_a_wrong_value_is_refused(post: Post, body: Any, status: int, code: str, pointer: str | None) -> None:
    _refused(post("predict", body), status, code, pointer)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "malformed_json"),
        (b'{"text": "a",}', "malformed_json"),
        (b'{"text": "a\nb"}', "malformed_json"),
        (b"{'text': 'a'}", "malformed_json"),
        (b'{"text": "\\x"}', "malformed_json"),
        (b'{"text": "a"} {}', "malformed_json"),
        (b'{"text": 01}', "malformed_json"),
        (b"   ", "malformed_json"),
        (b'{"text": "a", "text": "b"}', "duplicate_key"),
        (b'{"text": "a", "x": {"y": 1, "y": 2}}', "duplicate_key"),
        (b'{"text": "a", "min_confidence": NaN}', "not_finite"),
        (b'{"text": "a", "min_confidence": Infinity}', "not_finite"),
        (b'{"text": "a", "min_confidence": -Infinity}', "not_finite"),
        (b'{"text": "a", "min_confidence": 1e999}', "not_finite"),
        (b'{"text": "a", "min_confidence": ' + b"9" * 5000 + b"}", "number_too_long"),
        (b'{"text": "a", "min_confidence": 0.' + b"9" * 5000 + b"}", "number_too_long"),
        (b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"text": ' + b"[" * 100_000, "too_deep"),
        (b'{"text": ' + b'{"a":' * 33 + b"1" + b"}" * 34, "too_deep"),
        (b'{"text": ' + b"[" * 31 + b"]" * 31 + b"}", "not_a_string"),
        (b'{"text": ["' + b"[" * 1000 + b'"]}', "not_a_string"),
        (b"[]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"text": "\xff"}', "invalid_encoding"),
        (b'\xef\xbb\xbf{"text": "a"}', "invalid_encoding"),
        ('{"text": "a"}'.encode("utf-16"), "invalid_encoding"),
        (b'{"text": "\xed\xa0\xbd"}', "invalid_encoding"),
    ],
)
def test_what_is_not_strict_json_is_refused(post: Post, raw: bytes, code: str) -> None:
    _refused(post("predict", raw), 400, code)


def test_malformed_json_says_where(post: Post) -> None:
    problem = _refused(post("predict", b'{"text":\n  oops}'), 400, "malformed_json")
    assert "line 2, column 3" in problem["detail"]


def test_an_empty_body_lacks_its_fields(post: Post) -> None:
    _refused(post("predict", b""), 400, "required", "/text")
    _refused(post("predict/batch", b""), 400, "required", "/texts")
    _refused(post("feedback", b""), 400, "required", "/prediction_id")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"content_type": "text/plain"}, "unsupported_media_type"),
        ({"content_type": "application/x-www-form-urlencoded"}, "unsupported_media_type"),
        ({"content_type": "multipart/form-data; boundary=x"}, "unsupported_media_type"),
        ({"content_type": ""}, "unsupported_media_type"),
        ({"content_type": "application/json; charset=utf-16"}, "unsupported_charset"),
        ({"content_type": "application/json; charset=bogus"}, "unsupported_charset"),
        ({"headers": {"Content-Encoding": "gzip"}}, "unsupported_encoding"),
    ],
)
def test_another_kind_of_body_is_refused(post: Post, changed: dict[str, Any], code: str) -> None:
    body = json.dumps({"text": SECRET_TEXT}).encode()
    raw = gzip.compress(body) if "headers" in changed else body
    _refused(post("predict", raw, **changed), 415, code)


def test_a_body_of_unstated_length_is_refused(client: Client, key: tuple[ApiKey, str]) -> None:
    headers = {"Authorization": f"Bearer {key[1]}", "Transfer-Encoding": "chunked"}
    response = client.generic("POST", "/api/v1/predict", b"", "application/json", headers=headers)
    _refused(response, 411, "length_required")


def test_utf_8_may_be_named(post: Post) -> None:
    for kind in ("application/json; charset=utf-8", 'application/json;charset="UTF-8"', "Application/JSON"):
        response = post("predict", {"text": "Ann", "store": False}, content_type=kind)
        assert response.status_code == 200


@pytest.mark.parametrize(("path", "limit"), [("predict", 2), ("feedback", 8), ("predict/batch", 32)])
def test_a_body_over_its_routes_limit_is_refused_in_json(post: Post, path: str, limit: int) -> None:
    body = b'{"text": "' + b"a" * (limit * 1024 * 1024) + b'"}'
    problem = _refused(post(path, body), 413, "too_large")
    assert problem["detail"].startswith(f"At most {limit} MiB")


def test_100_000_escaped_emoji_are_within_the_limit(post: Post) -> None:
    response = post("predict", {"text": "\U0001f600" * 100_000, "store": False})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"texts": []}, 400, "empty_batch"),
        ({"texts": ["a"] * 1001}, 413, "batch_too_large"),
        ({"texts": [{"id": "x", "text": "a"}, {"id": "x", "text": "b"}]}, 400, "duplicate_id"),
        ({"texts": ["a", {"id": "0", "text": "b"}]}, 400, "duplicate_id"),
        ({"texts": "a"}, 400, "not_a_list"),
        ({"texts": ["a"], "nope": 1}, 400, "unknown_field"),
        ({}, 400, "required"),
    ],
)
def test_a_wrong_batch_is_refused(post: Post, body: Any, status: int, code: str) -> None:
    _refused(post("predict/batch", body), status, code)


@pytest.mark.parametrize(
    "path",
    [
        "models/abc",
        "models/%00",
        "models/1'",
        "models/100000000000000000000",
        "models/0",
        "models/-1",
        "models/nobody@1",
        "models/tiny@%D9%A1",
        "nothing",
        "nothing/here",
    ],
)
def test_what_is_not_there_reads_the_same_whatever_it_is(get: Post, path: str) -> None:
    problem = _refused(get(path), 404, "not_found")
    assert problem["detail"] == "There is nothing here, or nothing that you may see."


@pytest.mark.parametrize(
    "query",
    ["page=-1", "page_size=1000000000", "user__password__startswith=p", "ordering=password", "format=api"],
)
def test_an_unknown_query_parameter_is_refused(get: Post, query: str) -> None:
    _refused(get(f"models?{query}"), 400, "unknown_parameter")


@pytest.mark.parametrize(("path", "allowed"), [("predict", "POST"), ("feedback", "POST"), ("models", "GET")])
def test_another_method_is_refused(client: Client, key: tuple[ApiKey, str], path: str, allowed: str) -> None:
    headers = {"Authorization": f"Bearer {key[1]}"}
    response = client.delete(f"/api/v1/{path}", headers=headers)
    _refused(response, 405, "method_not_allowed")
    assert allowed in response.headers["Allow"]


def test_a_browser_gets_json_too(post: Post, get: Post) -> None:
    response = post("predict", {"text": "Ann", "store": False}, headers={"Accept": "text/html"})
    assert response.headers["Content-Type"] == "application/json"
    assert get("models", Accept="text/html").headers["Content-Type"] == "application/json"


def test_a_bug_is_a_problem_without_its_insides(
    client: Client, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError(SECRET_TEXT)

    monkeypatch.setattr("inference.api.predict.choose", broken)
    client.raise_request_exception = False
    problem = _refused(post("predict", {"text": "Ann"}), 500, "internal_error")
    assert "settings" not in json.dumps(problem)


def test_a_database_that_is_gone_is_503(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def gone(**_: object) -> None:
        raise OperationalError("the server closed the connection at 10.0.0.1")

    monkeypatch.setattr("inference.api.predict.choose", gone)
    response = post("predict", {"text": "Ann"})
    problem = _refused(response, 503, "database_unavailable")
    assert response.headers["Retry-After"] == "2"
    assert "10.0.0.1" not in json.dumps(problem)
