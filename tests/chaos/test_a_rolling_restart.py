"""`python -m nerapp.run.web` renewing its processes on SIGHUP, with an application of a few lines.

What it means for predictions is in test_serving_under_faults.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.serving.site import wait_for
from nerapp import env
from nerapp.run.web import listen
from tests.workers import kill

#: Answers its process, and loads when it may.
_APPLICATION = """
import os, time
while os.path.exists("closed"):
    time.sleep(0.05)
def application(environ, start_response):
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


class Web:
    """A web server with one process for what stands in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(_APPLICATION)
        self.says = folder / "server.log"
        with listen("127.0.0.1", 0) as listening, self.says.open("wb") as log:
            self.port = listening.getsockname()[1]
            self.server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "nerapp.run.web", "some_application:application"),
                    *("--fd", str(listening.fileno()), "--processes", "1", "--threads", "2"),
                ],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": f"{env.PROJECT}:{folder}", "PYTHONDONTWRITEBYTECODE": "1"},
                pass_fds=[listening.fileno()],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def write(self, application: str) -> None:
        """What a process loads from now on."""
        (self.folder / "some_application.py").write_text(application, "utf-8")

    def answers(self) -> int:
        """Which process does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/")
            return int(connection.getresponse().read())
        finally:
            connection.close()

    def processes(self) -> set[int]:
        """All that the server has started and not ended."""
        return {child.pid for child in psutil.Process(self.server.pid).children()}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path)
    try:
        yield web
    finally:
        kill(web.server)


def test_the_old_process_answers_until_the_new_one_has_loaded(web: Web) -> None:
    old = web.answers()
    (web.folder / "closed").touch()
    web.server.send_signal(signal.SIGHUP)
    wait_for(lambda: len(web.processes()) == 2, "a new process")
    # Longer than granian itself would wait.
    for _ in range(10):
        time.sleep(0.5)
        assert web.answers() == old
    (web.folder / "closed").unlink()
    wait_for(lambda: old not in web.processes(), "the old one to leave")
    assert {web.answers()} == web.processes()


def test_when_the_new_process_cannot_load_the_old_one_stays(web: Web) -> None:
    old = web.answers()
    web.write("raise SystemExit('no such release')")
    web.server.send_signal(signal.SIGHUP)
    wait_for(lambda: "the old ones go on" in web.says.read_text("utf-8"), "the server to say so")
    assert web.processes() == {old}
    assert web.answers() == old
    # And the next try works.
    web.write(_APPLICATION)
    web.server.send_signal(signal.SIGHUP)
    wait_for(lambda: old not in web.processes(), "the old one to leave")
    assert {web.answers()} == web.processes()


def test_the_server_ends_while_a_new_process_still_loads(web: Web) -> None:
    web.answers()
    (web.folder / "closed").touch()
    web.server.send_signal(signal.SIGHUP)
    wait_for(lambda: len(web.processes()) == 2, "a new process")
    both = web.processes()
    web.server.send_signal(signal.SIGTERM)
    assert web.server.wait(20) == 0
    assert not any(psutil.pid_exists(pid) for pid in both)
