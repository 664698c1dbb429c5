"""What lists and counters read instead of big tables; triggers keep both (migrations 0003, 0009 and 0010)."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Document, Project

#: Words of a text are found by search as far as this. A tsvector holds 1 MiB, and the letters of a longer
#: text could exceed it (4 bytes each, three times over in addresses with hyphens), which would refuse the
#: text itself.
SEARCHED_CHARACTERS = 60_000


class Standing(models.Model):
    """Where one document stands in the review: a narrow row for lists, kept by triggers."""

    class State(models.TextChoices):
        NEW = "new", _("On its way into the queue")
        WAITING = "waiting", _("Waiting")
        DONE = "done", _("Reviewed")
        SKIPPED = "skipped", _("Skipped")
        LEFT_OUT = "left_out", _("Left out: nearly the same as another")
        ERASED = "erased", _("Erased")

    document = models.OneToOneField(
        Document,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="standing",
        # The trigger that makes the row has the document in its hands: a check for each would only cost.
        db_constraint=False,
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    state = models.CharField(max_length=8, choices=State.choices, db_default=State.NEW)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        help_text=_("Who decided last."),
    )
    arrived_at = models.DateTimeField(help_text=_("The document's `created_at`: the order of lists."))
    uncertainty = models.FloatField(null=True, blank=True, help_text=_("The model's, of its newest answer."))
    facets = ArrayField(
        models.CharField(max_length=80),
        db_default=[],
        help_text=_("What lists are filtered by: `source:…`, `language:…`, `stratum:…`, `label:…`."),
    )
    like = models.ForeignKey(
        Document,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        help_text=_("The document that this one nearly repeats."),
    )
    words = SearchVectorField(null=True, help_text=_("What search finds it by; none of an erased text."))

    class Meta:
        indexes = [
            models.Index(fields=["project", "arrived_at", "document"], name="standing_in_order"),
            # Also what the queue is filled from: the state "new", oldest first.
            models.Index(fields=["project", "state", "arrived_at", "document"], name="standing_by_state"),
            models.Index(
                fields=["project", "reviewer", "arrived_at", "document"],
                condition=Q(reviewer__isnull=False),
                name="standing_by_reviewer",
            ),
            models.Index(
                fields=["project", "uncertainty", "document"],
                condition=Q(uncertainty__isnull=False),
                name="standing_least_sure",
            ),
            models.Index(fields=["like"], condition=Q(like__isnull=False), name="standing_like"),
            GinIndex(fields=["facets"], name="standing_facets"),
            GinIndex(fields=["words"], name="standing_words"),
        ]

    def __str__(self) -> str:
        return f"{self.document_id}: {self.get_state_display()}"


class Tally(models.Model):
    """A change of a counter; the counter is their sum.

    Writers only insert, so that no two of them wait for one row; the beat adds up what has gathered.
    """

    class Kind(models.TextChoices):
        TASK = "task", _("Tasks by status and stratum")
        TEXT = "text", _("Documents by state")

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=4, choices=Kind.choices)
    state = models.CharField(max_length=8)
    stratum = models.CharField(max_length=12, blank=True, db_default="")
    change = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["project", "kind"], name="tally_of_project")]

    def __str__(self) -> str:
        return f"{self.kind} {self.state} {self.stratum} {self.change:+d}"
