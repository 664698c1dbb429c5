"""A version that fails again and again is left alone for a while (Nygard, Release It!, "Circuit Breaker")."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FAILURES = 5
OPEN_SECONDS = 60.0


class Circuits:
    """Which versions are asked. Safe for many threads; each process judges for itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._open_until: dict[str, float] = {}

    def seconds_closed_to(self, version: str) -> float:
        """How long callers are still kept from a version; 0 where it may be asked.

        When the time is over it is tried again, and the first failure is enough to be left alone anew.
        """
        until = self._open_until.get(version)
        return max(until - self._clock(), 0.0) if until is not None else 0.0

    def succeeded(self, version: str) -> None:
        """It answered: whatever was before is forgiven."""
        if version in self._failures:
            with self._lock:
                self._failures.pop(version, None)
                self._open_until.pop(version, None)

    def failed(self, version: str) -> None:
        """It gave no answer, or one that cannot be right."""
        with self._lock:
            self._failures[version] = self._failures.get(version, 0) + 1
            if self._failures[version] >= FAILURES:
                self._open_until[version] = self._clock() + OPEN_SECONDS

    def forget(self) -> None:
        """Every version may be asked again."""
        with self._lock:
            self._failures.clear()
            self._open_until.clear()


circuits = Circuits()
