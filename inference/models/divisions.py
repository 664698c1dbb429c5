"""What divides a project's callers among the versions that share them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from corpus.models import Project


class Division(models.Model):
    """By what one project's callers are dealt out to the slots that share them, and with which shuffle.

    A project without a row deals by subject, without a salt.
    """

    class By(models.TextChoices):
        SUBJECT = "subject", _("Subject: what the caller says, else the text")
        API_KEY = "api_key", _("API key")
        TEXT = "text", _("Text")

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, primary_key=True, related_name="division"
    )
    by = models.CharField(max_length=8, choices=By.choices, default=By.SUBJECT)
    salt = models.CharField(max_length=16, blank=True, help_text=_("Another one deals anew."))

    def __str__(self) -> str:
        return f"{self.project_id} by {self.by}"
