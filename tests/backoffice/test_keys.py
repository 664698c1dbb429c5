"""API keys in the back office: the secret is shown once, and a revoked key stays revoked."""

from __future__ import annotations

import re

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.models import ApiKey, ModelVersion
from inference.services import api_key_create
from inference.services.keys import key_digest

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"ner_live_[A-Za-z0-9_-]{40,}")


def body(project: Project, /, **changed: object) -> dict[str, object]:
    return {
        "project": project.pk,
        "name": "importer",
        "scopes": ["predict", "feedback"],
        "rate_per_hour": 100,
        **changed,
    }


def test_the_secret_is_shown_once_and_stored_nowhere(office: Client, project: Project) -> None:
    answer = office.post(reverse("admin:inference_apikey_add"), body(project))
    secret = SECRET.search(answer.content.decode())
    assert secret
    assert "no-store" in answer.headers["Cache-Control"]
    key = ApiKey.objects.get()
    assert key.digest == key_digest(secret.group())
    stored = [*ApiKey.objects.values(), *AuditEvent.objects.values(), *Session.objects.values()]
    assert secret.group() not in str(stored)
    assert all(secret.group() not in str(session.get_decoded()) for session in Session.objects.all())
    for page in ("changelist", "change", "history"):
        arguments = [] if page == "changelist" else [key.pk]
        shown = office.get(reverse(f"admin:inference_apikey_{page}", args=arguments)).content.decode()
        assert not SECRET.search(shown)


def test_the_shown_secret_opens_the_api(office: Client, project: Project, champion: ModelVersion) -> None:
    answer = office.post(reverse("admin:inference_apikey_add"), body(project)).content.decode()
    secret = SECRET.search(answer)
    assert secret
    predicted = Client().post(
        "/api/v1/predict",
        {"text": "Ada Lovelace moved to London in 1835."},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret.group()}"},
    )
    assert predicted.status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"rate_per_hour": 0},
        {"rate_per_hour": "many"},
        {"expires_at": "2020-01-01T00:00"},
        {"project": 10_000},
    ],
    ids=str,
)
def test_a_key_that_makes_no_sense_is_not_made(
    office: Client, project: Project, changed: dict[str, object]
) -> None:
    answer = office.post(reverse("admin:inference_apikey_add"), body(project, **changed))
    assert answer.status_code == 200
    assert b"errorlist" in answer.content
    assert not ApiKey.objects.exists()


def test_a_name_is_used_once_in_a_project(office: Client, project: Project) -> None:
    office.post(reverse("admin:inference_apikey_add"), body(project))
    answer = office.post(reverse("admin:inference_apikey_add"), body(project))
    assert b"has a key named importer already" in answer.content
    assert ApiKey.objects.count() == 1


def test_revoking_needs_a_reason_and_is_final(office: Client, project: Project) -> None:
    key, _ = api_key_create(project=project, name="lost", scopes=["predict"], actor=SYSTEM)
    address = reverse("admin:inference_apikey_revoke", args=[key.pk])
    assert office.get(address).status_code == 405
    assert b"Say why" in office.post(address, {"reason": ""}, follow=True).content
    key.refresh_from_db()
    assert key.revoked_at is None
    page = office.post(address, {"reason": "left in a log"}, follow=True).content
    assert b"lost is revoked" in page
    assert b"Revoke this key" not in page
    event = AuditEvent.objects.get(action="api_key.revoke")
    assert (event.actor_name, event.reason) == ("ada", "left in a log")


def test_an_internal_key_is_made_by_a_tick(office: Client, project: Project) -> None:
    made = office.post(reverse("admin:inference_apikey_add"), body(project, internal="on"))
    assert made.status_code == 200
    key = ApiKey.objects.get()
    assert key.internal
    assert "Internal" in office.get(reverse("admin:inference_apikey_change", args=[key.pk])).content.decode()
