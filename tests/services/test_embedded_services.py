"""The embedded PostgreSQL and Redis, as `make run` starts them: real programs in temporary folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nerapp import embedded
from nerapp.embedded import Place, Postgres, Redis, ServiceError
from tests.realservices import Running, eventually, run_nerapp, with_services

ASK = """
import json, sys, psycopg2, redis
from nerapp import env
found = env.read(__import__("os").environ)
with psycopg2.connect(found.database_url) as connection, connection.cursor() as cursor:
    cursor.execute(sys.argv[1])
    rows = cursor.fetchall()
print(json.dumps({"rows": rows, "redis": redis.Redis.from_url(found.redis_url).ping()}))
"""
WRITE = """
import os, psycopg2
from nerapp import env
with psycopg2.connect(env.read(os.environ).database_owner_url) as connection, connection.cursor() as cursor:
    cursor.execute("CREATE TABLE kept (said text); GRANT SELECT ON kept TO nerapp_app")
    cursor.execute("INSERT INTO kept VALUES ('committed')")
"""
WAIT = ["exec", "--bare", "/bin/sh", "-c", "echo the services are up; exec sleep 60"]
KEPT = "SELECT said FROM kept"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder with a space, below parents that every account may enter."""
    yield from _home(tmp_path)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder whose database holds one committed row; made once, never started again."""
    for home in _home(tmp_path_factory.mktemp("written")):
        assert with_services(home, WRITE).returncode == 0
        yield home


@pytest.fixture
def home_with_data(written: Path, home: Path) -> Path:
    """A home folder of its own with that row."""
    place, theirs = Place.find(home), Place.find(written)
    subprocess.run(["/bin/cp", "-a", theirs.folder / "postgres", place.folder], check=True)
    return home


def _home(folder: Path) -> Iterator[Path]:
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    home = folder / "a home" / ".local"
    yield home
    forget(home)


def forget(home: Path) -> None:
    """Data that root's services had to keep elsewhere."""
    if home.exists() and (folder := Place.find(home).folder).parent != home:
        shutil.rmtree(folder)


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, list[list[object]]]:
    assert done.returncode == 0, done.stderr
    found: dict[str, list[list[object]]] = json.loads(done.stdout)
    return found


def test_both_services_answer_in_a_folder_with_a_space(home: Path) -> None:
    found = answer(
        with_services(home, ASK, "SELECT current_user, current_setting('server_version_num')::int / 10000")
    )
    assert found == {"rows": [["nerapp_app", 18]], "redis": True}


def test_a_commit_means_that_it_is_on_the_disk(home_with_data: Path) -> None:
    settings = "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
    assert answer(with_services(home_with_data, ASK, settings))["rows"] == [["on", "on"]]


def test_the_application_role_owns_nothing_and_may_not_make_tables(home_with_data: Path) -> None:
    found = with_services(home_with_data, ASK, "SELECT 1; CREATE TABLE mine (x int)")
    assert "permission denied for schema public" in found.stderr


def test_nobody_comes_in_without_the_password(home: Path) -> None:
    place = Place.find(home)
    postgres, redis = Postgres(place), Redis(place)
    redis.prepare()
    assert "requirepass" in redis.config.read_text()
    assert redis.config.stat().st_mode & 0o077 == 0
    postgres.prepare()
    rules = [line.split() for line in (postgres.data / "pg_hba.conf").read_text().splitlines()]
    assert {rule[-1] for rule in rules if rule and not rule[0].startswith("#")} == {"scram-sha-256"}


def test_what_was_written_is_there_at_the_next_start(home_with_data: Path) -> None:
    assert answer(with_services(home_with_data, ASK, KEPT))["rows"] == [["committed"]]


def test_it_recovers_when_everything_was_killed(home_with_data: Path) -> None:
    running = Running(home_with_data, WAIT)
    try:
        running.wait_for("the services are up")
        killed = [*running.descendants(), psutil.Process(running.process.pid)]
        for process in killed:
            process.kill()
        running.process.wait(10)
        psutil.wait_procs(killed, timeout=10)
        assert (Place.find(home_with_data).folder / "postgres" / "data" / "postmaster.pid").exists()
        assert answer(with_services(home_with_data, ASK, KEPT))["rows"] == [["committed"]]
    finally:
        running.kill_everything()


