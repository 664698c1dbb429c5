"""One POST to an address that somebody else chose: by number, bounded in time, never redirected."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from webhooks.addresses import Address, Target, addresses_of, target_of
from webhooks.errors import AddressRefused, HostUnknown
from webhooks.models import Attempt

Outcome = Attempt.Outcome

#: From the first packet to the last byte of the answer.
SECONDS = 5.0
#: So much of the answer to a message that was not accepted is kept, and no more is read.
EXCERPT = 200
#: A host with many addresses is not tried at all of them.
MOST_ADDRESSES = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try."""

    outcome: Outcome
    http_status: int | None = None
    excerpt: str = ""


class Connection(http.client.HTTPConnection):
    """HTTP to one network address. The host's name, for TLS and the Host header, is not looked up again."""

    def __init__(self, target: Target, address: Address, *, deadline: float) -> None:
        self.default_port = 443 if target.tls else 80
        super().__init__(target.host, target.port)
        self.target, self.address = target, address
        self.seconds = max(deadline - time.monotonic(), 0.1)
        # The timeout of a socket bounds one read; an answer that drips byte by byte never meets it.
        self.watch = threading.Timer(self.seconds, self._cut)
        self.watch.daemon = True
        self.out_of_time = False

    def connect(self) -> None:
        """Reach the address, and agree on TLS under the host's name."""
        family = socket.AF_INET if self.address.version == 4 else socket.AF_INET6
        # A name of its own: http.client lets go of `sock` while an answer's body is still to be read.
        self.line = self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.line.settimeout(self.seconds)
        self.watch.start()
        self.line.connect((str(self.address), self.port))
        if self.target.tls:
            context = ssl.create_default_context()
            wrapped = context.wrap_socket(self.line, server_hostname=self.host, do_handshake_on_connect=False)
            self.line = self.sock = wrapped
            wrapped.do_handshake()

    def end(self) -> None:
        """Close it, and end the watch over it."""
        self.watch.cancel()
        self.close()

    def _cut(self) -> None:
        self.out_of_time = True
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown: it changes what another thread is reading from.
            socket.socket.shutdown(self.line, socket.SHUT_RDWR)


def post(url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a message and say what became of it; nothing that a receiver does raises."""
    try:
        target = target_of(url)
        addresses = addresses_of(target)
    except HostUnknown as refused:
        return Answer(Outcome.UNRESOLVED, excerpt=refused.detail[:EXCERPT])
    except AddressRefused as refused:
        return Answer(Outcome.ADDRESS, excerpt=refused.detail[:EXCERPT])
    deadline = time.monotonic() + SECONDS
    for address in addresses[:MOST_ADDRESSES]:
        answer = _post_to(address, target, deadline=deadline, body=body, headers=headers)
        # Nothing was sent: the host's other address may be the one that listens.
        if answer.outcome != Outcome.UNREACHED:
            break
    return answer


def _post_to(
    address: Address, target: Target, *, deadline: float, body: bytes, headers: Mapping[str, str]
) -> Answer:
    connection = Connection(target, address, deadline=deadline)
    is_connected = False
    try:
        connection.connect()
        is_connected = True
        connection.request("POST", target.path, body=body, headers=dict(headers))
        answer = _read(connection.getresponse())
    except (OSError, http.client.HTTPException, ValueError) as error:
        answer = _failed(error, is_connected=is_connected)
    finally:
        connection.end()
    # What was cut off may still read like the head of an answer.
    is_told = answer.outcome == Outcome.STATUS
    return Answer(Outcome.TIMEOUT) if connection.out_of_time and not is_told else answer


def _failed(error: Exception, *, is_connected: bool) -> Answer:
    if isinstance(error, TimeoutError):
        return Answer(Outcome.TIMEOUT)
    if is_connected:
        return Answer(Outcome.GARBLED)
    if isinstance(error, ssl.SSLError):
        return Answer(Outcome.TLS, excerpt=(getattr(error, "verify_message", "") or str(error))[:EXCERPT])
    return Answer(Outcome.UNREACHED, excerpt=str(getattr(error, "strerror", "") or "")[:EXCERPT])


def _read(response: http.client.HTTPResponse) -> Answer:
    status = response.status
    if 200 <= status < 300:
        return Answer(Outcome.OK, status)
    if 300 <= status < 400:
        return Answer(Outcome.REDIRECT, status)
    try:
        head = response.read(4 * EXCERPT)
    except (OSError, http.client.HTTPException, ValueError):
        head = b""  # the status has told what matters
    shown = "".join(c if c.isprintable() else " " for c in head.decode("utf-8", "replace"))
    return Answer(Outcome.STATUS, status, " ".join(shown.split())[:EXCERPT])
