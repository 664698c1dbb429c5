"""nerapp as a person runs it: `python -m nerapp.run` in a process of its own, with a folder of its own."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from nerapp import env
from nerapp.embedded import free_port


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """This process' environment without anything that is nerapp's, as on a fresh machine."""
    ours = {*env.names(), *(f"{name}_FILE" for name in env.names()), "DJANGO_SETTINGS_MODULE"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "NERAPP_HOME": str(home), **more}


def run_nerapp(
    home: Path, *arguments: str, seconds: float = 60, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "nerapp.run", *arguments],
        cwd=env.PROJECT,
        env=clean_environment(home, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def eventually(condition: Callable[[], object], what: str, *, seconds: float) -> None:
    """Wait for what other processes do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.02)


@dataclass
class Running:
    """A `nerapp.run` that stays until it is told to end."""

    home: Path
    arguments: Sequence[str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.log_path = self.home.with_name(f"{self.home.name}.log")
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nerapp.run", *self.arguments],
                cwd=env.PROJECT,
                env=clean_environment(self.home, PORT=str(self.port), WEB_WORKERS="1"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def urls(self) -> dict[str, str]:
        """What the supervisor tells every other process of this folder about its services."""
        return env.read_env_file(self.home / "run" / "services.env")

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def wait_for(self, pattern: str, *, seconds: float = 90) -> re.Match[str]:
        """The first line of the log that matches."""

        def seen() -> bool:
            assert self.process.poll() is None or re.search(pattern, self.log), self.log
            return bool(re.search(pattern, self.log))

        eventually(seen, f"{pattern!r} in the log", seconds=seconds)
        found = re.search(pattern, self.log)
        assert found
        return found

    def child(self, *words: str) -> psutil.Process | None:
        """The direct child whose command line holds all these words."""
        return self.child_of(words)

    def child_of(self, words: Sequence[str]) -> psutil.Process | None:
        """The same, for words that come in one piece."""
        for process in self._children(recursive=False):
            with contextlib.suppress(psutil.Error):
                line = process.cmdline()  # empty for a zombie
                if all(any(word in part for part in line) for word in words):
                    return process
        return None

    def descendants(self) -> list[psutil.Process]:
        return self._children(recursive=True)

    def get(self, path: str, *, seconds: float = 20) -> int:
        """The status of an answer; a refused connection is an error."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 40) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill_everything(self) -> None:
        """For teardown only: nothing of a failed test may stay."""
        for process in [*self.descendants(), self.process]:
            try:
                process.kill()
            except (psutil.Error, ProcessLookupError):
                continue
        self.process.wait(10)

    def _children(self, *, recursive: bool) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=recursive)
        except psutil.Error:
            return []
