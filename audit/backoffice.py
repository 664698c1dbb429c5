"""What the pages of the back office share: rows that nobody edits, and the history of each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from audit.selectors import events_of

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: So many entries of a history are shown; older ones are in the audit log.
HISTORY_LENGTH = 200


@dataclass(frozen=True, slots=True)
class RowChange:
    """One change of a row, kept by a trigger of the database: which fields became what."""

    at: datetime
    label: str
    fields: list[tuple[str, Any, Any]]


class QuietForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose labels end without a colon."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})


class BackOfficeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A page of the back office. Nothing is deleted here, and use cases change what is changed."""

    #: What the button above the list says; empty for "New ...".
    add_words: StrPromise | str = ""
    actions = None
    list_per_page = 50
    show_full_result_count = False
    view_on_site = False
    form: type[forms.ModelForm[Any]] = QuietForm
    show_facets = admin.ShowFacets.NEVER

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Django's own log stays empty: the audit log has it, with its reason."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """See `log_addition`."""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        # One way to save is enough.
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Why the row came to be as it is (audit log), and what exactly changed (row history)."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("History of {row}").format(row=row),
            "opts": self.opts,
            "object": row,
            "module_name": capfirst(self.opts.verbose_name_plural),
            "events": events_of(row)[:HISTORY_LENGTH],
            "changes": list(row_changes(row)),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/row_history.html", context)


class ReadOnlyAdmin(BackOfficeAdmin):
    """Rows that are history: they are looked at, never added or changed by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class ChoiceFilter(admin.SimpleListFilter):
    """Filter a list by the equality of one column; a subclass names the choices."""

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


def row_changes(row: models.Model) -> Iterator[RowChange]:
    """The changes that django-pghistory kept of a row, newest first; none where it does not track."""
    kept = getattr(row, "events", None)
    if kept is None or not hasattr(kept.model, "pgh_obj_id"):
        return
    names = [
        field.attname
        for field in kept.model._meta.concrete_fields
        # What nobody may edit are ids, times and secrets: nothing that a reader of changes looks for.
        if not field.name.startswith("pgh_")
        and field.editable
        and not field.primary_key
        and field.name != "id"
    ]
    versions = list(kept.order_by("-pgh_id")[: HISTORY_LENGTH + 1])
    for newer, older in zip(versions, [*versions[1:], None], strict=True):
        fields = [
            (name, getattr(older, name) if older else None, getattr(newer, name))
            for name in names
            if older is None or getattr(older, name) != getattr(newer, name)
        ]
        yield RowChange(at=newer.pgh_created_at, label=newer.pgh_label, fields=fields)
