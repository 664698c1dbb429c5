"""What the commands of all apps share: which project is meant, and refusals in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from corpus.errors import DomainError
from corpus.models import Project


def project_named(slug: str) -> Project:
    """A project by its slug; where there is none, the error names those that there are."""
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no project {slug} (known: {known}).")
    return project


@contextmanager
def refusals_told() -> Iterator[None]:
    """Turn what a use case refuses into a line for the console."""
    try:
        yield
    except DomainError as error:
        raise CommandError(error.detail) from error
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
