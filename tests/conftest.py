"""Real services and the people of the tests."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest
import redis
from django.core.management import call_command
from django.db import connections
from django.test import TransactionTestCase

from nerapp.embedded import OWNER, Postgres, Redis
from nerapp.run.process import spawn
from tests.plugin import HOME, POSTGRES, REDIS

pytest_plugins = ["tests.people"]

TEMPLATE = "nerapp_template"
#: Rows that migrations make; everything else goes between tests that commit.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}


@contextlib.contextmanager
def running(service: Postgres | Redis) -> Iterator[subprocess.Popen[bytes]]:
    """Start one embedded service and wait until it answers."""
    service.prepare()
    with (HOME / f"{service.spec().name}.log").open("ab") as log:
        process = spawn(service.spec(), stdout=log.fileno())
    try:
        wait_until(service.ready, f"{service.spec().name} to answer", seconds=60)
        service.provision()
        yield process
    finally:
        process.send_signal(service.spec().stop)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until(condition: Callable[[], object], what: str, *, seconds: float = 15) -> None:
    """Wait for something that happens in another process; fail with its name when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def superuser(database: str = "postgres") -> psycopg2.extensions.connection:
    """A connection that may do anything, for what no application may do."""
    connection = psycopg2.connect(POSTGRES.superuser_url().rsplit("/", 1)[0] + f"/{database}")
    connection.autocommit = True
    return connection


@pytest.fixture(scope="session")
def services() -> Iterator[None]:
    """PostgreSQL and Redis, started once for the whole run."""
    with running(POSTGRES), running(REDIS):
        yield


@pytest.fixture(scope="session")
def django_db_setup(services: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """The database exactly as production prepares it: migrated by the owner, used by the application role."""
    with django_db_blocker.unblock():
        call_command("prepare_database", quiet=True)
        connections.close_all()
    with contextlib.closing(superuser()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE nerapp OWNER {OWNER}")
    yield
    with django_db_blocker.unblock():
        connections.close_all()


def _truncate_everything(self: TransactionTestCase) -> None:
    # Neither the application role nor the owner's triggers allow what a test needs between two runs.
    with contextlib.closing(superuser("nerapp")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall() if name not in KEPT]
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET lock_timeout = '10s'")
        names = ", ".join(f'"{name}"' for name in tables)
        # A request of the test before may still run in the live server and takes its locks in another order.
        for tries_left in (3, 2, 1, 0):
            try:
                cursor.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
                break
            except (psycopg2.errors.DeadlockDetected, psycopg2.errors.LockNotAvailable):
                if not tries_left:
                    raise


TransactionTestCase._fixture_teardown = _truncate_everything  # type: ignore[method-assign]


@dataclass(frozen=True)
class Database:
    """A database of its own for a test with real processes."""

    name: str
    environ: dict[str, str]


_numbers = itertools.count(1)


@pytest.fixture
def fresh_database(django_db_setup: None, tmp_path: Path) -> Iterator[Database]:
    """An empty prepared database and a data folder, for processes that commit."""
    name = f"live_{next(_numbers)}"
    with contextlib.closing(superuser()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER}")
        environ = {
            "DATABASE_URL": POSTGRES.url("nerapp_app", name),
            "DATABASE_OWNER_URL": POSTGRES.url(OWNER, name),
            "NERAPP_DATA_DIR": str(tmp_path / "data"),
        }
        yield Database(name, environ)
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def _empty_redis(request: pytest.FixtureRequest) -> None:
    """What one test left in the cache or the broker is not there for the next."""
    if "services" in request.fixturenames or "django_db_setup" in request.fixturenames or _wants_db(request):
        request.getfixturevalue("services")
        with redis.Redis.from_url(REDIS.url()) as client:
            client.flushall()


def _wants_db(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("django_db") is not None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last lines which tests were left out, and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons: dict[str, int] = {}
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"left out: {count} test(s), {reason}", yellow=True)
