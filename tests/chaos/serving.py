"""Callers that never stop asking, and what they were told."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Told:
    """One answer, or the lack of one (status 0)."""

    sent: float
    got: float
    status: int
    version: str
    headers: dict[str, str]
    body: dict[str, Any]


def ask(port: int, key: str, *, text: str = "Ada saw London.", timeout: float = 20) -> Told:
    """One prediction over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        return _asked(connection, key, text)
    finally:
        connection.close()


def get(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """GET without a key."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", f"/api/v1/{path}")
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def _asked(connection: http.client.HTTPConnection, key: str, text: str) -> Told:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    sent = time.time()
    try:
        connection.request("POST", "/api/v1/predict", json.dumps({"text": text}), headers)
        response = connection.getresponse()
        body = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        return Told(sent, time.time(), 0, "", {}, {"error": repr(error)})
    found = {name.lower(): value for name, value in response.getheaders()}
    return Told(sent, time.time(), response.status, body.get("model_version", ""), found, body)


@dataclass
class Traffic:
    """A few callers in threads, each asking again as soon as it was answered."""

    port: int
    key: str
    callers: int = 4
    #: Whether a caller asks on the connection it has. Who does loses a question to a server that closes it.
    keeps_open: bool = True
    #: Seconds between connecting and asking, of those who connect anew.
    hesitates: float = 0.0
    told: list[Told] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def failed(self, *, sent_after: float = 0.0) -> list[Told]:
        """What was asked after a moment and not answered with 200."""
        return [told for told in list(self.told) if told.status != 200 and told.sent >= sent_after]

    def served(self, *, sent_after: float = 0.0) -> Sequence[Told]:
        """What was asked after a moment and answered."""
        return [told for told in list(self.told) if told.status == 200 and told.sent >= sent_after]

    def _call(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while not self._stop.is_set():
            if self.hesitates:
                connection.connect()
                time.sleep(self.hesitates)
            told = _asked(connection, self.key, "Ada saw London.")
            self.told.append(told)
            if not self.keeps_open:
                connection.close()
            # Gentle: these callers, the servers and the tests beside them share two cores.
            time.sleep(0.02 if told.status else 0.1)
        connection.close()
