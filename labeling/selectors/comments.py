"""Reading what was said about a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import QuerySet

from corpus.errors import NotFound
from corpus.models import Document, Project
from labeling.models import Comment
from labeling.selectors.seats import is_blind_to

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def comments_of(*, document: Document, user: User) -> QuerySet[Comment]:
    """What was said about a document, the oldest first; who annotates it blind is shown their own words."""
    said = Comment.objects.filter(document=document).select_related("author", "resolved_by")
    return said.filter(author=user) if is_blind_to(document=document, user=user) else said


def comment_get(*, project: Project, comment_id: int) -> Comment:
    """A comment on a text of the project, or NotFound."""
    found = Comment.objects.filter(document__project=project, pk=comment_id)
    comment = found.select_related("author", "document__project").first()
    if comment is None:
        raise NotFound()
    return comment
