"""Real services and the people of the tests."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg2
import psycopg2.errors
import pytest
import redis
from django.core.management import call_command
from django.db import connections
from django.test import TransactionTestCase

from nerapp.embedded import Postgres, Redis
from nerapp.run.process import spawn
from tests.plugin import HOME, POSTGRES, REDIS

pytest_plugins = ["tests.people"]

#: This database need not outlive the machine; tests that kill a PostgreSQL start one of their own.
HASTY = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
#: Rows that migrations make; everything else goes between tests that commit.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a run that is shared out by files, the long files go first, so that all shares end together."""
    if not hasattr(config, "workerinput"):
        return
    slow, browser = (
        {item.path for item in items if item.get_closest_marker(name)} for name in ("slow", "browser")
    )
    items.sort(key=lambda item: (item.path not in slow, item.path not in browser))


@contextlib.contextmanager
def running(service: Postgres | Redis) -> Iterator[subprocess.Popen[bytes]]:
    """Start one embedded service and wait until it answers."""
    service.prepare()
    spec = service.spec()
    if isinstance(service, Postgres):
        spec = replace(spec, argv=[*spec.argv, *HASTY])
    with (HOME / f"{spec.name}.log").open("ab") as log:
        process = spawn(spec, stdout=log.fileno())
    try:
        wait_until(service.ready, f"{spec.name} to answer", seconds=60)
        service.provision()
        yield process
    finally:
        process.send_signal(spec.stop)
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
    yield
    with django_db_blocker.unblock():
        connections.close_all()


def _delete_everything(self: TransactionTestCase) -> None:
    # Neither the application role nor the owner's triggers allow what a test needs between two runs.
    with contextlib.closing(superuser("nerapp")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [f'"{name}"' for (name,) in cursor.fetchall() if name not in KEPT]
        kept = ", ".join(f"'{name}_id_seq'" for name in KEPT)
        # All at once, as one transaction. A TRUNCATE would make some hundred files anew for a few rows.
        statements = [
            f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE",
            *(f"DELETE FROM {table}" for table in tables),
            "SELECT setval(quote_ident(sequencename)::regclass, start_value, false) FROM pg_sequences"
            f" WHERE last_value IS NOT NULL AND sequencename NOT IN ({kept})",
        ]
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET lock_timeout = '10s'")
        # A request of the test before may still run in the live server and takes its locks in another order.
        for tries_left in (3, 2, 1, 0):
            try:
                cursor.execute(";".join(statements))
                break
            except (psycopg2.errors.DeadlockDetected, psycopg2.errors.LockNotAvailable):
                if not tries_left:
                    raise


TransactionTestCase._fixture_teardown = _delete_everything  # type: ignore[method-assign]


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
