"""Children that are started in order, restarted when they die, and stopped in order; none outlives us.

A loop of our own instead of honcho, circus or supervisord: docs/adr/0001-embedded-services.md says why.
Everything happens in the main thread, in `step`: whoever waits for something calls it until that is so, and
the log of all children goes on meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import psutil

from nerapp.run.console import Console
from nerapp.run.process import Spec, adopt_orphans, spawn

_FIRST_DELAY: Final = 0.2
_LONGEST_DELAY: Final = 30.0
_STEADY_SECONDS: Final = 60.0
_HURRY_AFTER: Final = 6.0
_KILL_AFTER: Final = 18.0


class StopAsked(Exception):
    """Ctrl-C, SIGTERM or a closed terminal."""


class StartFailed(Exception):
    """Something did not come up; the message says what and why."""


@dataclass
class Child:
    """A process that is meant to be running."""

    spec: Spec
    tier: int
    before_start: Callable[[], None] | None = None
    popen: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    restart_at: float | None = None
    last_line: str = ""


class Supervisor:
    """Use it as a context: leaving it, for whatever reason, leaves no process behind."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._asked: signal.Signals | None = None
        self._somebody_died = False
        self._ours: dict[int, subprocess.Popen[bytes]] = {}
        self._handlers: dict[signal.Signals, object] = {}

    def __enter__(self) -> Supervisor:
        adopt_orphans()
        awake, self._bell = socket.socketpair()
        for end in (awake, self._bell):
            end.setblocking(False)
        self._selector.register(awake, selectors.EVENT_READ, lambda: _drain(awake))
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handlers[asked] = signal.signal(asked, self._ask)
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, self._note_death)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def start(self, spec: Spec, *, tier: int, before_start: Callable[[], None] | None = None) -> Child:
        """Start a child and keep it running from now on. A higher tier is stopped earlier."""
        child = Child(spec, tier, before_start)
        self._launch(child)
        self.children.append(child)
        return child

    def run(self, spec: Spec) -> None:
        """Run a command to its end while everything else goes on."""
        child = Child(spec, tier=1)
        popen = self._launch(child)
        try:
            while popen.poll() is None:
                self.step()
        finally:
            _kill_group(popen)
        self._pump_rest(child)
        if popen.returncode:
            last = child.last_line or f"exit code {popen.returncode}"
            raise StartFailed(f"{spec.name} failed: {last}")

    def foreground(self, argv: Sequence[str], *, cwd: Path) -> int:
        """Give the terminal to a command: a shell must get its keys, Ctrl-C included."""
        popen: subprocess.Popen[bytes] = subprocess.Popen(argv, cwd=cwd)
        self._ours[popen.pid] = popen
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            while popen.poll() is None:
                self.step(0.1)
        finally:
            signal.signal(signal.SIGINT, self._ask)
        return popen.returncode

    def wait_for(self, what: str, ready: Callable[[], bool], *, child: Child, seconds: float) -> None:
        """Go on until it is ready; a child that dies again and again, or is late, is a failed start."""
        deadline = time.monotonic() + seconds
        while not ready():
            if child.failures > 3 or time.monotonic() > deadline:
                last = child.last_line or "it said nothing"
                raise StartFailed(f"{what} did not start: {last}")
            self.step(0.05)

    def step(self, seconds: float = 0.5) -> None:
        """Pass lines on, notice deaths, restart what is due."""
        self._turn(seconds)
        if self._asked is not None:
            raise StopAsked(self._asked.name)
        for child in self.children:
            self._mourn(child)
            if child.restart_at is not None and time.monotonic() >= child.restart_at:
                self._restart(child)

    def forever(self) -> NoReturn:
        """Go on until somebody asks for the end."""
        while True:
            self.step()

    def stop(self) -> None:
        """Ask, hurry, kill; tier by tier, so that no process loses the service that it still writes to."""
        self._asked = None
        for tier in sorted({child.tier for child in self.children}, reverse=True):
            going = [child for child in self.children if child.tier == tier]
            for child in going:
                child.restart_at = None
                _signal(child, child.spec.stop)
            began = time.monotonic()
            hurried = False
            while alive := [child for child in going if child.popen and child.popen.poll() is None]:
                self._turn(0.1)
                late = time.monotonic() - began
                if (late > _HURRY_AFTER or self._asked) and not hurried:
                    hurried = True
                    self._asked = None
                    self.console.say(f"still stopping: {', '.join(child.spec.name for child in alive)}")
                    for child in alive:
                        _signal(child, child.spec.hurry)
                if late > _KILL_AFTER or self._asked:
                    for child in alive:
                        _signal(child, signal.SIGKILL)
            for child in going:
                if child.popen:
                    _kill_group(child.popen)
        self.children.clear()
        _kill_strays()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = signal.Signals(number)

    def _note_death(self, number: int, frame: FrameType | None) -> None:
        self._somebody_died = True

    def _turn(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            key.data()
        if self._somebody_died:
            self._somebody_died = False
            self._reap_strays()

    def _reap_strays(self) -> None:
        """Adopted grandchildren that ended would stay as zombies; our own children are reaped by `poll`."""
        self._ours = {pid: popen for pid, popen in self._ours.items() if popen.poll() is None}
        for process in _strays():
            with contextlib.suppress(psutil.Error, ChildProcessError):
                if process.pid not in self._ours and process.status() == psutil.STATUS_ZOMBIE:
                    os.waitpid(process.pid, os.WNOHANG)

    def _launch(self, child: Child) -> subprocess.Popen[bytes]:
        read, write = os.pipe()
        try:
            popen = child.popen = spawn(child.spec, stdout=write)
        except OSError as error:
            os.close(read)
            raise StartFailed(f"{child.spec.name} cannot be started: {error}") from None
        finally:
            os.close(write)
        self._ours[popen.pid] = popen
        child.started = time.monotonic()
        child.restart_at = None
        os.set_blocking(read, False)
        self._selector.register(read, selectors.EVENT_READ, _Reader(self, child, read))
        return popen

    def _mourn(self, child: Child) -> None:
        if child.popen is None or child.popen.poll() is None:
            return
        code = child.popen.returncode
        _kill_group(child.popen)
        child.popen = None
        child.failures = 1 if time.monotonic() - child.started > _STEADY_SECONDS else child.failures + 1
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (child.failures - 1))
        child.restart_at = time.monotonic() + delay
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self.console.say(f"{child.spec.name} {how}; starting it again in {delay:.1f} s")

    def _restart(self, child: Child) -> None:
        try:
            if child.before_start is not None:
                child.before_start()
            self._launch(child)
        except Exception as error:  # noqa: BLE001  (whatever it is, the others must go on)
            child.failures += 1
            child.restart_at = time.monotonic() + min(_LONGEST_DELAY, _FIRST_DELAY * 2**child.failures)
            self.console.say(f"{child.spec.name} cannot be started again yet: {error}")

    def _pump_rest(self, child: Child) -> None:
        """What a finished command wrote last may still lie in its pipe."""
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline and any(
            isinstance(key.data, _Reader) and key.data.child is child
            for key in self._selector.get_map().values()
        ):
            self._turn(0.05)


