"""What addresses for machines share: who calls, and the files that come in or go out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import msgspec
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.views import APIView

from inference.errors import FileNameMissing, FileTooLarge, FileTypeUnsupported
from inference.models import ApiKey
from inference.services.files import CHUNK, chunks_of, size_shown

MULTIPART, PLAIN = "multipart/form-data", "application/octet-stream"
#: How the OpenAPI document describes a file that is sent.
FILE_BODY = {
    PLAIN: OpenApiTypes.BINARY,
    MULTIPART: {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    },
}
#: What a multipart body takes besides the file.
_ENVELOPE = 64 * 1024


def exchange(name: str, *, asked: object, answered: object, status: int = 200) -> list[OpenApiExample]:
    """A request and its answer for the OpenAPI document; a test asks the one and expects the other."""
    return [
        OpenApiExample(name, value=asked, request_only=True),
        OpenApiExample(name, value=answered, response_only=True, status_codes=[str(status)]),
    ]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No fields."""


class KeyView(APIView):
    """A view for the holder of a key to one project."""

    body: type[msgspec.Struct] = Nothing

    def cost(self, request: Request) -> int:
        """One, however large the file."""
        return 1

    def key(self, request: Request) -> ApiKey:
        """Who calls."""
        return cast(ApiKey, request.auth)

    def nothing_sent(self, request: Request) -> None:
        """A body that says nothing may be left out."""
        if int(request.META.get("CONTENT_LENGTH") or 0):
            request.data  # noqa: B018  (reading it is what checks it)


def texts_cost(count: int) -> int:
    """One for each text of a batch, so that it is no way around the limit; one for a batch to be refused."""
    return count if 0 < count <= settings.LIMITS["batch_texts"] else 1


def file_sent(request: Request, *, limit: int) -> tuple[str, Iterable[bytes]]:
    """The name and the bytes of the file of a request, refused by its size before any of it is read."""
    kind = str(request.META.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
    size = int(request.META.get("CONTENT_LENGTH") or 0)
    # Who sends nothing need not say of what kind.
    if kind not in (MULTIPART, PLAIN) and (kind or size):
        raise FileTypeUnsupported()
    if size > limit + (_ENVELOPE if kind == MULTIPART else 0):
        raise FileTooLarge(limit=size_shown(limit), size=size_shown(size))
    plain = request._request
    name = request.query_params.get("file_name", "")
    if kind != MULTIPART:
        return name or "upload", chunks_of(plain)
    file = plain.FILES.get("file")
    if not isinstance(file, UploadedFile):
        raise FileNameMissing(pointer="/file")
    return name or file.name or "upload", file.chunks(CHUNK)


def attachment(response: HttpResponseBase, name: str) -> HttpResponseBase:
    """A download that no browser opens on our origin. The name is ours, or cleaned."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in ".-_") else "_" for char in name)
    response["Content-Type"] = PLAIN
    response["Content-Disposition"] = f'attachment; filename="{plain}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    response["Cache-Control"] = "no-store"
    return response
