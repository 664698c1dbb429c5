"""One child process: how it is started, and the promise that it never outlives its parent.

Only Linux can make that promise (`PR_SET_PDEATHSIG`); elsewhere the next start clears what a killed one left.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account that a service runs under when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run: all that a restart needs to know.

    `stop` is the signal that asks for a clean end, `hurry` the one for when that takes too long. `orphaned`
    is sent by the kernel when our own process dies without a word: nobody is left then to ask twice.
    """

    name: str
    argv: Sequence[str | Path]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    pass_fds: tuple[int, ...] = ()
    stop: signal.Signals = signal.SIGTERM
    hurry: signal.Signals = signal.SIGQUIT
    orphaned: signal.Signals = signal.SIGKILL


def spawn(spec: Spec, *, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """Start it in a session of its own: a Ctrl-C reaches only the supervisor, which then stops all in order.

    To be called from the main thread: the kernel ties the child's life to the thread that started it.
    """
    account = spec.account
    return subprocess.Popen(
        [str(part) for part in spec.argv],
        cwd=spec.cwd,
        env={**os.environ, **spec.env},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT if stdout is not None else None,
        start_new_session=True,
        pass_fds=spec.pass_fds,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        preexec_fn=_prepared(spec.orphaned),
    )


def adopt_orphans() -> None:
    """Grandchildren whose parent was killed become our children, so that we can see and end them."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int, *, by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent dies."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(1)


def _prepared(orphaned: signal.Signals) -> Callable[[], None]:
    """What the child does before it becomes its program."""
    parent = os.getpid()

    def prepare() -> None:
        # A shell starts what it puts into the background deaf to both, and deafness is inherited: without
        # this neither a polite stop nor our own death would reach the child.
        for deaf in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(deaf, signal.SIG_DFL)
        die_with(parent, by=orphaned)  # after the change of account, which would have cleared it

    return prepare
