"""The WSGI application that the web processes serve."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nerapp.settings")

pages = get_wsgi_application()

from django.conf import settings  # noqa: E402  (the line above readies them)
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402

import nerapp.urls  # noqa: E402, F401  (now, not while the first caller waits)
from inference.stream_writer import stream_writer  # noqa: E402
from inference.upkeep import upkeep  # noqa: E402

_API = "/api/"
#: What staff open in a browser, signed in by their session.
_FOR_BROWSERS = frozenset({"/api/v1/docs", "/api/v1/health", "/api/v1/metrics"})


def _handler(middleware: list[str]) -> WSGIHandler:
    # Django builds a handler from this one setting, and once: here, before any thread can see it.
    kept, settings.MIDDLEWARE = settings.MIDDLEWARE, middleware
    try:
        return WSGIHandler()
    finally:
        settings.MIDDLEWARE = kept


api = _handler(settings.API_MIDDLEWARE)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Pages and what comes with a key pass different middleware."""
    path = environ.get("PATH_INFO", "")
    is_api = path.startswith(_API) and path not in _FOR_BROWSERS
    body = environ["wsgi.input"] = _Body(environ)

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        if body.unread:
            headers.append(("Connection", "close"))
        return start_response(status, headers, *more)

    return (api if is_api else pages)(environ, start)


class _Body:
    """The body of a request, and how much of it nobody has read.

    After an answer that was given without it (no key, too fast, no database) the server closes the
    connection. A caller who is not told asks once more on it and gets no answer.
    """

    __slots__ = ("_stream", "unread")

    def __init__(self, environ: dict[str, Any]) -> None:
        self._stream = environ["wsgi.input"]
        self.unread = int(environ.get("CONTENT_LENGTH") or 0)

    def read(self, size: int = -1, /) -> bytes:
        return self._noted(self._stream.read(size))

    def readline(self, size: int = -1, /) -> bytes:
        return self._noted(self._stream.readline(size))

    def _noted(self, data: bytes) -> bytes:
        self.unread -= len(data)
        return data


# A thread that reads a long text gives way to the others sooner: each of them asks for its turn some ten
# times in a request, after every wait for Redis, PostgreSQL and the model.
sys.setswitchinterval(0.001)
upkeep.start()
stream_writer.start()
