"""The embedded PostgreSQL and Redis, as `make run` starts them: real programs in temporary folders."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import redis

from nerapp import embedded
from nerapp.embedded import Place, Postgres, ServiceError
from tests.realservices import Running, eventually, run_nerapp

KEPT = "SELECT said FROM kept"


@contextlib.contextmanager
def services(home: Path) -> Iterator[Running]:
    """The services of that folder, and nothing else of nerapp."""
    running = Running(home, ["exec", "--bare", "/bin/sh", "-c", "echo the services are up; exec sleep 300"])
    try:
        running.wait_for("the services are up")
        yield running
        running.stop()
    finally:
        running.kill_everything()


def ask(running: Running, statement: str, *, role: str = "DATABASE_URL") -> list[tuple[Any, ...]]:
    with (
        contextlib.closing(psycopg2.connect(running.urls[role], connect_timeout=5)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def forget(home: Path) -> None:
    """Data that root's services had to keep elsewhere."""
    if home.exists() and (folder := Place.find(home).folder).parent != home:
        shutil.rmtree(folder)


def _home() -> Iterator[Path]:
    # Not pytest's own folders: those are closed to the account that root's services run under.
    folder = Path(tempfile.mkdtemp(prefix="nerapp services "))
    folder.chmod(0o755)
    home = folder / ".local"
    yield home
    forget(home)
    shutil.rmtree(folder)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder with a space in its path."""
    yield from _home()


@pytest.fixture(scope="module")
def written() -> Iterator[Path]:
    """A home folder whose database holds one committed row; it is copied, never started again."""
    for home in _home():
        with services(home) as running:
            make = "CREATE TABLE kept (said text); GRANT SELECT ON kept TO nerapp_app"
            ask(running, f"{make}; INSERT INTO kept VALUES ('committed')", role="DATABASE_OWNER_URL")
        yield home


@pytest.fixture
def kept(written: Path, home: Path) -> Path:
    """A home folder of its own with that row."""
    subprocess.run(
        ["/bin/cp", "-a", Place.find(written).folder / "postgres", Place.find(home).folder], check=True
    )
    return home


def test_both_services_answer_in_a_folder_with_a_space(kept: Path) -> None:
    with services(kept) as running:
        role = "SELECT current_user, current_setting('server_version_num')::int / 10000"
        assert ask(running, role) == [("nerapp_app", 18)]
        assert ask(running, KEPT) == [("committed",)]
        # What is acknowledged is on the disk.
        durable = "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
        assert ask(running, durable) == [("on", "on")]
        for name in ("REDIS_URL", "CACHE_URL"):
            with redis.Redis.from_url(running.urls[name]) as client:
                assert client.ping()
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
                assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_nobody_comes_in_without_the_password(kept: Path) -> None:
    with services(kept) as running:
        user, _, server = running.urls["DATABASE_URL"].removeprefix("postgresql://").rpartition("@")
        for guess in (user.split(":")[0], user.split(":")[0] + ":guess", "postgres", "postgres:postgres"):
            with pytest.raises(psycopg2.OperationalError, match="password"):
                psycopg2.connect(f"postgresql://{guess}@{server}")
        port = int(running.urls["REDIS_URL"].rpartition(":")[2].split("/")[0])
        with redis.Redis(port=port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        secret = [
            kept / "run" / "services.env",
            kept / "secrets.env",
            *kept.glob("services/redis*/server.conf"),
        ]
        assert [path.stat().st_mode & 0o077 for path in secret] == [0, 0, 0]


def test_the_application_role_may_not_make_tables(kept: Path) -> None:
    with services(kept) as running, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(running, "CREATE TABLE mine (x int)")


def test_it_recovers_when_everything_was_killed(kept: Path) -> None:
    with services(kept) as running:
        running.process.send_signal(signal.SIGSTOP)  # all at once: it must not restart anything
        killed = running.descendants()
        for process in [*killed, running.process]:
            process.kill()
        running.process.wait(10)
        psutil.wait_procs(killed, timeout=10)
        assert (Place.find(kept).folder / "postgres" / "data" / "postmaster.pid").exists()
    with services(kept) as running:
        assert ask(running, KEPT) == [("committed",)]


def test_the_services_end_cleanly_when_their_supervisor_is_killed(kept: Path) -> None:
    with services(kept) as running:
        children = [running.child("postgres"), running.child("redis-server")]
        running.process.kill()
        _, left = psutil.wait_procs([child for child in children if child], timeout=20)
        assert None not in children
        assert left == []
        # A shutdown, not a crash: the next start has nothing to recover.
        assert not (Place.find(kept).folder / "postgres" / "data" / "postmaster.pid").exists()


def test_a_pid_file_whose_number_went_to_another_program_is_cleared(kept: Path) -> None:
    place = Place.find(kept)
    account = place.account
    stranger = subprocess.Popen(
        ["/bin/sleep", "300"], user=account.uid if account else None, group=account.gid if account else None
    )
    try:
        data = place.folder / "postgres" / "data"
        pid_file = data / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{data}\n1\n1\n\n127.0.0.1\n\nready\n")
        place.give(pid_file)
        with services(kept) as running:
            assert ask(running, KEPT) == [("committed",)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_first_start_that_was_killed_halfway_leaves_no_half_database(home: Path) -> None:
    place = Place.find(home)
    half = place.own(place.folder / "postgres.new")
    (half / "data").mkdir()
    (half / "data" / "PG_VERSION").write_text("18\n")
    with services(home) as running:
        assert ask(running, "SELECT 1") == [(1,)]
    assert not half.exists()


def test_a_second_start_in_the_same_folder_is_told_where_the_first_one_is(kept: Path) -> None:
    with services(kept) as running:
        second = run_nerapp(kept, "up", "--no-browser")
        assert second.returncode == 69
        assert f"nerapp runs here already (process {running.process.pid} " in second.stdout
        # A command joins the services that run, instead of being refused.
        joined = run_nerapp(kept, "exec", "/bin/echo", "joined")
        assert (joined.returncode, joined.stdout, joined.stderr) == (0, "joined\n", "")
        assert ask(running, KEPT) == [("committed",)]


def test_a_folder_that_cannot_be_written_is_named_and_the_way_out_too(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    # Root may write everywhere but into the kernel's own tree.
    home = Path("/sys/kernel/nerapp") if os.geteuid() == 0 else folder / ".local"
    done = run_nerapp(home, "up", "--no-browser")
    assert done.returncode == 69
    assert f"Cannot write to {home}" in done.stdout
    assert "set NERAPP_HOME" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_no_permission_outside_our_own_folder_changes(home: Path) -> None:
    home.parent.chmod(0o700)
    with services(home) as running:
        assert ask(running, "SELECT 1") == [(1,)]
    assert home.parent.stat().st_mode & 0o777 == 0o700
    place = Place.find(home)
    assert (place.folder.parent == home) is (place.account is None)
    assert place.folder.stat().st_mode & 0o066 == 0


def test_a_database_that_is_out_of_reach_is_not_replaced_by_an_empty_one(kept: Path) -> None:
    kept.parent.chmod(0o700)
    if os.geteuid() == 0:
        with pytest.raises(ServiceError, match="can no longer reach it"):
            Place.find(kept)
    else:  # its owner still reaches it
        with services(kept) as running:
            assert ask(running, KEPT) == [("committed",)]
    kept.parent.chmod(0o755)


def test_data_of_another_version_is_refused_before_it_is_touched(kept: Path) -> None:
    postgres = Postgres(Place.find(kept))
    (postgres.data / "PG_VERSION").write_text("99\n")
    with pytest.raises(ServiceError, match="was written by PostgreSQL 99, this one is 18"):
        postgres.prepare()


def test_too_little_room_is_told_before_anything_is_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_NEEDED_BYTES", 1 << 60)
    postgres = Postgres(Place.find(home))
    with pytest.raises(ServiceError, match=r"MB are free in .* make room there or set NERAPP_HOME"):
        postgres.prepare()
    assert not postgres.folder.exists()


def test_killed_services_are_back_with_their_data_behind_the_same_addresses(kept: Path) -> None:
    with services(kept) as running:
        before = running.urls
        client = redis.Redis.from_url(before["REDIS_URL"])
        for name in ("postgres", "redis-server"):
            service = running.child(name)
            assert service is not None
            service.kill()
        running.wait_for("postgres was killed by SIGKILL; starting it again")
        running.wait_for("redis was killed by SIGKILL; starting it again")

        def answers() -> bool:
            with contextlib.suppress(psycopg2.OperationalError, redis.RedisError):
                return ask(running, KEPT) == [("committed",)] and client.ping()
            return False

        eventually(answers, "both services to answer again", seconds=60)
        assert running.urls == before


def test_services_of_your_own_switch_the_embedded_ones_off(kept: Path) -> None:
    other = kept.with_name("other")
    show = "import os; from nerapp import env; print(env.read(os.environ).database_url)"
    with services(kept) as running:
        mine = {name: running.urls[name] for name in ("DATABASE_URL", "REDIS_URL")}
        done = run_nerapp(other, "exec", "--bare", sys.executable, "-c", show, **mine)
    assert (done.returncode, done.stdout) == (0, mine["DATABASE_URL"] + "\n")
    assert not (other / "services").exists()


def test_reset_asks_first_deletes_everything_and_never_what_is_in_use(kept: Path) -> None:
    with services(kept):
        assert run_nerapp(kept, "reset", "--yes").returncode == 69
    assert run_nerapp(kept, "reset").returncode == 1
    assert (kept / "services" / "postgres").exists()
    assert run_nerapp(kept, "reset", "--yes").returncode == 0
    assert not kept.exists()
