"""What the models answered, and who may ask them. Versions and slots are in nerapp/admin.py."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from audit.services import Actor
from corpus.backoffice import (
    ProjectFilter,
    ProjectHistory,
    ProjectRows,
    ReasonForm,
    may,
    refusals_on,
    refusals_told,
    require,
)
from corpus.models import Project
from corpus.selectors import label_set_current, projects_visible
from inference.models import ApiKey, Prediction, PredictionJob, ShadowComparison
from inference.services import api_key_create, api_key_revoke
from inference.services.files import size_shown

EXCERPT = 90


@admin.register(Prediction)
class PredictionAdmin(ProjectHistory):
    list_display = (
        "excerpt",
        "project",
        "version",
        "entities",
        "uncertainty_shown",
        "slot",
        "latency",
        "created_at",
    )
    list_filter: ClassVar[Any] = (ProjectFilter, "slot")
    list_select_related = ("project", "version")
    search_fields = ("request_id__exact", "version__name")
    search_help_text = _("The id of a request, or a model's name")
    date_hierarchy = "created_at"
    change_form_template = "admin/inference/prediction_page.html"
    fields = (
        "project",
        "version",
        "document",
        "slot",
        "uncertainty_shown",
        "min_confidence",
        "latency",
        "api_key",
        "request_id",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        queryset = super().get_queryset(request).select_related("version", "project", "document")
        if request.resolver_match and request.resolver_match.url_name == "inference_prediction_changelist":
            queryset = queryset.defer("text", "document__text").annotate(
                head=Left("text", EXCERPT), document_head=Left("document__text", EXCERPT)
            )
        return queryset

    @admin.display(description=_("text"))
    def excerpt(self, prediction: Prediction) -> str:
        head = getattr(prediction, "head", "") or getattr(prediction, "document_head", "") or ""
        return f"{head}…" if len(head) == EXCERPT else head

    @admin.display(description=_("entities"))
    def entities(self, prediction: Prediction) -> int:
        return len(prediction.spans)

    @admin.display(description=_("unsure"), ordering="uncertainty")
    def uncertainty_shown(self, prediction: Prediction) -> str:
        return f"{prediction.uncertainty:.2f}"

    @admin.display(description=_("answered in"), ordering="latency_ms")
    def latency(self, prediction: Prediction) -> str:
        return f"{prediction.latency_ms:.1f} ms"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        prediction = self.get_object(request, object_id)
        if prediction is not None:
            labels = label_set_current(project=prediction.project).labels.all()
            extra_context = {**(extra_context or {}), "hues": {label.name: label.hue for label in labels}}
        return super().change_view(request, object_id, form_url, extra_context)


class Disagreements(admin.SimpleListFilter):
    """Where both say the same there is nothing to look at: it is left out unless asked for."""

    title = _("agreement")
    parameter_name = "agreement"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", str(_("All answers"))), ("none", str(_("Nothing in common")))]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": _("They differ")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(agreement=0) if self.value() == "none" else queryset.filter(agreement__lt=1)


class TestProjectFilter(ProjectFilter):
    """The project of a comparison is its test's."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(test__project__slug=self.value()) if self.value() else queryset


