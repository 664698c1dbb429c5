"""The WSGI application that the web processes serve."""

from __future__ import annotations

import os
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
    return (api if is_api else pages)(environ, start_response)


upkeep.start()
stream_writer.start()
