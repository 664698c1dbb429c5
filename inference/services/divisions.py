"""By what a project's callers are dealt out to the versions that share them."""

from __future__ import annotations

from django.db import transaction

from audit.services import Actor, event_record
from corpus.models import Project
from inference.errors import ReasonRequired
from inference.models import Division


@transaction.atomic
def callers_divide(*, project: Project, by: str, salt: str, actor: Actor, reason: str) -> Division:
    """Deal a project's callers anew: by this, with this salt. In every process within seconds.

    Without a salt and by subject is how it is where nobody has chosen; that leaves no row.
    """
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")
    division = Division(project=project, by=Division.By(by), salt=salt)
    if by == Division.By.SUBJECT and not salt:
        Division.objects.filter(pk=project.pk).delete()
    else:
        Division.objects.update_or_create(project=project, defaults={"by": by, "salt": salt})
    event_record(
        action="callers.divide",
        actor=actor,
        subject=project,
        chain=project.slug,
        reason=reason.strip(),
        data={"by": by, "salt": salt},
    )
    return division