@admin.register(ShadowComparison)
class ShadowComparisonAdmin(ProjectHistory):
    """What a shadow would have said, beside what callers were told."""

    project_path = "test__project"
    list_display = ("excerpt", "agreement_shown", "champion", "shadow", "created_at")
    list_filter: ClassVar[Any] = (Disagreements, TestProjectFilter)
    list_select_related = ("test__champion", "test__shadow")
    change_form_template = "admin/inference/shadow_page.html"
    fields = ("agreement_shown", "latency", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ShadowComparison]:
        queryset: QuerySet[ShadowComparison] = super().get_queryset(request)
        queryset = queryset.select_related("test", "prediction")
        return queryset.annotate(head=Left("prediction__text", EXCERPT)).defer("prediction__text")

    @admin.display(description=_("text"))
    def excerpt(self, comparison: ShadowComparison) -> str:
        head = str(getattr(comparison, "head", ""))
        return f"{head}…" if len(head) == EXCERPT else head

    @admin.display(description=_("agreement"), ordering="agreement")
    def agreement_shown(self, comparison: ShadowComparison) -> str:
        return f"{100 * comparison.agreement:.0f} %"

    @admin.display(description=_("champion"))
    def champion(self, comparison: ShadowComparison) -> str:
        return str(comparison.test.champion)

    @admin.display(description=_("shadow"))
    def shadow(self, comparison: ShadowComparison) -> str:
        return str(comparison.test.shadow)

    @admin.display(description=_("answered in"))
    def latency(self, comparison: ShadowComparison) -> str:
        return f"{comparison.latency_ms:.1f} ms"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        comparison = self.get_object(request, object_id)
        if comparison is not None:
            labels = label_set_current(project=comparison.test.project).labels.all()
            hues = {label.name: label.hue for label in labels}
            title = {"title": str(comparison.test), "subtitle": None}
            extra_context = {**(extra_context or {}), **title, "hues": hues}
        return super().change_view(request, object_id, form_url, extra_context)


JobStatus = PredictionJob.Status
#: The class of a status word (static/css/base.css).
STATES = {
    JobStatus.QUEUED: "busy",
    JobStatus.RUNNING: "busy",
    JobStatus.DONE: "good",
    JobStatus.FAILED: "bad",
    JobStatus.CANCELLED: "warn",
}


@admin.register(PredictionJob)
class PredictionJobAdmin(ProjectHistory):
    list_display = (
        "__str__",
        "project",
        "state",
        "progress",
        "lines",
        "failed",
        "version",
        "key_name",
        "created_at",
    )
    list_filter: ClassVar[Any] = (ProjectFilter, "status")
    list_select_related = ("project", "version", "api_key")
    search_fields = ("file_name", "api_key__name")
    search_help_text = _("The name of a file or of a key")
    date_hierarchy = "created_at"
    fields = (
        "id",
        "project",
        "state",
        "progress",
        "lines",
        "failed",
        "error",
        "version",
        "slot",
        "api_key",
        "file_name",
        "size",
        "sha256",
        "options",
        "created_at",
        "started_at",
        "ended_at",
        "file_removed_at",
    )

    @admin.display(description=_("state"), ordering="status")
    def state(self, job: PredictionJob) -> SafeString:
        state = STATES[JobStatus(job.status)]
        return format_html('<span class="state {}">{}</span>', state, job.get_status_display())

    @admin.display(description=_("progress"))
    def progress(self, job: PredictionJob) -> str:
        return f"{job.percent} %"

    @admin.display(description=_("key"), ordering="api_key__name")
    def key_name(self, job: PredictionJob) -> str:
        return job.api_key.name

    @admin.display(description=_("size"), ordering="size_bytes")
    def size(self, job: PredictionJob) -> str:
        return size_shown(job.size_bytes)


