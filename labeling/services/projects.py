"""Beginning a project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.text import slugify

from audit.services import Actor
from corpus.models import Membership, Project
from corpus.services import LabelDraft, membership_set, project_create
from inference.models import Deployment, ModelVersion
from inference.services import deployment_set

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def project_begin(
    *,
    user: User,
    name: str,
    labels: Sequence[LabelDraft],
    slug: str = "",
    description: str = "",
    allow_overlap: bool = False,
    version: ModelVersion | None = None,
) -> Project:
    """Make a project whose maker is its admin, and which a bundled model answers from the start, if any.

    Without a slug it gets one from its name. Raises SlugTaken for a slug that is another's.
    """
    actor = Actor.of_user(user)
    project = project_create(
        slug=slug or _slug_of(name),
        name=name,
        description=description,
        allow_overlap=allow_overlap,
        labels=labels,
        actor=actor,
    )
    membership_set(project=project, user=user, role=Membership.Role.ADMIN, actor=actor)
    if version is not None:
        deployment_set(
            project=project,
            slot=Deployment.Slot.CHAMPION,
            version=version,
            actor=actor,
            reason="Chosen when the project was made.",
        )
    return project


def _slug_of(name: str) -> str:
    """A slug that nobody has; names in other scripts than Latin have none of their own."""
    stem = slugify(name)[:40] or "project"
    taken = set(Project.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    if stem not in taken:
        return stem
    return next(slug for number in range(2, len(taken) + 3) if (slug := f"{stem}-{number}") not in taken)
