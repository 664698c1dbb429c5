"""API keys: what a machine signs its requests with."""

from __future__ import annotations

import uuid

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Project


@pghistory.track(exclude=["digest", "last_used_at"])
class ApiKey(models.Model):
    """A caller's key to one project. The secret is shown once; its keyed hash is kept."""

    class Scope(models.TextChoices):
        PREDICT = "predict", _("Ask for predictions")
        FEEDBACK = "feedback", _("Send corrections and ratings")
        MODELS = "models", _("Read model versions")
        ROUTE = "route", _("Choose a version or slot")
        TRAFFIC = "traffic", _("Bring versions to callers")
        IMPORT = "import", _("Bring labelled texts in")
        EXPORT = "export", _("Take labelled texts out")
        OPS = "ops", _("Read metrics and detailed health")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20, help_text=_("The first characters, to tell keys apart."))
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices), default=list)
    internal = models.BooleanField(
        default=False,
        db_default=False,
        help_text=_(
            "Its requests are our own: always answered by the champion, and counted in no experiment."
        ),
    )
    rate_per_hour = models.PositiveIntegerField(default=1000)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"],
                # A revoked key gives its name free: a rotation keeps the name.
                condition=Q(revoked_at__isnull=True),
                name="api_key_name_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
