"""What is to be recognised, and in which texts."""

from __future__ import annotations

import secrets
import uuid

import pghistory
import pgtrigger
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

MOST_ANNOTATORS = 10


def new_hash_key() -> str:
    """256 random bits, hex: the key under which a project's texts are hashed."""
    return secrets.token_hex(32)


# The key is no history: a copy that outlives an erasure would let hashes be checked against guesses.
@pghistory.track(exclude=["hash_key"])
class Project(models.Model):
    """One recognition task: its label set, its texts, its people and its champion."""

    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    allow_overlap = models.BooleanField(default=False, help_text=_("May two spans of one document overlap?"))
    random_share = models.FloatField(
        default=0.2,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("Share of review tasks drawn at random. Only these may enter the test split."),
    )
    diverse_share = models.FloatField(
        default=0.2,
        db_default=0.2,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("Share of review tasks chosen for being unlike the others; at most what random leaves."),
    )
    traffic_share = models.FloatField(
        default=0.01,
        db_default=0.01,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_(
            "Share of callers' texts drawn at random for review: they tell how good live answers are."
        ),
    )
    traffic_bar = models.FloatField(
        default=0.5,
        db_default=0.5,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("A caller's text is reviewed when its least sure span is below this."),
    )
    traffic_daily_limit = models.PositiveIntegerField(
        default=200,
        db_default=200,
        help_text=_("So many unsure or badly rated texts of callers are queued a day; random ones besides."),
    )
    annotators_per_document = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_ANNOTATORS)],
        help_text=_("So many people annotate a text, each without seeing the others' work."),
    )
    overlap_share = models.FloatField(
        default=1.0,
        db_default=1.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("Share of the texts that get several annotators, drawn at random; the others get one."),
    )
    gold_share = models.FloatField(
        default=0.0,
        db_default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("Share of the texts handed out that are gold items, to see how well people annotate."),
    )
    hide_names = models.BooleanField(
        default=False,
        db_default=False,
        help_text=_('People see each other as "Annotator A" and so on; who manages the project sees names.'),
    )
    hash_key = models.CharField(max_length=64, default=new_hash_key, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("project")
        verbose_name_plural = _("projects")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(random_share__gte=0, random_share__lte=1),
                name="project_random_share_is_a_share",
            ),
            models.CheckConstraint(
                condition=Q(diverse_share__range=(0, 1), traffic_share__range=(0, 1)),
                name="project_other_shares_are_shares",
            ),
            models.CheckConstraint(
                condition=Q(
                    annotators_per_document__range=(1, MOST_ANNOTATORS),
                    overlap_share__range=(0, 1),
                    gold_share__range=(0, 1),
                ),
                name="project_team_settings_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name


@pghistory.track()
class Membership(models.Model):
    """A person's role in a project."""

    class Role(models.TextChoices):
        VIEWER = "viewer", _("Viewer")
        ANNOTATOR = "annotator", _("Annotator")
        REVIEWER = "reviewer", _("Reviewer")
        ML_OWNER = "ml_owner", _("ML owner")
        ADMIN = "admin", _("Admin")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="membership_once_per_project"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.get_role_display()} in {self.project}"


class LabelSet(models.Model):
    """One revision of a project's labels; frozen once a version or a correction uses it."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="label_sets")
    revision = models.PositiveIntegerField()
    frozen_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "-revision"]
        permissions = [("revise_labelset", "Can give a project a new revision of its labels")]
        constraints = [
            models.UniqueConstraint(fields=["project", "revision"], name="label_set_revision_once"),
        ]

    def __str__(self) -> str:
        return f"{self.project} labels, revision {self.revision}"


@pghistory.track()
class Label(models.Model):
    """A kind of entity in one revision of a label set."""

    label_set = models.ForeignKey(LabelSet, on_delete=models.CASCADE, related_name="labels")
    name = models.CharField(
        max_length=50,
        validators=[
            # O, B-x and I-x are tags of IOB2, not labels.
            RegexValidator(
                r"^(?!O$)(?![BIES]-)[^\s\x00-\x1f\u202a-\u202e\u2066-\u2069<>]+$",
                "A label is one word without spaces, and not an IOB2 tag such as O or B-x.",
            )
        ],
    )
    title = models.CharField(max_length=100, blank=True)
    hotkey = models.CharField(
        max_length=1,
        blank=True,
        validators=[RegexValidator(r"^[a-z0-9]$", "One letter a-z or digit.")],
    )
    hue = models.PositiveSmallIntegerField(default=0, help_text=_("Index into the label palette."))
    description = models.TextField(blank=True)
    guideline = models.TextField(blank=True)
    is_pii = models.BooleanField("personal data", default=False)
    confidence_threshold = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("Spans the model is less sure of are left out of API answers."),
    )
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "name"]
        constraints = [
            models.UniqueConstraint("label_set", Lower("name"), name="label_name_once_per_set"),
            models.UniqueConstraint(
                fields=["label_set", "hotkey"],
                condition=~Q(hotkey=""),
                name="label_hotkey_once_per_set",
            ),
            models.CheckConstraint(
                condition=Q(confidence_threshold__gte=0, confidence_threshold__lte=1),
                name="label_threshold_is_a_probability",
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.name


class Document(models.Model):
    """One immutable text. Offsets everywhere count its code points."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Its indexes below begin with the project.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="documents", db_index=False)
    text = models.TextField()
    text_hash = models.CharField(
        max_length=64, help_text=_("HMAC-SHA-256 of the text under the project's key.")
    )
    source = models.CharField(max_length=50, default="import")
    external_id = models.CharField(max_length=200, blank=True)
    language = models.CharField(max_length=16, default="en")
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    redacted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "text_hash"], name="document_once_per_project"),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at"], name="document_newest_first"),
        ]
        triggers = [
            # Every stored offset counts into this text: changing it would move all of them. Redaction
            # blanks it, once.
            pgtrigger.Protect(
                name="text_is_immutable",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__text__df=pgtrigger.F("new__text"), new__redacted_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.external_id or str(self.pk)[:8]
