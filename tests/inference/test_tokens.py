"""A token stands for a key: for a while, for no more than the key may do, and not a moment longer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from audit.services import SYSTEM
from corpus.models import Project
from inference.authentication import key_ring
from inference.models import ApiKey, ModelVersion
from inference.services import api_key_create, api_key_revoke
from inference.tokens import _signing_keys, token_make, token_read
from tests.inference.conftest import Post

Key = tuple[ApiKey, str]
TEXT = {"text": "Ada went to Paris."}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def exchanged(post: Post, **asked: Any) -> str:
    answer = post("token", asked)
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


def test_a_token_predicts_as_its_key_does(post: Post, champion: ModelVersion) -> None:
    answer = post("token", b"")
    told = answer.json()
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 900)
    assert set(told["scope"].split()) == set(ApiKey.Scope.values)
    assert answer.headers["Cache-Control"] == "no-store"
    found = post("predict", TEXT, headers=bearer(told["access_token"]))
    assert (found.status_code, found.json()["entities"][0]["text"]) == (200, "Ada")


def test_a_token_may_do_only_what_was_asked_for(post: Post, champion: ModelVersion) -> None:
    token = exchanged(post, scopes=["models"])
    refused = post("predict", TEXT, headers=bearer(token))
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


def test_no_token_may_do_more_than_its_key(post: Post, project: Project, champion: ModelVersion) -> None:
    key, secret = api_key_create(project=project, name="narrow", scopes=["predict"], actor=SYSTEM)
    refused = post("token", {"scopes": ["predict", "ops"]}, headers=bearer(secret))
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (403, "/scopes")
    # Signed by us, and still: the key decides at every use.
    forged = token_make(key=key, scopes=["predict", "models"], seconds=60)
    assert post("predict", TEXT, headers=bearer(forged)).status_code == 200
    caller = key_ring.caller(forged)
    assert caller is not None
    assert caller.scopes == {"predict"}


def test_a_token_ends_with_its_key(post: Post, key: Key, champion: ModelVersion) -> None:
    token = exchanged(post)
    api_key_revoke(key=key[0], actor=SYSTEM, reason="leaked")
    key_ring.forget()  # as happens by itself after three seconds
    assert post("predict", TEXT, headers=bearer(token)).status_code == 401


def test_a_token_ends_by_itself(post: Post, key: Key, champion: ModelVersion) -> None:
    token = token_make(key=key[0], scopes=["predict"], seconds=-1)
    assert post("predict", TEXT, headers=bearer(token)).status_code == 401


def test_a_token_cannot_prolong_itself(post: Post, champion: ModelVersion) -> None:
    refused = post("token", {}, headers=bearer(exchanged(post)))
    assert (refused.status_code, refused.json()["code"]) == (403, "token_for_token")


@pytest.mark.parametrize("asked", [{"seconds": 0}, {"seconds": 3601}, {"scopes": "predict"}, {"more": 1}])
def test_what_cannot_be_is_refused(post: Post, asked: dict[str, Any]) -> None:
    assert post("token", asked).status_code == 400


def test_tokens_of_one_key_share_its_limit(post: Post, project: Project, champion: ModelVersion) -> None:
    _, secret = api_key_create(
        project=project, name="small", scopes=["predict"], actor=SYSTEM, rate_per_hour=3
    )
    first, second = (post("token", {}, headers=bearer(secret)).json()["access_token"] for _ in range(2))
    assert post("predict", TEXT, headers=bearer(first)).status_code == 200
    assert post("predict", TEXT, headers=bearer(second)).status_code == 429


def claims(key: Key, **changed: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "iss": "nerapp",
        "sub": str(key[0].pk),
        "scope": "predict",
        "iat": now,
        "exp": now + timedelta(minutes=1),
    } | changed


def test_only_what_we_signed_is_read(key: Key) -> None:
    ours = next(_signing_keys())
    assert token_read(jwt.encode(claims(key), ours, algorithm="HS256")) is not None
    assert token_read(jwt.encode(claims(key), b"x" * 32, algorithm="HS256")) is None
    assert token_read(jwt.encode(claims(key), None, algorithm="none")) is None
    assert token_read(jwt.encode(claims(key), ours, algorithm="HS384")) is None
    assert token_read(jwt.encode(claims(key, iss="somebody"), ours, algorithm="HS256")) is None
    assert token_read(jwt.encode(claims(key, sub="me"), ours, algorithm="HS256")) is None
    without_end = {name: value for name, value in claims(key).items() if name != "exp"}
    assert token_read(jwt.encode(without_end, ours, algorithm="HS256")) is None


def test_a_token_outlives_the_exchange_of_the_secret_key(key: Key, settings: Any) -> None:
    token = token_make(key=key[0], scopes=["predict"], seconds=60)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another " * 8, [settings.SECRET_KEY]
    assert token_read(token) is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert token_read(token) is None
