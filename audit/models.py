"""The append-only, hash-chained record of who did what, and why."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

#: Triggers of a table whose rows are history: nobody who respects triggers changes or removes them. The
#: application role has no such right either (nerapp's `prepare_database`); the two fail independently.
APPEND_ONLY = [
    pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
    pgtrigger.Trigger(
        name="no_truncate",
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        func="RAISE EXCEPTION 'append-only: cannot truncate %', TG_TABLE_NAME;",
    ),
]


class AuditEvent(models.Model):
    """One use case that happened: who did what to what, why, and with which result.

    Events of one chain (a project's slug, or "system") are numbered without gaps, and each hash covers
    the hash before it. Actor and subject are plain text, so an event outlives what it describes; `data`
    holds references and numbers, never the text of a document.
    """

    chain = models.CharField(max_length=64)
    number = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=100, help_text=_("user:<id>, key:<id> or system"))
    actor_name = models.CharField(max_length=200)
    action = models.CharField(max_length=50)
    subject = models.CharField(max_length=200, help_text=_("app.model:<primary key>"))
    reason = models.TextField(blank=True)
    data = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["chain", "number"], name="audit_one_event_per_number"),
            models.CheckConstraint(condition=Q(number__gte=1), name="audit_numbers_start_at_one"),
        ]
        indexes = [
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.chain} #{self.number}: {self.action} by {self.actor_name}"
