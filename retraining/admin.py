"""Learning, watched: policies and their answers, training sets, and runs with live progress and log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

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
from corpus.selectors import projects_visible
from retraining import experiment_admin, rollout_admin  # noqa: F401  (they register their pages)
from retraining.models import RetrainDecision, RetrainPolicy, TrainingRun, TrainingSet
from retraining.selectors import corrections_new, run_active, run_events
from retraining.services import policy_change, run_cancel, run_queue

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Status = TrainingRun.Status

STATES: dict[str, str] = {
    Status.QUEUED: "",
    Status.RUNNING: "busy",
    Status.DONE: "good",
    Status.FAILED: "bad",
    Status.CANCELLED: "warn",
}
ACTIVE = (Status.QUEUED, Status.RUNNING)
#: The log of a run is sent to the page in pieces of this many lines.
LOG_PIECE = 500


def verdict_words(run: TrainingRun) -> str:
    """The verdict in a few words, or where the run is."""
    if run.verdict is None:
        return ""
    difference = run.verdict["difference"]
    gain = "" if difference is None else f", {100 * difference:+.1f} points"
    return f"{'passed' if run.verdict['passed'] else 'refused by'} the gate{gain}"


class StartForm(forms.Form):
    """Which project learns now, and why."""

    project = forms.ModelChoiceField(Project.objects.none(), empty_label=None)
    reason = forms.CharField(max_length=500, label=_("Why"), help_text=_("It is kept in the audit log."))

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["project"]
        field.queryset = projects


@admin.register(TrainingRun)
class TrainingRunAdmin(ProjectHistory):
    list_display = ("named", "project", "state", "verdict_shown", "candidate", "reason", "queued_at", "took")
    list_filter: ClassVar[Any] = (ProjectFilter, "status")
    list_select_related = ("project", "candidate", "start_from")
    change_form_template = "admin/retraining/run_page.html"
    add_words = _("Retrain now")
    fields = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("retraining.queue_trainingrun")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/progress/", wrap(self.progress_view), name="retraining_trainingrun_progress"),
            path("<int:pk>/cancel/", wrap(self.cancel_view), name="retraining_trainingrun_cancel"),
            *super().get_urls(),
        ]

    @admin.display(description=_("run"), ordering="pk")
    def named(self, run: TrainingRun) -> str:
        return f"run {run.pk}"

    @admin.display(description=_("state"), ordering="status")
    def state(self, run: TrainingRun) -> SafeString:
        return format_html('<span class="state {}">{}</span>', STATES[run.status], run.get_status_display())

    @admin.display(description=_("verdict"))
    def verdict_shown(self, run: TrainingRun) -> str:
        return verdict_words(run) or "–"

    @admin.display(description=_("took"))
    def took(self, run: TrainingRun) -> str:
        if run.started_at is None or run.ended_at is None:
            return "–"
        return f"{(run.ended_at - run.started_at).total_seconds():.0f} s"

    # --- Starting and stopping ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Retrain now: the same run that a policy would queue, for a reason of a person."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = StartForm(
            request.POST or None,
            initial={"project": request.GET.get("project")},
            projects=projects_visible(request.user).order_by("name"),
        )
        if request.method == "POST" and form.is_valid():
            project = form.cleaned_data["project"]
            require(request, project=project, codename="retraining.queue_trainingrun", permission="train")
            with refusals_on(form):
                run = run_queue(
                    project=project,
                    actor=Actor.of_user(request.user),
                    reason=form.cleaned_data["reason"],
                    requested_by=cast("User", request.user),
                )
                messages.success(
                    request,
                    _("Run {number}: {status}.").format(number=run.pk, status=run.get_status_display()),
                )
                return redirect("admin:retraining_trainingrun_change", run.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Retrain now"),
            "opts": self.opts,
            "form": form,
            "act": _("Start the training"),
            "explanation": _(
                "A training starts from the present champion and learns from every correction so far. "
                "It runs beside serving; what comes out serves nobody until the gate has judged it and "
                "it is promoted."
            ),
            "back": reverse("admin:retraining_trainingrun_changelist"),
        }
        return TemplateResponse(request, "admin/act.html", context)

    @method_decorator(require_POST)
    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Stop a run."""
        run = self._run(request, pk)
        require(request, project=run.project, codename="retraining.cancel_trainingrun", permission="train")
        with refusals_told(request):
            run = run_cancel(
                run=run, actor=Actor.of_user(request.user), reason=request.POST.get("reason", "")[:500]
            )
            said = (
                _("Run {number} is cancelled.")
                if run.status == Status.CANCELLED
                else _("Run {number} stops after its present step.")
            )
            messages.success(request, said.format(number=run.pk))
        return redirect("admin:retraining_trainingrun_change", run.pk)

    # --- Watching ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        if run is not None:
            events = list(run_events(run=run)[:LOG_PIECE])
            is_active = run.status in ACTIVE
            extra_context = {
                **(extra_context or {}),
                "title": f"Run {run.pk} of {run.project}",
                "subtitle": None,
                "run": run,
                "state": STATES[run.status],
                "is_active": is_active,
                "verdict_words": verdict_words(run),
                "lines": events,
                "last_line": events[-1].pk if events else 0,
                "learning": [
                    (event.data["epoch"], event.data["dev_f1"], event.data["loss"])
                    for event in events
                    if {"epoch", "dev_f1", "loss"} <= set(event.data)
                ],
                "events": events_of(run),
                "may_cancel": is_active
                and run.cancel_requested_at is None
                and may(
                    request,
                    project=run.project,
                    codename="retraining.cancel_trainingrun",
                    permission="train",
                ),
                "counts": run.training_set.counts,
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @method_decorator([require_safe, never_cache])
    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Where a run is, and the lines of its log after `?after=`: what its page asks for while it runs."""
        run = self._run(request, pk)
        after = request.GET.get("after", "0")
        lines = run_events(run=run, after=int(after) if after.isdecimal() and len(after) < 19 else 0)
        return JsonResponse(
            {
                "status": run.status,
                "state": STATES[run.status],
                "status_words": run.get_status_display(),
                "progress": run.progress,
                "lines": [
                    {
                        "id": line.pk,
                        "at": line.at.isoformat(),
                        "time": f"{line.at:%H:%M:%S}",
                        "message": line.message,
                    }
                    for line in lines[:LOG_PIECE]
                ],
                "is_active": run.status in ACTIVE,
            }
        )

    def _run(self, request: HttpRequest, pk: int) -> TrainingRun:
        run: TrainingRun | None = self.get_object(request, str(pk))
        if run is None or not self.has_view_permission(request, run):
            raise PermissionDenied
        return run


@admin.register(RetrainPolicy)
class RetrainPolicyAdmin(ProjectRows):
    list_display = ("project", "enabled", "new_corrections", "waiting", "after_gate")
    list_select_related = ("project",)
    change_form_template = "admin/retraining/policy_page.html"
    readonly_fields = ("project",)
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("project", "enabled")}),
        (
            _("When to retrain"),
            {"fields": ("new_corrections", "quiet_seconds", "max_quiet_wait_seconds", "max_age_days")},
        ),
        (
            _("When to retrain on fewer corrections"),
            {"fields": ("early_corrections", "max_f1_drop", "on_drift", "nightly_hour")},
        ),
        (_("How often at most"), {"fields": ("max_runs_per_day",)}),
        (
            _("What the gate asks of a candidate"),
            {
                "fields": (
                    "must_be_better",
                    "margin",
                    "min_test_documents",
                    "max_label_drop",
                    "max_base_drop",
                    "max_golden_lost",
                    "max_ece",
                    "after_gate",
                )
            },
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: RetrainPolicy | None = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (
            obj is None
            or may(
                request, project=obj.project, codename="retraining.change_retrainpolicy", permission="train"
            )
        )

    @admin.display(description=_("new corrections now"))
    def waiting(self, policy: RetrainPolicy) -> int:
        return corrections_new(project=policy.project).count()

    def save_model(self, request: HttpRequest, obj: RetrainPolicy, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        if values:
            policy_change(project=obj.project, actor=Actor.of_user(request.user), **values)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        policy = self.get_object(request, object_id)
        if policy is not None:
            extra_context = {
                **(extra_context or {}),
                "title": f"Retraining of {policy.project}",
                "subtitle": None,
                "decisions": policy.project.retrain_decisions.select_related("run")[:20],
                "waiting": corrections_new(project=policy.project).count(),
                "active": run_active(project=policy.project),
                "may_start": may(
                    request,
                    project=policy.project,
                    codename="retraining.queue_trainingrun",
                    permission="train",
                ),
            }
        return super().change_view(request, object_id, form_url, extra_context)


@admin.register(RetrainDecision)
class RetrainDecisionAdmin(ProjectHistory):
    list_display = ("explanation", "project", "due", "run", "checks", "last_checked_at")
    list_filter: ClassVar[Any] = (ProjectFilter, "due")
    list_select_related = ("project", "run__project")
    fields = ("project", "due", "explanation", "numbers", "run", "checks", "created_at", "last_checked_at")


@admin.register(TrainingSet)
class TrainingSetAdmin(ProjectHistory):
    list_display = ("named", "project", "train", "dev", "test", "frozen_at")
    list_filter: ClassVar[Any] = (ProjectFilter,)
    list_select_related = ("project",)
    fields = (
        "project",
        "fingerprint",
        "test_fingerprint",
        "label_set",
        "base_corpus",
        "train",
        "dev",
        "test",
        "frozen_at",
    )

    @admin.display(description=_("set"), ordering="fingerprint")
    def named(self, training_set: TrainingSet) -> SafeString:
        return format_html("<code>{}</code>", training_set.fingerprint[:12])

    @admin.display(description=_("to train on"))
    def train(self, training_set: TrainingSet) -> int:
        return int(training_set.counts.get("train", 0))

    @admin.display(description=_("to tune"))
    def dev(self, training_set: TrainingSet) -> int:
        return int(training_set.counts.get("dev", 0))

    @admin.display(description=_("to be judged by"))
    def test(self, training_set: TrainingSet) -> int:
        return int(training_set.counts.get("test", 0))
