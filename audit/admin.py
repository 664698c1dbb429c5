"""The audit log, to be read. Reading it is a right over all projects (`audit.view_auditevent`)."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from audit.actions import ACTIONS
from audit.backoffice import ChoiceFilter, ReadOnlyAdmin
from audit.models import AuditEvent
from audit.selectors import chain_names


class ActionFilter(ChoiceFilter):
    title = _("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in ACTIONS]


class ChainFilter(ChoiceFilter):
    title = _("project or system")
    parameter_name = "chain"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in chain_names()]


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "number_in_chain", "actor_name", "action", "reason", "subject")
    list_filter: ClassVar[Any] = (ActionFilter, ChainFilter, ("actor_name", admin.AllValuesFieldListFilter))
    search_fields = ("actor", "actor_name", "subject", "reason", "request_id")
    search_help_text = _("Who, what, why or the id of a request")
    date_hierarchy = "at"
    ordering = ("-id",)
    fields = (
        "at",
        "number_in_chain",
        "actor_name",
        "actor",
        "action",
        "meaning",
        "subject",
        "reason",
        "content",
        "request_id",
        "previous_hash",
        "hash",
    )

    @admin.display(description=_("event"), ordering="number")
    def number_in_chain(self, event: AuditEvent) -> str:
        return f"{event.chain} #{event.number}"

    @admin.display(description=_("meaning"))
    def meaning(self, event: AuditEvent) -> str:
        return ACTIONS.get(event.action, "")

    @admin.display(description=_("data"))
    def content(self, event: AuditEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(event.data, indent=2, ensure_ascii=False))
