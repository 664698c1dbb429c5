"""Reading the jobs of imports and exports."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from django.db.models import QuerySet

from corpus.errors import NotFound
from corpus.models import Project
from labeling.models import ExportJob, ImportJob

J = TypeVar("J", ImportJob, ExportJob)

#: So many earlier jobs are listed.
LISTED = 30


def jobs_latest(*, project: Project, model: type[J], limit: int = LISTED) -> QuerySet[J]:
    """The jobs of a project, newest first, without their long lists."""
    found = model.objects.filter(project=project).select_related("requested_by", "api_key", "project")
    long = ("errors", "findings") if model is ImportJob else ("manifest", "losses")
    return found.defer(*long).order_by("-created_at", "id")[:limit]


def job_get(*, project: Project, model: type[J], job_id: UUID) -> J:
    """A job of the project, or NotFound."""
    job = (
        model.objects.filter(project=project, pk=job_id)
        .select_related("project", "requested_by", "api_key")
        .first()
    )
    if job is None:
        raise NotFound()
    return job