@dataclass
class _Reader:
    """Turns one child's output into lines of the log."""

    supervisor: Supervisor
    child: Child
    descriptor: int
    rest: bytes = b""

    def __call__(self) -> None:
        try:
            read = os.read(self.descriptor, 1 << 16)
        except BlockingIOError:
            return
        lines = (self.rest + read).split(b"\n")
        self.rest = lines.pop()
        if not read:
            self.supervisor._selector.unregister(self.descriptor)
            os.close(self.descriptor)
            if self.rest:
                lines.append(self.rest)
        for line in lines:
            self._line(line.decode("utf-8", "backslashreplace").rstrip())

    def _line(self, text: str) -> None:
        if text:
            self.supervisor.console.line(self.child.spec.name, text)
            self.child.last_line = text


def _signal(child: Child, number: signal.Signals) -> None:
    if child.popen is not None and child.popen.poll() is None:
        child.popen.send_signal(number)


def _kill_group(popen: subprocess.Popen[bytes]) -> None:
    """A worker that was killed leaves its pool behind; the pool is in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(popen.pid, signal.SIGKILL)


def _strays() -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        yield from psutil.Process().children(recursive=True)


def _kill_strays() -> None:
    for process in (left := list(_strays())):
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=3)


def _drain(awake: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while awake.recv(4096):
            pass
