"""Experiments in the back office: the draft with its estimate, the page that says what may be concluded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
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
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from audit.selectors import events_of
from audit.services import Actor
from corpus.backoffice import ProjectFilter, ProjectHistory, may, refusals_on, refusals_told, require
from corpus.models import Project
from corpus.selectors import projects_visible
from inference.models import Deployment, ModelVersion
from retraining.experiment_estimates import experiment_estimate
from retraining.experiment_words import estimate_words, metric_name, scale_of, verdict_of
from retraining.models import Experiment, ExperimentArm, ExperimentLook
from retraining.selectors import arms_of, look_newest, looks_thinned
from retraining.services import (
    experiment_conclude,
    experiment_create,
    experiment_start,
    experiment_stop,
)

PROMOTE = "inference.promote_modelversion"
Status = Experiment.Status
STATES: dict[str, str] = {Status.DRAFT: "", Status.RUNNING: "busy", Status.ENDED: "good"}
_ARMS = range(1, len(Deployment.CHALLENGERS) + 1)
_SETTINGS = ("by", "metric", "effect", "alpha", "power", "max_days", "promotes_winner")


class ExperimentForm(forms.ModelForm):  # type: ignore[type-arg]
    """A question, the versions that may answer it, and how sure one wants to be."""

    class Meta:
        model = Experiment
        fields = ("project", "question", *_SETTINGS)
        widgets: ClassVar[Any] = {"question": forms.TextInput(attrs={"class": "reason"})}
        labels: ClassVar[Any] = {
            "by": _("Divided by"),
            "metric": _("Decided by"),
            "effect": _("Smallest difference worth having"),
            "alpha": _("False alarms (alpha)"),
            "power": _("Power"),
            "max_days": _("Days at most"),
            "promotes_winner": _("Promote the winner by rule"),
        }

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        project: Any = self.fields["project"]
        project.queryset, project.empty_label = projects, None
        versions = (
            ModelVersion.objects.filter(Q(project__in=projects) | Q(project=None))
            .exclude(origin__in=[ModelVersion.Origin.EXTERNAL, ModelVersion.Origin.BLANK])
            .defer("card", "metrics")
        )
        arms: dict[str, forms.Field] = {}
        for place in _ARMS:
            first = place == 1
            arms[f"version_{place}"] = forms.ModelChoiceField(
                versions, required=first, label=_("Version {place}").format(place=place)
            )
            arms[f"share_{place}"] = forms.FloatField(
                required=first,
                min_value=0.1,
                max_value=99.0,
                initial=50.0 if first else None,
                label=_("Percent of the callers for version {place}").format(place=place),
                help_text=_("The champion answers whom the versions leave.") if first else "",
            )
        rest = {name: self.fields.pop(name) for name in _SETTINGS}
        self.fields |= arms | rest

    @property
    def arms(self) -> list[tuple[ModelVersion, float]]:
        """The versions with their shares."""
        pairs = [(self.cleaned_data[f"version_{one}"], self.cleaned_data[f"share_{one}"]) for one in _ARMS]
        return [(version, share) for version, share in pairs if version is not None and share is not None]

    @property
    def settings(self) -> dict[str, Any]:
        """How sure one wants to be, and by what."""
        return {name: self.cleaned_data[name] for name in _SETTINGS}

    def clean(self) -> dict[str, Any]:
        """A version has its share, and a share its version."""
        cleaned = super().clean() or self.cleaned_data
        for place in _ARMS:
            names = f"version_{place}", f"share_{place}"
            if names[0] in cleaned and names[1] in cleaned:
                version, share = (cleaned[name] for name in names)
                if (version is None) != (share is None):
                    self.add_error(
                        names[share is None], _("A version needs its percent, and they a version.")
                    )
        return cleaned


@dataclass(frozen=True, slots=True)
class Plotted:
    """One look at one challenger, in the unit of the chart."""

    at: datetime
    reviews: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Plot:
    """One challenger's chart."""

    title: str
    looks: list[Plotted]