def test_the_services_end_when_their_supervisor_is_killed(home_with_data: Path) -> None:
    running = Running(home_with_data, WAIT)
    try:
        running.wait_for("the services are up")
        services = [p for p in (running.child("postgres"), running.child("redis")) if p is not None]
        assert len(services) == 2
        running.process.kill()
        _, left = psutil.wait_procs(services, timeout=10)
        assert left == []
        # A fast shutdown, not a crash: the next start has nothing to recover.
        assert not (Place.find(home_with_data).folder / "postgres" / "data" / "postmaster.pid").exists()
    finally:
        running.kill_everything()


def test_a_pid_file_whose_number_went_to_another_program_is_cleared(home_with_data: Path) -> None:
    place = Place.find(home_with_data)
    account = place.account
    stranger = subprocess.Popen(
        ["/bin/sleep", "60"], user=account.uid if account else None, group=account.gid if account else None
    )
    try:
        data = place.folder / "postgres" / "data"
        pid_file = data / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{data}\n1\n1\n\n127.0.0.1\n\nready\n")
        place.give(pid_file)
        assert answer(with_services(home_with_data, ASK, KEPT))["rows"] == [["committed"]]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_first_start_that_was_killed_halfway_leaves_no_half_database(home: Path) -> None:
    place = Place.find(home)
    half = place.own(place.folder / "postgres.new")
    (half / "data").mkdir()
    (half / "data" / "PG_VERSION").write_text("18\n")
    assert answer(with_services(home, ASK, "SELECT 1"))["rows"] == [[1]]
    assert not half.exists()


def test_a_second_start_in_the_same_folder_is_told_where_the_first_one_is(home_with_data: Path) -> None:
    running = Running(home_with_data, WAIT)
    try:
        running.wait_for("the services are up")
        second = run_nerapp(home_with_data, "up", "--no-browser")
        assert second.returncode == 69
        assert f"nerapp runs here already (process {running.process.pid} " in second.stdout
        # A command joins the services that run, instead of being refused.
        assert answer(with_services(home_with_data, ASK, KEPT))["rows"] == [["committed"]]
        assert running.process.poll() is None
    finally:
        running.kill_everything()


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


def test_no_permission_outside_our_own_folder_changes(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "project" / ".local"
    home.parent.mkdir(mode=0o700)
    try:
        assert answer(with_services(home, ASK, "SELECT 1"))["rows"] == [[1]]
        assert [folder.stat().st_mode & 0o777 for folder in (closed, home.parent)] == [0o700, 0o700]
        place = Place.find(home)
        assert (place.folder.parent == home) is (place.account is None)
        assert place.folder.stat().st_mode & 0o066 == 0
    finally:
        forget(home)


def test_data_of_another_version_is_refused_before_it_is_touched(home_with_data: Path) -> None:
    postgres = Postgres(Place.find(home_with_data))
    version = postgres.data / "PG_VERSION"
    version.write_text("99\n")
    with pytest.raises(ServiceError, match="was written by PostgreSQL 99, this one is 18"):
        postgres.prepare()


def test_too_little_room_is_told_before_anything_is_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_NEEDED_BYTES", 1 << 60)
    postgres = Postgres(Place.find(home))
    with pytest.raises(ServiceError, match=r"MB are free in .* make room there or set NERAPP_HOME"):
        postgres.prepare()
    assert not postgres.folder.exists()


def test_a_killed_service_is_back_with_its_data(home_with_data: Path) -> None:
    running = Running(home_with_data, WAIT)
    try:
        running.wait_for("the services are up")
        for name in ("postgres", "redis"):
            service = running.child(name)
            assert service is not None
            service.kill()
            running.wait_for(f"{name} was killed by SIGKILL; starting it again", seconds=10)
        eventually(
            lambda: with_services(home_with_data, ASK, KEPT).returncode == 0, "an answer again", seconds=15
        )
        assert answer(with_services(home_with_data, ASK, KEPT))["rows"] == [["committed"]]
    finally:
        running.kill_everything()
