"""Who wants to hear of what, what is to be told, and how each try went."""

from __future__ import annotations

import uuid

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from corpus.models import Project


class EventKind(models.TextChoices):
    """What a webhook can be told of. The values are the `type` of a message: they never change."""

    LOW_CONFIDENCE = "prediction.low_confidence", _("A caller's text was answered unsurely")
    CORRECTION = "correction.created", _("A correction was stored")
    PROMOTED = "model.promoted", _("Another model version became champion")
    TRAINED = "training.finished", _("A training ended")
    JUDGED = "gate.judged", _("The gate judged a candidate")
    ROLLOUT_STEP = "rollout.step", _("A rollout went on, waits or ended")
    ROLLED_BACK = "rollout.rolled_back", _("A rollout was taken back")
    ARM_DROPPED = "experiment.arm_dropped", _("An experiment went on without a version that was worse")
    EXPERIMENT_ENDED = "experiment.ended", _("An experiment ended")
    DRIFTED = "drift.detected", _("Texts drifted from those of the training")


#: What channels tell people of: not every single correction and answer.
FOR_PEOPLE = [kind for kind in EventKind if kind not in (EventKind.LOW_CONFIDENCE, EventKind.CORRECTION)]
#: What a channel tells: one or more events, in sentences.
MESSAGE = "channel.message"
#: What `webhook_test` sends: to every webhook, whatever it has chosen.
TEST = "webhook.test"