@admin.register(Experiment)
class ExperimentAdmin(ProjectHistory):
    list_display = ("question", "project", "state", "outcome_shown", "winner", "started_at", "ended_at")
    list_filter: ClassVar[Any] = (ProjectFilter, "status")
    list_select_related = ("project", "winner")
    change_form_template = "admin/retraining/experiment_page.html"
    add_words = _("New experiment")
    fields = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PROMOTE)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        acts = (("start", self.start_view), ("stop", self.stop_view), ("conclude", self.conclude_view))
        return [
            *(
                path(f"<int:pk>/{act}/", wrap(view), name=f"retraining_experiment_{act}")
                for act, view in acts
            ),
            *super().get_urls(),
        ]

    @admin.display(description=_("state"), ordering="status")
    def state(self, experiment: Experiment) -> SafeString:
        state = STATES[experiment.status]
        return format_html('<span class="state {}">{}</span>', state, experiment.get_status_display())

    @admin.display(description=_("outcome"), ordering="outcome")
    def outcome_shown(self, experiment: Experiment) -> str:
        return experiment.get_outcome_display() or "–"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        words = _(
            "An experiment lets two or more versions answer callers side by side. Reviewers see a random "
            "share of the texts without knowing whose answer it is, and their edits say which version is "
            "better, and how sure that is. It needs a version on the shelf that is not champion yet."
        )
        return super().changelist_view(request, {"empty_words": words, **(extra_context or {})})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Draft one; how long it will take can be asked before."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ExperimentForm(
            request.POST or None,
            initial={"project": request.GET.get("project")},
            projects=projects_visible(request.user).order_by("name"),
        )
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": _("New experiment"),
            "opts": self.opts,
            "form": form,
            "back": reverse("admin:retraining_experiment_changelist"),
        }
        if request.method == "POST" and form.is_valid():
            project = form.cleaned_data["project"]
            require(request, project=project, codename=PROMOTE, permission="promote")
            if "estimate" in request.POST:
                context["estimate"] = _estimate(project, [share for _, share in form.arms], form.settings)
            else:
                with refusals_on(form):
                    experiment = experiment_create(
                        project=project,
                        question=form.cleaned_data["question"],
                        arms=form.arms,
                        actor=Actor.of_user(request.user),
                        **form.settings,
                    )
                    messages.success(request, _("The draft is made. Nobody is answered differently yet."))
                    return redirect("admin:retraining_experiment_change", experiment.pk)
        return TemplateResponse(request, "admin/retraining/experiment_new.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        experiment = self.get_object(request, object_id)
        if experiment is not None:
            arms, look = arms_of(experiment=experiment), look_newest(experiment=experiment)
            challengers = [arm for arm in arms if not arm.is_control]
            is_draft, is_running = experiment.status == Status.DRAFT, experiment.status == Status.RUNNING
            may_act = may(request, project=experiment.project, codename=PROMOTE, permission="promote")
            settings = {name: getattr(experiment, name) for name in _SETTINGS}
            shares = [arm.share for arm in challengers]
            extra_context = {
                **(extra_context or {}),
                "title": experiment.question,
                "subtitle": None,
                "experiment": experiment,
                "verdict": verdict_of(experiment, arms, look),
                "arms": arms,
                "challengers": [arm for arm in challengers if not arm.is_dropped],
                "look": look,
                "plots": list(_plots(experiment, challengers)),
                "effect": scale_of(experiment) * experiment.effect,
                "unit": "" if scale_of(experiment) == 1 else " " + str(_("points")),
                "decimals": 2 if scale_of(experiment) == 1 else 1,
                "metric": metric_name(experiment.metric),
                "rows": _rows(arms, look) if look else [],
                "estimate": _estimate(experiment.project, shares, settings)
                if is_draft
                else estimate_words(
                    experiment.estimate, metric=experiment.metric, max_days=experiment.max_days
                ),
                "may_start": may_act and is_draft,
                "may_stop": may_act and is_running,
                "may_conclude": may_act and not is_draft and experiment.promoted_at is None,
                "events": events_of(experiment)[:50],
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @method_decorator(require_POST)
    def start_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Deal the callers out."""
        experiment = self._chosen(request, pk)
        with refusals_told(request):
            experiment_start(experiment=experiment, **_sent(request))
            messages.success(request, _("It runs: every process deals the callers so within 5 seconds."))
        return redirect("admin:retraining_experiment_change", pk)

    @method_decorator(require_POST)
    def stop_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """End it without a decision."""
        experiment = self._chosen(request, pk)
        with refusals_told(request):
            experiment_stop(experiment=experiment, **_sent(request))
            messages.success(request, _("It is stopped; the champion answers everybody within 5 seconds."))
        return redirect("admin:retraining_experiment_change", pk)

    @method_decorator(require_POST)
    def conclude_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make one of its versions champion."""
        experiment = self._chosen(request, pk)
        chosen = request.POST.get("version", "")
        arm = next((arm for arm in arms_of(experiment=experiment) if str(arm.version_id) == chosen), None)
        if arm is None:
            raise PermissionDenied
        with refusals_told(request):
            experiment_conclude(experiment=experiment, version=arm.version, **_sent(request))
            said = _("{version} is champion; callers get it within 5 seconds.")
            messages.success(request, said.format(version=arm.version))
        return redirect("admin:retraining_experiment_change", pk)

    def _chosen(self, request: HttpRequest, pk: int) -> Experiment:
        """The experiment of an address, for who may promote in its project."""
        experiment: Experiment | None = self.get_object(request, str(pk))
        if experiment is None:
            raise PermissionDenied
        require(request, project=experiment.project, codename=PROMOTE, permission="promote")
        return experiment


def _sent(request: HttpRequest) -> dict[str, Any]:
    return {"actor": Actor.of_user(request.user), "reason": request.POST.get("reason", "")[:500]}


def _estimate(project: Project, shares: list[float], settings: dict[str, Any]) -> list[str]:
    asked = {name: settings[name] for name in ("metric", "by", "effect", "alpha", "power")}
    found = experiment_estimate(project=project, shares=shares, **asked)
    return estimate_words(found.to_json(), metric=settings["metric"], max_days=settings["max_days"])


def _plots(experiment: Experiment, challengers: Iterable[ExperimentArm]) -> Iterable[Plot]:
    """What there is to plot: looks that could say something."""
    looks, scale = looks_thinned(experiment=experiment), scale_of(experiment)
    for arm in challengers:
        said = [(look, look.comparisons.get(arm.slot, {})) for look in looks]
        plotted = [
            Plotted(look.at, look.reviews, *(scale * one[name] for name in ("difference", "low", "high")))
            for look, one in said
            if one.get("low") is not None and (arm.dropped_at is None or look.at <= arm.dropped_at)
        ]
        if plotted:
            title = _("{version} minus champion: {metric}").format(
                version=arm.version, metric=metric_name(experiment.metric)
            )
            yield Plot(title, plotted)


def _rows(arms: list[ExperimentArm], look: ExperimentLook) -> list[tuple[Any, list[str]]]:
    """The table of what was measured: a name, and a cell for each arm."""
    told: tuple[tuple[str, Any, float, int], ...] = (
        ("edit_rate", _("Edited or added, % of the spans"), 100, 1),
        ("reviewed_f1", _("F1 against what reviewers left"), 100, 1),
        ("rating", _("Rating, 1 to 5"), 1, 2),
        ("p50_ms", _("Half are answered within, ms"), 1, 1),
        ("p95_ms", _("95 % within, ms"), 1, 1),
        ("p99_ms", _("99 % within, ms"), 1, 1),
        ("error_rate", _("Without an answer, %"), 100, 2),
        ("low_confidence", _("Unsure answers, %"), 100, 1),
    )
    measured = [look.arms.get(arm.slot, {}) for arm in arms]
    rows: list[tuple[Any, list[str]]] = [
        (words, [number_format(one.get(name, 0), force_grouping=True) for one in measured])
        for name, words in (("answers", _("Answers")), ("reviews", _("Reviews")), ("ratings", _("Ratings")))
    ]
    for name, words, scale, places in told:
        if any(name in one for one in measured):
            rows.append((words, [_interval(one.get(name), scale, places) for one in measured]))
    rows.append(
        (
            _("Seconds for 1,000 answers"),
            [
                number_format(round(1000 * one["seconds_per_answer"], 2), 2)
                if "seconds_per_answer" in one
                else "–"
                for one in measured
            ],
        )
    )
    return rows


def _interval(numbers: list[float] | None, scale: float, places: int) -> str:
    if numbers is None:
        return "–"
    value, low, high = (number_format(round(scale * number, places), places) for number in numbers)
    return str(_("{value} ({low} to {high})")).format(value=value, low=low, high=high)
