"""The supervisor alone, with children that behave badly."""

from __future__ import annotations

import subprocess
import sys

from nerapp import env

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import psutil
from nerapp.run.console import Console
from nerapp.run.process import Spec
from nerapp.run.supervisor import Supervisor

with Supervisor(Console(sys.stderr)) as supervisor:
    script = sys.argv[1]
    child = supervisor.start(Spec("worker", ["/bin/sh", "-c", script], cwd=Path("/")), tier=1)
    while not child.last_line:
        supervisor.step(0.05)
    grandchild = psutil.Process(int(child.last_line))
    if sys.argv[2] == "killed":
        os.kill(child.popen.pid, signal.SIGKILL)
        while not child.failures:
            supervisor.step(0.05)
        deadline = time.monotonic() + 5
        while grandchild.is_running() and time.monotonic() < deadline:
            supervisor.step(0.05)
        print("gone" if not grandchild.is_running() else "still there")
if sys.argv[2] == "stopped":
    print("gone" if not grandchild.is_running() else "still there")
"""


def supervise(script: str, how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, script, how],
        cwd=env.PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_a_killed_worker_was_busy_with_ends_with_it() -> None:
    assert supervise("sleep 300 & echo $!; wait", "killed") == "gone"


def test_a_child_that_left_its_group_does_not_survive_the_stop() -> None:
    assert supervise("setsid sleep 300 & echo $!; wait", "stopped") == "gone"


def test_a_child_that_ignores_every_polite_signal_is_killed_in_the_end() -> None:
    assert (
        supervise("trap '' TERM QUIT INT; sleep 300 & echo $!; while :; do sleep 1; done", "stopped")
        == "gone"
    )
