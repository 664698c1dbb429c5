"""The application as the web processes serve it: the API and the pages pass different middleware."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import Client

from audit.services import SYSTEM
from corpus.models import Project
from inference.services import api_key_create

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from inference.stream_writer import stream_writer
    from inference.upkeep import upkeep

    for thread in (upkeep, stream_writer):
        monkeypatch.setattr(thread, "start", lambda: None)  # it would outlive the test
    from nerapp.wsgi import application

    def call(path: str, body: bytes = b"", **headers: str) -> tuple[str, dict[str, str], bytes]:
        said: list[Any] = []
        environ = {
            **{"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SCRIPT_NAME": ""},
            **{"SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost"},
            **{"wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http", "wsgi.errors": io.StringIO()},
            **headers,
        }
        answer = b"".join(application(environ, lambda status, given: said.extend((status, dict(given)))))
        return said[0], said[1], answer

    # As Django's own test client does: the connection is the test's, not the request's.
    request_started.disconnect(close_old_connections)
    yield call
    request_started.connect(close_old_connections)


def test_json_of_the_api_is_guarded_and_named_and_starts_no_session(ask: Any) -> None:
    status, headers, body = ask("/api/v1/live", HTTP_X_REQUEST_ID="mine")
    assert status == "200 OK"
    assert body.startswith(b"{")
    assert headers["X-Request-Id"] == "mine"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Content-Length"] == str(len(body))
    assert not {"Set-Cookie", "Content-Security-Policy"} & headers.keys()


def test_a_host_that_is_not_ours_is_refused_by_the_api_too(ask: Any) -> None:
    status, headers, body = ask("/api/v1/live", HTTP_HOST="evil.example")
    assert status == "400 Bad Request"
    assert headers["Content-Type"] == "application/problem+json"
    assert b"evil" not in body


def test_an_address_that_the_api_has_not_is_a_problem(ask: Any) -> None:
    status, headers, _ = ask("/api/v1/nothing")
    assert (status, headers["Content-Type"]) == ("404 Not Found", "application/problem+json")


def test_staff_see_the_health_of_everything_in_their_browser(ask: Any, admin_client: Client) -> None:
    cookie = f"sessionid={admin_client.cookies['sessionid'].value}"
    assert b'"checks"' in ask("/api/v1/health", HTTP_COOKIE=cookie)[2]
    assert b'"checks"' not in ask("/api/v1/health")[2]


@pytest.mark.parametrize("path", ["/api/v1/docs", "/help/"])
def test_pages_have_their_policy(ask: Any, path: str) -> None:
    headers = ask(path)[1]
    assert "nonce-" in headers["Content-Security-Policy"] or "'self'" in headers["Content-Security-Policy"]


def test_the_api_speaks_english_to_everybody(ask: Any) -> None:
    german = {"HTTP_ACCEPT_LANGUAGE": "de"}
    ask("/help/", **german)
    assert b"There is nothing here" in ask("/api/v1/nothing", **german)[2]


def test_who_is_answered_before_their_body_was_read_is_told_that_the_connection_ends(
    ask: Any, project: Project
) -> None:
    _, secret = api_key_create(project=project, name="caller", scopes=["predict"], actor=SYSTEM)
    sent = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "15"}
    status, headers, _ = ask("/api/v1/predict", b'{"text": "Ada"}', **sent)
    assert (status, headers["Connection"]) == ("401 Unauthorized", "close")
    sent["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    status, headers, _ = ask("/api/v1/predict", b'{"texts": "Ada"}'[:15], **sent)
    assert (status[:3], "Connection" in headers) == ("400", False)
