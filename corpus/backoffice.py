"""What back-office pages about projects share: each person sees their projects, and refusals are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from audit.backoffice import BackOfficeAdmin, ReadOnlyAdmin
from corpus.errors import DomainError
from corpus.models import Project
from corpus.selectors import project_allows, projects_visible


class ProjectScoped(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows of the person's own projects; others are not found, even with every Django permission.

    What a person may do is asked twice: the Django permission says which kind of act, the role in the
    project says where.
    """

    project_path = "project"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        queryset = super().get_queryset(request)
        if request.user.is_superuser:
            return queryset
        return queryset.filter(self.visible_to(projects_visible(request.user)))

    def visible_to(self, projects: models.QuerySet[Project]) -> models.Q:
        """The condition under which a row belongs to one of these projects."""
        return models.Q(**{f"{self.project_path}__in": projects})

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        # PostgreSQL cannot even be asked about U+0000, and no row holds it.
        if "\x00" in search_term:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)


class ProjectRows(ProjectScoped, BackOfficeAdmin):
    """Rows of a project that use cases change."""


class ProjectHistory(ProjectScoped, ReadOnlyAdmin):
    """Rows of a project that nobody changes."""


class ProjectFilter(admin.SimpleListFilter):
    """Filter by a project that the person may see."""

    title = _("project")
    parameter_name = "project"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(projects_visible(request.user).order_by("name").values_list("slug", "name"))

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(project__slug=self.value()) if self.value() else queryset


class ReasonForm(forms.Form):
    """The one thing that an act of weight asks for."""

    reason = forms.CharField(
        max_length=500,
        widget=forms.TextInput(attrs={"class": "reason", "placeholder": "Why? It is kept in the audit log."}),
    )


def require(request: HttpRequest, *, project: Project, codename: str, permission: str) -> None:
    """Stop unless the person may do this kind of act, and in this project."""
    if not (
        request.user.has_perm(codename)
        and project_allows(project=project, user=request.user, permission=permission)
    ):
        raise PermissionDenied


def may(request: HttpRequest, *, project: Project | None, codename: str, permission: str) -> bool:
    """Whether `require` would let the person through; for showing what can be pressed."""
    return (
        project is not None
        and request.user.has_perm(codename)
        and project_allows(project=project, user=request.user, permission=permission)
    )


@contextmanager
def refusals_told(request: HttpRequest) -> Iterator[None]:
    """Turn what a use case refuses into a sentence on the next page."""
    try:
        yield
    except DomainError as refused:
        messages.error(request, refused.words)


@contextmanager
def refusals_on(form: forms.BaseForm) -> Iterator[None]:
    """Turn what a use case refuses into an error of the form, at the field that it points to."""
    try:
        yield
    except DomainError as refused:
        name = refused.pointer.rpartition("/")[2]
        form.add_error(name if name in form.fields else None, refused.words)
    except ValidationError as invalid:
        for name, problems in getattr(invalid, "error_dict", {NON_FIELD_ERRORS: invalid.error_list}).items():
            form.add_error(name if name in form.fields else None, problems)
