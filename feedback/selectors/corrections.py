"""Reading what humans said about predictions."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, QuerySet

from corpus.models import Document, Project
from feedback.models import Correction
from inference.models import ApiKey


def correction_current(document: Document) -> Correction | None:
    """The newest correction of a document: what humans hold to be true of it."""
    return Correction.objects.filter(document=document).order_by("-number").first()


def correction_known(*, api_key: ApiKey, idempotency_key: str) -> Correction | None:
    """What a key stored under this idempotency key."""
    return Correction.objects.filter(api_key=api_key, idempotency_key=idempotency_key).first()


def corrections_newest(project: Project) -> QuerySet[Correction]:
    """The newest correction of each document of a project."""
    return (
        Correction.objects.filter(project=project).order_by("document_id", "-number").distinct("document_id")
    )


def corrections_since(project: Project, after: datetime | None) -> QuerySet[Correction]:
    """The corrections stored after a moment, oldest first; all of them for None."""
    found = Correction.objects.filter(project=project).order_by("created_at", "id")
    return found if after is None else found.filter(created_at__gt=after)


def decisions_count(correction: Correction) -> dict[str, int]:
    """How often each decision was made in a correction."""
    decided = correction.decisions.values_list("decision").annotate(count=Count("id")).order_by("decision")
    return dict(decided)
