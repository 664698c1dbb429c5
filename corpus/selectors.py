"""Reading projects, labels and documents. Every view starts from a `..._visible` query here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from corpus.errors import AccountAmbiguous, AccountOff, AccountUnknown, NotFound, Refused
from corpus.models import Document, Label, LabelSet, Membership, Project

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

Role = Membership.Role

#: What each role may do in its project. Superusers may do everything everywhere. Whoever exports takes every
#: text and label along, so an annotator does not; what is imported becomes training material, so that is for
#: those who answer for the model.
PERMISSIONS: dict[str, frozenset[str]] = {
    Role.VIEWER: frozenset({"view"}),
    Role.ANNOTATOR: frozenset({"view", "review"}),
    Role.REVIEWER: frozenset({"view", "review", "adjudicate", "export"}),
    Role.ML_OWNER: frozenset({"view", "review", "adjudicate", "export", "import", "train", "promote"}),
    Role.ADMIN: frozenset({"view", "review", "adjudicate", "export", "import", "train", "promote", "manage"}),
}


def projects_visible(user: User | AnonymousUser) -> QuerySet[Project]:
    """The projects a person may see."""
    if not user.is_authenticated or not user.is_active:
        return Project.objects.none()
    if user.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(memberships__user=user)


def permissions_in(*, project: Project, user: User | AnonymousUser) -> frozenset[str]:
    """All that this person may do in this project."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return frozenset().union(*PERMISSIONS.values())
    roles = Membership.objects.filter(project=project, user=user).values_list("role", flat=True)
    return frozenset().union(*(PERMISSIONS[role] for role in roles))


def project_allows(*, project: Project, user: User | AnonymousUser, permission: str) -> bool:
    """May this person do this in this project?"""
    return permission in permissions_in(project=project, user=user)


def project_require(*, project: Project, user: User | AnonymousUser, permission: str) -> None:
    """Raise Refused unless the person may do this in the project."""
    if not project_allows(project=project, user=user, permission=permission):
        raise Refused()


def project_get(*, slug: str, user: User | AnonymousUser) -> Project:
    """A project by its slug; NotFound when absent or not the person's to see."""
    project = projects_visible(user).filter(slug=slug).first()
    if project is None:
        raise NotFound()
    return project


def label_set_current(*, project: Project) -> LabelSet:
    """The newest revision of the project's labels, with the labels prefetched."""
    label_set = project.label_sets.order_by("-revision").prefetch_related("labels").first()
    if label_set is None:
        raise NotFound()
    return label_set


def labels_of(*, label_set: LabelSet) -> list[Label]:
    """The labels of a revision in the order people see them."""
    return list(label_set.labels.all())


def document_get(*, project: Project, document_id: UUID | str) -> Document:
    """A document of the project, or NotFound."""
    document = Document.objects.filter(project=project, pk=document_id).first()
    if document is None:
        raise NotFound()
    return document


def account_find(*, name: str) -> User:
    """An account in use by its user name or e-mail address, in whatever case it was typed.

    Raises AccountUnknown, AccountAmbiguous or AccountOff.
    """
    name = name.strip()
    accounts = get_user_model().objects
    # No text column holds U+0000, and the empty address is that of everybody who gave none.
    can_be = bool(name) and "\x00" not in name
    found = list(accounts.filter(username=name)) if can_be else []
    if can_be and not found:
        found = list(accounts.filter(Q(username__iexact=name) | Q(email__iexact=name))[:2])
    if not found:
        raise AccountUnknown(pointer="/name", name=name[:150])
    if len(found) > 1:
        raise AccountAmbiguous(pointer="/name", name=name)
    if not found[0].is_active:
        raise AccountOff(pointer="/name", name=name)
    return found[0]
