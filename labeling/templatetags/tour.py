"""`{% tour %}` and `{% tour_invitation project %}`: four first steps, for who has not closed them yet.

The browser remembers by the cookie `tour`, which the server reads, so that nothing appears or moves after
the page has come. `?tour` shows them again.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import Context

from corpus.models import Project

register = template.Library()


@register.inclusion_tag("labeling/_tour.html", takes_context=True)
def tour(context: Context) -> dict[str, Any]:
    """The steps, above the text of the workbench."""
    return {"shown": _is_due(context["request"])}


@register.inclusion_tag("labeling/_tour_invitation.html", takes_context=True)
def tour_invitation(context: Context, project: Project) -> dict[str, Any]:
    """The way to the steps, on a project's home."""
    return {"shown": _is_due(context["request"]), "project": project}


def _is_due(request: HttpRequest) -> bool:
    return "tour" in request.GET or request.COOKIES.get("tour") != "done"
