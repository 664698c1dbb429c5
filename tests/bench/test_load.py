"""The callers of the benchmarks: a measurement that hides a stall is worse than none."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bench.serving.load import at_once, closed_loop, open_loop, request_bytes

ANSWER = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\n{"prediction_id":"01234567-89ab-cdef-0123-456789abcdef"}'
)
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def server(answer: Callable[[int], bytes | None]) -> Iterator[int]:
    """A port; each request is answered with what `answer` says for its number, None breaks it off."""
    numbers = itertools.count()
    turn = threading.Lock()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the callers went
            while connection.recv(65536):
                with turn:
                    said = answer(next(numbers))
                if said is None:
                    return
                connection.sendall(said)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=[listening.accept()[0]], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def requests() -> Iterator[bytes]:
    return itertools.repeat(request_bytes("/predict", b"{}", "key"))


def stalls_once(number: int) -> bytes:
    if number == 20:
        time.sleep(0.4)
    return ANSWER


def test_an_open_loop_counts_a_stall_for_everybody_who_was_to_ask_meanwhile() -> None:
    with server(stalls_once) as port:
        measured = open_loop(port, requests(), rate=100, seconds=1, connections=1)
    slow = [taken for taken in measured.latencies if taken > 0.1]
    assert measured.count == 100
    assert len(slow) >= 25, "the stall of 0.4 s met one request and held up those of the next 0.3 s"


def test_a_closed_loop_sees_the_stall_once() -> None:
    with server(stalls_once) as port:
        measured = closed_loop(port, requests(), callers=1, seconds=1)
    assert sum(taken > 0.1 for taken in measured.latencies) == 1


def test_what_is_not_answered_in_the_end_is_an_error_with_the_time_it_waited() -> None:
    def hangs(number: int) -> bytes:
        time.sleep(1.5 if number >= 10 else 0)
        return ANSWER

    with server(hangs) as port:
        measured = open_loop(port, requests(), rate=100, seconds=1, give_up=0.3)
    assert measured.unanswered >= 80
    assert measured.errors == measured.unanswered
    assert measured.percentiles(1.0)[0] > 1000, "the tenth has waited since it was asked"


@pytest.mark.parametrize(("said", "name"), [(REFUSAL, "429"), (None, "broken off")])
def test_a_refusal_is_no_answer(said: bytes | None, name: str) -> None:
    with server(lambda number: said if number % 10 == 5 else ANSWER) as port:
        measured = open_loop(port, requests(), rate=100, seconds=0.5)
    assert dict(measured.refusals) == {name: 5}
    assert measured.count == 45
    assert measured.ids == ["01234567-89ab-cdef-0123-456789abcdef"] * 45


def test_it_tells_how_many_of_those_that_asked_at_once_were_let_pass() -> None:
    with server(lambda number: ANSWER if number < 30 else REFUSAL) as port:
        assert at_once(port, [next(requests())] * 64) == {"200": 30, "429": 34}
