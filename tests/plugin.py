"""Loaded before Django's settings: the environment of a test run, for services that start when first needed.

The settings read the environment once, long before the first test asks for a database. So addresses and
passwords are chosen here, and `tests/conftest.py` starts PostgreSQL and Redis behind them only when a test
needs them: the unit shelves never do.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path

import pytest

# Chosen by us, whatever the shell of the developer holds.
for name in [name for name in os.environ if name.startswith("NERAPP_")]:
    del os.environ[name]
os.environ.update(
    ENV="test",
    SECRET_KEY=secrets.token_urlsafe(64),
    API_KEY_PEPPER=secrets.token_urlsafe(64),
    ALLOWED_HOSTS="localhost,127.0.0.1,testserver",
    LOG_LEVEL="WARNING",
    # Playwright runs its own event loop in the thread of the test.
    DJANGO_ALLOW_ASYNC_UNSAFE="true",
    TF_CPP_MIN_LOG_LEVEL="3",
)

from nerapp.embedded import Place, Postgres, Redis  # noqa: E402  (reads nothing from the environment above)

HOME = Path(tempfile.mkdtemp(prefix="nerapp test "))  # with a space, as users' folders have them
PLACE = Place.find(HOME)
POSTGRES = Postgres(PLACE)
REDIS = Redis(PLACE)
os.environ.update(NERAPP_HOME=str(HOME), **POSTGRES.urls(), **REDIS.urls())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    shutil.rmtree(HOME, ignore_errors=True)
    if PLACE.folder.name.startswith("nerapp-"):
        shutil.rmtree(PLACE.folder, ignore_errors=True)