class ApiKeyForm(forms.Form):
    """What an API key may do, and for how long."""

    project = forms.ModelChoiceField(Project.objects.none())
    name = forms.CharField(max_length=100, help_text=_("Who or what will use it, to know it again later."))
    scopes = forms.MultipleChoiceField(
        choices=ApiKey.Scope.choices,
        initial=[ApiKey.Scope.PREDICT, ApiKey.Scope.FEEDBACK, ApiKey.Scope.MODELS],
        widget=forms.CheckboxSelectMultiple,
        label=_("May"),
    )
    internal = forms.BooleanField(
        required=False,
        label=_("Internal"),
        help_text=_("Our own tests and jobs: always answered by the champion, and counted in no experiment."),
    )
    rate_per_hour = forms.IntegerField(
        min_value=1, max_value=1_000_000, initial=1000, label=_("Texts an hour")
    )
    expires_at = forms.DateTimeField(
        required=False,
        label=_("Ends at (UTC)"),
        help_text=_("Empty: until somebody revokes it."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["project"]
        field.queryset = projects
        field.empty_label = None

    def clean_expires_at(self) -> Any:
        """A key that has ended already helps nobody."""
        moment = self.cleaned_data["expires_at"]
        if moment is not None and moment <= timezone.now():
            raise forms.ValidationError(_("This lies in the past."))
        return moment


@admin.register(ApiKey)
class ApiKeyAdmin(ProjectRows):
    list_display = (
        "name",
        "prefix_shown",
        "project",
        "state",
        "may_do",
        "rate_per_hour",
        "last_used_at",
    )
    list_filter: ClassVar[Any] = (ProjectFilter,)
    list_select_related = ("project",)
    search_fields = ("name", "prefix")
    search_help_text = _("The name or the first characters of a key")
    change_form_template = "admin/inference/key_page.html"
    fields = (
        "project",
        "prefix_shown",
        "state",
        "may_do",
        "internal",
        "rate_per_hour",
        "last_used_at",
        "expires_at",
        "revoked_at",
        "created_at",
    )

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/revoke/", wrap(self.revoke_view), name="inference_apikey_revoke"),
            *super().get_urls(),
        ]

    @admin.display(description=_("key"), ordering="prefix")
    def prefix_shown(self, key: ApiKey) -> SafeString:
        return format_html("<code>{}…</code>", key.prefix)

    @admin.display(description=_("may"))
    def may_do(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> SafeString:
        if key.revoked_at is not None:
            state, word = "bad", str(_("revoked"))
        elif key.expires_at is not None and key.expires_at <= timezone.now():
            state, word = "", str(_("ended"))
        else:
            state, word = "good", str(_("valid"))
        return format_html('<span class="state {}">{}</span>', state, word)

    @method_decorator(never_cache)
    @method_decorator(sensitive_variables("secret"))
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Make a key. The answer to this one request is the only place where its secret is ever shown."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ApiKeyForm(request.POST or None, projects=projects_visible(request.user).order_by("name"))
        context = {
            **self.admin_site.each_context(request),
            "title": "New API key",
            "opts": self.opts,
            "form": form,
            "act": "Make the key",
            "explanation": "The secret is shown once, on the next page. Only a keyed hash of it is stored.",
            "back": reverse("admin:inference_apikey_changelist"),
        }
        if request.method == "POST" and form.is_valid():
            project = form.cleaned_data["project"]
            require(request, project=project, codename="inference.add_apikey", permission="manage")
            with refusals_on(form):
                key, secret = api_key_create(**form.cleaned_data, actor=Actor.of_user(request.user))
                back = reverse("admin:inference_apikey_change", args=[key.pk])
                context |= {"title": f"Key {key.name}", "key": key, "secret": secret, "back": back}
                return TemplateResponse(request, "admin/inference/key_made.html", context)
        return TemplateResponse(request, "admin/act.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        if key is not None:
            extra_context = {
                **(extra_context or {}),
                "reason_form": ReasonForm(),
                "may_revoke": key.revoked_at is None
                and may(
                    request, project=key.project, codename="inference.change_apikey", permission="manage"
                ),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @method_decorator(require_POST)
    def revoke_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """End a key for good, saying why."""
        key = self.get_object(request, str(pk))
        if key is None:
            raise PermissionDenied
        require(request, project=key.project, codename="inference.change_apikey", permission="manage")
        with refusals_told(request):
            api_key_revoke(key=key, actor=Actor.of_user(request.user), reason=request.POST.get("reason", ""))
            messages.success(
                request,
                _("{key} is revoked: every process refuses it within 5 seconds.").format(key=key.name),
            )
        return redirect("admin:inference_apikey_change", key.pk)
