"""How a person likes the workbench, as static/js/workbench/preferences.js keeps it in a cookie."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

COOKIE = "workbench"
SIZES = range(15, 25)
SIZE = 18
EDGES = ("rail", "side")


@dataclass(frozen=True, slots=True)
class Look:
    """The reading size in pixels, and which edges are put away."""

    size: int
    away: tuple[str, ...]


def look_of(request: HttpRequest) -> Look:
    """What the cookie says; anything strange in it is the default."""
    words = request.COOKIES.get(COOKIE, "").split(".")
    sizes = {f"size-{size}": size for size in SIZES}
    size = next((sizes[word] for word in words if word in sizes), SIZE)
    return Look(size=size, away=tuple(edge for edge in EDGES if f"no-{edge}" in words))
