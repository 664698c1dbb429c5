"""The plumbing of the REST API: strict JSON in, JSON out, and one form for every problem.

Wired in by `settings.REST_FRAMEWORK`; the apps below declare what they want (`view.body`,
`view.body_limit`) and raise `corpus.errors`, and know nothing of what is here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any

import msgspec
import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views import defaults
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from corpus.errors import DomainError, Invalid
from ner.errors import BadInput
from nerapp.strict_json import content_read, json_read, strings_check

if TYPE_CHECKING:
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)

PROBLEM = "application/problem+json"
DEFAULT_BODY_LIMIT = 1024 * 1024


class UnknownParameter(Invalid):
    """There is no query parameter {parameter} here."""

    code = "unknown_parameter"


class TooLarge(Invalid):
    """At most {limit}; got {size}."""

    code = "too_large"
    status = 413


class LengthRequired(Invalid):
    """Say how long the body is with Content-Length."""

    code = "length_required"
    status = 411


class UnsupportedMediaType(Invalid):
    """Send Content-Type: application/json."""

    code = "unsupported_media_type"
    status = 415


class UnsupportedCharset(Invalid):
    """Send UTF-8; another charset is not read."""

    code = "unsupported_charset"
    status = 415


class UnsupportedEncoding(Invalid):
    """Send the body as it is; a compressed one is not read."""

    code = "unsupported_encoding"
    status = 415


class JSONAlways(BaseContentNegotiation):
    """JSON, whatever `Accept` says: a browser gets JSON too, and nobody gets 406."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class WellFormedRequest(BasePermission):
    """What Django would ignore is refused: an unknown query parameter, a body of unstated length."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired()
        known = getattr(view, "parameters", ())
        for name in request.query_params:
            if name not in known:
                raise UnknownParameter(parameter=name[:50])
        return True


class StrictJSONParser(BaseParser):
    """Reads the body into the view's `body`, a msgspec Struct; anything unexpected is refused."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        context = parser_context or {}
        request: Request = context["request"]
        view: APIView = context["view"]
        _headers_check(request.META, limit=getattr(view, "body_limit", DEFAULT_BODY_LIMIT))
        content = json_read(stream.read())
        strings_check(content, unchecked=getattr(view, "unchecked", None))
        return content_read(content, view.body)


def _headers_check(meta: Mapping[str, Any], *, limit: int) -> None:
    kind, _, parameters = str(meta.get("CONTENT_TYPE", "")).partition(";")
    if kind.strip().lower() != "application/json":
        raise UnsupportedMediaType()
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in {"utf-8", "utf8"}:
        raise UnsupportedCharset()
    if str(meta.get("HTTP_CONTENT_ENCODING", "identity")).strip().lower() not in {"", "identity"}:
        raise UnsupportedEncoding()
    size = int(meta.get("CONTENT_LENGTH") or 0)
    if size > limit:
        raise TooLarge(limit=_size(limit), size=_size(size))


def _size(count: int) -> str:
    return f"{count / 1024 / 1024:.1f} MiB".replace(".0 MiB", " MiB")


class JSONRenderer(BaseRenderer):
    """msgspec's encoder: Structs, dates and ids as they are."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else msgspec.json.encode(data)


def problem_body(
    *,
    status: int,
    code: str,
    detail: str,
    request_id: str,
    pointer: str = "",
    extensions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A problem as RFC 9457 has it, with our stable code."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id,
        "errors": [{"pointer": pointer, "code": code, "detail": detail}] if status < 500 and pointer else [],
        **(extensions or {}),
    }


#: What DRF and Django raise by themselves.
_KNOWN: tuple[tuple[type[Exception], int, str, str], ...] = (
    (exceptions.NotAuthenticated, 401, "unauthenticated", "Send a valid API key."),
    (exceptions.AuthenticationFailed, 401, "unauthenticated", "Send a valid API key."),
    (exceptions.MethodNotAllowed, 405, "method_not_allowed", "This address does not know this method."),
    (exceptions.UnsupportedMediaType, 415, "unsupported_media_type", "Send Content-Type: application/json."),
    (exceptions.PermissionDenied, 403, "forbidden", "You may not do this."),
    (PermissionDenied, 403, "forbidden", "You may not do this."),
    (exceptions.NotFound, 404, "not_found", "There is nothing here, or nothing that you may see."),
    (Http404, 404, "not_found", "There is nothing here, or nothing that you may see."),
    (RequestDataTooBig, 413, "too_large", "The body is too large."),
    (SuspiciousOperation, 400, "bad_request", "This request cannot be understood."),
    (exceptions.ParseError, 400, "malformed_json", "The body cannot be read."),
    (OperationalError, 503, "database_unavailable", "The database does not answer; try again shortly."),
    (InterfaceError, 503, "database_unavailable", "The database does not answer; try again shortly."),
)


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler: every refusal becomes a problem; None leaves a bug to the 500 page."""
    request: Request = context["request"]
    view: APIView | None = context.get("view")
    headers: dict[str, str] = {}
    request_id = str(getattr(request, "request_id", ""))
    if isinstance(error, DomainError):
        extensions: Callable[[], dict[str, Any]] | None = getattr(error, "extensions", None)
        body = problem_body(
            status=error.status,
            code=error.code,
            # Sessions have pages around them; what comes with a key is read by programs.
            detail=error.detail if _is_api(request) else error.words,
            request_id=request_id,
            pointer=error.pointer,
            extensions=extensions() if extensions else None,
        )
        if (retry_after := getattr(error, "retry_after", None)) is not None:
            headers["Retry-After"] = str(retry_after)
    elif isinstance(error, BadInput):
        body = problem_body(status=400, code=error.code, detail=str(error), request_id=request_id)
    else:
        known = next((row for row in _KNOWN if isinstance(error, row[0])), None)
        if known is None:
            return None
        _, status, code, detail = known
        body = problem_body(status=status, code=code, detail=detail, request_id=request_id)
        if status == HTTPStatus.METHOD_NOT_ALLOWED and view is not None:
            headers["Allow"] = ", ".join(view.allowed_methods)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = "2"
            log.error("database unavailable", error=type(error).__name__)
    if body["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="nerapp"'
    # Not imported above: DRF's views import this module through the settings.
    from rest_framework.views import set_rollback

    set_rollback()
    return Response(body, status=body["status"], headers=headers, content_type=PROBLEM)


# --- Outside of any view: 400, 403, 404, 500 -----------------------------------------------------------


def _is_api(request: HttpRequest | Request) -> bool:
    return request.path_info.startswith("/api/")


def _problem(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    body = problem_body(
        status=status, code=code, detail=detail, request_id=str(getattr(request, "request_id", ""))
    )
    return HttpResponse(msgspec.json.encode(body), status=status, content_type=PROBLEM)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """400: a host, cookie or form that Django itself refused."""
    if _is_api(request):
        return _problem(request, 400, "bad_request", "This request cannot be understood.")
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """403."""
    if _is_api(request):
        return _problem(request, 403, "forbidden", "You may not do this.")
    return defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """404: no such address."""
    if _is_api(request):
        return _problem(request, 404, "not_found", "There is nothing here, or nothing that you may see.")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """500, or 503 where the database is what failed."""
    error = sys.exc_info()[1]
    if not _is_api(request):
        return defaults.server_error(request)
    if isinstance(error, OperationalError | InterfaceError):
        response = _problem(
            request, 503, "database_unavailable", "The database does not answer; try again shortly."
        )
        response.headers["Retry-After"] = "2"
        return response
    return _problem(request, 500, "internal_error", "Something went wrong here; it was logged.")
