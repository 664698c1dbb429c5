"""How far the annotators of a project agree, from the newest of their opinions.

A window, not everything: the newest opinions up to WINDOW and the documents among them up to DOCUMENTS,
so that the page costs the same in a large project. What was computed is kept in the process until there
is a newer opinion.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from corpus.models import Project
from feedback.models import Opinion
from ner.agreement import Agreement, Annotated, agreement
from ner.spans import Span

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: So many of the newest opinions are looked at, ...
WINDOW = 2_000
#: ... so many documents that several annotated are compared, ...
DOCUMENTS = 150
#: ... and so many characters: a few texts may be as long as a thousand others.
CHARACTERS = 1_000_000


def agreement_of(*, project: Project) -> Agreement:
    """The figures of a project; annotators are named by their primary keys."""
    newest = Opinion.objects.filter(project=project).values_list("pk", flat=True).first()
    return _computed(project.pk, str(newest))


def annotated_newest(*, project_id: int) -> list[Annotated]:
    """The texts that several annotators have answered for, each by their newest opinion."""
    rows = (
        Opinion.objects.filter(project=project_id, document__redacted_at=None)
        .order_by("-created_at", "-pk")
        .values_list("document_id", "author_id", "spans")[:WINDOW]
    )
    said: dict[UUID, dict[str, list[Span]]] = defaultdict(dict)
    for document_id, author_id, spans in rows:
        said[document_id].setdefault(str(author_id), [Span.from_json(span) for span in spans])
    several = [document_id for document_id, by in said.items() if len(by) > 1][:DOCUMENTS]
    texts = dict(
        Opinion.objects.filter(document__in=several)
        .order_by("document_id")
        .distinct("document_id")
        .values_list("document_id", "document__text")
    )
    found: list[Annotated] = []
    left = CHARACTERS
    for document_id in several:
        text = texts[document_id]
        left -= len(text)
        if left < 0 and found:
            break
        found.append(Annotated(text, said[document_id]))
    return found


def opinions_of(*, project: Project, author: User, limit: int = 200) -> list[Opinion]:
    """A person's newest opinions."""
    return list(Opinion.objects.filter(project=project, author=author).order_by("-created_at", "-pk")[:limit])


@lru_cache(maxsize=32)
def _computed(project_id: int, newest: str) -> Agreement:
    """`newest` names the state that the figures are of: another opinion, another answer."""
    return agreement(annotated_newest(project_id=project_id))
