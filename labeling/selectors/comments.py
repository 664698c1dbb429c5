"""Reading what was said about a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import QuerySet

from corpus.errors import NotFound
from corpus.models import Document, Project
from labeling.models import Comment

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def comments_of(*, document: Document, only: User | None) -> QuerySet[Comment]:
    """What was said about a document, the oldest first; `only` by one who annotates it blind."""
    said = Comment.objects.filter(document=document).select_related("author", "resolved_by")
    return said if only is None else said.filter(author=only)


def comment_get(*, project: Project, comment_id: int) -> Comment:
    """A comment on a text of the project, or NotFound."""
    found = Comment.objects.filter(document__project=project, pk=comment_id)
    comment = found.select_related("author", "document__project").first()
    if comment is None:
        raise NotFound()
    return comment
