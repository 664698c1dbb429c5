"""How numbers, dates and times are written; a module a language."""

from __future__ import annotations

from django.utils.formats import number_format


def decimal(value: float, places: int = 1) -> str:
    """A number with so many decimals, rounded, in the reader's way of writing it."""
    # Django's number_format cuts off what is beyond: 66.67 would read 66.6.
    return number_format(round(value, places), places)
