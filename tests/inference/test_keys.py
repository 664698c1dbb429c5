"""API keys: what they open, when they stop, and that nothing but their hash is kept."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference import authentication
from inference.authentication import key_ring
from inference.errors import KeyNameTaken, ReasonRequired, ScopeUnknown
from inference.models import ApiKey, ModelVersion
from inference.services import api_key_create, api_key_revoke
from tests.inference.conftest import Post

pytestmark = pytest.mark.django_db


def _predict(client: Client, authorization: str | None) -> Any:
    headers = {} if authorization is None else {"Authorization": authorization}
    body = {"text": "Ann", "store": False}
    return client.post("/api/v1/predict", body, content_type="application/json", headers=headers)


def test_no_wrong_revoked_and_expired_keys_read_the_same(
    client: Client, champion: ModelVersion, project: Project, key: tuple[ApiKey, str]
) -> None:
    revoked, revoked_secret = api_key_create(project=project, name="r", scopes=["predict"], actor=SYSTEM)
    api_key_revoke(key=revoked, actor=SYSTEM, reason="leaked")
    _, expired_secret = api_key_create(
        project=project,
        name="e",
        scopes=["predict"],
        actor=SYSTEM,
        expires_at=timezone.now() - timedelta(seconds=1),
    )
    secret = key[1]
    answers = [
        _predict(client, given)
        for given in (
            None,
            "",
            "Bearer",
            "Bearer ",
            f"Basic {secret}",
            secret,
            f"Bearer {secret}x",
            f"Bearer {secret[:-1]}",
            f"Bearer {secret[:-1]}\x00",
            "Bearer ner_live_" + "A" * 43,
            f"Bearer {revoked_secret}",
            f"Bearer {expired_secret}",
        )
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert {answer.json()["code"] for answer in answers} == {"unauthenticated"}
    assert all(answer.headers["WWW-Authenticate"] == 'Bearer realm="nerapp"' for answer in answers)
    assert _predict(client, f"bearer {secret}").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "scope"),
    [
        ("predict", {"text": "a"}, "predict"),
        ("predict/batch", {"texts": ["a"]}, "predict"),
        ("feedback", {"prediction_id": "00000000-0000-4000-8000-000000000000"}, "feedback"),
        ("models", None, "models"),
        ("models/1", None, "models"),
        ("predict", {"text": "a", "model": "champion"}, "route"),
        ("predict", {"text": "a", "model": "tiny@1"}, "route"),
    ],
)
def test_a_key_opens_only_what_its_scopes_name(
    post: Post, get: Post, champion: ModelVersion, key: tuple[ApiKey, str], path: str, body: Any, scope: str
) -> None:
    ApiKey.objects.update(scopes=[value for value in ApiKey.Scope.values if value != scope])
    response = get(path) if body is None else post(path, body)
    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")
    assert scope in response.json()["detail"]


def test_another_projects_versions_predictions_and_models_are_not_there(
    post: Post, get: Post, champion: ModelVersion, key: tuple[ApiKey, str]
) -> None:
    from corpus.services import LabelDraft, project_create

    prediction_id = post("predict", {"text": "Ann"}).json()["prediction_id"]
    stranger = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    ApiKey.objects.update(project=stranger)
    key_ring.forget()

    assert post("feedback", {"prediction_id": prediction_id, "spans": []}).status_code == 404
    assert get(f"models/{champion.pk}").status_code == 404
    assert get("models/tiny@1").status_code == 404
    assert get("models").json()["models"] == []
    assert post("predict", {"text": "Ann", "model": "tiny@1"}).json()["code"] == "unknown_model"


def test_a_revoked_key_is_refused_within_seconds_in_a_process_that_knew_it(
    client: Client, champion: ModelVersion, key: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert authentication.REMEMBER_SECONDS < 5
    assert _predict(client, f"Bearer {key[1]}").status_code == 200
    ApiKey.objects.update(revoked_at=timezone.now())
    assert _predict(client, f"Bearer {key[1]}").status_code == 200  # remembered

    later = authentication.time.monotonic() + authentication.REMEMBER_SECONDS
    monkeypatch.setattr(authentication.time, "monotonic", lambda: later)
    assert _predict(client, f"Bearer {key[1]}").status_code == 401


def test_an_expiry_is_kept_to_the_second_even_when_the_key_is_remembered(
    client: Client, champion: ModelVersion, key: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert _predict(client, f"Bearer {key[1]}").status_code == 200
    later = timezone.now() + timedelta(minutes=2)
    monkeypatch.setattr(authentication.timezone, "now", lambda: later)
    assert _predict(client, f"Bearer {key[1]}").status_code == 401


def test_the_secret_is_in_no_column(project: Project) -> None:
    key, secret = api_key_create(project=project, name="test", scopes=["predict"], actor=SYSTEM)
    assert secret.startswith("ner_live_")
    assert len(secret) == len("ner_live_") + 43
    assert key.prefix == secret[:13]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT k::text FROM inference_apikey k UNION SELECT e::text FROM inference_apikeyevent e"
        )
        rows = "".join(row for (row,) in cursor.fetchall())
    assert secret[13:] not in rows
    assert secret[13:] not in str(AuditEvent.objects.values_list("data", flat=True))


def test_last_used_is_noted_at_most_once_a_minute(
    client: Client, champion: ModelVersion, key: tuple[ApiKey, str]
) -> None:
    _predict(client, f"Bearer {key[1]}")
    assert ApiKey.objects.get().last_used_at is None  # not while the caller waits
    key_ring.used_flush()
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    _predict(client, f"Bearer {key[1]}")
    key_ring.used_flush()
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    _predict(client, f"Bearer {key[1]}")
    key_ring.used_flush()
    assert ApiKey.objects.get().last_used_at > first


def test_a_second_request_asks_the_database_only_what_is_news(
    post: Post, champion: ModelVersion, django_assert_num_queries: Any
) -> None:
    post("predict", {"text": "Ann"})
    # The slot's version and its exams; a process that follows the database (upkeep) asks neither.
    with django_assert_num_queries(3):
        post("predict", {"text": "Ann"})


def test_names_are_taken_once_among_the_living(project: Project) -> None:
    key, _ = api_key_create(project=project, name="test", scopes=[], actor=SYSTEM)
    with pytest.raises(KeyNameTaken):
        api_key_create(project=project, name="test", scopes=[], actor=SYSTEM)
    with pytest.raises(ReasonRequired):
        api_key_revoke(key=key, actor=SYSTEM, reason=" ")
    api_key_revoke(key=key, actor=SYSTEM, reason="rotated")
    api_key_revoke(key=key, actor=SYSTEM, reason="rotated")
    assert AuditEvent.objects.filter(action="api_key.revoke").count() == 1
    api_key_create(project=project, name="test", scopes=[], actor=SYSTEM)
    with pytest.raises(ScopeUnknown):
        api_key_create(project=project, name="other", scopes=["root"], actor=SYSTEM)


def test_the_command_prints_the_key_alone(client: Client, champion: ModelVersion, project: Project) -> None:
    out = StringIO()
    call_command("apikey_create", project=project.slug, name="made", scopes=["predict"], stdout=out)
    secret = out.getvalue().removesuffix("\n")
    assert "\n" not in secret
    assert _predict(client, f"Bearer {secret}").status_code == 200
    with pytest.raises(CommandError, match="made already"):
        call_command("apikey_create", project=project.slug, name="made", stdout=out)
    with pytest.raises(CommandError, match="no project"):
        call_command("apikey_create", project="nobody", name="x", stdout=out)
