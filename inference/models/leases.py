"""Work that one process at a time does, and another takes over when it dies."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Leased(models.Model):
    """A row that one process works on.

    The lease makes that process its owner: every write of a worker names the lease's token, and a sweep
    takes the token from a process that stopped renewing it.
    """

    #: The `status` of a row that somebody works on.
    RUNNING = "running"

    attempts = models.PositiveSmallIntegerField(default=0, help_text=_("Since it last got any further."))
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
