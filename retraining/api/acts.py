"""What a person does to something that moves callers: by its number, with a reason, told as it is after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from django.db.models import QuerySet
from msgspec import Meta, Struct
from rest_framework.request import Request
from rest_framework.response import Response

from audit.services import Actor
from corpus.models import Project
from inference.models import ApiKey
from inference.wire import KeyView
from retraining.selectors import row_numbered

#: PostgreSQL keeps no U+0000.
STORABLE = "^[^\\u0000]*$"
Reason = Annotated[
    str, Meta(max_length=500, pattern=STORABLE, description="Why; it is kept in the audit log.")
]


class Act(Struct, forbid_unknown_fields=True, kw_only=True):
    """A person's hand in it."""

    reason: Reason = ""


class ActView(KeyView):
    """What all such acts share. Where an act needs a reason it says so itself (`reason_required`)."""

    scope = ApiKey.Scope.TRAFFIC
    body: type[Struct] = Act
    #: What the act calls the row.
    noun: str
    rows: Callable[..., QuerySet[Any]]
    act: Callable[..., Any]
    tell: Callable[[Any], Struct]

    def done(self, request: Request, number: int, **more: Any) -> Response:
        """The row after it."""
        key, view = self.key(request), type(self)
        project: Project = key.project
        changed = view.act(
            **{self.noun: row_numbered(view.rows(project=project), number)},
            actor=Actor.of_key(key.pk, key.name),
            reason=request.data.reason if request.data else "",
            **more,
        )
        return Response(view.tell(changed))
