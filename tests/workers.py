"""Worker processes, as the supervisor starts them, to be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

from nerapp.env import PROJECT


@contextlib.contextmanager
def worker(
    queue: str, *options: str, concurrency: int = 1, around: Sequence[str] = (), **environ: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A real Celery worker of one queue, in a process group of its own; `around` starts it."""
    process = subprocess.Popen(
        [
            *around,
            *(sys.executable, "-m", "celery", "--app", "nerapp", "--quiet", "worker", "--queues", queue),
            *("--concurrency", str(concurrency), *options, "--without-gossip", "--without-mingle"),
        ],
        cwd=PROJECT,
        env={**os.environ, **environ},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of the whole group, as the kernel does when the machine has no memory left."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
