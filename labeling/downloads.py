"""Files that leave by a browser."""

from __future__ import annotations

from django.http import HttpResponseBase


def attachment(response: HttpResponseBase, name: str) -> HttpResponseBase:
    """A download that no browser opens on our origin. The name is ours, or cleaned."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in ".-_") else "_" for char in name)
    response["Content-Type"] = "application/octet-stream"
    response["Content-Disposition"] = f'attachment; filename="{plain}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    response["Cache-Control"] = "no-store"
    return response
