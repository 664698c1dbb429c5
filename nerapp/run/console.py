"""One readable log of all processes: a coloured name before each line, plain where nobody sees colours."""

from __future__ import annotations

import os
import re
import sys
from typing import Final, TextIO

_WIDTH: Final = 14
_OURSELVES: Final = "nerapp"
_PALETTE: Final = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
# A line may hold what a stranger sent: it must not be able to move the cursor or change the title.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f]")


class Console:
    """Writes whole lines; goes on in silence when whoever read them has gone away."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._coloured = self._stream.isatty() and not os.environ.get("NO_COLOR")
        self._colours: dict[str, int] = {}
        self._open = True
        if hasattr(self._stream, "reconfigure"):
            self._stream.reconfigure(errors="backslashreplace")

    def line(self, name: str, text: str) -> None:
        colour = self._colours.setdefault(name, _PALETTE[len(self._colours) % len(_PALETTE)])
        self._write(f"{self._paint(f'{name:<{_WIDTH}} |', colour)} {_CONTROL.sub('', text)}")

    def say(self, text: str) -> None:
        """The supervisor's own voice."""
        self._write(f"{self._paint(f'{_OURSELVES:<{_WIDTH}} |', 1)} {text}")

    def headline(self, text: str) -> None:
        """A line that a person is waiting for, and that may be copied whole."""
        self._write(self._paint(text, 1))

    def _paint(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured and text else text

    def _write(self, text: str) -> None:
        if not self._open:
            return
        try:
            print(text, file=self._stream, flush=True)
        except (OSError, ValueError):
            self._open = False
