"""Whose pages may call the API from a browser: those that a setting names, and no others."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from nerapp.env import PROJECT

_ASK = """
import json, sys
import django
django.setup()
from django.test import RequestFactory
from nerapp.wsgi import api
found = []
for origin, path in json.loads(sys.argv[1]):
    asked = RequestFactory().options(
        path, headers={"Origin": origin, "Access-Control-Request-Method": "POST", "Host": "localhost"}
    )
    found.append(api.get_response(asked).headers.get("Access-Control-Allow-Origin"))
print(json.dumps(found))
"""
SHOP = "https://shop.example.org"


@pytest.mark.parametrize(
    ("setting", "allowed"), [({"CORS_ALLOWED_ORIGINS": SHOP}, [SHOP, None, None]), ({}, [None, None, None])]
)
def test_a_named_origin_may_call_the_api(setting: dict[str, str], allowed: list[str | None]) -> None:
    """In a process of its own: what a request passes is settled when it starts."""
    asked = [(SHOP, "/api/v1/predict"), ("https://evil.example.org", "/api/v1/predict"), (SHOP, "/projects/")]
    kept = {name: value for name, value in os.environ.items() if name != "CORS_ALLOWED_ORIGINS"}
    done = subprocess.run(
        [sys.executable, "-c", _ASK, json.dumps(asked)],
        env=kept | {"DJANGO_SETTINGS_MODULE": "nerapp.settings", "LOG_LEVEL": "ERROR"} | setting,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == allowed
