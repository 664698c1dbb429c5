"""Long work is done one piece at a time, so that short texts need not wait for it.

A text of 100,000 characters keeps a core busy for as long as hundreds of sentences do. A few callers who send
such texts all the time would take every thread and every core; here they take turns, all web processes of the
machine together, and hold at most half of the threads of each. For files of long texts there are jobs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from inference.errors import TooMuchAtOnce

#: Characters of a request, all its texts together, from which on it is long: a tenth of a second's work.
LONG = 10_000


class Lane:
    """Who is at work on long texts or waits for it. Safe for many threads and processes."""

    def __init__(self) -> None:
        self._start_anew()
        os.register_at_fork(after_in_child=self._start_anew)

    @contextlib.contextmanager
    def turn(self, *, characters: int, caller: object) -> Iterator[None]:
        """Wait for a turn, if the work is long. Raises TooMuchAtOnce when too many wait already.

        One of the places of a process no single caller can take from the others.
        """
        if characters < LONG:
            yield
            return
        places = max(settings.WEB_THREADS // 2, 2)
        with self._door:
            if self._inside.total() >= places or self._inside[caller] >= places - 1:
                raise TooMuchAtOnce()
            self._inside[caller] += 1
        try:
            with _lock_file().open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # of a process that dies the kernel takes it away
                yield
        finally:
            with self._door:
                self._inside[caller] -= 1

    def _start_anew(self) -> None:
        self._door = threading.Lock()
        self._inside: Counter[object] = Counter()


def _lock_file() -> Path:
    """As many turns at once as there are pairs of cores: each leaves one core to the short texts."""
    turns = max((os.cpu_count() or 1) // 2, 1)
    settings.RUN_DIR.mkdir(parents=True, exist_ok=True)
    return Path(settings.RUN_DIR) / f"long-texts-{os.getpid() % turns}.lock"


lane = Lane()
