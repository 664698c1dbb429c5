"""Reading what several annotators said about one text. Only for after the blind phase, or of oneself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.models import Document
from feedback.models import Opinion

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def opinion_current(*, document: Document, author: User) -> Opinion | None:
    """An annotator's newest opinion on a document."""
    return Opinion.objects.filter(document=document, author=author).order_by("-number").first()


def opinion_known(*, author: User, idempotency_key: str) -> bool:
    """Was an opinion stored under this key?"""
    return Opinion.objects.filter(author=author, idempotency_key=idempotency_key).exists()


def opinions_newest(*, document: Document) -> list[Opinion]:
    """The newest opinion of each annotator on a document, in the order in which they first spoke."""
    newest = (
        Opinion.objects.filter(document=document)
        .order_by("author_id", "-number")
        .distinct("author_id")
        .select_related("author")
    )
    return sorted(newest, key=lambda opinion: (opinion.created_at, opinion.pk))
