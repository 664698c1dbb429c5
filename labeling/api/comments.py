"""The JSON of comments on a text under review."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from django.contrib.auth.models import User
from rest_framework.request import Request
from rest_framework.response import Response

from corpus.models import Document
from labeling.api.access import ProjectView
from labeling.api.review import TaskBased
from labeling.selectors import comment_get
from labeling.selectors.names import naming
from labeling.selectors.seats import is_blind_to
from labeling.services import comment_add, comment_resolve
from labeling.workbench import comments_payload


class CommentBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is said, and about which code points."""

    body: str
    idempotency_key: str
    start: int | None = None
    end: int | None = None


class ResolveBody(msgspec.Struct, forbid_unknown_fields=True):
    """Is it settled?"""

    resolved: bool


class CommentAddView(TaskBased):
    """POST: say something about the task's text; answers with all that was said."""

    body = CommentBody

    def post(self, request: Request, slug: str, task_id: int) -> Response:
        body = cast(CommentBody, request.data)
        document = self.task(task_id).document
        comment_add(
            document=document,
            user=self.person,
            body=body.body,
            idempotency_key=body.idempotency_key,
            start=body.start,
            end=body.end,
        )
        return Response({"comments": _comments(document, self.person)})


class CommentResolveView(ProjectView):
    """POST: mark a comment as settled, or open it again; answers with all that was said."""

    body = ResolveBody

    def post(self, request: Request, slug: str, comment_id: int) -> Response:
        body = cast(ResolveBody, request.data)
        comment = comment_get(project=self.project, comment_id=comment_id)
        comment_resolve(comment=comment, user=self.person, is_resolved=body.resolved)
        return Response({"comments": _comments(comment.document, self.person)})


def _comments(document: Document, person: User) -> list[dict[str, Any]]:
    only = person if is_blind_to(document=document, user=person) else None
    return comments_payload(document, naming(project=document.project, viewer=person), only=only)
