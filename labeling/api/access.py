"""What every JSON address below a project shares: the person, the project, the right."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import msgspec
from django.contrib.auth.models import User
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from corpus.errors import Conflict, Refused
from corpus.models import Project
from corpus.selectors import project_get, project_require


class OtherPerson(Conflict):
    """The page belongs to somebody else than the person who is signed in now."""

    code = "other_person"


class SessionChanged(Refused):
    """The page's token is not this session's; sign in again."""

    code = "session_changed"


class PersonAuthentication(SessionAuthentication):
    """The session of the page, CSRF checked; 401 (not 403) once it has ended, so that the page can tell."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except PermissionDenied:
            raise SessionChanged() from None


class EmptyBody(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing: the address says all."""


class ProjectView(APIView):
    """A view on one project for people who hold its `permission` there."""

    authentication_classes = [PersonAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes: ClassVar[list[type]] = []
    schema = None  # for our own pages, not part of the public API
    permission: ClassVar[str] = "review"
    body: ClassVar[type[msgspec.Struct]] = EmptyBody

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # Two people, one browser: what one of them decided is never stored under the other's name.
        if request.headers.get("X-Reviewer", str(request.user.pk)) != str(request.user.pk):
            raise OtherPerson()
        self.person = cast(User, request.user)
        self.project: Project = project_get(slug=kwargs["slug"], user=self.person)
        project_require(project=self.project, user=self.person, permission=self.permission)
