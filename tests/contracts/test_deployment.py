"""The production shape: no engine is needed to see that its parts fit each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from nerapp import env

DEPLOY = env.PROJECT / "deploy"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((env.PROJECT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy")
    shutil.copy(DEPLOY / "make-secrets", folder)
    subprocess.run([folder / "make-secrets"], check=True, capture_output=True)
    return folder / "secrets"


def test_every_secret_of_the_compose_file_is_made_and_none_has_a_default(
    compose: dict[str, Any], secrets: Path
) -> None:
    named = {secret["file"].removeprefix("deploy/secrets/") for secret in compose["secrets"].values()}
    assert named == {path.name for path in secrets.iterdir()}
    assert secrets.stat().st_mode & 0o777 == 0o700


def test_making_secrets_again_keeps_those_that_exist(secrets: Path) -> None:
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    subprocess.run([secrets.parent / "make-secrets"], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before


@pytest.mark.parametrize(
    "service",
    ["web", "worker-default", "worker-control", "worker-predict", "worker-train", "beat", "prepare"],
)
def test_the_environment_of_each_process_is_accepted(
    compose: dict[str, Any], secrets: Path, service: str
) -> None:
    given = {
        name: value.replace("${NERAPP_HOST:-localhost}", "ner.example.org").replace(
            "/run/secrets", str(secrets)
        )
        for name, value in compose["services"][service]["environment"].items()
    }
    assert {name.removesuffix("_FILE") for name in given} <= {*env.names(), "PROMETHEUS_MULTIPROC_DIR"}
    checked = env.read(given)
    assert checked.env == "production"
    assert (checked.database_owner_url is not None) is (service == "prepare")


def test_only_the_proxy_and_the_operators_page_listen_outside(compose: dict[str, Any]) -> None:
    published = {
        name: service["ports"] for name, service in compose["services"].items() if "ports" in service
    }
    assert set(published) == {"nginx", "grafana"}
    assert published["grafana"] == ["127.0.0.1:3000:3000"]


def test_every_variable_is_documented_and_no_other() -> None:
    page = (env.PROJECT / "docs" / "operations.md").read_text()
    table = page.partition("## Environment")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE) == list(env.names())
