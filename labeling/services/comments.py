"""Saying something about a text, and settling it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.errors import IdempotencyKeyInvalid
from corpus.models import Document
from corpus.selectors import project_require
from corpus.services import text_check
from feedback.errors import CommentTooLong
from labeling.errors import CommentEmpty, RangeOutside
from labeling.models import Comment

if TYPE_CHECKING:
    from django.contrib.auth.models import User

COMMENT_LIMIT = 2_000
KEY_LIMIT = 255


@transaction.atomic
def comment_add(
    *,
    document: Document,
    user: User,
    body: str,
    idempotency_key: str,
    start: int | None = None,
    end: int | None = None,
) -> Comment:
    """Say something about a document, or about `[start, end)` of it. The same key again changes nothing."""
    project_require(project=document.project, user=user, permission="review")
    body = _body(body)
    if not (
        idempotency_key.isascii() and idempotency_key.isprintable() and 0 < len(idempotency_key) <= KEY_LIMIT
    ):
        raise IdempotencyKeyInvalid(pointer="/idempotency_key")
    if (start is None) != (end is None):
        raise RangeOutside(pointer="/end", length=len(document.text))
    if start is not None and end is not None and not 0 <= start < end <= len(document.text):
        raise RangeOutside(pointer="/start", length=len(document.text))
    comment, is_new = Comment.objects.get_or_create(
        author=user,
        idempotency_key=idempotency_key,
        defaults={"document": document, "body": body, "start": start, "end": end},
    )
    if is_new:
        event_record(
            action="comment.add",
            actor=Actor.of_user(user),
            subject=comment,
            chain=document.project.slug,
            data={"document": str(document.pk), "range": [start, end]},
        )
    return comment


@transaction.atomic
def comment_resolve(*, comment: Comment, user: User, is_resolved: bool) -> Comment:
    """Mark a comment as settled, or open it again; the second to say so changes nothing."""
    project = comment.document.project
    project_require(project=project, user=user, permission="review")
    changed = Comment.objects.filter(pk=comment.pk, resolved_at__isnull=is_resolved).update(
        resolved_by=user if is_resolved else None, resolved_at=timezone.now() if is_resolved else None
    )
    comment.refresh_from_db()
    if changed:
        event_record(
            action="comment.resolve" if is_resolved else "comment.reopen",
            actor=Actor.of_user(user),
            subject=comment,
            chain=project.slug,
            data={"document": str(comment.document_id)},
        )
    return comment


def _body(body: str) -> str:
    body = body.strip()
    if not body:
        raise CommentEmpty(pointer="/body")
    if len(body) > COMMENT_LIMIT:
        raise CommentTooLong(pointer="/body", limit=COMMENT_LIMIT, length=len(body))
    text_check(body, limit=COMMENT_LIMIT)
    return body
