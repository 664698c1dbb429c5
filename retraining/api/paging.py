"""Lists that grow are read by pages, newest first: `limit` and `before`."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from inference.errors import OptionRefused
from retraining.selectors import page_before

_LISTED, _LISTED_MOST = 30, 100
LARGEST_ID = 2**63 - 1
Row = TypeVar("Row", bound=Model)

PAGE = [
    OpenApiParameter("limit", int, description=f"How many, 1 to {_LISTED_MOST}.", default=_LISTED),
    OpenApiParameter("before", int, description="The `next` of the page before."),
]


def page_asked(request: Request, rows: QuerySet[Row]) -> tuple[list[Row], int | None]:
    """The rows that were asked for, and where the next ones begin. Raises OptionRefused for no number."""
    query = request.query_params
    limit = _number(query.get("limit", str(_LISTED)), "limit", most=_LISTED_MOST)
    before = _number(query["before"], "before", most=LARGEST_ID) if "before" in query else None
    return page_before(rows, before=before, limit=limit)


def _number(text: str, name: str, *, most: int) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    if not 1 <= number <= most:
        raise OptionRefused(pointer=f"/{name}", problem=f"{name} is a number from 1 to {most}.")
    return number
