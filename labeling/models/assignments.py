"""Who works on which text, where it is more than whoever comes first."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from feedback.models import Opinion
from labeling.models.tasks import Task


class Assignment(models.Model):
    """One person's part in one task: kept for them, in their hands, done or skipped.

    A task for one reviewer needs none, unless it is kept for somebody. A task for several annotators has
    one for each of them; so has a gold item that is slipped in, on a task that is closed for all others.
    """

    class State(models.TextChoices):
        ASSIGNED = "assigned", _("Assigned")
        OPEN = "open", _("In hand")
        DONE = "done", _("Done")
        SKIPPED = "skipped", _("Skipped")

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="assignments")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="assignments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assignments")
    state = models.CharField(max_length=8, choices=State.choices)
    is_kept = models.BooleanField(
        default=False,
        help_text=_("Kept for this person, by hand or by a rule; an ended lease changes nothing."),
    )
    is_gold = models.BooleanField(default=False, help_text=_("A gold item: it measures and decides nothing."))
    assigned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    opinion = models.OneToOneField(
        Opinion, on_delete=models.PROTECT, null=True, blank=True, related_name="assignment"
    )
    skip_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        ordering = ["id"]
        constraints = [
            # Nobody gets the same text twice, and two claims at once cannot give it to one person twice.
            models.UniqueConstraint(fields=["task", "user"], name="assignment_once_per_task_and_person"),
        ]
        indexes = [
            models.Index(
                fields=["project", "user", "id"],
                condition=Q(state__in=["assigned", "open"]),
                name="assignment_waiting_for",
            ),
            models.Index(
                fields=["project", "lease_expires_at"],
                condition=Q(state="open", is_kept=False),
                name="assignment_lease",
            ),
            models.Index(fields=["project", "user", "-closed_at"], name="assignment_closed_by"),
        ]

    def __str__(self) -> str:
        return f"task {self.task_id} for {self.user_id} ({self.get_state_display()})"


class AssignmentRule(models.Model):
    """Whom new texts of a kind are kept for; the first rule that fits a text decides."""

    class Method(models.TextChoices):
        ROUND_ROBIN = "round_robin", _("In turn")
        LOAD = "load", _("Whoever has the least waiting")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assignment_rules")
    source = models.CharField(max_length=50, blank=True, help_text=_("Only texts of this source."))
    language = models.CharField(max_length=16, blank=True, help_text=_("Only texts in this language."))
    method = models.CharField(max_length=12, choices=Method.choices, default=Method.ROUND_ROBIN)
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    turn = models.PositiveIntegerField(default=0, help_text=_("How many texts it has given out."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return (
            f"{self.get_method_display()}: {self.source or 'any source'}, {self.language or 'any language'}"
        )
