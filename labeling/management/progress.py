"""A line on a terminal that says how far a job is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.core.management.base import OutputWrapper

_EVERY_SECONDS = 0.5


class Progress:
    """Rewrites one line on a terminal; says nothing where output is kept in a file."""

    def __init__(self, stream: OutputWrapper, *, noun: str) -> None:
        self._stream, self._noun = stream, noun
        self._started = self._told = time.monotonic()
        self._total = 0
        self._shown = False

    def tell(self, values: Mapping[str, Any]) -> None:
        """What the job wrote to its row."""
        self._total = values.get("total") or self._total
        now = time.monotonic()
        if not self._stream.isatty() or now - self._told < _EVERY_SECONDS:
            return
        done = values.get("position")
        if done is None:
            said = f"{values.get('counts', {}).get('read', 0)} {self._noun} checked"
        else:
            said = f"{done} of {self._total} {self._noun}"
        self._told, self._shown = now, True
        self._stream.write(f"\r{said}, {now - self._started:.0f} s ", ending="")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._shown:
            self._stream.write("")
