"""Under which name people see each other, where a project hides names from all but its admins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from corpus.models import Membership, Project
from corpus.selectors import PERMISSIONS, project_allows

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: How one person's name reads to another; empty for nobody.
Naming = Callable[["User | None"], str]


def letter(place: int) -> str:
    """A, B, ..., Z, AA, AB, ...: a name that tells nothing."""
    name = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, len(ascii_uppercase))
        name = ascii_uppercase[rest] + name
    return name


def members_of(*, project: Project) -> list[Membership]:
    """The people of a project in the order in which they came."""
    return list(project.memberships.select_related("user").order_by("pk"))


def sees_names(*, project: Project, viewer: User) -> bool:
    """May this person know who is who? Whoever manages the project always may."""
    return not project.hide_names or project_allows(project=project, user=viewer, permission="manage")


def members_shown(*, project: Project, viewer: User) -> list[tuple[Membership, str]]:
    """The people of a project, each under the name that the viewer sees: their own always."""
    may_see = sees_names(project=project, viewer=viewer)
    return [
        (
            member,
            str(member.user)
            if may_see or member.user_id == viewer.pk
            else _("Reviewer %(letter)s") % {"letter": letter(place)},
        )
        for place, member in enumerate(members_of(project=project))
    ]


def names_shown(*, project: Project, viewer: User) -> dict[int, str]:
    """The same by the person's primary key."""
    return {member.user_id: name for member, name in members_shown(project=project, viewer=viewer)}


def annotating(*, project: Project, viewer: User) -> Callable[[Sequence[int]], list[str]]:
    """How those who annotated one text are called, given in their order.

    With hidden names A, B, ... in that order, for everybody: nobody is known by a letter.
    """
    shown = {} if project.hide_names else names_shown(project=project, viewer=viewer)

    def names(people: Sequence[int]) -> list[str]:
        return [
            shown.get(person) or _("Annotator %(letter)s") % {"letter": letter(place)}
            for place, person in enumerate(people)
        ]

    return names


def naming(*, project: Project, viewer: User) -> Naming:
    """The same for whoever comes up in a list, also people who are no members any more.

    Where names are not hidden it asks the database nothing.
    """
    if sees_names(project=project, viewer=viewer):
        return lambda person: str(person or "")
    shown = names_shown(project=project, viewer=viewer)

    def name(person: User | None) -> str:
        if person is None or person.pk == viewer.pk:
            return str(person or "")
        return shown.get(person.pk) or _("somebody")

    return name


def reviewers_of(members: list[tuple[Membership, str]]) -> dict[int, str]:
    """Those of `members_shown` to whom a text can be given."""
    return {one.user_id: name for one, name in members if "review" in PERMISSIONS[one.role]}
