"""Webhooks in the back office: made with a secret shown once, tested, switched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from audit.services import Actor
from corpus.backoffice import (
    ProjectFilter,
    ProjectRows,
    ReasonForm,
    may,
    refusals_on,
    refusals_told,
    require,
)
from corpus.models import Project
from corpus.selectors import projects_visible
from webhooks.advice import advice
from webhooks.models import Delivery, EventKind, Webhook
from webhooks.selectors import last_failure
from webhooks.sentences import headline
from webhooks.services import (
    webhook_change,
    webhook_create,
    webhook_rotate,
    webhook_switch_off,
    webhook_switch_on,
    webhook_test,
)

Status = Delivery.Status

STATES: dict[str, str] = {Status.WAITING: "busy", Status.DELIVERED: "good", Status.DEAD: "bad"}
#: The deliveries that a webhook's page shows.
NEWEST = 10


class WebhookForm(forms.Form):
    """Where a webhook leads and what it hears of."""

    name = forms.CharField(
        max_length=100, label=_("Name"), help_text=_("Who or what listens there, to know it again later.")
    )
    url = forms.CharField(
        max_length=500,
        label=_("Address"),
        help_text=_("Begins with https:// and leads to the public internet."),
        widget=forms.URLInput,
    )
    kinds = forms.MultipleChoiceField(
        choices=EventKind.choices, widget=forms.CheckboxSelectMultiple, label=_("Hears when")
    )


class NewWebhookForm(WebhookForm):
    """The same, and whose events."""

    project = forms.ModelChoiceField(Project.objects.none(), label=_("Project"), empty_label=None)
    field_order = ("project", "name", "url", "kinds")

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["project"]
        field.queryset = projects


def state_of(webhook: Webhook) -> tuple[str, str]:
    """How a webhook is: a colour and a word."""
    if webhook.off_at is not None:
        return "bad", gettext("switched off")
    if webhook.failing_since is not None:
        return "warn", gettext("failing")
    return "good", gettext("on")


def told_by(delivery: Delivery) -> str:
    """What it tells: a sentence to people, and to systems the name of the event."""
    return headline(delivery) if delivery.webhook.is_for_people else delivery.kind


def page_of(webhook: Webhook) -> str:
    """Where a webhook or a channel is looked at."""
    return reverse(f"admin:webhooks_{webhook.noun}_change", args=[webhook.pk])


def changing(webhook: Webhook) -> str:
    """The permission to change it, and to send to it."""
    return f"webhooks.change_{webhook.noun}"


@admin.register(Webhook)
class WebhookAdmin(ProjectRows):
    list_display: Any = ("name", "project", "state", "leads_to", "hears_of", "waiting", "dead", "created_at")
    list_filter: ClassVar[Any] = (ProjectFilter,)
    list_select_related = ("project",)
    search_fields: ClassVar[Any] = ("name", "url")
    search_help_text = _("A name or a part of an address")
    change_form_template = "admin/webhooks/webhook_page.html"
    fields = ()
    #: Channels are rows of the same table, with pages of their own.
    rows = Q(form=Webhook.Form.SIGNED)

    def has_change_permission(self, request: HttpRequest, obj: Webhook | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Webhook]:
        # Counted one by one: a join of both would multiply them.
        counts = {
            f"{status}_count": Subquery(
                Delivery.objects.filter(webhook=OuterRef("pk"), status=status)
                .order_by()
                .values("webhook")
                .annotate(count=Count("pk"))
                .values("count")
            )
            for status in (Status.WAITING, Status.DEAD)
        }
        queryset: QuerySet[Webhook] = super().get_queryset(request)
        return queryset.filter(self.rows).select_related("project").annotate(**counts)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            *(
                path(f"<uuid:pk>/{name}/", wrap(view), name=f"webhooks_{self.opts.model_name}_{name}")
                for name, view in self.acts().items()
            ),
            *super().get_urls(),
        ]

    def acts(self) -> dict[str, Callable[..., HttpResponse]]:
        """What can be done on a row's page."""
        return {
            "edit": self.edit_view,
            "test": self.test_view,
            "rotate": self.rotate_view,
            "switch_off": self.switch_off_view,
            "switch_on": self.switch_on_view,
        }

    @admin.display(description=_("state"))
    def state(self, webhook: Webhook) -> SafeString:
        return format_html('<span class="state {}">{}</span>', *state_of(webhook))

    @admin.display(description=_("address"), ordering="url")
    def leads_to(self, webhook: Webhook) -> str:
        return webhook.url

    @admin.display(description=_("hears of"))
    def hears_of(self, webhook: Webhook) -> str:
        return ", ".join(webhook.kinds)

    @admin.display(description=_("waiting"))
    def waiting(self, webhook: Webhook) -> int:
        return getattr(webhook, "waiting_count", None) or 0

    @admin.display(description=_("given up"))
    def dead(self, webhook: Webhook) -> SafeString | int:
        count = getattr(webhook, "dead_count", None) or 0
        if not count:
            return 0
        query = {"webhook__id__exact": webhook.pk, "status__exact": str(Status.DEAD)}
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:webhooks_delivery_changelist", query=query), count
        )

    # --- Making and changing ---

    @method_decorator(never_cache)
    @method_decorator(sensitive_variables("secret"))
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Make a webhook. The answer to this one request shows its secret; no page does afterwards."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewWebhookForm(request.POST or None, projects=projects_visible(request.user).order_by("name"))
        if request.method == "POST" and form.is_valid():
            project = form.cleaned_data["project"]
            require(request, project=project, codename="webhooks.add_webhook", permission="manage")
            with refusals_on(form):
                webhook, secret = webhook_create(**form.cleaned_data, actor=Actor.of_user(request.user))
                return self._secret_page(request, webhook, secret)
        return self._form_page(
            request,
            form,
            title=_("New webhook"),
            act=_("Make the webhook"),
            explanation=_(
                "What happens from then on is sent there, signed. The secret to verify it with is shown "
                "once, on the next page."
            ),
            back=reverse("admin:webhooks_webhook_changelist"),
        )

    def edit_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Change its name, its address or what it hears of."""
        webhook = self._webhook(request, pk)
        page = page_of(webhook)
        form = WebhookForm(
            request.POST or None,
            initial={"name": webhook.name, "url": webhook.url, "kinds": webhook.kinds},
        )
        if request.method == "POST" and form.is_valid():
            with refusals_on(form):
                webhook_change(webhook=webhook, **form.cleaned_data, actor=Actor.of_user(request.user))
                messages.success(request, _("Saved."))
                return redirect(page)
        return self._form_page(request, form, title=webhook.name, act=_("Save"), explanation="", back=page)

    @method_decorator(require_POST)
    @method_decorator(never_cache)
    @method_decorator(sensitive_variables("secret"))
    def rotate_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """A new secret, shown once."""
        webhook, secret = webhook_rotate(
            webhook=self._webhook(request, pk), actor=Actor.of_user(request.user)
        )
        return self._secret_page(request, webhook, secret)

    @method_decorator(require_POST)
    def test_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Send a message that says nothing, and show how it fares."""
        delivery = webhook_test(webhook=self._webhook(request, pk), actor=Actor.of_user(request.user))
        return redirect("admin:webhooks_delivery_change", delivery.pk)

    @method_decorator(require_POST)
    def switch_off_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Tell it nothing more, saying why."""
        webhook = self._webhook(request, pk)
        with refusals_told(request):
            webhook_switch_off(
                webhook=webhook, actor=Actor.of_user(request.user), reason=request.POST.get("reason", "")
            )
            messages.success(request, _("{name} is switched off.").format(name=webhook.name))
        return redirect(page_of(webhook))

    @method_decorator(require_POST)
    def switch_on_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Tell it again."""
        webhook = webhook_switch_on(webhook=self._webhook(request, pk), actor=Actor.of_user(request.user))
        messages.success(
            request, _("{name} is on: it hears what happens from now on.").format(name=webhook.name)
        )
        return redirect(page_of(webhook))

    # --- Pages ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        webhook = self.get_object(request, object_id)
        if webhook is not None:
            colour, word = state_of(webhook)
            extra_context = {
                **(extra_context or {}),
                "title": webhook.name,
                "subtitle": None,
                "webhook": webhook,
                "state": colour,
                "state_word": word,
                "kinds": [EventKind(kind) for kind in webhook.kinds],
                "failed": (failed := last_failure(webhook) if webhook.failing_since else None),
                "advice": advice(failed, form=webhook.form) if failed else "",
                "both_secrets": webhook.former_secret_until is not None
                and webhook.former_secret_until > timezone.now(),
                "newest": [
                    (delivery, told_by(delivery), STATES[delivery.status])
                    for delivery in webhook.deliveries.order_by("-created_at", "id")[:NEWEST]
                ],
                "reason_form": ReasonForm(),
                "may_change": may(
                    request, project=webhook.project, codename=changing(webhook), permission="manage"
                ),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def _webhook(self, request: HttpRequest, pk: Any) -> Webhook:
        """The webhook of an act, for who may change it."""
        webhook: Webhook | None = self.get_object(request, str(pk))
        if webhook is None:
            raise PermissionDenied
        require(request, project=webhook.project, codename=changing(webhook), permission="manage")
        return webhook

    def _form_page(self, request: HttpRequest, form: forms.Form, **words: Any) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form, **words}
        return TemplateResponse(request, "admin/act.html", context)

    @sensitive_variables("secret")
    def _secret_page(self, request: HttpRequest, webhook: Webhook, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": webhook.name,
            "webhook": webhook,
            "secret": secret,
            "back": reverse("admin:webhooks_webhook_change", args=[webhook.pk]),
        }
        return TemplateResponse(request, "admin/webhooks/secret.html", context)
