"""The published OpenAPI document is the one that the code makes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from nerapp.openapi import schema

SNAPSHOT = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_snapshot_is_current() -> None:
    made = json.loads(msgspec.json.encode(schema()))
    kept = json.loads(SNAPSHOT.read_text("utf-8"))
    assert made == kept, "run: manage.py spectacular --format openapi-json --file docs/openapi.json"


def test_every_address_of_the_api_is_in_it() -> None:
    from django.urls import get_resolver

    ours = set()
    for pattern in get_resolver().url_patterns:
        route = str(pattern.pattern)
        if route.startswith("api/v1/"):
            below = [str(sub.pattern) for sub in getattr(pattern, "url_patterns", [])] or [""]
            ours |= {"/" + route + sub for sub in below}
    # Label Studio's contract is its own, and told by Label Studio.
    ours = {address for address in ours if not address.startswith("/api/v1/label-studio/")}
    # The document does not describe itself.
    kinds = {"reference": "str", "job_id": "uuid", "report_id": "int", "rollout_id": "int"}
    kinds["experiment_id"] = "int"
    described = {
        re.sub(r"{(\w+)}", lambda name: f"<{kinds[name[1]]}:{name[1]}>", path) for path in schema()["paths"]
    }
    assert ours - {"/api/v1/schema", "/api/v1/docs"} == described


def test_every_operation_lists_its_problems_as_problem_json() -> None:
    for path in schema()["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400 and "Ready" not in json.dumps(response):
                    assert list(response["content"]) == ["application/problem+json"]
