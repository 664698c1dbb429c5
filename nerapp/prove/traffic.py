"""Live traffic beside a proof: callers who ask without a pause, and what each of them was told."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

#: So long a caller tries again whose connection broke: its process was killed, and another one takes over.
_PATIENCE_SECONDS = 10.0
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: when, to whom, with which status, by which version."""

    at: float
    subject: str
    status: int
    version: str
    broken: int
    """How often the connection broke before it came."""


class Traffic:
    """Callers in threads, each request in the name of another subject, evenly spaced."""

    def __init__(
        self, port: int, key: str, texts: Sequence[str], *, callers: int = 8, a_second: float = 40
    ) -> None:
        self.told: list[Told] = []
        self._port, self._key, self._texts = port, key, texts
        self._pause = callers / a_second
        self._numbers: Iterator[int] = itertools.count()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def since(self, at: float) -> list[Told]:
        """What was told after a moment of `time.time()`."""
        return [one for one in self.told if one.at >= at]

    def failed(self) -> list[Told]:
        """Requests that were not answered with 200 in the end."""
        return [one for one in self.told if one.status != 200]

    def _call(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        due = time.monotonic()
        while not self._over.is_set():
            number = next(self._numbers)
            # Another text each time: a remembered answer would tell nothing of the version's speed. It is a
            # word that differs: in a number one version would see a date and another none.
            word = f"{number:x}".translate(_LETTERS)
            text = f"{self._texts[number % len(self._texts)]} {word}"
            self.told.append(self._ask(connection, text, f"caller {number}"))
            due = max(due + self._pause, time.monotonic())
            self._over.wait(due - time.monotonic())
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, text: str, subject: str) -> Told:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        body, broken = json.dumps({"text": text, "subject": subject}).encode(), 0
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                connection.request("POST", "/api/v1/predict", body, headers)
                response = connection.getresponse()
                answer = response.read()
                break
            except (http.client.HTTPException, OSError):
                connection.close()
                broken += 1
                if time.monotonic() > deadline:
                    return Told(time.time(), subject, 0, "", broken)
                time.sleep(0.1)
        found = json.loads(answer) if response.status == 200 else {}
        return Told(
            time.time(),
            subject,
            response.status,
            found.get("model_version", ""),
            broken,
        )
