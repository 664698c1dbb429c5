"""A receiver of webhooks as somebody else runs it: a real HTTP server that keeps what it gets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

HTTP, HTTPS = "http", "https"


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Receiver:
    """What arrived, and what is answered: a status, or a function that does as it likes with the handler."""

    url: str
    port: int
    got: list[Got] = field(default_factory=list)
    answer: int | Callable[[BaseHTTPRequestHandler], None] = 204

    def messages(self, secret: str) -> list[dict[str, Any]]:
        """What arrived, verified as the documentation tells a receiver to."""
        return [Webhook(secret).verify(got.body, got.headers) for got in self.got]

    @property
    def ids(self) -> list[str]:
        return [got.headers["webhook-id"] for got in self.got]


def replying(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answers with more than a status."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def dripping(handler: BaseHTTPRequestHandler, head: bytes = b"HTTP/1.1 200 OK\r\nX-Long: ") -> None:
    """An answer that never ends and never pauses: each byte comes well within any timeout of a read."""
    with contextlib.suppress(OSError):
        handler.wfile.write(head)
        for _ in range(600):
            handler.wfile.write(b"a")
            time.sleep(0.05)


@contextlib.contextmanager
def receiving(
    host: str = "127.0.0.1", *, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """A server on one address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            receiver.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if callable(receiver.answer):
                receiver.answer(self)
            else:
                replying(receiver.answer)(self)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, *_: object) -> None:
            pass  # a client that hung up is what some tests are about

    server = Server((host, port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    shown = f"[{host}]" if ":" in host else host
    scheme = HTTPS if tls else HTTP
    receiver = Receiver(f"{scheme}://{shown}:{server.server_port}/hook", server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
