"""Live, ready, health, metrics: little for a load balancer, all for operators, nothing for others."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inference.engine import engine
from inference.models import ApiKey, ModelVersion
from nerapp import health
from tests.inference.conftest import Post

pytestmark = pytest.mark.django_db


def test_live_needs_nothing_but_the_process(client: Client) -> None:
    response = client.get("/api/v1/live")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_looks_at_all_that_a_prediction_needs(client: Client, champion: ModelVersion) -> None:
    body = client.get("/api/v1/ready").json()
    assert body["status"] == "ready"
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "ok",
        "migrations": "ok",
        "cache": "ok",
        "model": "ok",
    }


def test_without_redis_it_is_degraded_not_down(client: Client, champion: ModelVersion, settings: Any) -> None:
    settings.CACHE_URL = "redis://127.0.0.1:1/0"
    response = client.get("/api/v1/ready")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["cache"]["status"] == "degraded"


def test_a_champion_that_cannot_be_loaded_makes_it_not_ready(
    client: Client, champion: ModelVersion, settings: Any
) -> None:
    engine.forget()
    (Path(settings.DATA_DIR) / "bundles" / champion.sha256 / "card.md").write_text("changed")

    response = client.get("/api/v1/ready")

    assert (response.status_code, response.json()["status"]) == (503, "not_ready")
    assert response.json()["checks"]["model"]["status"] == "failed"


def test_missing_migrations_make_it_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health._Migrated, "seen", False)
    monkeypatch.setattr(health.MigrationExecutor, "migration_plan", lambda *_: ["one"])
    response = client.get("/api/v1/ready")
    assert response.status_code == 503
    assert "prepare_database" in response.json()["checks"]["migrations"]["detail"]


def test_strangers_learn_the_status_and_no_more(client: Client, champion: ModelVersion) -> None:
    assert client.get("/api/v1/health").json() == {"status": "ready"}
    assert client.get("/api/v1/metrics").status_code == 404


def test_operators_see_everything(
    get: Post, post: Post, key: tuple[ApiKey, str], champion: ModelVersion
) -> None:
    assert post("predict", {"text": "Ada Lovelace moved to London."}).status_code == 200

    body = get("health").json()

    assert body["status"] == "ready", body["checks"]
    assert body["models"] == [
        {
            "project": champion.project_id,
            "slot": "champion",
            "version": "tiny@1",
            "f1_score": 0.9,
            "refused": "",
        }
    ]
    assert body["traffic"][0]["version"] == "tiny@1"
    assert body["traffic"][0]["share"] == 1.0
    assert body["numbers"]["requests"] >= 1
    assert body["numbers"]["p95_ms"] > 0
    assert body["memory_mb"] > 10
    assert body["queue_depth"] == {"default": 0, "control": 0, "predict": 0, "train": 0}
    assert body["workers"] == {"default": None, "control": None, "predict": None, "train": None}


def test_a_key_without_the_scope_is_a_stranger(get: Post, key: tuple[ApiKey, str]) -> None:
    ApiKey.objects.update(scopes=["predict"])
    assert set(get("health").json()) == {"status"}
    assert get("metrics").status_code == 404


def test_staff_see_the_metrics_in_a_browser(
    post: Post, champion: ModelVersion, client: Client, ada: User, otto: User
) -> None:
    assert post("predict", {"text": "Ada"}).status_code == 200  # else there is nothing to see
    client.force_login(otto)
    assert client.get("/api/v1/metrics").status_code == 404
    client.force_login(ada)
    response = client.get("/api/v1/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert "ner_prediction_seconds_bucket" in response.content.decode()
    assert client.get("/api/v1/metrics", headers={"Accept": "application/json"}).json()["requests"] >= 1


def test_percentiles_come_from_the_buckets() -> None:
    buckets = {0.01: 50.0, 0.1: 95.0, 1.0: 100.0, float("inf"): 100.0}
    assert health._percentile(buckets, 0.5) == 10.0
    assert health._percentile(buckets, 0.95) == 100.0
    assert health._percentile(buckets, 0.99) == 820.0
    assert health._percentile({}, 0.5) is None


def test_what_a_dead_process_held_is_not_counted(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid in (ended.pid, os.getpid()):
        for kind in ("gauge_livesum", "counter"):
            (tmp_path / f"{kind}_{pid}.db").touch()
    health._forget_the_dead(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        f"gauge_livesum_{os.getpid()}.db",
        *(f"counter_{pid}.db" for pid in (ended.pid, os.getpid())),
    }
