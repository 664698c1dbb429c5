"""Channels and planned changes in the back office: who is told what, and when to keep quiet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
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
from django.views.decorators.http import require_POST

from audit.services import Actor
from corpus.backoffice import ProjectFilter, ProjectRows, may, refusals_on, require
from corpus.models import Project
from corpus.selectors import projects_visible
from webhooks.addresses import target_of
from webhooks.errors import AddressRefused
from webhooks.mail import recipients_of
from webhooks.models import FOR_PEOPLE, Channel, PlannedChange, Webhook
from webhooks.selectors import quiet_until
from webhooks.services import channel_change, channel_create, planned_change_create, planned_change_end
from webhooks.webhook_admin import WebhookAdmin, page_of

Form = Webhook.Form


class ChannelForm(forms.Form):
    """Where a channel leads, and what it tells in which language."""

    name = forms.CharField(max_length=100, label=_("Name"), help_text=_("Who reads it."))
    url = forms.CharField(max_length=480, label=_("Address"))
    language = forms.ChoiceField(choices=Webhook.Language.choices, label=_("Language"))
    kinds = forms.MultipleChoiceField(
        choices=[(kind.value, kind.label) for kind in FOR_PEOPLE],
        initial=[kind.value for kind in FOR_PEOPLE],
        widget=forms.CheckboxSelectMultiple,
        label=_("Tells when"),
    )


class NewChannelForm(ChannelForm):
    """The same, and whose events in which form."""

    project = forms.ModelChoiceField(Project.objects.none(), label=_("Project"), empty_label=None)
    form = forms.ChoiceField(
        choices=[(form.value, form.label) for form in (Form.MAIL, Form.SLACK)], label=_("How")
    )
    field_order = ("project", "name", "form", "url", "language", "kinds")

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["project"]
        field.queryset = projects
        self.fields["url"].help_text = _(
            "Mail addresses separated by commas, or the address of an incoming webhook: it begins with "
            "https://, and is shown in full here only."
        )


class PlannedChangeForm(forms.Form):
    """Whose channels keep quiet, when, and why."""

    project = forms.ModelChoiceField(Project.objects.none(), label=_("Project"), empty_label=None)
    begins_at = forms.DateTimeField(label=_("From (UTC)"), initial=timezone.now)
    ends_at = forms.DateTimeField(label=_("Until (UTC)"), help_text=_("Seven days at most."))
    reason = forms.CharField(max_length=500, label=_("Why"), help_text=_("It is kept in the audit log."))

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["project"]
        field.queryset = projects


def addresses_of_people(channel: Webhook) -> list[str]:
    """Where a channel leads: people's addresses, or the host, for what follows it is a secret."""
    if channel.form == Form.MAIL:
        return recipients_of(channel.url)
    try:
        target = target_of(channel.url)
    except AddressRefused:
        return ["…"]
    return [f"{'https' if target.tls else 'http'}://{target.host}/…"]


