"""Rollouts in the back office: where a version is on its way to callers, why, and a person's hand in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from audit.selectors import events_of
from audit.services import Actor
from corpus.backoffice import (
    ProjectFilter,
    ProjectHistory,
    ProjectRows,
    may,
    refusals_on,
    refusals_told,
    require,
)
from corpus.models import Project
from corpus.said import say
from corpus.selectors import projects_visible
from inference.models import ModelVersion
from retraining.models import Rollout, RolloutPolicy
from retraining.rollout_words import STATES, Told, findings_told, goes_on_at, steps_told
from retraining.services import (
    rollout_approve,
    rollout_pause,
    rollout_policy_change,
    rollout_resume,
    rollout_roll_back,
    rollout_start,
)

PROMOTE = "inference.promote_modelversion"
Status = Rollout.Status


class StartForm(forms.Form):
    """Which version goes to whose callers, and why."""

    project = forms.ModelChoiceField(Project.objects.none(), empty_label=None, label=_("Project"))
    version = forms.ModelChoiceField(ModelVersion.objects.none(), empty_label=None, label=_("Version"))
    reason = forms.CharField(max_length=500, label=_("Why"), help_text=_("It is kept in the audit log."))

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        project, version = (self.fields[name] for name in ("project", "version"))
        project.queryset = projects  # type: ignore[attr-defined]
        version.queryset = (  # type: ignore[attr-defined]
            ModelVersion.objects.filter(Q(project__in=projects) | Q(project=None))
            .exclude(origin__in=[ModelVersion.Origin.EXTERNAL, ModelVersion.Origin.BLANK])
            .defer("card", "metrics")
        )


@admin.register(Rollout)
class RolloutAdmin(ProjectHistory):
    list_display = ("named", "project", "state", "share_shown", "why", "started_at", "ended_at")
    list_filter: ClassVar[Any] = (ProjectFilter, "status")
    list_select_related = ("project", "version")
    change_form_template = "admin/retraining/rollout_page.html"
    add_words = _("Roll a version out")
    fields = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PROMOTE)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        acts = ("approve", "pause", "resume", "roll_back")
        return [
            *(
                path(
                    f"<int:pk>/{act.replace('_', '-')}/",
                    wrap(getattr(self, f"{act}_view")),
                    name=f"retraining_rollout_{act}",
                )
                for act in acts
            ),
            *super().get_urls(),
        ]

    @admin.display(description=_("version"), ordering="version")
    def named(self, rollout: Rollout) -> str:
        return str(rollout.version)

    @admin.display(description=_("state"), ordering="status")
    def state(self, rollout: Rollout) -> SafeString:
        state = STATES[rollout.status]
        return format_html('<span class="state {}">{}</span>', state, rollout.get_status_display())

    @admin.display(description=_("share of the callers"), ordering="share")
    def share_shown(self, rollout: Rollout) -> str:
        return f"{rollout.share:g} %"

    @admin.display(description=_("why"))
    def why(self, rollout: Rollout) -> str:
        return say(rollout.outcome or rollout.waits_for or rollout.reason)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        words = _(
            "A rollout brings a version from the shadow to all callers, step by step, while every limit "
            "holds; where one is broken the champion answers again. It needs a version that is not "
            "champion yet."
        )
        return super().changelist_view(request, {"empty_words": words, **(extra_context or {})})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Begin one."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        asked = {name: request.GET.get(name) for name in ("project", "version")}
        form = StartForm(
            request.POST or None, initial=asked, projects=projects_visible(request.user).order_by("name")
        )
        if request.method == "POST" and form.is_valid():
            project = form.cleaned_data["project"]
            require(request, project=project, codename=PROMOTE, permission="promote")
            with refusals_on(form):
                rollout = rollout_start(
                    project=project,
                    version=form.cleaned_data["version"],
                    actor=Actor.of_user(request.user),
                    reason=form.cleaned_data["reason"],
                )
                messages.success(request, _("It is on its way; the first numbers come within a minute."))
                return redirect("admin:retraining_rollout_change", rollout.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Roll a version out"),
            "opts": self.opts,
            "form": form,
            "act": _("Begin with the first step"),
            "explanation": _(
                "It goes from step to step by itself, as the project's rollout policy says, and comes back "
                "by itself where a limit is broken. You can pause it or take it back at any time."
            ),
            "back": reverse("admin:retraining_rollout_changelist"),
        }
        return TemplateResponse(request, "admin/act.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        rollout = self.get_object(request, object_id)
        if rollout is not None:
            events = list(rollout.events.order_by("-id"))
            may_act = rollout.is_unfinished and may(
                request, project=rollout.project, codename=PROMOTE, permission="promote"
            )
            extra_context = {
                **(extra_context or {}),
                "title": _("Rollout of {version} to the callers of {project}").format(
                    version=rollout.version, project=rollout.project
                ),
                "subtitle": None,
                "rollout": rollout,
                "state": STATES[rollout.status],
                "steps": steps_told(rollout, events),
                "findings": findings_told(rollout.findings),
                "happened": [Told(event, findings_told(event.findings)) for event in events],
                "plan": rollout.plan,
                "goes_on_at": goes_on_at(rollout),
                "may_act": may_act,
                "may_approve": may_act and rollout.status == Status.WAITING,
                "may_pause": may_act and rollout.status != Status.PAUSED,
                "may_resume": may_act and rollout.status == Status.PAUSED,
                "events": events_of(rollout)[:50],
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @method_decorator(require_POST)
    def approve_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let it go its next step, if it is still what the page showed."""
        sent = request.POST.get("generation", "")
        generation = int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 10 else -1
        return self._do(
            request, pk, rollout_approve, _("It goes its next step."), expected_generation=generation
        )

    @method_decorator(require_POST)
    def pause_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Keep it at its step."""
        return self._do(request, pk, rollout_pause, _("It stays at its step until somebody resumes it."))

    @method_decorator(require_POST)
    def resume_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let it go on."""
        return self._do(request, pk, rollout_resume, _("It goes on."))

    @method_decorator(require_POST)
    def roll_back_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take the version back, in one click."""
        done = _("It is taken back; every caller gets the champion of before within 5 seconds.")
        return self._do(request, pk, rollout_roll_back, done)

    def _do(
        self, request: HttpRequest, pk: int, act: Callable[..., Rollout], done: Any, **more: Any
    ) -> HttpResponse:
        rollout: Rollout | None = self.get_object(request, str(pk))
        if rollout is None:
            raise PermissionDenied
        require(request, project=rollout.project, codename=PROMOTE, permission="promote")
        with refusals_told(request):
            act(
                rollout=rollout,
                actor=Actor.of_user(request.user),
                reason=request.POST.get("reason", "")[:500],
                **more,
            )
            messages.success(request, done)
        return redirect("admin:retraining_rollout_change", rollout.pk)


@admin.register(RolloutPolicy)
class RolloutPolicyAdmin(ProjectRows):
    list_display = ("project", "steps_shown", "approval", "min_samples", "min_seconds")
    list_select_related = ("project",)
    readonly_fields = ("project",)
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("project",)}),
        (
            _("Steps"),
            {
                "fields": (
                    "steps",
                    "approval",
                    "min_samples",
                    "min_seconds",
                    "min_reviews",
                    "watch_seconds",
                    "shadow_percent",
                )
            },
        ),
        (
            _("What takes a version back"),
            {
                "fields": (
                    "max_error_rate",
                    "max_p95_ms",
                    "max_p99_ms",
                    "min_agreement",
                    "max_low_confidence_rise",
                    "max_label_drift",
                    "max_edit_rate_rise",
                )
            },
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: RolloutPolicy | None = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (
            obj is None or may(request, project=obj.project, codename=PROMOTE, permission="promote")
        )

    @admin.display(description=_("steps"))
    def steps_shown(self, policy: RolloutPolicy) -> str:
        return " → ".join(f"{step:g}" for step in policy.steps) + " %"

    def save_model(self, request: HttpRequest, obj: RolloutPolicy, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        if values:
            rollout_policy_change(project=obj.project, actor=Actor.of_user(request.user), **values)
