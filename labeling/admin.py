"""What waits for people, to be looked at; the work itself happens in the workbench."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models.functions import Left
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from corpus.backoffice import ProjectFilter, ProjectHistory
from labeling.models import Assignment, Task
from labeling.selectors import EXCERPT, task_reason

STATES = {Task.Status.OPEN: "busy", Task.Status.DONE: "good", Task.Status.SKIPPED: ""}


@admin.register(Task)
class TaskAdmin(ProjectHistory):
    list_display = ("excerpt", "project", "state", "why", "held_by", "created_at", "closed_at")
    list_filter: ClassVar[Any] = (ProjectFilter, "status", "stratum")
    list_select_related = ("project", "claimed_by")
    search_fields = ("document__external_id", "claimed_by__username")
    search_help_text = _("The document's external id, or who holds it")
    fields = (
        "project",
        "document",
        "state",
        "why",
        "held_by",
        "lease_expires_at",
        "skip_reason",
        "prediction",
        "correction",
        "workbench",
        "created_at",
        "closed_at",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(head=Left("document__text", EXCERPT))

    @admin.display(description=_("text"))
    def excerpt(self, task: Task) -> str:
        head = str(task.head)  # type: ignore[attr-defined]
        return f"{head}…" if len(head) == EXCERPT else head

    @admin.display(description=_("state"), ordering="status")
    def state(self, task: Task) -> SafeString:
        state = STATES[Task.Status(task.status)]
        return format_html('<span class="state {}">{}</span>', state, task.get_status_display())

    @admin.display(description=_("why it is here"), ordering="priority")
    def why(self, task: Task) -> str:
        return task_reason(task)

    @admin.display(description=_("held by"), ordering="claimed_by")
    def held_by(self, task: Task) -> str:
        return str(task.claimed_by) if task.claimed_by is not None else "–"

    @admin.display(description=_("open it"))
    def workbench(self, task: Task) -> SafeString:
        address = reverse("labeling:review", args=[task.project.slug])
        return format_html('<a href="{}?task={}">in the workbench</a>', address, task.pk)


@admin.register(Assignment)
class AssignmentAdmin(ProjectHistory):
    list_display = ("task", "project", "user", "state", "is_kept", "is_gold", "created_at", "closed_at")
    list_filter: ClassVar[Any] = (ProjectFilter, "state", "is_kept", "is_gold")
    list_select_related = ("project", "task", "user")
    search_fields = ("user__username",)
    search_help_text = _("Whose")
    fields = (
        "project",
        "task",
        "user",
        "state",
        "is_kept",
        "is_gold",
        "assigned_by",
        "opinion",
        "skip_reason",
        "created_at",
        "closed_at",
    )
