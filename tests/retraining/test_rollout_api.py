"""Rollouts by key and by command: the same services, the same refusals."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from celery import current_app
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from inference.authentication import key_ring
from inference.engine import engine
from inference.models import ApiKey, Deployment, ModelVersion
from inference.services import api_key_create, deployment_set, version_register
from retraining.models import Rollout
from retraining.services import rollout_policy_change, rollouts_check
from tests.bundles import WORDS, tiny_bundle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    engine.forget()
    key_ring.forget()
    monkeypatch.setattr(current_app, "send_task", Mock())


@pytest.fixture
def new(project: Project, tmp_path: Path) -> ModelVersion:
    """A version on the shelf, beside a champion."""
    for name in ("old", "new"):
        bundle = tiny_bundle(tmp_path / name, {**WORDS, name: "B-geo"})
        version = version_register(path=bundle, name=name, project=project, actor=SYSTEM)
        if name == "old":
            deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="first")
    rollout_policy_change(project=project, actor=SYSTEM, steps=[5, 50, 100])
    return version


class Caller:
    """Somebody with a key."""

    def __init__(self, project: Project, *scopes: str) -> None:
        self.client = Client()
        _, secret = api_key_create(
            project=project, name="-".join(scopes) or "none", scopes=list(scopes), actor=SYSTEM
        )
        self.headers = {"Authorization": f"Bearer {secret}"}

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/{path}", headers=self.headers)

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(
            f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=self.headers
        )


@pytest.fixture
def caller(project: Project) -> Caller:
    """Somebody who may bring versions to callers."""
    return Caller(project, ApiKey.Scope.MODELS, ApiKey.Scope.TRAFFIC)


def test_a_rollout_is_started_read_paused_and_taken_back_by_key(caller: Caller, new: ModelVersion) -> None:
    started = caller.post("rollouts", version="new@1", reason="better on pests")
    assert started.status_code == 201, started.content
    number = started.json()["id"]
    rollouts_check()
    body = caller.get(f"rollouts/{number}").json()
    assert (body["status"], body["share"], body["next_share"]) == ("active", 5.0, 50.0)
    assert "0 of 500 answers" in body["waits_for"]
    assert {one["code"] for one in body["findings"]} >= {"samples", "error_rate"}
    assert [one["kind"] for one in body["events"]] == ["start"]
    assert caller.post(f"rollouts/{number}/pause", reason="a holiday").json()["status"] == "paused"
    assert caller.post(f"rollouts/{number}/resume").json()["status"] == "active"
    assert caller.post(f"rollouts/{number}/roll-back", reason="no").json()["status"] == "rolled_back"
    assert not Deployment.objects.filter(slot="challenger").exists()
    assert [one["id"] for one in caller.get("rollouts").json()["rollouts"]] == [number]
    assert AuditEvent.objects.get(action="rollout.roll_back").actor.startswith("key:")


def test_what_cannot_be_is_refused_with_a_code(caller: Caller, new: ModelVersion) -> None:
    def refused(response: Any) -> tuple[int, str]:
        return response.status_code, response.json()["code"]

    assert refused(caller.post("rollouts", version="new@9", reason="x")) == (404, "unknown_model")
    assert refused(caller.post("rollouts", version="new@1", reason=" ")) == (400, "reason_required")
    assert refused(caller.post("rollouts", version="old@1", reason="x")) == (409, "already_champion")
    number = caller.post("rollouts", version="new@1", reason="x").json()["id"]
    assert refused(caller.post("rollouts", version="new@1", reason="x")) == (409, "traffic_busy")
    assert refused(caller.post(f"rollouts/{number}/approve")) == (409, "nothing_to_approve")
    assert refused(caller.post(f"rollouts/{number}/roll-back")) == (400, "reason_required")
    caller.post(f"rollouts/{number}/roll-back", reason="x")
    assert refused(caller.post(f"rollouts/{number}/pause", reason="x")) == (409, "rollout_over")
    assert refused(caller.post("rollouts", version="new@1", reason="\0")) == (400, "null_character")
    assert refused(caller.get("rollouts/999")) == (404, "not_found")
    assert refused(caller.get(f"rollouts/{2**70}")) == (404, "not_found")


def test_looking_and_moving_are_different_scopes(project: Project, new: ModelVersion) -> None:
    reader, nobody = Caller(project, ApiKey.Scope.MODELS), Caller(project, ApiKey.Scope.PREDICT)
    assert reader.get("rollouts").status_code == 200
    assert nobody.get("rollouts").status_code == 403
    assert reader.post("rollouts", version="new@1", reason="x").json()["code"] == "missing_scope"
    assert not Rollout.objects.exists()


def test_another_projects_rollout_is_not_there(caller: Caller, new: ModelVersion) -> None:
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    number = caller.post("rollouts", version="new@1", reason="x").json()["id"]
    stranger = Caller(other, ApiKey.Scope.MODELS, ApiKey.Scope.TRAFFIC)
    assert stranger.get(f"rollouts/{number}").status_code == 404
    assert stranger.post(f"rollouts/{number}/roll-back", reason="x").status_code == 404
    assert Rollout.objects.get().is_unfinished


def test_the_commands_do_the_same(project: Project, new: ModelVersion) -> None:
    def told(name: str, **options: Any) -> str:
        out = StringIO()
        call_command(name, project="orchard", stdout=out, **options)
        return out.getvalue()

    assert "ever" in told("rollout_status")
    with pytest.raises(CommandError, match="No version of orchard"):
        told("rollout_pause", reason="x")
    assert "5 % of the callers" in told("rollout_start", model="new@1", reason="better")
    with pytest.raises(CommandError, match="does not wait for approval"):
        told("rollout_approve")
    assert "paused" in told("rollout_pause", reason="a holiday")
    assert "under way" in told("rollout_resume")
    rollouts_check()
    status = told("rollout_status")
    assert "waits for" in status
    assert "0 -> 5 % start by nerapp: better" in status
    assert "rolled back, 0 % of the callers" in told("rollout_roll_back", reason="enough")
    with pytest.raises(CommandError, match="no project"):
        call_command("rollout_status", project="nowhere")
