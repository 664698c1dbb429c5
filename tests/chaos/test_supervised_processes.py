"""`make run` under fire: every process is killed once, and the supervisor too."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nerapp.embedded import Place, free_port
from tests.realservices import Running, eventually, run_nerapp

pytestmark = pytest.mark.slow

PROCESSES = {
    "web": ("nerapp.run.web",),
    "worker-default": ("worker", "default@%h"),
    "worker-control": ("worker", "control@%h"),
    "worker-predict": ("worker", "predict@%h"),
    "worker-train": ("worker", "train@%h"),
    "beat": ("beat", "--schedule"),
    "postgres": ("bin/postgres",),
    "redis": ("redis-server",),
}


def start(home: Path) -> Running:
    running = Running(home, ["up", "--no-browser"])
    running.wait_for("nerapp is up", seconds=240)
    eventually(lambda: all(map(running.child_of, PROCESSES.values())), "all processes", seconds=60)
    return running


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nerapp chaos "))
    folder.chmod(0o755)
    yield folder / ".local"
    if (folder / ".local").exists() and (
        data := Place.find(folder / ".local").folder
    ).parent.parent != folder:
        shutil.rmtree(data)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def started(home: Path) -> Iterator[list[Running]]:
    """What runs now; the tests come in any order, and some of them end it."""
    runs: list[Running] = []
    yield runs
    for running in runs:
        running.kill_everything()


@pytest.fixture
def running(home: Path, started: list[Running]) -> Running:
    if not started or started[-1].process.poll() is not None:
        started.append(start(home))
    return started[-1]


def test_it_says_where_it_is_and_how_the_first_admin_comes_in(running: Running) -> None:
    assert f"nerapp is up: http://127.0.0.1:{running.port}\n" in running.log
    link = re.search(rf"http://127.0.0.1:{running.port}(/sign-in/\S+)", running.log)
    assert link
    assert running.get(link[1]) == 200
    assert "\x1b[" not in running.log  # no colours into a file


def test_only_training_needs_tensorflow(running: Running) -> None:
    for process in running.descendants():
        with contextlib.suppress(OSError, psutil.Error):
            assert "tensorflow" not in Path(f"/proc/{process.pid}/maps").read_text(), process.cmdline()
    web = running.child_of(PROCESSES["web"])
    assert web is not None
    for process in web.children():
        assert process.memory_info().rss < 300 * 2**20


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_is_back_and_nerapp_answers(running: Running, name: str) -> None:
    before = running.child_of(PROCESSES[name])
    assert before is not None
    pool = before.children(recursive=True)
    before.kill()
    _, left = psutil.wait_procs(pool, timeout=20)
    assert left == [], "the pool of a killed worker must not go on beside the new one"
    # Meanwhile nobody is refused: who asks waits, or is told that a part is missing.
    assert running.get("/api/v1/live", seconds=60) == 200
    running.wait_for(f"{name} was killed by SIGKILL; starting it again")
    eventually(
        lambda: (now := running.child_of(PROCESSES[name])) and now.pid != before.pid,
        f"{name} again",
        seconds=60,
    )
    eventually(lambda: running.get("/api/v1/ready", seconds=60) == 200, "readiness", seconds=60)


def test_ctrl_c_ends_everything_in_seconds_and_leaves_nothing(running: Running, home: Path) -> None:
    everything = running.descendants()
    assert len(everything) >= len(PROCESSES)
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 25
    assert [process for process in everything if process.is_running()] == []
    assert not (home / "run" / "services.env").exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", running.port)) != 0


def _lives(process: psutil.Process) -> bool:
    """An orphan that has ended stays a zombie where the machine's first process collects nobody."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_after_the_supervisor_was_killed_nothing_stays_and_the_next_start_works(
    running: Running, home: Path, started: list[Running]
) -> None:
    everything = running.descendants()
    lines = {one.pid: one.cmdline() for one in everything}
    running.process.kill()
    running.process.wait(10)
    deadline = time.monotonic() + 40
    while left := [lines[one.pid] for one in everything if _lives(one)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    started.append(start(home))
    assert started[-1].get("/api/v1/ready", seconds=60) == 200


def test_a_process_that_the_last_run_left_is_ended_before_the_new_one(home: Path) -> None:
    other = home.with_name("left behind")
    stray = subprocess.Popen(["/bin/sleep", "300"], env={**os.environ, "SUPERVISED_HOME": str(other)})
    done = run_nerapp(other, "exec", "--bare", "/bin/true")
    assert done.returncode == 0, done.stderr
    assert "waiting for the processes of the last run to end" in done.stderr
    assert stray.wait(1) != 0


def test_a_port_that_is_taken_is_told_before_anything_is_started(home: Path) -> None:
    other = home.with_name("port taken")
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        done = run_nerapp(other, "up", "--no-browser", PORT=str(port))
    assert done.returncode == 69
    assert f"Port {port} of 127.0.0.1 cannot be used" in done.stdout
    assert f"make run PORT={port + 1}" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not (Place.find(other).folder / "postgres").exists()


def test_a_wrong_variable_is_told_before_anything_is_started(home: Path) -> None:
    other = home.with_name("wrong variable")
    done = run_nerapp(other, "up", "--no-browser", PORT="eighty")
    assert done.returncode == 78
    assert "PORT: cannot be understood; expected a TCP port, 1 to 65535" in done.stdout
    assert not (Place.find(other).folder / "postgres").exists()
