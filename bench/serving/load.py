"""A closed loop of callers over raw sockets, in one thread: each asks again as soon as it is answered."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Measured:
    """What the callers saw."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    sample: dict[str, object] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Requests answered with 200."""
        return len(self.latencies)

    def percentile(self, share: float) -> float:
        """Milliseconds below which this share of the answers came."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000 if ordered else 0.0


@dataclass(slots=True)
class _Caller:
    socket: socket.socket
    sent: float = 0.0
    received: bytearray = field(default_factory=bytearray)


def request_bytes(path: str, body: bytes, key: str = "") -> bytes:
    """One request, ready to be sent."""
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def closed_loop(port: int, requests: Iterator[bytes], *, callers: int, seconds: float) -> Measured:
    """Let some callers ask for some seconds. Every status is checked, and one answer is kept."""
    selector = selectors.DefaultSelector()
    measured = Measured()
    for _ in range(callers):
        caller = _Caller(socket.create_connection(("127.0.0.1", port), timeout=30))
        selector.register(caller.socket, selectors.EVENT_READ, caller)
        _send(caller, next(requests))
    started = time.perf_counter()
    deadline = started + seconds
    while (now := time.perf_counter()) < deadline:
        for event, _ in selector.select(timeout=deadline - now):
            caller = event.data
            data = caller.socket.recv(262_144)
            caller.received += data
            answer = _answer(caller.received)
            if answer is None and data:
                continue
            if answer is None or answer[0] != 200:
                measured.errors += 1
            else:
                measured.latencies.append(time.perf_counter() - caller.sent)
                if not measured.sample:
                    measured.sample = json.loads(answer[1])
            if not data or b"connection: close" in bytes(caller.received[:500]).lower():
                selector.unregister(caller.socket)
                caller.socket.close()
                caller.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
                selector.register(caller.socket, selectors.EVENT_READ, caller)
            _send(caller, next(requests))
    measured.seconds = time.perf_counter() - started
    for event in list(selector.get_map().values()):
        event.data.socket.close()
    return measured


def _send(caller: _Caller, request: bytes) -> None:
    caller.received.clear()
    caller.sent = time.perf_counter()
    caller.socket.sendall(request)


def _answer(received: bytearray) -> tuple[int, bytes] | None:
    """Status and body, once all of it is there. Chunked answers are not expected and count as errors."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end]).lower()
    at = head.find(b"content-length:")
    if at < 0:
        return 0, b""
    length = int(head[at + 15 :].split(b"\r\n", 1)[0])
    if len(received) < end + 4 + length:
        return None
    return int(head.split(b" ", 2)[1]), bytes(received[end + 4 :])
