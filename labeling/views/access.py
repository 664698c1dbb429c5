"""Who asks for a page of a project, and may they?"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from corpus.errors import NotFound
from corpus.models import Project
from corpus.selectors import project_allows, project_get

#: Longer numbers are none of the database's.
_DIGITS = 18


def is_number(asked: str) -> bool:
    """Is this, of an address or a form, a number that may name something?"""
    return asked.isascii() and asked.isdigit() and len(asked) <= _DIGITS


def person_of(request: HttpRequest) -> User:
    """Who is signed in; every view here asks for that first."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def project_of(request: HttpRequest, slug: str, *, permission: str = "view") -> Project:
    """The project of the address: 404 where the person may not see it, 403 where not do this in it."""
    try:
        found = project_get(slug=slug, user=person_of(request))
    except NotFound as error:
        raise Http404 from error
    if not project_allows(project=found, user=person_of(request), permission=permission):
        raise PermissionDenied
    return found