# Not the address: what follows its host is often a secret, and history is for ever.
@pghistory.track(
    fields=["name", "kinds", "off_at", "off_reason", "secret_number", "former_secret_until"],
    model_name="WebhookEvent",
)
class Webhook(models.Model):
    """An address that wants to hear of some events of one project: another system's, or people's (`Channel`).

    The secret that messages to systems are signed with is not stored: it is derived from the id and
    `secret_number` (webhooks.signing).
    """

    class Form(models.TextChoices):
        SIGNED = "signed", _("Signed JSON for systems")
        SLACK = "slack", _("Slack, Mattermost and the like")
        MAIL = "mail", _("E-mail")

    class Language(models.TextChoices):
        EN = "en", "English"
        DE = "de", "Deutsch"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=100)
    form = models.CharField(max_length=6, choices=Form.choices, default=Form.SIGNED, db_default=Form.SIGNED)
    url = models.CharField(max_length=500, help_text=_("Mail addresses stand behind mailto:"))
    language = models.CharField(
        max_length=2,
        choices=Language.choices,
        default=Language.EN,
        db_default=Language.EN,
        help_text=_("Of sentences for people."),
    )
    kinds = ArrayField(models.CharField(max_length=40, choices=EventKind.choices))
    secret_number = models.PositiveIntegerField(default=1, help_text=_("Grows with every new secret."))
    former_secret_until = models.DateTimeField(
        null=True, blank=True, help_text=_("Until then messages are signed with the secret before, too.")
    )
    off_at = models.DateTimeField(null=True, blank=True)
    off_reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    # How far it has read (webhooks.services.events).
    read_number = models.PositiveBigIntegerField(
        default=0, help_text=_("The last event of the project's audit chain that was read.")
    )
    read_urgent = models.PositiveBigIntegerField(
        default=0,
        db_default=0,
        help_text=_("The last event that was looked at for a rollback: those do not wait for others."),
    )
    read_until = models.DateTimeField(db_default=Now(), help_text=_("Predictions before it were read."))
    read_prediction = models.UUIDField(
        null=True, blank=True, help_text=_("The last one read of that moment.")
    )

    # How its address is (webhooks.services.deliveries).
    failing_since = models.DateTimeField(
        null=True, blank=True, help_text=_("The first failure after the last success.")
    )
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text=_("It did not answer: nothing is sent until then.")
    )
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=~Q(kinds=[]), name="webhook_hears_of_something"),
            models.CheckConstraint(
                condition=Q(off_at__isnull=True, off_reason="")
                | (Q(off_at__isnull=False) & ~Q(off_reason="")),
                name="webhook_off_says_why",
            ),
            models.CheckConstraint(
                condition=Q(form="mail", url__startswith="mailto:")
                | (~Q(form="mail") & ~Q(url__startswith="mailto:")),
                name="webhook_mails_to_mail_addresses",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_for_people(self) -> bool:
        """Are they sentences, several events in one?"""
        return self.form != self.Form.SIGNED

    @property
    def noun(self) -> str:
        """What people call it, in the audit log and in the addresses of pages."""
        return "channel" if self.is_for_people else "webhook"


class Channel(Webhook):
    """A webhook whose messages are sentences for people: an e-mail or a post to a chat.

    The same rows, told by the same workers; its own pages and permissions.
    """

    class Meta:
        proxy = True
        verbose_name = _("channel")
        verbose_name_plural = _("channels")


class PlannedChange(models.Model):
    """A time in which a project's channels keep quiet, because somebody changes something on purpose.

    Rollbacks are told nevertheless, and one summary follows at the end.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="planned_changes")
    begins_at = models.DateTimeField(help_text=_("UTC"))
    ends_at = models.DateTimeField(help_text=_("UTC"))
    reason = models.CharField(max_length=500)
    by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("planned change")
        verbose_name_plural = _("planned changes")
        ordering = ["-begins_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gte=models.F("begins_at")), name="planned_change_ends_after_it_begins"
            ),
        ]
        indexes = [models.Index(fields=["project", "-ends_at"], name="planned_change_by_end")]

    def __str__(self) -> str:
        return self.reason


class Delivery(models.Model):
    """One event that one webhook is told: the message, and where it stands."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DELIVERED = "delivered", _("Delivered")
        DEAD = "dead", _("Given up")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=100, help_text=_("What happened, once per webhook."))
    kind = models.CharField(
        max_length=40,
        choices=[*EventKind.choices, (TEST, _("A test")), (MESSAGE, _("A message to people"))],
    )
    occurred_at = models.DateTimeField()
    data = models.JSONField(help_text=_("Ids and numbers; never a text."))
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now(), help_text=_("When it is tried next."))
    retry_from = models.DateTimeField(db_default=Now(), help_text=_("The day of tries begins here."))
    retry_number = models.PositiveIntegerField(default=0, help_text=_("Tries since then."))
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["webhook", "event"], name="delivery_once_per_webhook_and_event"),
            models.CheckConstraint(
                condition=Q(status="waiting", ended_at__isnull=True)
                | (~Q(status="waiting") & Q(ended_at__isnull=False)),
                name="delivery_ended_or_waits",
            ),
        ]
        indexes = [
            models.Index(
                fields=["webhook", "due_at"], condition=Q(status="waiting"), name="delivery_waiting_by_due"
            ),
            models.Index(fields=["-created_at"], name="delivery_newest_first"),
            models.Index(fields=["ended_at"], name="delivery_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {str(self.pk)[:8]}"

    @property
    def message_id(self) -> str:
        """The `webhook-id`: the same for every try, so that a receiver can tell a repetition."""
        return f"msg_{self.pk.hex}"


class Attempt(models.Model):
    """One try to deliver. It is written before anything is sent: a try whose process was killed stays."""

    class Outcome(models.TextChoices):
        STARTED = "started", _("Begun; its end was never heard of")
        OK = "ok", _("Accepted")
        STATUS = "status", _("Refused")
        REDIRECT = "redirect", _("Sent elsewhere, which is not followed")
        ADDRESS = "address", _("An address that nothing is sent to")
        UNRESOLVED = "unresolved", _("The host has no address")
        UNREACHED = "unreached", _("No connection")
        TLS = "tls", _("No trusted TLS connection")
        TIMEOUT = "timeout", _("No answer in time")
        GARBLED = "garbled", _("No answer that makes sense")

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    number = models.PositiveIntegerField()
    outcome = models.CharField(max_length=12, choices=Outcome.choices, default=Outcome.STARTED)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    excerpt = models.CharField(
        max_length=200, blank=True, help_text=_("How the answer of a refusal began, or what went wrong.")
    )
    milliseconds = models.PositiveIntegerField(null=True, blank=True)
    started_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["delivery", "number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number_once_per_delivery"),
        ]

    def __str__(self) -> str:
        return f"try {self.number}: {self.get_outcome_display()}"
