"""Forms with files: refused by their size before any of the body is read."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

#: What a form takes besides its file.
ENVELOPE = 64 * 1024


class SizeRefused(FileUploadHandler):
    """Stands first among the upload handlers; it keeps nothing itself."""

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,
        content_length: int,
        boundary: Any,
        encoding: str | None = None,
    ) -> None:
        """Refuse by the stated length: Django reads no further than that."""
        if content_length > settings.LIMITS["upload_bytes"] + ENVELOPE:
            raise RequestDataTooBig("The form is larger than an imported file may be.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Hand everything on to the next handler."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The file is another handler's."""