@admin.register(Channel)
class ChannelAdmin(WebhookAdmin):
    list_display: Any = ("name", "project", "state", "waiting", "dead", "form_words", "leads_to")
    # Not by the address: whoever may search in it can guess it piece by piece.
    search_fields: ClassVar[Any] = ("name",)
    search_help_text = _("A name")
    change_form_template = "admin/webhooks/channel_page.html"
    rows = ~Q(form=Form.SIGNED)

    def acts(self) -> dict[str, Callable[..., HttpResponse]]:
        return {name: view for name, view in super().acts().items() if name != "rotate"}

    @admin.display(description=_("how"), ordering="form")
    def form_words(self, channel: Webhook) -> str:
        return gettext("E-mail") if channel.form == Form.MAIL else gettext("Chat")

    @admin.display(description=_("address"))
    def leads_to(self, channel: Webhook) -> str:
        first, *more = addresses_of_people(channel)
        return f"{first} +{len(more)}" if more else first

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Make a channel."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewChannelForm(request.POST or None, projects=projects_visible(request.user).order_by("name"))
        if request.method == "POST" and form.is_valid():
            project = form.cleaned_data["project"]
            require(request, project=project, codename="webhooks.add_channel", permission="manage")
            with refusals_on(form):
                channel = channel_create(**form.cleaned_data, actor=Actor.of_user(request.user))
                messages.success(request, _("It is made. Send a test to see whether it arrives."))
                return redirect(page_of(channel))
        explanation = gettext(
            "What happens from then on is told there in sentences; what happens within a minute is one "
            "message, and a rollback is told at once."
        )
        if not settings.MAIL_SERVER:
            explanation += " " + gettext("No mail server is set (EMAIL_URL): nobody is mailed.")
        return self._form_page(
            request,
            form,
            title=_("New channel"),
            act=_("Make the channel"),
            explanation=explanation,
            back=reverse("admin:webhooks_channel_changelist"),
        )

    def edit_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Change its name, its address, its language or what it tells."""
        channel = self._webhook(request, pk)
        is_mail = channel.form == Form.MAIL
        form = ChannelForm(
            request.POST or None,
            initial={
                "name": channel.name,
                "url": ", ".join(recipients_of(channel.url)) if is_mail else "",
                "language": channel.language,
                "kinds": channel.kinds,
            },
        )
        if not is_mail:
            form.fields["url"].required = False
            form.fields["url"].help_text = _("Empty: it stays as it is.")
        if request.method == "POST" and form.is_valid():
            with refusals_on(form):
                channel_change(channel=channel, **form.cleaned_data, actor=Actor.of_user(request.user))
                messages.success(request, _("Saved."))
                return redirect(page_of(channel))
        return self._form_page(
            request, form, title=channel.name, act=_("Save"), explanation="", back=page_of(channel)
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        channel = self.get_object(request, object_id)
        if channel is not None:
            extra_context = {
                **(extra_context or {}),
                "addresses": addresses_of_people(channel),
                "quiet_until": quiet_until(channel.project),
                "no_mail": channel.form == Form.MAIL and not settings.MAIL_SERVER,
            }
        return super().change_view(request, object_id, form_url, extra_context)


@admin.register(PlannedChange)
class PlannedChangeAdmin(ProjectRows):
    list_display = ("reason", "project", "state", "begins_at", "ends_at", "by")
    list_filter: ClassVar[Any] = (ProjectFilter,)
    list_select_related = ("project",)
    change_form_template = "admin/webhooks/planned_change_page.html"
    fields = ("project", "begins_at", "ends_at", "reason", "by")
    readonly_fields = fields

    def has_change_permission(self, request: HttpRequest, obj: PlannedChange | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        end = self.admin_site.admin_view(self.end_view)
        return [path("<int:pk>/end/", end, name="webhooks_plannedchange_end"), *super().get_urls()]

    @admin.display(description=_("state"))
    def state(self, change: PlannedChange) -> SafeString:
        now = timezone.now()
        if change.ends_at <= now:
            colour, word = "good", gettext("over")
        elif change.begins_at <= now:
            colour, word = "busy", gettext("quiet now")
        else:
            colour, word = "warn", gettext("planned")
        return format_html('<span class="state {}">{}</span>', colour, word)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Announce a change."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PlannedChangeForm(
            request.POST or None, projects=projects_visible(request.user).order_by("name")
        )
        if request.method == "POST" and form.is_valid():
            project = form.cleaned_data["project"]
            require(request, project=project, codename="webhooks.add_plannedchange", permission="manage")
            with refusals_on(form):
                planned_change_create(**form.cleaned_data, actor=Actor.of_user(request.user))
                messages.success(request, _("Announced."))
                return redirect("admin:webhooks_plannedchange_changelist")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "form": form,
            "title": _("New planned change"),
            "act": _("Keep quiet"),
            "explanation": _(
                "The project's channels tell people of nothing but rollbacks meanwhile, and of everything in "
                "one summary at the end. Webhooks of systems are told as ever."
            ),
            "back": reverse("admin:webhooks_plannedchange_changelist"),
        }
        return TemplateResponse(request, "admin/act.html", context)

    @method_decorator(require_POST)
    def end_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """It is over, or will not be."""
        change = self.get_object(request, str(pk))
        if change is None:
            raise PermissionDenied
        require(
            request, project=change.project, codename="webhooks.change_plannedchange", permission="manage"
        )
        planned_change_end(change=change, actor=Actor.of_user(request.user))
        messages.success(request, _("It is over: a summary follows."))
        return redirect("admin:webhooks_plannedchange_change", pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        change = self.get_object(request, object_id)
        if change is not None:
            extra_context = {
                **(extra_context or {}),
                "title": change.reason,
                "subtitle": None,
                "may_end": change.ends_at > timezone.now()
                and may(
                    request,
                    project=change.project,
                    codename="webhooks.change_plannedchange",
                    permission="manage",
                ),
            }
        return super().change_view(request, object_id, form_url, extra_context)
