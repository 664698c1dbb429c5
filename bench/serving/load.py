"""Callers over raw sockets, in one thread that takes as little as it can of the machine that serves them.

A closed loop lets each caller ask again as soon as it is answered: it shows what a server can do at all. An
open loop asks at a given rate, whatever comes back, and counts each answer from the moment at which it was to
be asked: a server that stalls cannot hide it by keeping its callers from asking (coordinated omission).
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_ID = b'"prediction_id":"'
_ID_LENGTH = 36
#: A caller does not ask on a connection that a server is about to close; gunicorn does after two seconds.
_IDLE_SECONDS = 1.0
#: How long after the last question answers are waited for.
_PATIENCE_SECONDS = 10.0
#: How often it is looked whether the end has come, although nothing else has.
_LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Measured:
    """What the callers saw. Latencies are seconds, unordered."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    cpu: float = 0.0
    sample: dict[str, object] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Requests answered with 200."""
        return len(self.latencies) - self.unanswered

    @property
    def errors(self) -> int:
        """Requests answered with another status, broken off, or not answered in the end."""
        return self.refusals.total() + self.unanswered

    def percentiles(self, *shares: float) -> list[float]:
        """Milliseconds below which these shares of the answers came."""
        ordered = sorted(self.latencies) or [0.0]
        return [ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000 for share in shares]


def request_bytes(path: str, body: bytes, key: str = "", scheme: str = "Bearer") -> bytes:
    """One request, ready to be sent."""
    authorization = f"Authorization: {scheme} {key}\r\n" if key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def closed_loop(port: int, requests: Iterator[bytes], *, callers: int, seconds: float) -> Measured:
    """Let some callers ask for some seconds, longer if nothing is answered by then.

    Every status is checked, and one answer is kept.
    """
    with _Lines(port) as lines:
        started, cpu = time.perf_counter(), time.process_time()
        deadline = started + seconds
        for _ in range(callers):
            lines.take().ask(next(requests), time.perf_counter())
        while (now := time.perf_counter()) < deadline:
            for _ in range(lines.answered(deadline - now)):
                lines.take().ask(next(requests), time.perf_counter())
        while not lines.measured.count and time.perf_counter() < deadline + _PATIENCE_SECONDS:
            lines.answered(_LOOK_SECONDS)
        return lines.measured_for(time.perf_counter() - started, time.process_time() - cpu)


def open_loop(
    port: int,
    requests: Iterator[bytes],
    *,
    rate: float,
    seconds: float,
    connections: int = 256,
    give_up: float | None = None,
) -> Measured:
    """Ask at a rate for some seconds, over as many connections as it takes, and wait for the answers.

    When all connections wait, the next request waits for one of them, and that counts. What was not answered
    in the end counts as an error, with the time it has waited. With `give_up` the loop ends as soon as it is
    that many seconds behind: the server cannot hold the rate.
    """
    total, sent = round(rate * seconds), 0
    with _Lines(port) as lines:
        started, cpu = time.perf_counter(), time.process_time()
        end = started + seconds + _PATIENCE_SECONDS
        while True:
            now = time.perf_counter()
            due = started + sent / rate
            while sent < total and due <= now and len(lines.busy) < connections:
                lines.take().ask(next(requests), due)
                sent += 1
                due = started + sent / rate
            is_lost = now >= end or (give_up is not None and now - due > give_up)
            if is_lost or (sent == total and not lines.busy):
                break
            is_next = sent < total and len(lines.busy) < connections
            lines.answered(min(due - time.perf_counter(), _LOOK_SECONDS) if is_next else _LOOK_SECONDS)
        waits = [now - line.asked for line in lines.busy]
        waits += [now - due for place in range(sent, total) if (due := started + place / rate) < now]
        measured = lines.measured_for(max(now - started, seconds), time.process_time() - cpu)
        measured.latencies += waits
        measured.unanswered = len(waits)
        return measured


def at_once(port: int, requests: Sequence[bytes]) -> Counter[str]:
    """Send all of them at one moment, each on a connection of its own; how often each status came."""
    with _Lines(port) as lines:
        for line, request in zip([lines.take() for _ in requests], requests, strict=True):
            line.ask(request, time.perf_counter())
        deadline = time.perf_counter() + 60
        while lines.busy and (now := time.perf_counter()) < deadline:
            lines.answered(deadline - now)
        return Counter({"200": lines.measured.count}) + lines.measured.refusals


class _Line:
    """A kept connection, on which one request at a time is under way."""

    __slots__ = ("asked", "received", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.received = bytearray()
        self.asked = time.perf_counter()

    def ask(self, request: bytes, at: float) -> None:
        """Send a request that was to be sent at `at`."""
        self.received.clear()
        self.asked = at
        with contextlib.suppress(ConnectionError):  # it is read as broken off
            self.socket.sendall(request)


class _Lines:
    """The connections to one server and what came back on them."""

    def __init__(self, port: int) -> None:
        self.measured = Measured()
        self.busy: set[_Line] = set()
        self._port = port
        self._idle: list[tuple[float, _Line]] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            self._drop(key.data)
        self._selector.close()

    def take(self) -> _Line:
        """A connection to ask on: the one used last, else a new one."""
        line = None
        while self._idle and line is None:
            since, line = self._idle.pop()
            if time.perf_counter() - since > _IDLE_SECONDS:
                self._drop(line)
                line = None
        if line is None:
            line = _Line(self._port)
            self._selector.register(line.socket, selectors.EVENT_READ, line)
        self.busy.add(line)
        return line

    def answered(self, timeout: float) -> int:
        """Wait until something comes, note it, and say how many requests are over by it."""
        before = len(self.busy)
        for key, _ in self._selector.select(max(timeout, 0)):
            line = key.data
            try:
                data = line.socket.recv(262_144)
            except ConnectionError:
                data = b""
            if line not in self.busy:  # the server closed what was idle
                self._idle = [entry for entry in self._idle if entry[1] is not line]
                self._drop(line)
                continue
            line.received += data
            answer = _answer(line.received)
            if answer is None and data:
                continue
            self._note(line, answer)
            self.busy.discard(line)
            if answer is None or answer[2]:
                self._drop(line)
            else:
                self._idle.append((time.perf_counter(), line))
        return before - len(self.busy)

    def measured_for(self, seconds: float, cpu: float) -> Measured:
        """What was measured in a time that is over."""
        self.measured.seconds, self.measured.cpu = seconds, cpu
        return self.measured

    def _note(self, line: _Line, answer: tuple[int, int, bool] | None) -> None:
        if answer is None or answer[0] != 200:
            self.measured.refusals[str(answer[0]) if answer else "broken off"] += 1
            return
        self.measured.latencies.append(time.perf_counter() - line.asked)
        if (at := line.received.find(_ID, answer[1])) >= 0:
            at += len(_ID)
            self.measured.ids.append(line.received[at : at + _ID_LENGTH].decode())
        if not self.measured.sample:
            self.measured.sample = json.loads(line.received[answer[1] :])

    def _drop(self, line: _Line) -> None:
        self._selector.unregister(line.socket)
        line.socket.close()


def _answer(received: bytearray) -> tuple[int, int, bool] | None:
    """Status, where the body begins and whether the server closes, once all of it is there.

    Chunked answers are not expected and count as errors.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end]).lower()
    at = head.find(b"content-length:")
    if at < 0:
        return 0, end + 4, True
    if len(received) < end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0]):
        return None
    return int(head[9:12]), end + 4, b"connection: close" in head
